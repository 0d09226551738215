"""The Prometheus endpoint: every count, valid text, bounded size, a clean end."""

import http.client
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
import pytest
from command_line import assert_refused, onebyte
from prometheus_client.parser import text_string_to_metric_families

from formats import batch, messages, result
from onebyte.arguments import ListenAddress
from onebyte.receiver import prometheus
from onebyte.receiver.link import Message
from onebyte.receiver.monitor import Monitor
from onebyte.receiver.prometheus import Endpoint, Metrics

NOW_S = 1_790_000_000.0
META = {
    "encoding": "A",
    "labels": ["idle", 'a "quoted" \\ one', "zum Prüfen"],
    "model": "0123456789abcdef",
    "name": "pump\\n 1",
    "window_ms": 2000,
    "hop_ms": 1000,
}
STATUS = dict.fromkeys(messages.STATUS_KEYS, 0) | {"epoch": 3, "queued": 4, "heap_free": 9000}


class Scene:
    def __init__(self) -> None:
        self.monitor = Monitor()
        self.metrics = Metrics()

    def take(self, kind: str, payload: bytes, device: str = "p1") -> None:
        message = Message(f"ob/plant/{device}/{kind}", payload, False, False, NOW_S, 1)
        self.count(self.monitor.take(message))

    def count(self, items: list) -> None:
        self.metrics.take(items, self.monitor.devices, NOW_S)

    def decide(self, *made: int) -> None:
        for byte in made:
            self.take("r", bytes([byte]))

    def text(self) -> str:
        return self.metrics.render(self.monitor.devices)

    def samples(self) -> dict[tuple[str, ...], float]:
        """Return each sample by its name and its labels' values, tenant and device left out."""
        found: dict[tuple[str, ...], float] = {}
        for family in text_string_to_metric_families(self.text()):
            for sample in family.samples:
                labels = dict(sample.labels)
                tenant, device = labels.pop("tenant", None), labels.pop("device", None)
                assert (tenant, device) in (("plant", "p1"), (None, None))
                key = (sample.name.removeprefix("onebyte_"), *labels.values())
                assert key not in found, key
                found[key] = sample.value
        return found


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.take("meta", messages.pack_meta(META))
    made.take("b", batch.pack_anchor(3, 0))
    return made


def test_decisions_are_counted_by_what_they_say(scene: Scene) -> None:
    stuck = result.pack_fault(result.A, result.SENSOR_STUCK)
    scene.decide(0x31, 0x31, 0xB1, 0x72, result.pack_fault(0, result.UNDECIDED), stuck, stuck, 3)
    found = scene.samples()
    labels = META["labels"]
    assert [found["decisions_total", label] for label in labels] == [0, 3, 1]
    assert found["faults_total", "sensor_stuck"] == 2
    assert sum(found["faults_total", reason] for reason in result.REASONS[1:]) == 2
    names = ("undecided_total", "undecoded_total", "novel_total", "received_total")
    assert [found[name,] for name in names] == [1, 1, 1, 8]
    assert found["last_decision_timestamp_seconds",] == NOW_S
    assert found["info", "pump\\n 1", "0123456789abcdef", "A"] == 1


def test_time_since_boot_is_not_the_time_of_a_decision(scene: Scene) -> None:
    scene.take("b", batch.pack([(3, 0x31, 0, 0, 12, 0)]))
    assert scene.samples()["last_decision_timestamp_seconds",] == NOW_S


def test_what_the_reconciler_leaves_out_or_misses_is_counted(scene: Scene) -> None:
    scene.decide(0)
    scene.take("b", batch.pack([(3, 0, 2, 0, 1, 0)]))
    scene.take("b", batch.pack_anchor(3, 5))
    scene.decide(1)
    scene.count(scene.monitor.tick(NOW_S + 31))
    scene.take("b", batch.pack([(3, 0, 2, 2, 1, 0)]))
    found = scene.samples()
    names = ("received_total", "duplicates_total", "missing_total", "late_total")
    assert [found[name,] for name in names] == [2, 1, 4, 1]


def test_no_counter_goes_down_when_a_node_turns_out_to_have_lost_its_memory(scene: Scene) -> None:
    scene.decide(0)
    scene.take("b", batch.pack([(1, 0, 2, 0, 1, 0)]))  # of an epoch that is over, it seems
    before = scene.samples()
    assert (before["duplicates_total",], before["received_total",]) == (1, 1)
    scene.take("b", batch.pack_anchor(1, 1))
    after = scene.samples()
    assert after["received_total",] == 2
    assert all(after[key] >= value for key, value in before.items() if key[0].endswith("_total"))


