"""`onebyte monitor` and a real node: every decision once, in order, whatever happens between."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mqtt_process import need_mosquitto
from small_model import small_model

from formats import messages, topics
from onebyte import toolchain
from onebyte.receiver.link import BrokerSettings, Link
from onebyte.simulation import demo, script
from onebyte.simulation.broker import Broker
from onebyte.simulation.device import Node, NodeOptions
from onebyte.training import datasets, recipe

TIMEOUT_S = 240
N_REPEATED = 5  # a node of the long script runs on until its test is over, on a slow machine, too
SPEED = 3
# All that the broker has acknowledged can be asked for, however long this machine stalls.
ROOMY = {"outbox_ram_records": 1024}


@pytest.fixture(scope="module")
def scene() -> demo.Scene:
    toolchain.unpack_umqtt(toolchain.ROOT / "build")
    return demo.prepare(small_model())


@pytest.fixture(scope="module")
def long_script() -> script.Script:
    """The script of the scene, several times."""
    dataset = datasets.load(recipe.load(small_model()))
    mine = script.cut(dataset, "ben")
    model_file = (small_model() / "holdout.obm").read_bytes()
    return script.make_script(
        model_file, datasets.Dataset(mine.rate_mhz, mine.recordings * N_REPEATED)
    )


@contextmanager
def running(node: Node) -> Iterator[None]:
    node.start()
    try:
        yield
    finally:
        node.stop()


def make_node(
    scene: demo.Scene, played: script.Script, broker: Broker, folder: Path, speed: int
) -> Node:
    options = NodeOptions(broker.host, broker.port, "home", "ben", speed, more=ROOMY)
    return Node(folder / "node", options, scene.model_file, played.recording)


class MonitorProcess:
    """`onebyte monitor --json`."""

    def __init__(self, broker: Broker, folder: Path, *options: str) -> None:
        self._errors = folder / "monitor.err"
        command = [sys.executable, "-m", "onebyte.cli", "monitor", "--broker", broker.address]
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*command, "--json", "--timeout", str(TIMEOUT_S), *options],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def decisions(self, count: int) -> list[dict[str, Any]]:
        """Return so many decisions, or fewer when the process ends before."""
        assert self.process.stdout is not None
        found = []
        while len(found) < count and (line := self.process.stdout.readline()):
            found.append(json.loads(line))
        return found

    @property
    def notes(self) -> str:
        """What it wrote on stderr."""
        return self._errors.read_text()

    def wait_for_note(self, text: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while text not in self.notes:
            assert time.monotonic() < deadline, self.notes
            time.sleep(0.05)

    def __enter__(self) -> "MonitorProcess":
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=TIMEOUT_S)


def wait_until_subscribed(broker: Broker, monitor: MonitorProcess) -> None:
    """Publish as another device until the monitor says so."""
    with Link(BrokerSettings(broker.host, broker.port), ["ob/probe/x/s"]) as link:
        deadline = time.monotonic() + TIMEOUT_S
        while "probe/x: offline" not in monitor.notes:
            assert time.monotonic() < deadline, "the monitor never subscribed"
            link.publish("ob/probe/x/s", messages.WILL)
            time.sleep(0.1)


def test_monitor_shows_what_the_node_decides(scene: demo.Scene, tmp_path: Path) -> None:
    expected = scene.script.expected
    with Broker() as broker, MonitorProcess(broker, tmp_path, "--count", "24") as monitor:
        wait_until_subscribed(broker, monitor)
        with running(make_node(scene, scene.script, broker, tmp_path, 10)):
            found = monitor.decisions(25)
            assert monitor.process.wait(TIMEOUT_S) == 0
    assert [(d["tenant"], d["device"], d["epoch"]) for d in found] == [("home", "ben", 1)] * 24
    assert [(d["seq"], d["byte"]) for d in found] == list(enumerate(expected))
    labels = {d["label"] for d in found}
    assert labels <= {"at rest", "walking", "shaking", "undecided"}


def test_monitor_that_starts_late_asks_for_what_the_node_still_has(
    scene: demo.Scene, long_script: script.Script, tmp_path: Path
) -> None:
    expected = long_script.expected
    live = [topics.pack("home", "ben", topics.RESULT)]
    with (
        Broker() as broker,
        Link(BrokerSettings(broker.host, broker.port), live) as early,
        running(make_node(scene, long_script, broker, tmp_path, SPEED)),
    ):
        n_early = 0
        deadline = time.monotonic() + TIMEOUT_S
        while n_early < 3:
            assert time.monotonic() < deadline
            n_early += len(list(early.messages(0.1)))
        with MonitorProcess(broker, tmp_path) as monitor:
            monitor.wait_for_note("home/ben: online")
            found = monitor.decisions(20)
    numbers = [d["seq"] for d in found]
    assert numbers == list(range(numbers[0], numbers[0] + 20))
    assert [d["byte"] for d in found] == list(expected[numbers[0] : numbers[0] + 20])


def test_monitor_and_node_survive_a_restart_of_the_broker(
    scene: demo.Scene, long_script: script.Script, tmp_path: Path
) -> None:
    need_mosquitto()
    with Broker("mosquitto") as broker, MonitorProcess(broker, tmp_path) as monitor:
        wait_until_subscribed(broker, monitor)
        with running(make_node(scene, long_script, broker, tmp_path, SPEED)):
            found = monitor.decisions(6)
            broker.kill()
            time.sleep(1)
            broker.start()
            found += monitor.decisions(34)
    assert [(d["seq"], d["byte"]) for d in found] == list(enumerate(long_script.expected[:40]))


def test_monitor_says_that_the_node_is_offline(
    scene: demo.Scene, long_script: script.Script, tmp_path: Path
) -> None:
    with Broker() as broker, MonitorProcess(broker, tmp_path) as monitor:
        wait_until_subscribed(broker, monitor)
        node = make_node(scene, long_script, broker, tmp_path, 1)
        with running(node):
            monitor.wait_for_note("home/ben: online")
            node.kill()
            monitor.wait_for_note("home/ben: offline")
