"""Home Assistant: what announces a device to it, and its decisions as states it can show.

One retained message a device (its "device discovery") names all entities of it. Those of the
decision read `ob/<tenant>/<device>/ha`, which we publish; those of the node's health read its own
status message. docs/adr/0017 says why decisions do not come from the raw byte.
"""

import importlib.metadata
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from formats import record, result, topics
from onebyte.receiver.monitor import Decision, Device, Note

__all__ = [
    "DEFAULT_PREFIX",
    "HomeAssistant",
    "Publication",
    "config_filter",
    "config_topic",
    "discovery",
    "is_of",
    "option",
    "options",
    "presence_topic",
    "state",
    "state_topic",
]

DEFAULT_PREFIX = "homeassistant"

_NODE_ID = "onebyte-"
_KIND = "ha"
_NO_FAULT = "none"
# What Home Assistant takes for "no value", whoever says it.
_RESERVED_STATES = ("", "None", "unknown", "unavailable")

Config = dict[str, Any]


class Publication(NamedTuple):
    """A message to publish, retained; an empty payload removes the one that was."""

    topic: str
    payload: bytes


def state_topic(tenant: str, device: str) -> str:
    """Return the topic of the decoded decisions."""
    return f"ob/{tenant}/{device}/{_KIND}"


def presence_topic(tenant: str | None, device: str | None) -> str:
    """Return the topic that says whether the monitor of these devices runs."""
    return "/".join(filter(None, ("ob", tenant, tenant and device, _KIND, "online")))


def config_topic(prefix: str, tenant: str, device: str) -> str:
    """Return the topic of the message that announces a device."""
    return f"{prefix}/device/{_NODE_ID}{tenant}/{device}/config"


def config_filter(prefix: str) -> str:
    """Return the filter of all messages that announce devices."""
    return f"{prefix}/device/+/+/config"


def is_of(topic: str, prefix: str) -> tuple[str, str] | None:
    """Return (tenant, device) of a topic of `config_topic`, None of any other."""
    if not topic.startswith(f"{prefix}/"):
        return None
    parts = topic[len(prefix) + 1 :].split("/")
    if len(parts) != 4 or not parts[1].startswith(_NODE_ID):
        return None
    tenant, device = parts[1].removeprefix(_NODE_ID), parts[2]
    return (tenant, device) if topics.is_name(tenant) and topics.is_name(device) else None


def options(labels: Iterable[str]) -> list[str]:
    """Return for each class the state that stands for it: its label, changed only where needed.

    Home Assistant strips states, takes some words for "no value" and wants all options to differ.
    """
    chosen: list[str] = []
    taken = {label.strip() for label in labels}
    for class_id, label in enumerate(labels):
        text = label.strip()
        if text in _RESERVED_STATES or text in chosen:
            text = f"{text} (class {class_id})".strip()
            while text in taken or text in chosen:
                text += "'"
        chosen.append(text)
    return chosen


def option(device: Device, decision: Decision) -> str | None:
    """Return the state of a decision, None when it has no class that the meta message names."""
    if decision.class_id is None or device.meta is None:
        return None
    chosen = options(device.meta["labels"])
    return chosen[decision.class_id] if decision.class_id < len(chosen) else None


def state(device: Device, decision: Decision) -> Publication:
    """Return the message that carries a decision, decoded."""
    since_boot = decision.time_quality == record.SINCE_BOOT
    time_text = None if since_boot else datetime.fromtimestamp(decision.time_s, UTC).isoformat()
    has_class = decision.class_id is not None
    fields = {
        "decision": option(device, decision),
        "level": decision.level if has_class else None,
        "novel": decision.novel if has_class else None,
        "fault": decision.fault or _NO_FAULT,
        "time": time_text,
        "epoch": decision.epoch,
        "seq": decision.seq,
        "byte": decision.byte,
    }
    topic = state_topic(decision.tenant, decision.device)
    return Publication(topic, json.dumps(fields, ensure_ascii=False).encode())


def discovery(device: Device, prefix: str, presence: str) -> Publication:
    """Return the message that announces a device whose meta and status are known.

    Args:
        device: it.
        prefix: Home Assistant's discovery prefix.
        presence: topic of `presence_topic`.
    """
    assert device.meta is not None and device.status is not None
    origin = {"name": "Onebyte", "sw_version": importlib.metadata.version("onebyte")}
    config = {
        "device": _device_block(device),
        "origin": origin,
        "components": {**_decision_entities(device, presence), **_health_entities(device)},
    }
    payload = json.dumps(config, ensure_ascii=False).encode()
    return Publication(config_topic(prefix, device.tenant, device.name), payload)


def _device_block(device: Device) -> Config:
    assert device.meta is not None
    return {
        "identifiers": [_unique_id(device)],
        "name": f"{device.tenant}/{device.name}",
        "manufacturer": "Onebyte",
        "model": device.meta["name"] or "no name",
        "sw_version": device.meta["model"],  # a node names its model and not its firmware
    }


def _unique_id(device: Device, entity: str | None = None) -> str:
    return "/".join(filter(None, ("onebyte", device.tenant, device.name, entity)))


def _entity(device: Device, key: str, platform: str, about: Config) -> Config:
    return {"platform": platform, "unique_id": _unique_id(device, key), "qos": 1, **about}


