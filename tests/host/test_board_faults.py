"""What people meet at a port, for each command that talks to a board: one line, and what to do.

What a command does to a board whose cable is pulled in mid-copy is with the tests of the command.
"""

import errno
import fcntl
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import serial
from command_line import assert_refused, onebyte
from repl_board import ReplBoard
from serial_boards import EspBoard, Line, chatter, hide_boards
from signed_boards import MODEL

from onebyte.boards import catch, deploy, diagnosis, find, link, transport
from onebyte.collect import session
from onebyte.updates import keys

PASSPHRASE = "for tests"
SETTINGS = ("--set", "tenant=a", "--set", "device=b", "--set", "broker_host=c")
RECORD = ("--label", "x", "--duration", 1)
DEPLOY = ("deploy", "--model", MODEL, "--key", "{}/k.pem", "--passphrase-file", "{}/passphrase")
# Those that stop the program and need a raw REPL.
AT_REPL = {
    "provision": ("provision", *SETTINGS),
    "show": ("provision", "--show"),
    "install": ("provision", "--install", "pico_w"),
    "deploy": DEPLOY,
    "collect": ("collect", "{}/a", *RECORD, "--board", "pico_w"),
    "to-flash": ("collect", "{}/b", "--to-flash"),
    "fetch": ("collect", "{}/c", "--fetch"),
    "doctor": ("doctor",),
    "run": ("run", "{}/script.py"),
}
# And those that open a port.
ALL = {
    **AT_REPL,
    "unlock": ("provision", "--unlock"),
    "csv": ("collect", "{}/d", *RECORD, "--csv", "--rate", 50),
    "repl": ("repl",),
    "logs": ("logs", "--timeout", 1),
    "monitor": ("monitor", "--timeout", 1),
}
at_repl = pytest.mark.parametrize("name", AT_REPL)
at_port = pytest.mark.parametrize("name", ALL)

