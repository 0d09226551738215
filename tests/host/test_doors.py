"""`onebyte run`, `logs` and `repl`: thin doors to mpremote, and what they leave alone."""

import fcntl
import io
import os
import signal
import socket
import sys
import termios
import threading
import time
from pathlib import Path

import pytest
from command_line import assert_refused, onebyte, onebyte_process
from repl_board import ReplBoard
from serial_boards import Line, leaving, running
from terminal import WAIT_S, Terminal

from onebyte.boards import console

CTRL_B, CTRL_C, QUIT = b"\x02", b"\x03", b"\x1d"


class Door(Terminal):
    """A command of ours at a terminal."""

    def __init__(self, *argv: object) -> None:
        super().__init__([sys.executable, "-m", "onebyte.cli", *map(str, argv)])

    def is_raw(self) -> None:
        """Wait until the prompt takes each key, not lines."""
        self.shows(b"Use Ctrl-]")
        end = time.monotonic() + WAIT_S
        while termios.tcgetattr(self.slave)[3] & termios.ICANON:
            assert time.monotonic() < end, self.screen
            time.sleep(0.01)


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
        code, out, err = onebyte("logs", "--port", line.path, "--timeout", 2)
    assert (code, err) == (0, "")
    assert out.count("onebyte node: ä\n") > 3 and "\r" not in out
    assert b"".join(heard) == b""


def test_logs_wait_for_a_board_that_restarts(tmp_path: Path) -> None:
    port = tmp_path / "ttyACM0"
    said: list[bytes] = []
    told: list[str] = []

    class Enough(Exception):
        pass

    def speak(text: bytes) -> None:
        line = Line()
        port.unlink(missing_ok=True)
        port.symlink_to(line.path)
        while text not in b"".join(said) and not is_over.is_set():
            os.write(line.master, text)
            line.read(0.02)
        line.unplug()
        while not told and not is_over.wait(0.02):
            pass
        line.close()

    def board() -> None:
        speak(b"before\n")
        speak(b"after\n")

    def write(piece: bytes) -> None:
        said.append(piece)
        if b"after" in b"".join(said):
            raise Enough

    is_over = threading.Event()
    thread = threading.Thread(target=board)
    thread.start()
    while not port.exists():
        time.sleep(0.01)
    try:
        with pytest.raises(Enough):
            console.follow(str(port), write, told.append, 60)
    finally:
        is_over.set()
        thread.join()
    assert b"before" in b"".join(said)
    assert len(told) == 1 and "Waiting" in told[0]


def test_logs_give_up_on_a_board_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_COMEBACK_S", 0.5)
    with running(Line(), leaving(b"onebyte node: well\n")) as line:
        code, _, err = onebyte("logs", "--port", line.path, "--timeout", 20)
    assert code == 2 and err.splitlines()[-1].startswith("onebyte: error: ")
    assert "unplugged" in err


def test_what_a_board_says_may_come_in_any_pieces() -> None:
    said = "ä\r\n\r50 %\r\r\n€".encode()
    for at in range(len(said) + 1):
        shown = io.StringIO()
        write = console.text_writer(shown)
        write(said[:at])
        write(said[at:])
        assert shown.getvalue() == "ä\n\r50 %\r\n€", at
    shown = io.StringIO()
    write = console.text_writer(shown)
    for value in said + b"\xff!":
        write(bytes([value]))
    assert shown.getvalue() == "ä\n\r50 %\r\n€\ufffd!"


def test_ctrl_c_ends_logs() -> None:
    def step(line: Line) -> None:
        line.read(0.01)
        os.write(line.master, b"onebyte node: well\r\n")

    with running(Line(), step) as line, Door("logs", "--port", line.path) as terminal:
        terminal.shows(b"onebyte node: well")
        terminal.type(CTRL_C)
        assert terminal.ends()[0] == 130


