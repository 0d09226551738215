"""tests/fakes/uplink_node.py as a process, and a host that subscribes to it with paho-mqtt."""

import contextlib
import json
import queue
import random
import subprocess
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import paho.mqtt.client as mqtt
from mqtt_process import MICROPYTHON

from formats import messages, topics
from formats.model import parse as parse_model
from formats.recording import pack_header
from onebyte import toolchain
from onebyte.receiver.reconcile import Numbered, Reconciler
from onebyte.simulation import device
from onebyte.simulation.process import Child
from onebyte.training.evaluate import predict_recording

_NODE = Path(__file__).parents[1] / "fakes" / "uplink_node.py"
_ASK_EVERY_S = 0.3
_PATIENCE_S = 240.0  # the machine may be slow


class UplinkNode:
    """The device process."""

    def __init__(self, folder: Path, port: int, count: int, **job: Any) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        for name in ("made", "sent", "refused", "failed", "stop"):
            (folder / name).unlink(missing_ok=True)
        job = {"port": port, "folder": str(folder), "count": count, "rate": 0, **job}
        self._process = subprocess.Popen(
            [MICROPYTHON, _NODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job))
        self._process.stdin.close()
        self._process.stdin = None

    @property
    def is_running(self) -> bool:
        """Whether the process still lives."""
        return self._process.poll() is None

    def wait_until(self, mark: str) -> None:
        """Wait for a mark of the node: "made", "sent", "refused" or "failed"."""
        end = time.monotonic() + _PATIENCE_S
        while not (self._folder / mark).exists():
            assert self.is_running and time.monotonic() < end, f"the node is never {mark}"
            time.sleep(0.02)

    def stop(self) -> dict[str, Any]:
        """Ask the node to stop and return its report."""
        (self._folder / "stop").touch()
        output, _ = self._process.communicate(timeout=_PATIENCE_S)
        assert self._process.returncode == 0, output
        report: dict[str, Any] = json.loads(output.splitlines()[-1])
        return report

    def __enter__(self) -> "UplinkNode":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.is_running:
            self._process.kill()
            self._process.communicate()


def write_config(folder: Path, port: int, speed: int, **changes: Any) -> None:
    """Write the configuration of a node that plays a recording to a broker on this machine."""
    config = {
        "tenant": "test",
        "device": "node",
        "broker_host": "127.0.0.1",
        "broker_port": port,
        "network_deadline_ms": 20000,  # the machine may stall
        "reconnect_max_s": 1,
        "status_interval_s": 1,
        "policy": "all",
        "outbox_records": 8192,
        "replay_path": "recording.obr",
        "replay_speed": speed,
        **changes,
    }
    (folder / "config.json").write_text(json.dumps(config))


def start_firmware(folder: Path) -> Child:
    """Start firmware/main.py on a folder's configuration; it logs to the file `log` there."""
    path = {"MICROPYPATH": ":".join(map(str, device.import_roots()))}
    command = [MICROPYTHON, toolchain.ROOT / "firmware" / "main.py", "config.json"]
    return Child(command, folder / "log", folder, path)


def wait_until_saved(path: Path, what: bytes) -> None:
    """Wait until mosquitto, which writes its file from time to time, has written this."""
    end = time.monotonic() + _PATIENCE_S
    while not path.exists() or what not in path.read_bytes():
        assert time.monotonic() < end, path
        time.sleep(0.05)


class FirmwareNode:
    """firmware/main.py with a real model, playing a recording of noise; it ends by itself.

    Attributes:
        expected: the bytes that the host computes for the recording.
    """

    def __init__(
        self, folder: Path, port: int, n_windows: int, speed: int, **changes: Any
    ) -> None:
        folder.mkdir(exist_ok=True)
        model_file = (toolchain.ROOT / "models" / "exercise" / "model.obm").read_bytes()
        model = parse_model(model_file)
        n_rows = model.window + (n_windows - 1) * model.hop
        noise = random.Random(3)
        # Levels that wander, so that the decisions differ from each other.
        samples = array("h")
        for row in range(n_rows):
            if row % (7 * model.hop) == 0:
                widths = [noise.randrange(1, 8000) for _ in range(model.n_channels)]
            samples.extend(noise.randrange(-width, width) for width in widths)
        rows = np.array(samples, np.int16).reshape(n_rows, model.n_channels)
        self.expected = [one.byte for one in predict_recording(model_file, rows, [n_rows])]
        header = pack_header(model.n_channels, model.rate_mhz, [n_rows])
        (folder / "recording.obr").write_bytes(header + samples.tobytes())
        (folder / "model.obm").write_bytes(model_file)
        roomy = {"outbox_ram_records": 1024, "drain_s": 60}
        write_config(folder, port, speed, **{**roomy, **changes})
        self._child = start_firmware(folder)

    @property
    def lines(self) -> list[str]:
        """What it has printed so far."""
        return self._child.log.read_text().splitlines()

    def report(self) -> dict[str, Any]:
        """Wait for its end and return its report."""
        end = time.monotonic() + _PATIENCE_S
        while self._child.returncode is None and time.monotonic() < end:
            time.sleep(0.05)
        assert self._child.returncode == 0, self._child.tail(5)
        report: dict[str, Any] = json.loads(self._child.tail())
        return report

    def wait_for_line(self, start: str) -> None:
        """Wait until it has printed a line that begins so."""
        end = time.monotonic() + _PATIENCE_S
        while not any(line.startswith(start) for line in self.lines):
            assert self._child.returncode is None and time.monotonic() < end, self.lines[-5:]
            time.sleep(0.05)

    def interrupt(self) -> dict[str, Any]:
        """End it as Ctrl-C does and return its report."""
        self._child.interrupt()
        return self.report()

    def __enter__(self) -> "FirmwareNode":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.stop()