def _is_sleeper(status: Mapping[str, Any]) -> bool:
    """Whether a node is offline between its sessions, which is no failure."""
    said = status.get("wakes") or status.get("uah_sleep") or status.get("reset") == "deep_sleep"
    return bool(said)


def _status_availability(device: Device) -> list[Config]:
    assert device.status is not None
    if _is_sleeper(device.status):
        return []
    topic = topics.pack(device.tenant, device.name, topics.STATUS)
    template = "{{ 'online' if value_json.online else 'offline' }}"
    return [{"topic": topic, "value_template": template}]


def _decision_entities(device: Device, presence: str) -> dict[str, Config]:
    assert device.meta is not None
    shared: Config = {
        "state_topic": state_topic(device.tenant, device.name),
        "availability": [{"topic": presence}, *_status_availability(device)],
        "availability_mode": "all",
    }
    about = {
        "decision": _choice("Decision", "decision", options(device.meta["labels"])),
        "fault": {
            **_choice("Fault", "fault", [_NO_FAULT, *result.REASONS[1:]]),
            "entity_category": "diagnostic",
        },
        "decided_at": {
            "name": "Decided at",
            "device_class": "timestamp",
            "value_template": "{{ value_json.time }}",
            "entity_category": "diagnostic",
            "enabled_by_default": False,
        },
    }
    entities = {
        key: _entity(device, key, "sensor", {**shared, **part}) for key, part in about.items()
    }
    if device.meta["encoding"] == "A":  # the other has no room for them
        entities |= _sureness_entities(device, shared)
    return entities


def _sureness_entities(device: Device, shared: Config) -> dict[str, Config]:
    level = {
        "name": "Confidence level",
        "value_template": "{{ value_json.level }}",
        "state_class": "measurement",
        "icon": "mdi:gauge",
    }
    novel = "{{ value_json.novel if value_json.novel is none else value_json.novel | int }}"
    novelty = {
        "name": "Novelty",
        "value_template": novel,
        "payload_on": "1",
        "payload_off": "0",
    }
    return {
        "level": _entity(device, "level", "sensor", {**shared, **level}),
        "novelty": _entity(device, "novelty", "binary_sensor", {**shared, **novelty}),
    }


def _choice(name: str, key: str, choices: list[str]) -> Config:
    return {
        "name": name,
        "device_class": "enum",
        "options": choices,
        "value_template": f"{{{{ value_json.{key} }}}}",
    }


# Key of the status message -> entity. Counters that begin anew at a boot are "total_increasing".
_HEALTH: dict[str, Config] = {
    "queued": {"name": "Queued", "state_class": "measurement"},
    "dropped": {"name": "Dropped", "state_class": "total_increasing"},
    "uptime_s": {
        "name": "Uptime",
        "device_class": "duration",
        "unit_of_measurement": "s",
        "state_class": "measurement",
        "enabled_by_default": False,
    },
    "heap_free": {
        "name": "Free heap",
        "device_class": "data_size",
        "unit_of_measurement": "B",
        "state_class": "measurement",
    },
    "flash_errors": {"name": "Flash errors", "state_class": "total_increasing"},
    "supply_mv": {
        "name": "Supply",
        "device_class": "voltage",
        "unit_of_measurement": "mV",
        "state_class": "measurement",
    },
}


def _health_entities(device: Device) -> dict[str, Config]:
    assert device.status is not None
    topic = topics.pack(device.tenant, device.name, topics.STATUS)
    shared: Config = {"state_topic": topic, "entity_category": "diagnostic"}
    online = {
        "name": "Connected",
        "device_class": "connectivity",
        "value_template": "{{ value_json.online | int }}",
        "payload_on": "1",
        "payload_off": "0",
    }
    entities = {"online": _entity(device, "online", "binary_sensor", {**shared, **online})}
    availability = _status_availability(device)
    if availability:
        shared = {**shared, "availability": availability}
    for key, about in _HEALTH.items():
        if key in device.status:
            # The last will has no numbers. Home Assistant ignores an empty one.
            template = {"value_template": f"{{{{ value_json.{key} | default('') }}}}"}
            entities[key] = _entity(device, key, "sensor", {**shared, **about, **template})
    return entities


class HomeAssistant:
    """Says what is to be published: a device when it is known or changes, each decision once.

    Args:
        presence: topic of `presence_topic`.
        prefix: Home Assistant's discovery prefix.
    """

    def __init__(self, presence: str, prefix: str = DEFAULT_PREFIX) -> None:
        self._presence = presence
        self._prefix = prefix
        self._announced: dict[tuple[str, str], Any] = {}

    def announce(self, devices: Iterable[Device]) -> Iterator[Publication]:
        """Yield the announcement of every device that is new or has become another.

        A device waits for its first status: without that we know neither its supply nor whether
        it sleeps. The announcement of an earlier run is retained meanwhile.
        """
        for device in devices:
            if device.meta is None or device.status is None:
                continue
            key = (device.tenant, device.name)
            shape = (
                device.meta,
                _is_sleeper(device.status),
                _HEALTH.keys() & device.status.keys(),
            )
            if self._announced.get(key) != shape:
                self._announced[key] = shape
                yield discovery(device, self._prefix, self._presence)

    def states(
        self, items: Iterable[Decision | Note], devices: Mapping[tuple[str, str], Device]
    ) -> Iterator[Publication]:
        """Yield the state of each decision, in order."""
        for item in items:
            if isinstance(item, Decision):
                yield state(devices[item.tenant, item.device], item)
