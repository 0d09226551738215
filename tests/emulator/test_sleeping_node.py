"""A node that sleeps delivers over PPP: the real image on an emulated RP2040, a real broker.

No assertion depends on the speed of the PC: emulated time waits for the answers of the broker, and
what is on its way to the host is waited for.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from mqtt_process import need_mosquitto

from formats import messages, topics
from onebyte import toolchain
from onebyte.crossbuild import firmware
from onebyte.emulator import littlefs
from onebyte.emulator.machine import Machine
from onebyte.receiver.link import BrokerSettings, Link
from onebyte.receiver.monitor import SUBSCRIBED, Decision, Monitor
from onebyte.simulation import demo
from onebyte.simulation.broker import Broker
from pipeline.policy import Policy

EXERCISE = toolchain.ROOT / "models" / "exercise"
INTERVAL_S = 60  # as long as the first pause after a failure, so each wake tries again
BUDGET_MS = 6000
GOODBYE_MS = 500
SLICE_MS = 200.0
LONG_SLEEP_MS = 5000.0
SHORTEST_WAKE_MS = 50.0
PATIENCE_S = 120.0
MOST_WAKES = 9
FOREVER_S = 86400
CONFIG = {
    "tenant": "lab",
    "device": "n1",
    "broker_host": "10.0.0.1",
    "sensor": "mpu6050",
    "sensor_range_g": 8,
    "policy": "all",
    "awake_budget_ms": BUDGET_MS,
    "outbox_flush_s": FOREVER_S,
    "status_interval_s": FOREVER_S,
    "keepalive_s": 3600,  # the broker counts the PC's seconds
    "safe_boot_ms": 0,
}
# With this current in every phase the ledger shows time: a microampere hour is 10 ms.
PHASES = ("sleep", "active", "connect", "radio", "flash")
MS_PER_UAH = 10
MAIN = b"""
import figures
names = "active light_sleep deep_sleep radio_connect radio_on radio_idle flash"
figures.CURRENTS_UA = {name: (360000, "", "") for name in names.split()}
import firmware.main
"""


class Wake(NamedTuple):
    """From the end of one long sleep to the next: its length, and how much of it was no nap."""

    extent_ms: float
    awake_ms: float


class Life:
    """A board, its broker, and what the host has received.

    Attributes:
        decisions: all that arrived, as the monitor gives them.
        online: what each status message said.
        wakes: those that are over.
    """

    def __init__(self, machine: Machine, link: Link, broker: Broker) -> None:
        self.machine = machine
        self.link = link
        self.broker = broker
        self.decisions: list[Decision] = []
        self.online: list[bool] = []
        self.wakes: list[Wake] = []
        self.printed = ""
        self._monitor = Monitor()
        self._began_ms = self._slept_ms = self._awake_ms = 0.0

    def slice(self, duration_ms: float = SLICE_MS) -> float:
        """Let a little time go by; return how much of it the node was awake."""
        before_ms, asleep_ms = self.machine.emulated_ms, self.machine.asleep_ms
        self.printed += self.machine.run_ms(duration_ms)
        self.receive()
        passed_ms = self.machine.emulated_ms - before_ms
        return max(0.0, passed_ms - (self.machine.asleep_ms - asleep_ms))

    def receive(self) -> None:
        for message in self.link.messages(0):
            if topics.parse(message.topic)[2] == topics.STATUS:
                self.online.append(messages.parse_status(message.payload)["online"])
            items = self._monitor.take(message)
            self.decisions += [item for item in items if isinstance(item, Decision)]

    def pass_wakes(self, count: int) -> None:
        """Go on until so many wakes are over and the node is in its long sleep."""
        wanted = len(self.wakes) + count
        while len(self.wakes) < wanted:
            awake_ms = self.slice()
            self._awake_ms += awake_ms
            self._slept_ms = self._slept_ms + SLICE_MS if awake_ms < SLICE_MS / 10 else 0.0
            if self._slept_ms >= LONG_SLEEP_MS and self._awake_ms > SHORTEST_WAKE_MS:
                extent_ms = self.machine.emulated_ms - LONG_SLEEP_MS - self._began_ms
                self.wakes.append(Wake(extent_ms, self._awake_ms))
                self._awake_ms = 0.0
                modem = self.machine.modem()
                assert not modem["is_up"] and modem["bad_frames"] == 0, modem
                self._sleep_on()

    def _sleep_on(self) -> None:
        while (awake_ms := self.slice()) < SLICE_MS / 10:
            pass
        self._began_ms = self.machine.emulated_ms - SLICE_MS
        self._awake_ms, self._slept_ms = awake_ms, 0.0

    def wait_for(self, is_there: Callable[[], bool]) -> None:
        """Wait for what is on its way to the host; the board's time stands still."""
        deadline = time.monotonic() + PATIENCE_S
        while not is_there() and time.monotonic() < deadline:
            time.sleep(0.02)
            self.receive()
        assert is_there(), (self.decisions, self.online, self.printed)

    def wait_for_decisions(self, count: int) -> None:
        """Every decision so far has arrived, once and in order, and the broker saw the end."""
        self.wait_for(lambda: len(self.decisions) >= count and not self.online[-1])
        assert [(one.epoch, one.seq) for one in self.decisions] == [(1, i) for i in range(count)]

    def recover(self, action: Callable[[], None]) -> None:
        """Bring the broker back, and wait until the host is subscribed again."""
        pid, before = self.broker.pid, self.link.n_connects
        action()
        if self.broker.pid != pid:
            self.wait_for(lambda: self.link.n_connects > before)
        self.link.publish("probe", b"", wait_s=PATIENCE_S)  # answered after what was sent before

    def stop(self) -> dict[str, Any]:
        """Type Ctrl-C after a nap, which the ledger has then; return what the node says."""
        while self.slice(20.0) < 5:
            pass
        said = self.printed + self.machine.boot()
        (summary,) = (line for line in said.splitlines() if line.startswith("{"))
        counters: dict[str, Any] = json.loads(summary)
        return counters