class _Event(NamedTuple):
    kind: str
    payload: bytes
    dup: bool


class Host:
    """Subscribes, reconciles, and asks again for what is missing.

    Attributes:
        decisions: what the reconciler gave out.
        n_bytes, n_batches, n_asked, n_connects: how often each happened.
        statuses: payloads of all status messages.
        node_connects: how often the node has connected, as it says.
    """

    def __init__(self, port: int, clean_session: bool = True) -> None:
        # Nothing is given up here: a decision that never comes has to fail the test.
        self.reconciler = Reconciler(wait_s=1000.0)
        self.decisions: list[Numbered] = []
        self.statuses: list[bytes] = []
        self.n_bytes = self.n_batches = self.n_asked = self.n_connects = self.node_connects = 0
        self._port = port
        self._asked_s = 0.0
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, "host", clean_session, protocol=mqtt.MQTTv311
        )
        # Back long before the node has forgotten what the broker had acknowledged.
        self._client.reconnect_delay_set(0.1, 0.1)  # type: ignore[arg-type]
        self._subscribed = threading.Event()
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message

    def __enter__(self) -> "Host":
        self._client.connect("127.0.0.1", self._port, 60)
        self._client.loop_start()
        assert self._subscribed.wait(_PATIENCE_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, data: Any, flags: Any, code: Any, _: Any) -> None:
        self._events.put(_Event("connect", b"", False))
        client.subscribe("ob/test/+/+", 1)

    def _on_message(self, client: mqtt.Client, data: Any, message: mqtt.MQTTMessage) -> None:
        kind = topics.parse(message.topic)[2]
        self._events.put(_Event(kind, message.payload, message.dup))

    def work(self, seconds: float) -> None:
        """Take what arrives for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                self._take(self._events.get(timeout=min(left, 0.1)))
            self._ask()

    def work_while(self, goes_on: Callable[[], bool], why: str) -> None:
        """Take what arrives as long as something is so."""
        end = time.monotonic() + _PATIENCE_S
        while goes_on():
            assert time.monotonic() < end, (why, len(self.decisions), self.reconciler.gaps)
            self.work(0.05)

    def work_until(self, count: int) -> None:
        """Take what arrives until there are `count` decisions."""
        self.work_while(lambda: len(self.decisions) < count, "decisions")

    def work_until_status(self, **values: object) -> None:
        """Take what arrives until a status says this."""
        end = time.monotonic() + _PATIENCE_S
        while True:
            last = json.loads(self.statuses[-1]) if self.statuses else {}
            if values.items() <= last.items():
                return
            assert time.monotonic() < end, (values, last)
            self.work(0.1)

    def _take(self, event: _Event) -> None:
        if event.kind == "connect":
            self.n_connects += 1
            self.reconciler.disconnected()
        elif event.kind in (topics.RESULT, topics.BATCH):
            self.n_bytes += event.kind == topics.RESULT
            self.n_batches += event.kind == topics.BATCH
            now_s = time.time()
            self.decisions += self.reconciler.feed(event.kind, event.payload, event.dup, now_s)
        elif event.kind == topics.STATUS:
            self.statuses.append(event.payload)
            status = messages.parse_status(event.payload)
            if status["online"]:
                self.node_connects = max(self.node_connects, status["connects"])
                self.reconciler.seen_status(status["epoch"], status["next_seq"])
            else:
                self.reconciler.disconnected()

    def _ask(self) -> None:
        now_s = time.monotonic()
        command = self.reconciler.resend_command()
        if command and now_s - self._asked_s > _ASK_EVERY_S and self._client.is_connected():
            self._asked_s = now_s
            self.n_asked += 1
            self._client.publish("ob/test/node/cmd", command, 1)
