"""`onebyte doctor` on the emulated board: with all that it needs, and with one fault at a time."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import onebyte
from signed_boards import Vendor, state

from formats import errors, sealed
from onebyte.boards import doctor, probes
from onebyte.boards.link import open_board
from onebyte.crossbuild import firmware
from onebyte.emulator import littlefs
from onebyte.emulator.machine import Machine
from onebyte.simulation.broker import Broker

MODEL = Path(__file__).parents[2] / "models" / "exercise" / "model.obm"
VALUES = {"tenant": "lab", "device": "p", "broker_host": "10.0.0.1", "sensor": "mpu6050"}


@contextmanager
def board(
    image: firmware.Firmware, folder: Path, files: dict[str, bytes] | None = None, **more: Any
) -> Iterator[Machine]:
    """A provisioned board with a model, a sensor and further files, at its prompt."""
    rows = folder / "rows.i16"
    noise = np.random.default_rng(1).normal(0, 300, (2000, 6))
    rows.write_bytes(noise.astype("<i2").tobytes())
    copy = sealed.pack(1, json.dumps(VALUES, separators=(",", ":")).encode())
    content = {"id/config.a": copy, "model.obm": MODEL.read_bytes(), **(files or {})}
    chip = {"chip": "mpu6050", "rows": str(rows)}
    with Machine(image.uf2, littlefs.make_image(content), devices=[chip], **more) as machine:
        machine.boot()
        yield machine


def test_whole_board_with_its_network_is_well(pico_ppp: firmware.Firmware, tmp_path: Path) -> None:
    with Broker() as broker:
        ppp = {"redirects": {"10.0.0.1:1883": broker.port}}
        with board(pico_ppp, tmp_path, ppp=ppp) as machine, machine.serial_port() as port:
            options = ("--port", port, "--json", "--no-restart", "--model", MODEL)
            code, out, err = onebyte("doctor", *options)
    assert (code, err) == (0, "")
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert {check["verdict"] for check in checks.values()} == {"ok"}, out
    assert "the repository's exercise" in checks["model"]["detail"]
    assert "our image for pico_ppp" in checks["image"]["detail"]
    assert "10.0.0.1" in checks["DNS"]["detail"]
    assert {"broker", "heap", "mpy", "model file", "watchdog", "updates"} <= set(checks)


# How the board is damaged -> the check that fails and what it says.
FAULTS = {
    "import os; os.remove('/model.obm')": ("model", "TOO_SHORT"),
    "f = open('/model.obm', 'wb'); f.write(b'OBM' + bytes(900)); f.close()": ("model", "MAGIC"),
    "f = open('/big', 'wb'); [f.write(bytes(4096)) for _ in range(244)]; f.close()": (
        *("filesystem", "nearly full"),
    ),
    "import os; os.remove('/big'); os.remove('/id/config.a')": ("configuration", "no file"),
}


def test_one_fault_after_the_other_is_found(
    pico_ppp: firmware.Firmware, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(machine: Machine, name: str) -> doctor.Check:
        """Return a check; only what it needs is asked, since the rest takes its time."""
        wanted = {"files", "config", "power", "kernels", "updates", "board", _PROBE_OF[name]}
        few = [probe for probe in probes.PROBES if probe.name in wanted]
        monkeypatch.setattr(doctor, "PROBES", few)
        with machine.serial_port() as port, open_board(port) as opened:
            said = doctor.examine(opened, lambda name: None)
            (found,) = (one for one in doctor.judge(opened.facts, said) if one.name == name)
            return found

    failed = state(installed_seq=5, last_bad_seq=7, fail_reason=errors.TRIAL_MODEL, record_seq=9)
    with board(pico_ppp, tmp_path, {**Vendor(tmp_path).identity(), **failed}) as machine:
        found = look(machine, "updates")
        assert found.verdict == doctor.WARN and "7 failed: TRIAL_MODEL" in found.detail, found
        machine.set_device(0, who_am_i=0x55)
        assert "WHO_AM_I is 0x55" in look(machine, "sensor").detail
        machine.set_device(0, absent=True)
        found = look(machine, "sensor")
        assert found.verdict == doctor.FAIL and "wiring" in found.remedy, found
        assert "WHO_AM_I" not in found.detail
        for damage, (name, words) in FAULTS.items():
            machine.exec(damage)
            found = look(machine, name)
            assert found.verdict == doctor.FAIL and words in found.detail, found
            assert found.remedy


_PROBE_OF = {
    **{"sensor": "sensor", "model": "model"},
    **{"filesystem": "files", "configuration": "config", "updates": "updates"},
}
