"""Home Assistant's entities: valid, stable, and with the states that the decisions say."""

import json
import re
import shlex
from pathlib import Path

import click
import fake_home_assistant as fake
import pytest

from formats import batch, messages, result
from onebyte import cli
from onebyte.receiver import home_assistant as ha
from onebyte.receiver.link import Message
from onebyte.receiver.monitor import Monitor
from onebyte.receiver.prometheus import Metrics

NOW_S = 1_790_000_000.0
PRESENCE = "ob/ha/online"
META = {
    "encoding": "A",
    "labels": ["idle", "running", "zum Prüfen"],
    "model": "0123456789abcdef",
    "name": "pump 1",
    "window_ms": 2000,
    "hop_ms": 1000,
}
STATUS = dict.fromkeys(messages.STATUS_KEYS, 0) | {"epoch": 3, "heap_free": 9000, "uptime_s": 10}
CONFIG = "homeassistant/device/onebyte-plant/p1/config"


class Scene:
    """A monitor whose publications go to the stand-in of Home Assistant, as all messages do."""

    def __init__(self) -> None:
        self.monitor = Monitor()
        self.ours = ha.HomeAssistant(PRESENCE)
        self.home = fake.HomeAssistant()
        self.published: list[ha.Publication] = []
        self.home.take(PRESENCE, b"online")

    def take(self, kind: str, payload: bytes, device: str = "p1") -> list[ha.Publication]:
        topic = f"ob/plant/{device}/{kind}"
        items = self.monitor.take(Message(topic, payload, False, False, NOW_S, 1))
        devices = self.monitor.devices
        due = [*self.ours.announce(devices.values()), *self.ours.states(items, devices)]
        for publication in due:
            self.home.take(*publication)
        self.published += due
        if kind == "s":
            self.home.take(topic, payload)
        return due

    def start(self, meta: dict | None = None, status: dict | None = None) -> None:
        self.take("meta", messages.pack_meta({**META, **(meta or {})}))
        self.take("s", messages.pack_status({**STATUS, **(status or {})}))
        self.take("b", batch.pack_anchor(3, 0))

    def decide(self, byte: int) -> None:
        self.take("r", bytes([byte]))

    def entity(self, key: str) -> fake.Entity:
        return self.home.entities[f"onebyte/plant/p1/{key}"]

    def states(self, *keys: str) -> list[str | None]:
        return [self.entity(key).state for key in keys]


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.start()
    return made


SHOWN = ("decision", "level", "novelty", "fault")


def test_every_byte_of_encoding_a_becomes_the_state_that_it_means(scene: Scene) -> None:
    for byte in range(256):
        scene.decide(byte)
        try:
            class_id, level, novel, reason = result.parse(result.A, byte)
        except Exception:
            class_id, level, novel, reason = -1, 0, False, -1
        if 0 <= class_id < 3:
            expected = [META["labels"][class_id], str(level), "on" if novel else "off", "none"]
        else:
            fault = result.REASONS[reason] if reason > 0 else "none"
            expected = [None, None, None, fault]
        assert scene.states(*SHOWN) == expected, hex(byte)


def test_every_byte_of_encoding_b_becomes_the_state_that_it_means() -> None:
    scene = Scene()
    labels = [f"class {i}" for i in range(240)]
    scene.start({"encoding": "B", "labels": labels})
    assert not {"onebyte/plant/p1/level", "onebyte/plant/p1/novelty"} & set(scene.home.entities)
    for byte in range(248):
        scene.decide(byte)
        fault = "none" if byte <= 240 else result.REASONS[byte - 240]
        label = labels[byte] if byte < 240 else None
        assert scene.states("decision", "fault") == [label, fault], byte


def test_announcement_names_the_model_and_its_classes(scene: Scene) -> None:
    device = scene.home.devices[CONFIG]
    assert device["identifiers"] == ["onebyte/plant/p1"]
    assert (device["model"], device["sw_version"]) == ("pump 1", "0123456789abcdef")
    assert scene.entity("decision").config["options"] == META["labels"]
    assert scene.entity("fault").config["options"] == ["none", *result.REASONS[1:]]


