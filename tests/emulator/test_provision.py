"""Provisioning a whole image over its USB port: power cuts, the lock of the console, a restart."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import assert_refused, onebyte

from formats import sealed
from onebyte.boards import transport
from onebyte.boards.link import open_board
from onebyte.crossbuild import firmware
from onebyte.emulator import littlefs
from onebyte.emulator.machine import Machine

VALUES = {"tenant": "lab", "device": "old", "broker_host": "nowhere", "sensor": "mpu6050"}
TELL = "from app import settings; print(settings.load('config.json').device)"
CUTS = (0, 1, 4)  # numbers of the flash operation that fails
WINDOW_MS = 30000
UNLOCK_S = 300  # a hang


def files(**values: object) -> bytes:
    """Return the flash of a board that was provisioned with these values."""
    copy = sealed.pack(3, json.dumps({**VALUES, **values}, separators=(",", ":")).encode())
    return littlefs.make_image({"id/config.a": copy, "id/config.b": copy})


def provision(port: str, *options: str) -> tuple[int, str, str]:
    return onebyte("provision", "--port", port, *options)


def unlocking(port: str) -> subprocess.Popen[str]:
    """Start `onebyte provision --unlock`, which says when RESET is to be pressed."""
    command = [sys.executable, "-m", "onebyte.cli", "provision", "--port", port]
    return subprocess.Popen(
        [*command, "--unlock", "--no-restart"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_blank_board_gets_a_configuration_and_runs_with_it(
    pico_ppp: firmware.Firmware, tmp_path: Path
) -> None:
    toml = tmp_path / "node.toml"
    toml.write_text("".join(f'{key} = "{value}"\n' for key, value in VALUES.items()))
    with Machine(pico_ppp.uf2) as machine:
        assert "no file config.json" in machine.read_until(">>> ")
        with machine.serial_port() as port:
            code, out, err = provision(port, "--file", str(toml))
            assert (code, err) == (0, "")
            assert "lab/old, configuration 1 in two sealed copies; judged by the board" in out
            with open_board(port) as board:
                assert board.facts.board == "pico_ppp"
                assert (board.facts.arch, board.facts.version) == ("armv6m", (1, 25, 0))
        assert machine.resets >= 1
        assert machine.exec(TELL) == "old\n"


def test_power_cut_leaves_the_old_or_the_new_configuration(
    pico_ppp: firmware.Firmware,
) -> None:
    found = []
    with Machine(pico_ppp.uf2, files()) as machine:
        device = "old"
        machine.boot()
        for cut in CUTS:
            with machine.serial_port() as port:
                machine.cut_power(cut)
                code, _, err = provision(port, "--set", f"device=n{cut}", "--no-restart")
            assert machine.is_dead == (code != 0), (cut, err)
            machine.power_on()
            machine.boot()
            now = machine.exec(TELL).strip()
            assert now in (device, f"n{cut}"), cut
            found.append(now != device)
            device = now
            machine.cut_power(10**9)
    assert True in found and False in found, found


def test_locked_node_answers_ctrl_c_with_a_line_and_opens_after_a_reset(
    pico_ppp: firmware.Firmware, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A tool that is slow to try finds the console open all the same.
    values = {"console": "locked", "watchdog_ms": 0, "safe_boot_ms": WINDOW_MS}
    with Machine(pico_ppp.uf2, files(**values)) as machine:
        machine.read_until("stops the start")
        machine.run_ms(WINDOW_MS + 500)
        with machine.serial_port() as port:
            with monkeypatch.context() as patch:
                patch.setattr(transport, "_STOP_S", 3.0)
                got = provision(port, "--set", "device=thief")
            assert_refused(got, "is locked: press RESET", "--unlock")
            with unlocking(port) as process:
                assert process.stdout is not None
                assert "press RESET on the board now" in process.stdout.readline()
                machine.reset()
                out, err = process.communicate(timeout=UNLOCK_S)
            assert (process.returncode, err) == (0, "")
            assert "configuration 4" in out
        assert machine.exec(TELL) == "old\n"
        check = "from app import settings; print(settings.load('config.json').console)"
        assert machine.exec(check) == "open\n"