def test_every_number_of_a_status_is_there(scene: Scene) -> None:
    optional = {key: 7 for key in messages.OPTIONAL_KEYS if key != "reset"} | {"supply_mv": 3050}
    scene.take("s", messages.pack_status({**STATUS, **optional, "uptime_s": 90, "wakes": 8}))
    found = scene.samples()
    assert (found["node_uptime_seconds",], found["node_wakes_total",]) == (90, 8)
    assert found["node_queued",] == 4
    assert found["node_supply_volts",] == pytest.approx(3.05)
    assert found["node_charge_ampere_hours_total", "radio"] == pytest.approx(7e-6)
    assert found["online",] == 1
    numbers = (set(messages.STATUS_KEYS) | set(optional)) - {"epoch", "next_seq"}
    assert sum(key[0].startswith("node_") for key in found) == len(numbers)
    scene.take("s", messages.WILL)
    assert scene.samples()["online",] == 0


def test_classes_of_another_model_begin_at_zero(scene: Scene) -> None:
    scene.decide(0, 1)
    meta = {**META, "labels": ["on", "off"], "model": "f" * 16}
    scene.take("meta", messages.pack_meta(meta))
    assert [scene.samples()["decisions_total", label] for label in ("on", "off")] == [0, 0]
    scene.decide(1)
    found = scene.samples()
    assert [found["decisions_total", label] for label in ("on", "off")] == [0, 1]
    assert found["received_total",] == 3


def test_a_flood_of_models_and_devices_stays_bounded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(20):
        scene.take("meta", messages.pack_meta({**META, "labels": [f"a{i}", "b"]}))
        scene.decide(0)
    assert scene.text().count("onebyte_decisions_total{") == 2
    monkeypatch.setattr(prometheus, "MAX_DEVICES", 5)
    for i in range(10):
        scene.take("s", messages.pack_status(STATUS), f"flood{i}")
        scene.take("meta", messages.pack_meta(META), f"flood{i}")
        scene.take("b", batch.pack([(3, 0, 2, 0, 1, 0)]), f"flood{i}")
    text = scene.text()
    assert text.count("onebyte_online{") + 1 == text.count("onebyte_received_total{") == 5
    assert "\nonebyte_devices 11\n" in text
    assert "\nonebyte_devices_omitted 6\n" in text


def test_every_metric_has_type_and_help_once(scene: Scene) -> None:
    scene.take("s", messages.pack_status({**STATUS, "supply_mv": 1, "flash_held": 0}))
    lines = scene.text().splitlines()
    names = [line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")]
    for name in set(names):
        assert sum(line.startswith(f"# TYPE {name} ") for line in lines) == 1
        assert sum(line.startswith(f"# HELP {name} ") for line in lines) == 1
        kind = "counter" if name.endswith("_total") else "gauge"
        assert f"# TYPE {name} {kind}" in lines
    # All samples of a metric stand together.
    assert sum(a != b for a, b in itertools.pairwise(names)) + 1 == len(set(names))


@contextmanager
def serving(scene: Scene) -> Iterator[int]:
    """Serve, with a thread in the part of the monitor's."""
    is_over = threading.Event()
    with Endpoint("127.0.0.1", 0) as endpoint:

        def work() -> None:
            while not is_over.wait(0.02):
                endpoint.answer(scene.metrics, scene.monitor.devices)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield endpoint.port
        finally:
            is_over.set()
            thread.join()


def get(port: int, path: str) -> tuple[int, str | None, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()
    finally:
        connection.close()


def test_endpoint_serves_the_text(scene: Scene) -> None:
    scene.decide(0x31)
    with serving(scene) as port:
        assert get(port, "/metrics") == (200, prometheus.CONTENT_TYPE, scene.text().encode())
        assert get(port, "/metrics?x=1")[1] == "text/plain; version=0.0.4; charset=utf-8"
        assert get(port, "/")[0] == 404
    with pytest.raises(OSError, match="refused"):
        get(port, "/metrics")


def test_a_monitor_that_does_not_answer_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "_ANSWER_S", 0.1)
    with Endpoint("127.0.0.1", 0) as endpoint:
        assert get(endpoint.port, "/metrics")[0] == 503


def test_a_client_that_says_nothing_does_not_keep_the_endpoint_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prometheus._Handler, "timeout", 60.0)
    with socket.socket() as silent:
        with Endpoint("127.0.0.1", 0) as endpoint:
            silent.connect(("127.0.0.1", endpoint.port))
            time.sleep(0.2)
            started_s = time.monotonic()
        assert time.monotonic() - started_s < 30


def test_busy_port_is_one_line_and_code_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        got = onebyte("monitor", "--broker", "127.0.0.1:1", "--prometheus", address)
        assert_refused(got, f"cannot listen on {address}: Address already in use")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("9464", ("127.0.0.1", 9464)), ("0.0.0.0:1", ("0.0.0.0", 1)), ("[::1]:9", ("::1", 9))],
)
def test_listen_address(text: str, expected: tuple[str, int]) -> None:
    assert ListenAddress().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["", "host", "0", "65536", "host:", ":9464", "[::1]"])
def test_listen_address_refuses(text: str) -> None:
    with pytest.raises(click.BadParameter):
        ListenAddress().convert(text, None, None)
