"""The firmware with slots in a folder, and a host that publishes, acknowledges and counts."""

import contextlib
import json
import socket
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any

import sample_model
from signed_boards import Vendor, in_slot, state
from uplink_process import Host, _Event, start_firmware, write_config

from formats import model_pack, topics, update_messages
from formats.recording import pack_header
from onebyte.receiver.link import BrokerSettings
from onebyte.updates import publish, roots
from onebyte.updates.release import SignedRelease
from onebyte.updates.sources import SourceFile

MODEL_TYPE = 9
RESTART_STATUS = 75
SPEED = 20
PATIENCE_S = 240.0
PLAYED_S = 600
_N_CHANNELS, _WINDOW, _HOP, _RATE_MHZ = 4, 64, 32, 52000


def model(name: str, class_id: int, **changes: Any) -> SourceFile:
    """Return a model that finds this class in everything that hardly moves."""
    fields = sample_model.fields(
        trees=[[(0, 500), class_id, (0, 1500), 1, 1]],
        min_confidence=10,
        k=1,
        n=1,
        golden_vectors=[],
        golden_windows=[],
        name=name,
    )
    fields.update(changes)
    return SourceFile(MODEL_TYPE, "model.obm", model_pack.pack(fields), name)


def recording() -> bytes:
    """Return a `.obr` file that plays longer than any test, on a slow machine, too."""
    n_rows = SPEED * _RATE_MHZ // 1000  # a second
    noise = Random(5)
    samples = array("h", (noise.randrange(-200, 200) for _ in range(n_rows * _N_CHANNELS)))
    header = pack_header(_N_CHANNELS, _RATE_MHZ, [PLAYED_S * n_rows])
    return header + PLAYED_S * samples.tobytes()


class UpdatingNode:
    """firmware/main.py under a supervisor that starts it again when it asks for it.

    Args:
        folder: its flash.
        port: of the broker.
        vendor: whose product it is.
        release: what slot a holds, its seq confirmed.
        config: what differs from the tests' configuration.

    Attributes:
        starts: how often it was started.
    """

    def __init__(
        self, folder: Path, port: int, vendor: Vendor, release: SignedRelease, **config: Any
    ) -> None:
        self.folder = folder
        self.log = folder / "log"
        seq = release.manifest.manifest_seq
        files = {
            **vendor.identity(),
            **in_slot(1, release),
            **state(active=1, installed_seq=seq),
        }
        for name, content in files.items():
            path = folder / "u" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (folder / "recording.obr").write_bytes(recording())
        updates = {"outbox_ram_records": 1024, "update_path": "u", "update_pause_s": 1}
        write_config(folder, port, SPEED, **{**updates, **config})
        self.starts = 0
        self._start()

    def _start(self) -> None:
        self._child = start_firmware(self.folder)
        self.starts += 1

    def watch(self) -> None:
        """Start it again if it wants to be; fail if it ended otherwise."""
        code = self._child.returncode
        if code is not None:
            assert code == RESTART_STATUS, self.text()[-2000:]
            self._start()

    def text(self) -> str:
        """Return what it has printed."""
        return self.log.read_text(errors="replace")

    def end(self) -> list[dict[str, Any]]:
        """End it and return the counters of every start."""
        self._child.interrupt()
        assert self._child.returncode == 0, self.text()[-2000:]
        summaries = self.summaries()
        assert len(summaries) == self.starts, self.text()[-2000:]
        return summaries

    def summaries(self) -> list[dict[str, Any]]:
        """Return the counters of every start that is over."""
        lines = self.text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line[-1] == "}"]

    def __enter__(self) -> "UpdatingNode":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.stop()
        if kind is not None:
            print(self.text()[-3000:])