def test_a_device_is_announced_once_and_again_when_its_model_changes(scene: Scene) -> None:
    topics = [one.topic for one in scene.published]
    assert topics == [CONFIG]
    before = set(scene.home.entities)
    meta = {**META, "labels": ["on", "off"], "model": "f" * 16}
    (again,) = scene.take("meta", messages.pack_meta(meta))
    assert again.topic == CONFIG
    assert set(scene.home.entities) == before
    assert scene.entity("decision").config["options"] == ["on", "off"]
    scene.take("s", messages.pack_status({**STATUS, "queued": 3}))
    assert len(scene.published) == 2


def test_nothing_is_announced_before_the_first_status() -> None:
    scene = Scene()
    assert scene.take("meta", messages.pack_meta(META)) == []
    assert scene.take("s", messages.WILL) == []


def test_health_is_read_from_the_status_and_survives_the_last_will(scene: Scene) -> None:
    keys = ("online", "queued", "dropped", "uptime_s", "heap_free", "flash_errors")
    scene.take("s", messages.pack_status({**STATUS, "queued": 5, "dropped": 1}))
    assert scene.states(*keys) == ["on", "5", "1", "10", "9000", "0"]
    assert "onebyte/plant/p1/supply_mv" not in scene.home.entities
    kinds = {key: scene.entity(key).config.get("state_class") for key in keys[1:]}
    begin_anew = {key for key, kind in kinds.items() if kind == "total_increasing"}
    assert begin_anew == {"dropped", "flash_errors"}, "the others go down, too"
    assert scene.entity("uptime_s").config["unit_of_measurement"] == "s"
    assert scene.entity("online").config["device_class"] == "connectivity"

    scene.take("s", messages.WILL)
    assert scene.states(*keys) == ["off", "5", "1", "10", "9000", "0"]
    assert [scene.entity(key).is_available for key in ("decision", "queued", "online")] == [
        *(False, False, True)
    ]


def test_decision_is_in_front_and_its_entities_lose_nothing(scene: Scene) -> None:
    configs = {
        unique_id.rpartition("/")[2]: one.config for unique_id, one in scene.home.entities.items()
    }
    assert {config["qos"] for config in configs.values()} == {1}
    in_front = {key for key, config in configs.items() if "entity_category" not in config}
    assert in_front == {"decision", "level", "novelty"}
    hidden = {key for key, config in configs.items() if not config.get("enabled_by_default", True)}
    assert hidden == {"decided_at", "uptime_s"}


def test_supply_appears_with_the_first_status_that_has_it(scene: Scene) -> None:
    scene.take("s", messages.pack_status({**STATUS, "supply_mv": 3050, "flash_held": 0}))
    assert scene.states("supply_mv") == ["3050"]
    assert scene.entity("supply_mv").config["unit_of_measurement"] == "mV"
    assert scene.published[-1].topic == CONFIG


@pytest.mark.parametrize("said", [{"reset": "deep_sleep"}, {"wakes": 2}, {"uah_sleep": 9}])
def test_a_sleeping_node_stays_available_while_it_sleeps(said: dict) -> None:
    scene = Scene()
    scene.start(status=said)
    scene.decide(0x31)
    scene.take("s", messages.WILL)
    assert scene.entity("decision").is_available
    assert scene.states("decision", "online") == ["running", "off"]
    scene.home.take(PRESENCE, b"offline")
    assert not scene.entity("decision").is_available
    assert scene.entity("queued").is_available


def test_a_backlog_is_published_once_in_order(scene: Scene) -> None:
    records = [(3, byte, 2, seq, 1_790_000_000 + seq, 0) for seq, byte in enumerate((0, 1, 2))]
    for _ in range(2):
        scene.take("b", batch.pack(records))
    states = [json.loads(one.payload) for one in scene.published if one.topic.endswith("/ha")]
    assert [(one["seq"], one["decision"]) for one in states] == list(enumerate(META["labels"]))
    assert scene.states("decided_at") == ["2026-09-21T14:13:22+00:00"]


def test_a_time_since_boot_is_no_time(scene: Scene) -> None:
    scene.take("b", batch.pack([(3, 0x31, 0, 0, 12, 0)]))
    assert scene.states("decision", "decided_at") == ["running", None]