@contextmanager
def life(built: firmware.Firmware, rows: Path, model: Path, **config: Any) -> Iterator[Life]:
    """Switch on a board beside its broker."""
    files = {"config.json": json.dumps({**CONFIG, **config}).encode(), "main.py": MAIN}
    image = littlefs.make_image({**files, "model.obm": model.read_bytes()})
    chip = {"chip": "mpu6050", "rows": str(rows)}
    with Broker() as broker:
        # A broker on a busy PC has twenty times as long as the board grants; for one that is
        # silent on purpose nobody waits longer than it takes to see that.
        ppp = {
            "redirects": {"10.0.0.1:1883": broker.port},
            "factor": 0.05,
            "grace_ms": 10_000,
        }
        wanted = [f"ob/lab/n1/{kind}" for kind in SUBSCRIBED]
        with (
            Link(BrokerSettings(broker.host, broker.port), wanted) as link,
            Machine(built.uf2, image, devices=[chip], ppp=ppp) as machine,
        ):
            yield Life(machine, link, broker)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes of one steady motion."""
    t = np.arange(30_000) / 50
    noise = np.random.default_rng(1)
    waves = [4000 * np.sin(2 * np.pi * (0.5 + i * 0.3) * t + i) for i in range(6)]
    samples = np.stack(waves, 1) + noise.normal(0, 300, (len(t), 6))
    path = tmp_path_factory.mktemp("rows") / "rows.i16"
    path.write_bytes(samples.astype("<i2").tobytes())
    return path


def check_ledger(name: str, machine: Machine, report: dict[str, Any]) -> None:
    """The phases are all the time there was, and asleep is what the chip slept."""
    phases = {phase: report[f"uah_{phase}"] * MS_PER_UAH for phase in PHASES}
    print(f"{name}: {phases} ms of {machine.emulated_ms:.0f}, asleep {machine.asleep_ms:.0f},")
    print(f"  busy {machine.cycles / 125e3:.0f} at 125 MHz, {machine.cpu_s:.1f} s of the PC")
    assert sum(phases.values()) == pytest.approx(machine.emulated_ms, rel=0.01)
    assert phases["sleep"] == pytest.approx(machine.asleep_ms, abs=0.01 * machine.emulated_ms)
    assert report["uptime_s"] == pytest.approx(machine.emulated_ms / 1000, abs=2)


def silence(broker: Broker) -> Callable[[], None]:
    """Accepts connections and says nothing; the worst for the budget."""
    pid = broker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


def kill(broker: Broker) -> Callable[[], None]:
    """Refuses connections."""
    broker.kill()
    return broker.start


@pytest.mark.parametrize(("sleep", "fail"), [("light", silence), ("deep", kill)])
def test_a_cycle_delivers_at_each_wake(
    sleep: str,
    fail: Callable[[Broker], Callable[[], None]],
    pico_ppp: firmware.Firmware,
    rows: Path,
) -> None:
    need_mosquitto()
    config = {"sleep": sleep, "wake_interval_s": INTERVAL_S, "wake_windows": 1}
    with life(pico_ppp, rows, EXERCISE / "model.obm", **config) as node:
        node.pass_wakes(2)
        node.wait_for_decisions(2)
        assert node.online == [True, False] * 2, "without DISCONNECT: the last will"
        recover = fail(node.broker)
        node.pass_wakes(2)
        assert node.machine.modem()["connects"] == 4, "PPP anew at each wake"
        node.recover(recover)
        while node.machine.modem()["connects"] == 4 and len(node.wakes) < MOST_WAKES:
            node.pass_wakes(1)  # those without radio, for the pause after two failures
        node.pass_wakes(max(0, 6 - len(node.wakes)))
        node.wait_for_decisions(len(node.wakes))
        assert all(one.class_id is not None for one in node.decisions[2:]), "the votes are kept"
        for wake in node.wakes:
            print(f"{sleep}: {wake.extent_ms:.0f} ms, {wake.awake_ms:.0f} ms of it awake")
            assert wake.extent_ms <= BUDGET_MS + GOODBYE_MS + 2 * SLICE_MS
        assert node.machine.resets == (len(node.wakes) if sleep == "deep" else 0)
        node.machine.run_ms(1500)  # the program is there again after a boot
        check_ledger(sleep, node.machine, node.stop())


def test_naps_deliver_each_change(pico_ppp: firmware.Firmware, tmp_path: Path) -> None:
    scene = demo.prepare(EXERCISE, 16.0, True)
    script = scene.script
    path = tmp_path / "rows.i16"
    path.write_bytes(script.recording)
    policy = Policy("on_change", 604800, scene.model.encoding)
    changes = [byte for i, byte in enumerate(script.expected) if policy.should_publish(byte, i)]
    assert len(changes) >= 4, "else there is little to see"
    config = {"sleep": "auto", "policy": "on_change", "heartbeat_s": 604800}
    with life(pico_ppp, path, scene.model_path, silent_ms=3_600_000, **config) as node:
        ups = 0
        while node.machine.emulated_ms < (script.duration_s + 5) * 1000:
            node.slice()
            ups += node.machine.modem()["is_up"]
        node.wait_for_decisions(len(changes))
        assert [one.byte for one in node.decisions] == changes
        modem = node.machine.modem()
        sessions = node.online.count(True)
        print(f"naps: {len(changes)} changes in {sessions} sessions, up in {ups} slices; {modem}")
        assert modem["connects"] == modem["connections"] == sessions <= len(changes) + 1
        assert not modem["is_up"] and ups <= 5 * sessions
        report = node.stop()
        assert (report["overruns"], report["gaps"], report["queued"]) == (0, 1, 0)
        check_ledger("naps", node.machine, report)