class UpdateHost(Host):
    """A host that also hears reports, and acknowledges trials.

    Attributes:
        reports: every report, in order.
        metas: (name of the model, decisions so far) of every meta message.
        acknowledges: whether trials are acknowledged.
    """

    def __init__(self, port: int, **more: Any) -> None:
        super().__init__(port, **more)
        self.reports: list[dict[str, Any]] = []
        self.metas: list[tuple[str, int]] = []
        self.acknowledges = True
        self.settings = BrokerSettings("127.0.0.1", port)

    def _take(self, event: _Event) -> None:
        super()._take(event)
        if event.kind == topics.META:
            self.metas.append((json.loads(event.payload)["name"], len(self.decisions)))
        elif event.kind == topics.REPORT:
            self.reports.append(update_messages.parse_report(event.payload))
            if self.acknowledges:
                self.acknowledge()

    def acknowledge(self) -> None:
        """Acknowledge the trial that the newest report tells of, if it does."""
        report = self.reports[-1]
        if report["phase"] == "trial":
            ack = update_messages.pack_ack(report["pending_seq"], report["record"])
            self._client.publish("ob/test/node/ack", ack, 1)

    def offer(
        self, vendor: Vendor, release: SignedRelease, address: str = "", to: str = "node"
    ) -> None:
        """Publish a release for a node."""
        found = publish.Offer.of(release, roots.read_chain(vendor.folder), address)
        publish.publish(self.settings, found, [("test", to)])

    def follow(self, node: UpdatingNode, until: Callable[[], bool], why: str) -> None:
        """Take what arrives, and start the node again, until something is true."""
        end = time.monotonic() + PATIENCE_S
        while not until():
            last = self.reports[-1] if self.reports else None
            assert time.monotonic() < end, (why, last, node.text()[-1500:])
            node.watch()
            self.work(0.05)
            self.close_ends(node.summaries())

    def close_ends(self, summaries: list[dict[str, Any]]) -> None:
        """Go on where nothing is missing but the end of an epoch that the node has told.

        A start leaves an epoch whose end is not on the broker: the reconciler would wait.
        """
        ends = {(one["epoch"], one["next_seq"]) for one in summaries}
        gaps = self.reconciler.gaps
        if gaps and {(gap.epoch, gap.first_seq) for gap in gaps} <= ends:
            self.decisions += self.reconciler.finish()

    def follow_until_installed(self, node: UpdatingNode, seq: int) -> None:
        """Follow until the node says that this release is confirmed."""
        self.follow(node, lambda: self.said(installed_seq=seq), f"release {seq}")

    def said(self, **values: object) -> bool:
        """Return whether the newest report says this."""
        return bool(self.reports) and values.items() <= self.reports[-1].items()

    def classes(self, epoch: int) -> list[int]:
        """Return the classes of an epoch in order; fails when one is missing or twice."""
        found = [one for one in self.decisions if one.epoch == epoch]
        assert [one.seq for one in found] == list(range(len(found)))
        return [one.result & 15 for one in found]


class Tap:
    """A TCP port in front of the broker that counts what the node subscribes to.

    Attributes:
        port: to connect to.
        chunks: topics of the chunks that were asked for, in order.
        pace_s: pause after each packet of the node, as on a slow link.
    """

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.chunks: list[str] = []
        self.pace_s = 0.0
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                node, _ = self._server.accept()
            except OSError:
                return
            self._sockets.append(node)
            try:
                broker = socket.create_connection(("127.0.0.1", self._broker_port), 5)
            except OSError:
                node.close()
                continue
            self._sockets.append(broker)
            node.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            broker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for pair in ((node, broker, True), (broker, node, False)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_node: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                if is_node:
                    self._look(data)
                    time.sleep(self.pace_s)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _look(self, data: bytes) -> None:
        # Every packet of the node is one write, and one packet is in flight at most.
        if data[0] == 0x82 and b"/~/" in data:
            self.chunks.append(data[data.index(b"ob/") : -1].decode())

    def __enter__(self) -> "Tap":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        for one in (self._server, *self._sockets):
            one.close()
