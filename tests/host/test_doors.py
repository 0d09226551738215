"""`onebyte run`, `logs` and `repl`: thin doors to mpremote, and what they leave alone."""

import os
import pty
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from command_line import assert_refused, onebyte
from repl_board import ReplBoard
from serial_boards import Line, running

from onebyte.boards import console


def test_run_shows_what_a_script_prints(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("print('ä', 6 * 7)\nprint(__name__)\n", encoding="utf-8")
    with ReplBoard() as board:
        assert onebyte("run", script, "--port", board.path) == (0, "ä 42\n__main__\n", "")
        script.write_text("print(1)\ndef f():\n    1 // 0\nf()\n")
        code, out, err = onebyte("run", script, "--port", board.path)
        assert (code, out) == (1, "1\n")
        assert "line 3, in f" in err and err.endswith("ZeroDivisionError: divide by zero\n")
        script.write_bytes(b"\xff")
        assert_refused(onebyte("run", script, "--port", board.path), "is no text")


def test_run_ends_a_script_that_says_nothing(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("while 1: pass\n")
    with ReplBoard() as board:
        got = onebyte("run", script, "--port", board.path, "--silence", 0.5)
        assert_refused(got, "stopped answering")
        script.write_text("print('again')\n")
        assert onebyte("run", script, "--port", board.path) == (0, "again\n", "")


def test_logs_follow_and_write_nothing() -> None:
    heard: list[bytes] = []

    def step(line: Line) -> None:
        heard.append(line.read(0.01))
        os.write(line.master, b"onebyte node: \xc3\xa4\r\n")

    with running(Line(), step) as line:
        code, out, err = onebyte("logs", "--port", line.path, "--timeout", 0.5)
    assert (code, err) == (0, "")
    assert out.count("onebyte node: ä\n") > 3 and "\r" not in out
    assert b"".join(heard) == b""


def test_logs_wait_for_a_board_that_restarts(tmp_path: Path) -> None:
    port = tmp_path / "ttyACM0"
    said: list[bytes] = []
    told: list[str] = []

    def speak(text: bytes, until: float) -> None:
        line = Line()
        port.unlink(missing_ok=True)
        port.symlink_to(line.path)
        end = time.monotonic() + until
        while time.monotonic() < end:
            os.write(line.master, text)
            line.read(0.02)
        line.unplug()

    def board() -> None:
        speak(b"before\n", 0.8)
        time.sleep(0.3)
        speak(b"after\n", 1.2)

    thread = threading.Thread(target=board)
    thread.start()
    while not port.exists():
        time.sleep(0.01)
    console.follow(str(port), said.append, told.append, 1.8)
    thread.join()
    text = b"".join(said)
    assert b"before" in text and b"after" in text
    assert len(told) == 1 and "Waiting" in told[0]


def test_logs_give_up_on_a_board_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_COMEBACK_S", 0.5)

    def leave(line: Line) -> None:
        time.sleep(0.3)
        line.unplug()

    with running(Line(), leave) as line:
        code, _, err = onebyte("logs", "--port", line.path, "--timeout", 20)
    assert code == 2 and err.splitlines()[-1].startswith("onebyte: error: ")
    assert "unplugged" in err


def test_repl_is_mpremotes(tmp_path: Path) -> None:
    """At a real terminal, which mpremote needs."""
    with ReplBoard() as board:
        master, slave = pty.openpty()
        code = "import sys; from onebyte import cli; sys.exit(cli.main(sys.argv[1:]))"
        command = [sys.executable, "-c", code, "repl", "--port", board.path]
        process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        screen = b""
        while b">>> " not in screen:
            screen += os.read(master, 4096)
            if b"Use Ctrl-]" in screen and b"\x02" not in screen:
                os.write(master, b"\x02")
                screen += b"\x02"
        os.write(master, b"\x1d")
        assert process.wait(20) == 0
        os.close(master)
    assert b"Connected to MicroPython" in screen


@pytest.mark.parametrize("name", ["repl", "logs", "run"])
def test_doors_say_why_a_port_cannot_be_opened(name: str, tmp_path: Path) -> None:
    script = tmp_path / "a.py"
    script.write_text("")
    words = [name, script] if name == "run" else [name]
    assert_refused(onebyte(*words, "--port", "/dev/nosuch"), "no port /dev/nosuch")
