"""Home Assistant itself, without its frontend, on a broker: prints its states as JSON.

Runs in an interpreter that has the `homeassistant` package and paho-mqtt; run.py makes one.

    real.py PORT

Says "ready" once it is connected and goes on until a line comes on stdin. The last line is
{"states": {unique_id: state}, "history": {unique_id: [state, ...]}, "devices": [...],
"warnings": [...]}.
"""

import asyncio
import json
import logging
import sys
import tempfile
from pathlib import Path

from homeassistant import config_entries, core, loader
from homeassistant.components import mqtt  # noqa: F401 - fails here when something is missing
from homeassistant.helpers import (
    area_registry,
    category_registry,
    device_registry,
    entity,
    entity_registry,
    floor_registry,
    frame,
    issue_registry,
    label_registry,
    restore_state,
    template,
    translation,
)
from homeassistant.setup import async_setup_component


class Warnings(logging.Handler):
    """Keeps what the MQTT integration and its entities complain about."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record: logging.LogRecord) -> None:
        if "mqtt" in record.name or "sensor" in record.name:
            self.lines.append(record.getMessage())


async def start(folder: str, port: int) -> core.HomeAssistant:
    """Return a running core with the MQTT integration set up."""
    Path(folder, "configuration.yaml").write_text("")
    hass = core.HomeAssistant(folder)
    loader.async_setup(hass)
    entity.async_setup(hass)
    frame.async_setup(hass)
    translation.async_setup(hass)
    template.async_setup(hass)
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    await hass.config_entries.async_initialize()
    for registry in (
        area_registry,
        category_registry,
        device_registry,
        entity_registry,
        floor_registry,
        issue_registry,
        label_registry,
        restore_state,
    ):
        await _loaded(registry.async_load(hass))
    hass.config.skip_pip = True
    await hass.async_start()
    entry = config_entries.ConfigEntry(
        data={"broker": "127.0.0.1", "port": port, "discovery": True},
        discovery_keys={},
        domain="mqtt",
        entry_id="mqtt",
        minor_version=2,
        options={},
        source="user",
        subentries_data=(),
        title="broker",
        unique_id=None,
        version=1,
    )
    # What MQTT depends on only for the pages of its configuration.
    hass.config.components |= {"http", "file_upload"}
    assert await async_setup_component(hass, "mqtt", {})
    await hass.config_entries.async_add(entry)
    assert entry.state is config_entries.ConfigEntryState.LOADED, entry.state
    return hass


async def _loaded(loading: object) -> None:
    if asyncio.iscoroutine(loading):
        await loading


async def main(port: int) -> None:
    logging.basicConfig(level=logging.WARNING)  # on stderr
    warnings = Warnings()
    logging.getLogger().addHandler(warnings)
    logging.getLogger().setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        hass = await start(folder, port)
        entities = entity_registry.async_get(hass)
        history: dict[str, list[str]] = {}

        def note(event: core.Event) -> None:
            found = entities.async_get(event.data["entity_id"])
            new = event.data["new_state"]
            if found is not None and new is not None:
                history.setdefault(found.unique_id, []).append(new.state)

        hass.bus.async_listen("state_changed", core.callback(note))
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        await hass.async_block_till_done()
        states = {}
        for found in entities.entities.values():
            state = hass.states.get(found.entity_id)
            states[found.unique_id] = None if state is None else state.state
        devices = [
            {"identifiers": sorted(map(list, one.identifiers)), "model": one.model}
            for one in device_registry.async_get(hass).devices.values()
        ]
        report = {"states": states, "devices": devices, "history": history}
        print(json.dumps({**report, "warnings": warnings.lines}), flush=True)
        await hass.async_stop(force=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