Run = Callable[[str, object], tuple[int, str, str]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No boards but the fake one, and waits that it does not need."""
    hide_boards(monkeypatch)
    monkeypatch.setattr(catch, "_PORT_S", 0.2)
    monkeypatch.setattr(catch, "_OTHER_S", 0.2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("files")
    keys.write_pairs([(found / "k", keys.generate(), PASSPHRASE)])
    (found / "passphrase").write_text(f"{PASSPHRASE}\n")
    (found / "script.py").write_text("import time\nwhile 1:\n print(1)\n time.sleep_ms(5)\n")
    return found


@pytest.fixture
def command(folder: Path) -> Run:
    """Run a command of the tables at a port."""

    def run(name: str, port: object) -> tuple[int, str, str]:
        words = [str(word).replace("{}", str(folder)) for word in ALL[name]]
        where = ["--serial" if name == "monitor" else "--port", str(port)] if port else []
        return onebyte(*words, *where)

    return run


@at_port
def test_no_permission_names_the_group(
    name: str, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    got = command(name, "/dev/ttyACM0")
    assert_refused(got, "no permission on /dev/ttyACM0")


@at_port
def test_busy_port_says_so(name: str, command: Run) -> None:
    line = Line()
    other = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    got = command(name, line.path)
    os.close(other)
    line.close()
    assert_refused(got, f"{line.path} is busy", "another program has it open", "end that")


@at_port
def test_port_that_is_not_there_asks_for_a_cable_with_data(name: str, command: Run) -> None:
    got = command(name, "/dev/ttyACM77")
    assert_refused(got, "no port /dev/ttyACM77", "with a cable that carries data")


@pytest.mark.parametrize("name", sorted(set(ALL) - {"csv", "monitor"}))  # they have to be told
def test_no_board_asks_for_a_cable_with_data(name: str, command: Run) -> None:
    assert_refused(command(name, ""), "no board found", "with a cable that carries data")


@at_port
def test_board_in_bootsel_mode_is_told(name: str, command: Run, tmp_path: Path) -> None:
    (tmp_path / find.INFO).write_text("UF2 Bootloader\nBoard-ID: RPI-RP2\n")
    got = command(name, tmp_path)
    assert_refused(got, "is a board in BOOTSEL mode", "plug it in without the button")


@at_repl
def test_boot_loader_of_an_esp32_is_told(
    name: str, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_STOP_S", 0.2)
    with chatter(b"waiting for download\r\n") as line:
        got = command(name, line.path)
    assert_refused(got, "is in the wrong mode, its boot loader: press RESET without BOOT")


def test_boot_loader_that_says_nothing_is_asked(
    command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_STOP_S", 0.1)
    with EspBoard("esp32s3") as board:
        got = command("deploy", board.path)
    assert_refused(got, "is in the wrong mode, its boot loader: press RESET without BOOT")


@at_repl
def test_raw_repl_that_does_not_answer_is_told(
    name: str, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_STOP_S", 0.05)
    monkeypatch.setattr(diagnosis, "_SYNC_S", 0.05)
    line = Line()
    got = command(name, line.path)
    line.close()
    assert_refused(got, "the raw REPL does not answer", "press RESET and try again")


@at_repl
def test_old_micropython_is_told(name: str, command: Run) -> None:
    with ReplBoard(version="1.24.1") as board:
        got = command(name, board.path)
    assert_refused(got, "MicroPython v1.24.1, which is too old: flash v1.25.0 or newer")


@at_repl
def test_pulled_cable_is_told(name: str, command: Run) -> None:
    """While the board is asked what it is, which all of them begin with."""
    with ReplBoard(unplug_after=100) as board:
        got = command(name, board.path)
    assert_refused(got, "the connection was lost; is the board unplugged?")


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("collect", {"unplug_after": 5000}),
        ("doctor", {"unplug_after": 2000}),
        ("run", {"unplug_at": 1000}),
    ],
)
def test_pulled_cable_in_the_middle_is_told(name: str, when: dict[str, int], command: Run) -> None:
    with ReplBoard() as board:
        vars(board).update(when)
        code, _, err = command(name, board.path)
    assert code == 2
    assert err.startswith("onebyte: error: ") and err.count("\n") == 1
    assert "the connection was lost; is the board unplugged?" in err


def test_pulled_cable_during_a_trial_is_told() -> None:
    with pytest.raises(deploy.Refused, match=r"no verdict on release 7 .*: no port /dev/ttyACM77"):
        deploy.wait_for_verdict("/dev/ttyACM77", 7, 0.1, print)


@pytest.mark.parametrize("name", ["collect", "doctor"])
def test_board_that_falls_silent_is_told_from_damage(
    name: str, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_ANSWER_S", 1.0)
    monkeypatch.setattr(link, "EXEC_S", 1.0)
    with ReplBoard(stall_after=1990) as board:
        got = command(name, board.path)
    assert_refused(got, "the board stopped answering: press RESET and try again")


@pytest.mark.parametrize("name", ["to-flash", "fetch", "deploy"])
def test_board_without_our_files_says_where_to_get_them(name: str, command: Run) -> None:
    with ReplBoard() as board:
        got = command(name, board.path)
    assert_refused(got, "flash an image of `make firmware`, or `onebyte provision --install")


def test_board_without_pins_asks_for_them(tmp_path: Path) -> None:
    with ReplBoard() as board:
        got = onebyte("collect", tmp_path / "a", *RECORD, "--port", board.path)
    assert_refused(got, "its pins are not known: say --board", "provision --install")


def test_lines_that_are_no_numbers_end_a_recording_of_text(
    command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.Options, "silent_s", 0.5)
    monkeypatch.setattr(session.Options.__init__, "__defaults__", (0.0, 0.5, time.monotonic))
    with chatter(b"temperature 21\r\n") as line:
        code, out, err = command("csv", line.path)
    assert (code, out) == (2, "")
    assert "not a row: temperature 21" in err
    assert err.splitlines()[-1].startswith("onebyte: error: no line of numbers has come for 0.5 s")


def test_prompt_without_a_terminal_is_one_line(command: Run) -> None:
    with ReplBoard() as board:
        got = command("repl", board.path)
    assert_refused(got, "a prompt needs a terminal; `onebyte run FILE`")


def test_pulled_cable_ends_the_prompt_with_one_line() -> None:
    with ReplBoard(unplug_after=3) as board:
        master, slave = pty.openpty()
        words = [sys.executable, "-m", "onebyte.cli", "repl", "--port", board.path]
        process = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        screen = b""
        while b"lost" not in screen and select.select([master], [], [], 20)[0]:
            screen += os.read(master, 4096)
            if b"Use Ctrl-]" in screen:
                os.write(master, b"xxx")
        assert process.wait(20) == 2
        os.close(master)
    assert b"the connection was lost; is the board unplugged?" in screen
    assert b"Traceback" not in screen