def test_ctrl_c_ends_the_script_on_the_board(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import time\nwhile 1:\n print('on')\n time.sleep(0.05)\n")
    with ReplBoard() as board:
        with Door("run", script, "--port", board.path) as terminal:
            terminal.shows(b"on\r\n")
            terminal.type(CTRL_C)
            assert terminal.ends()[0] == 130
        script.write_text("print('again')\n")
        assert onebyte("run", script, "--port", board.path) == (0, "again\n", "")


@pytest.mark.parametrize("key", [QUIT, b"\x18"])
def test_repl_is_mpremotes(key: bytes, tmp_path: Path) -> None:
    """Ctrl-C is the board's; what is shown lies in the file, too."""
    capture = tmp_path / "session.txt"
    with (
        ReplBoard() as board,
        Door("repl", "--port", board.path, "--capture", capture) as terminal,
    ):
        terminal.is_raw()
        assert b"Connected to MicroPython at " + board.path.encode() in terminal.screen
        before = len(terminal.screen)
        terminal.type(CTRL_B)
        terminal.shows(b"a board with RP2040")
        terminal.shows(b">>> ")
        terminal.type(CTRL_C)
        terminal.shows(b">>> \r\n>>> ")
        assert board.n_interrupts == 1 and terminal.process.poll() is None
        terminal.type(key)
        assert terminal.ends()[0] == 0 and terminal.is_cooked
        assert board.n_interrupts == 1, "the program on it is left as it is"
        assert terminal.screen[before:].endswith(capture.read_bytes())
        assert capture.read_bytes().endswith(b">>> \r\n>>> ")


def test_repl_says_that_the_board_is_gone() -> None:
    with ReplBoard() as board, Door("repl", "--port", board.path) as terminal:
        terminal.is_raw()
        terminal.type(CTRL_B)
        terminal.shows(b">>> ")
        board.unplug_after = board.n_in + 1
        terminal.type(b"1")
        code, last = terminal.ends()
        assert (code, terminal.is_cooked) == (2, True)
        assert last.startswith("onebyte: error: ") and "the connection was lost" in last
    with ReplBoard() as board, Door("repl", "--port", board.path) as terminal:
        terminal.is_raw()
        board.unplug_at = board.n_out  # nobody types: it goes while it says something
        board.peer.send(CTRL_B)
        code, last = terminal.ends()
        assert code == 2 and "the connection was lost" in last


def test_repl_takes_a_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        for is_lost in (False, True):
            with Door("repl", "--port", url) as terminal:
                peer, _ = server.accept()
                peer.settimeout(WAIT_S)
                terminal.is_raw()
                terminal.type(CTRL_C)
                assert peer.recv(1) == CTRL_C
                peer.sendall(b"\r\n>>> ")
                terminal.shows(b">>> ")
                if is_lost:
                    peer.close()
                    code, last = terminal.ends()
                    assert code == 2 and "the connection was lost" in last
                else:
                    terminal.type(QUIT)
                    assert terminal.ends()[0] == 0
                    peer.close()
                assert terminal.is_cooked


def test_repl_ends_as_it_is_told() -> None:
    with ReplBoard() as board:
        with Door("repl", "--port", board.path) as terminal:
            terminal.is_raw()
            terminal.process.send_signal(signal.SIGTERM)
            assert terminal.ends()[0] == 128 + signal.SIGTERM and terminal.is_cooked
        with Door("repl", "--port", board.path, "--capture", "/dev/full") as terminal:
            terminal.is_raw()
            terminal.type(CTRL_B)
            code, last = terminal.ends()
            assert (code, terminal.is_cooked) == (2, True)
            assert "cannot write /dev/full" in last
        got = onebyte_process("repl", "--port", board.path)
        assert_refused(got, "needs a terminal", "onebyte run")
        with Door("repl", "--port", board.path, "--capture", "/nosuch/a") as terminal:
            code, last = terminal.ends()
            assert code == 2 and "cannot write /nosuch/a" in last


@pytest.mark.parametrize("name", ["repl", "logs", "run"])
def test_doors_leave_a_busy_port_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("")
    words = [name, tmp_path / "a.py"] if name == "run" else [name]
    line = Line()
    other = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(other, fcntl.LOCK_EX)
    try:
        with Door(*words, "--port", line.path) as terminal:
            code, last = terminal.ends()
        assert (code, terminal.screen.count(b"\n")) == (2, 1)
        assert last.startswith(f"onebyte: error: {line.path} is busy")
        assert line.read() == b""
    finally:
        os.close(other)
        line.close()


@pytest.mark.parametrize("name", ["repl", "logs", "run"])
def test_doors_say_why_a_port_cannot_be_opened(name: str, tmp_path: Path) -> None:
    script = tmp_path / "a.py"
    script.write_text("")
    words = [name, script] if name == "run" else [name]
    with Door(*words, "--port", "/dev/nosuch") as terminal:
        code, last = terminal.ends()
    assert (code, terminal.screen.count(b"\n")) == (2, 1)
    assert last.startswith("onebyte: error: no port /dev/nosuch")