@pytest.mark.parametrize(
    "labels",
    [
        ["None", "unknown", "unavailable"],
        [" ", "  ", "x"],
        ["a", " a", "a (class 1)", "a (class 1)'"],
        ["{{ 1 }}", '"', "\\", "{% x %}", "é\u2028"],
        ["-", "--"],
    ],
)
def test_awkward_labels_stay_different_states(labels: list[str]) -> None:
    scene = Scene()
    scene.start({"labels": labels})
    chosen = ha.options(labels)
    assert len(set(chosen)) == len(labels)
    for class_id, state in enumerate(chosen):
        scene.decide(result.pack_class(result.A, class_id, 7, False))
        assert scene.states("decision") == [state]


def test_ordinary_labels_are_their_own_states() -> None:
    assert ha.options(META["labels"]) == META["labels"]


def test_names_that_look_alike_do_not_collide() -> None:
    pairs = [("a-b", "c"), ("a", "b-c"), ("a_b", "c"), ("a", "b_c"), ("a", "bc"), ("ab", "c")]
    assert len({ha.config_topic("homeassistant", *pair) for pair in pairs}) == len(pairs)
    for pair in pairs:
        topic = ha.config_topic("homeassistant", *pair)
        assert fake.TOPIC.fullmatch(topic)
        assert ha.is_of(topic, "homeassistant") == pair


@pytest.mark.parametrize(
    "topic",
    [
        "homeassistant/device/other/p1/config",
        "homeassistant/device/onebyte-plant/config",
        "homeassistant/device/onebyte-PLANT/p1/config",
        "elsewhere/device/onebyte-plant/p1/config",
    ],
)
def test_what_is_not_ours_is_left_alone(topic: str) -> None:
    assert ha.is_of(topic, "homeassistant") is None


def test_presence_is_the_selection_s_own() -> None:
    found = [ha.presence_topic(*one) for one in ((None, None), ("t", None), ("t", "d"))]
    assert found == ["ob/ha/online", "ob/t/ha/online", "ob/t/d/ha/online"]


@pytest.mark.parametrize(
    "change",
    [
        {"options": []},
        {"options": ["a", "a"]},
        {"options": ["None"]},
        {"state_class": "measurement"},
        {"device_class": "enumeration"},
        {"availabilty": []},
        {"unique_id": ""},
        {"qos": 3},
        {"unit_of_measurement": "%"},
    ],
)
def test_the_rules_find_what_is_wrong(scene: Scene, change: dict) -> None:
    with pytest.raises(fake.Refused):
        fake.check_component({**scene.entity("decision").config, **change})


HOW_TO = (Path(__file__).parents[2] / "docs" / "INTEGRATIONS.md").read_text(encoding="utf-8")


def test_commands_of_the_how_to_exist() -> None:
    lines = re.findall(r"^onebyte (\w+) (.*)$", HOW_TO, re.MULTILINE)
    assert len(lines) == 3
    for name, arguments in lines:
        command = cli.cli.get_command(click.Context(cli.cli), name)
        assert command is not None
        command.make_context(name, shlex.split(arguments), parent=click.Context(cli.cli))


def test_entities_of_the_how_to_are_those_that_are_announced() -> None:
    scene = Scene()
    scene.start(status={"supply_mv": 3000})
    rows = re.findall(r"^\| ([A-Z][^|]*) \|", HOW_TO, re.MULTILINE)
    named = {name for row in rows for name in row.split(", ")}
    assert named == {entity.config["name"] for entity in scene.home.entities.values()}


def test_metrics_of_the_how_to_exist(scene: Scene) -> None:
    scene.decide(0x31)
    text = Metrics().render(scene.monitor.devices)
    named = set(re.findall(r"onebyte_[a-z_]*[a-z]", HOW_TO)) - {"onebyte_node"}
    assert len(named) > 8
    for name in named:
        assert f"# TYPE {name} " in text, name


def test_template_of_the_how_to_decodes_every_raw_byte() -> None:
    (template,) = re.findall(r"value_template: >-\n((?: {8}.*\n)+)", HOW_TO)
    labels = ["idle", "running", "bearing worn"]
    for byte in range(256):
        label = labels[byte % 16] if byte % 16 < 3 else "no class"
        assert fake.render(template, bytes([byte]), "") == label
    with pytest.raises(UnicodeDecodeError):
        fake.render(template, b"\xb1")
