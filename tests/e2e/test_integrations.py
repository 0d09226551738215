"""Nodes, a real broker, `onebyte monitor` with its outputs: the same decisions everywhere."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fake_home_assistant as fake
import pytest
from command_line import onebyte
from mqtt_process import need_mosquitto
from prometheus_client.parser import text_string_to_metric_families
from small_model import small_model

from onebyte import toolchain
from onebyte.receiver.link import BrokerSettings, Link
from onebyte.simulation import demo
from onebyte.simulation.broker import Broker
from onebyte.simulation.device import Node, NodeOptions

TIMEOUT_S = 240
TENANT = "house"
DEVICES = ("ben", "eve")


@pytest.fixture(scope="module")
def scene() -> demo.Scene:
    toolchain.unpack_umqtt(toolchain.ROOT / "build")
    return demo.prepare(small_model())


@contextmanager
def monitor_process(
    broker: Broker, errors: Path, *options: str
) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "onebyte.cli", "monitor", "--broker", broker.address]
    with errors.open("wb") as log:
        process = subprocess.Popen(
            [*command, "--json", "--timeout", str(TIMEOUT_S), *options],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    with process:
        try:
            yield process
        finally:
            process.terminate()


def read(process: subprocess.Popen[str], count: int) -> list[dict[str, Any]]:
    assert process.stdout is not None
    return [json.loads(process.stdout.readline()) for _ in range(count)]


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not is_so():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.05)


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port that nobody else is given before the monitor listens on it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def topics_of(link: Link) -> set[str]:
    """Return the topics of all that the broker had retained."""
    return {one.topic for one in link.retained()}


def samples(port: int) -> dict[str, dict[tuple[str, ...], float]]:
    """Scrape; return the metrics, their samples by the labels' values."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def check_counts(
    found: dict[str, dict[tuple[str, ...], float]], decisions: list[dict[str, Any]]
) -> None:
    """Compare a scrape with the decisions that the monitor printed."""
    received = Counter((TENANT, one["device"]) for one in decisions)
    assert found["onebyte_received_total"] == received
    classes = Counter(
        (TENANT, one["device"], one["label"]) for one in decisions if one["class_id"] is not None
    )
    counted = {key: value for key, value in found["onebyte_decisions_total"].items() if value}
    assert counted == classes
    undecided = Counter((TENANT, d["device"]) for d in decisions if d["label"] == "undecided")
    assert +Counter(found["onebyte_undecided_total"]) == undecided
    for name in ("missing", "late", "undecoded"):
        assert set(found[f"onebyte_{name}_total"].values()) == {0}
    assert sum(found["onebyte_faults_total"].values()) == 0


def check_states(
    seen: list[tuple[str, bytes]], decisions: list[dict[str, Any]]
) -> fake.HomeAssistant:
    """Feed Home Assistant what was published; compare its states after each decision."""
    home = fake.HomeAssistant()
    left = {name: [d for d in decisions if d["device"] == name] for name in DEVICES}
    for topic, payload in seen:
        home.take(topic, payload)
        parts = topic.split("/")
        if parts[0] != "ob" or parts[-1] != "ha":
            continue
        due = left[parts[2]].pop(0)
        keys = ("decision", "level", "novelty", "fault")
        got = [home.entities[f"onebyte/{TENANT}/{parts[2]}/{key}"].state for key in keys]
        if due["class_id"] is None:
            assert got == [None, None, None, due["fault"] or "none"]
        else:
            novel = "on" if due["novel"] else "off"
            assert got == [due["label"], str(due["level"]), novel, "none"]
    assert not any(left.values())
    return home


