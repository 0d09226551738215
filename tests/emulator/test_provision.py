"""Provisioning a whole image over its USB port: power cuts, the lock of the console, a restart."""

import json
import threading
import time
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


def files(**values: object) -> bytes:
    """Return the flash of a board that was provisioned with these values."""
    copy = sealed.pack(3, json.dumps({**VALUES, **values}, separators=(",", ":")).encode())
    return littlefs.make_image({"id/config.a": copy, "id/config.b": copy})


def provision(port: str, *options: str) -> tuple[int, str, str]:
    return onebyte("provision", "--port", port, *options)


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
    pico_ppp: firmware.Firmware, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_ANSWER_S", 2.0)
    monkeypatch.setattr("onebyte.boards.link.EXEC_S", 1.0)
    monkeypatch.setattr(transport, "_STOP_TRIES", 2)
    found = []
    with Machine(pico_ppp.uf2, files()) as machine:
        device = "old"
        machine.boot()
        for cut in CUTS:
            with machine.serial_port() as port:
                monkeypatch.setattr(transport, "_STOP_S", 5.0)
                with open_board(port):
                    monkeypatch.setattr(transport, "_STOP_S", 2.0)
                machine.cut_power(cut)
                code, _, _ = provision(port, "--set", f"device=n{cut}", "--no-restart")
            assert machine.is_dead == (code != 0), cut
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
    monkeypatch.setattr(transport, "_STOP_S", 3.0)
    with Machine(pico_ppp.uf2, files(console="locked", watchdog_ms=0)) as machine:
        machine.read_until("stops the start")
        machine.run_ms(2500)
        with machine.serial_port() as port:
            got = provision(port, "--set", "device=thief")
            assert_refused(got, "is locked: press RESET", "--unlock")
            # Somebody presses RESET when the tool says so.
            finger = threading.Thread(target=lambda: (time.sleep(1), machine.reset()))
            finger.start()
            code, out, err = provision(port, "--unlock", "--no-restart")
            finger.join()
            assert (code, err) == (0, "")
            assert "press RESET on the board now" in out and "configuration 4" in out
        assert machine.exec(TELL) == "old\n"
        check = "from app import settings; print(settings.load('config.json').console)"
        assert machine.exec(check) == "open\n"
