"""What Home Assistant makes of MQTT discovery, by its documentation, stricter where it can be.

Home Assistant drops keys that it does not know; here they are refused, so that a misspelt one
shows. tests/home_assistant/run.py compares the same messages with Home Assistant itself.
"""

import json
import re
import struct
from datetime import datetime
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment

TOPIC = re.compile(r"(?P<prefix>[\w-]+)/device/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config")

_SHARED = {
    *("platform", "unique_id", "name", "state_topic", "value_template", "qos", "icon"),
    *("availability", "availability_mode", "device_class", "entity_category"),
    "enabled_by_default",
}
_KEYS = {
    "sensor": _SHARED | {"options", "state_class", "unit_of_measurement"},
    "binary_sensor": _SHARED | {"payload_on", "payload_off"},
}
_DEVICE_KEYS = {"identifiers", "name", "manufacturer", "model", "model_id", "sw_version"}
_CLASSES = {
    "sensor": {"enum", "timestamp", "duration", "data_size", "voltage", None},
    "binary_sensor": {"connectivity", None},
}
_UNITS = {"duration": {"d", "h", "min", "s", "ms"}, "data_size": {"B"}, "voltage": {"V", "mV"}}
_STATE_CLASSES = {"measurement", "total", "total_increasing", None}
_TEMPLATES = ImmutableSandboxedEnvironment()
_TEMPLATES.filters["unpack"] = lambda value, form: struct.unpack_from(form, value)[0]


class Refused(Exception):
    """Home Assistant would not take this, or not as it is meant."""


def check(condition: object, what: str) -> None:
    if not condition:
        raise Refused(what)


def render(template: str, payload: bytes, encoding: str = "utf-8") -> str:
    """Return what a value template makes of a payload; Home Assistant strips it.

    With the encoding "" the template gets bytes.
    """
    value = payload.decode(encoding) if encoding else payload
    variables: dict[str, Any] = {"value": value}
    try:
        variables["value_json"] = json.loads(value)
    except ValueError:
        pass
    return _TEMPLATES.from_string(template).render(variables).strip()


class Entity:
    """One entity; `state` is None while it is unknown."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.state: str | None = None
        self._available: dict[str, bool] = {
            one["topic"]: False for one in config.get("availability", [])
        }

    @property
    def is_available(self) -> bool:
        return all(self._available.values())

    def take(self, topic: str, payload: bytes) -> None:
        for one in self.config.get("availability", []):
            if one["topic"] == topic:
                word = render(one.get("value_template", "{{ value }}"), payload)
                check(word in ("online", "offline"), f"availability {word!r}")
                self._available[topic] = word == "online"
        if topic == self.config["state_topic"]:
            self._update(render(self.config["value_template"], payload))

    def _update(self, text: str) -> None:
        config = self.config
        if text == "None":
            self.state = None
        elif config["platform"] == "binary_sensor":
            states = {config["payload_on"]: "on", config["payload_off"]: "off"}
            check(text in states, f"{text!r} is neither on nor off")
            self.state = states[text]
        elif "options" in config:
            check(text in config["options"], f"{text!r} is no option")
            self.state = text
        elif config.get("device_class") == "timestamp":
            check(datetime.fromisoformat(text).tzinfo, f"{text!r} has no time zone")
            self.state = text
        elif text:  # Home Assistant ignores an empty number
            float(text)
            self.state = text


class HomeAssistant:
    """Takes all messages of a broker and holds the entities by their unique id."""

    def __init__(self) -> None:
        self.entities: dict[str, Entity] = {}
        self.devices: dict[str, dict[str, Any]] = {}
        self._of_topic: dict[str, list[str]] = {}
        self._retained: dict[str, bytes] = {}

    def take(self, topic: str, payload: bytes) -> None:
        """Take a message, retained like all that Home Assistant gets from us."""
        self._retained[topic] = payload
        if TOPIC.fullmatch(topic):
            self._discover(topic, payload)
        for entity in self.entities.values():
            entity.take(topic, payload)

    def _discover(self, topic: str, payload: bytes) -> None:
        for unique_id in self._of_topic.pop(topic, []):
            if not payload:
                del self.entities[unique_id]
        if not payload:
            self.devices.pop(topic, None)
            return
        config = json.loads(payload)
        check(set(config) == {"device", "origin", "components"}, f"keys {sorted(config)}")
        check(set(config["origin"]) == {"name", "sw_version"}, "origin")
        device = config["device"]
        check(not set(device) - _DEVICE_KEYS, f"device {sorted(device)}")
        check(device["identifiers"], "a device needs an identifier")
        check(all(isinstance(v, str) for k, v in device.items() if k != "identifiers"), "text")
        self.devices[topic] = device
        for component in config["components"].values():
            check_component(component)
            unique_id = component["unique_id"]
            taken = [one for ids in self._of_topic.values() for one in ids]
            check(unique_id not in taken, f"{unique_id} twice")
            self._of_topic.setdefault(topic, []).append(unique_id)
            known = self.entities.get(unique_id)
            if known is None or known.config != component:
                entity = self.entities[unique_id] = Entity(component)
                for known_topic, known_payload in self._retained.items():
                    if known_payload and known_topic != topic:
                        entity.take(known_topic, known_payload)


def check_component(config: dict[str, Any]) -> None:
    """Raise Refused unless it is a valid sensor or binary sensor."""
    platform = config["platform"]
    check(platform in _KEYS, f"platform {platform}")
    unknown = set(config) - _KEYS[platform]
    check(not unknown, f"unknown {unknown}")
    check(isinstance(config["unique_id"], str) and config["unique_id"], "unique_id")
    device_class = config.get("device_class")
    check(device_class in _CLASSES[platform], f"device class {device_class}")
    check(config.get("entity_category") in (None, "diagnostic"), "category")
    check(config["qos"] in (0, 1, 2), "qos")
    check(re.fullmatch(r"[^+#\0]{1,65535}", config["state_topic"]), "state topic")
    check(config.get("state_class") in _STATE_CLASSES, "state class")
    unit = config.get("unit_of_measurement")
    check(unit is None or unit in _UNITS.get(device_class, ()), f"unit {unit} of {device_class}")
    if "options" in config or device_class == "enum":
        options = config.get("options")
        check(options and device_class == "enum", "options belong to enum")
        check(len(set(options)) == len(options), "options differ")
        check(all(option == option.strip() for option in options), "states are stripped")
        check(not {"", "None", "unknown", "unavailable"} & set(options), "no option")
        check("state_class" not in config and unit is None, "enum has no state class or unit")
    check(config.get("availability_mode", "all") == "all", "availability mode")
    for one in config.get("availability", []):
        check("topic" in one and not set(one) - {"topic", "value_template"}, "availability")