def test_home_assistant_and_prometheus_say_what_the_monitor_shows(
    scene: demo.Scene, tmp_path: Path
) -> None:
    need_mosquitto()
    script = scene.script
    count = len(script.expected) * len(DEVICES)
    presence = f"ob/{TENANT}/ha/online"
    filters = ["homeassistant/#", f"ob/{TENANT}/+/ha", f"ob/{TENANT}/+/s", presence]
    with (
        reserved_port() as port,
        Broker("mosquitto") as broker,
        Link(BrokerSettings(broker.host, broker.port), filters) as link,
    ):
        extra = ["--home-assistant", "--prometheus", str(port), "--tenant", TENANT]
        seen: list[tuple[str, bytes]] = []

        def has_come(topic: str, payload: bytes) -> bool:
            seen.extend((one.topic, one.payload) for one in link.messages(0.1))
            return (topic, payload) in seen

        nodes = [
            Node(
                tmp_path / name,
                NodeOptions(broker.host, broker.port, TENANT, name, 10),
                scene.model_file,
                script.recording,
            )
            for name in DEVICES
        ]
        with monitor_process(broker, tmp_path / "errors", *extra) as monitor:
            wait_until(lambda: has_come(presence, b"online"), "the monitor is not online")
            try:
                for node in nodes:
                    node.start()
                decisions = read(monitor, count)
            finally:
                for node in nodes:
                    node.stop()
            expected = {name: list(script.expected) for name in DEVICES}
            got = {name: [d["byte"] for d in decisions if d["device"] == name] for name in DEVICES}
            assert got == expected
            check_counts(samples(port), decisions)
        assert monitor.returncode in (-15, 143)
        wait_until(lambda: has_come(presence, b"offline"), "no goodbye of the monitor")
        home = check_states(seen, decisions)
        assert len(home.devices) == len(DEVICES)
        assert not any(
            home.entities[f"onebyte/{TENANT}/{name}/decision"].is_available for name in DEVICES
        )
        removing = ["--forget-home-assistant", "--tenant", TENANT]
        done = onebyte("monitor", "--broker", broker.address, *removing)
        assert done == (0, "devices removed from Home Assistant: 2\n", "")
        for topic in home.devices:
            wait_until(lambda topic=topic: has_come(topic, b""), topic)
        rest = [f"ob/{TENANT}/#", "homeassistant/#"]
        with Link(BrokerSettings("127.0.0.1", broker.port), rest) as later:
            kinds = {topic.rpartition("/")[2] for topic in topics_of(later)}
        assert kinds == {"meta", "s"}


def test_forgetting_leaves_other_devices_alone() -> None:
    with Broker() as broker:
        settings = BrokerSettings("127.0.0.1", broker.port)
        names = [("house", "ben"), ("house", "eve"), ("work", "ben")]
        topics = [f"homeassistant/device/onebyte-{one}/{name}/config" for one, name in names]
        topics += ["homeassistant/device/other/ben/config", "ob/house/eve/ha"]
        with Link(settings, ["none"]) as link:
            for topic in topics:
                link.publish(topic, b"{}", retain=True, wait_s=60)
        chosen = ["--tenant", "house", "--device", "ben"]
        done = onebyte("monitor", "--broker", broker.address, "--forget-home-assistant", *chosen)
        assert done == (0, "devices removed from Home Assistant: 1\n", "")
        with Link(settings, ["#"]) as link:
            assert topics_of(link) == set(topics[1:])


def test_a_monitor_that_is_killed_is_offline_for_home_assistant(tmp_path: Path) -> None:
    need_mosquitto()
    with (
        Broker("mosquitto") as broker,
        Link(BrokerSettings(broker.host, broker.port), ["ob/ha/online"]) as link,
    ):
        said: list[bytes] = []

        def says(word: bytes) -> bool:
            said.extend(one.payload for one in link.messages(0.1))
            return said[-1:] == [word]

        with monitor_process(broker, tmp_path / "errors", "--home-assistant") as monitor:
            wait_until(lambda: says(b"online"), "the monitor is not online")
            monitor.kill()
            wait_until(lambda: says(b"offline"), "no last will")
