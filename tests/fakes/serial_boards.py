"""Boards behind pseudo terminals: an ESP32's boot loader with a bad cable, a prompt, silence."""

import fcntl
import itertools
import os
import select
import socket
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from esp32_mock_bootloader.process import start_server, stop_subprocess
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from onebyte.boards import find

ERASING = {0x02, 0x10, 0xD0, 0xD1}  # begin, begin compressed, erase all, erase a region
_MD5 = b"\xc0\x01\x13"  # how an answer to the question for the flash's MD5 begins
_MD5_AT = 12


def hide_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards that are really plugged in are none of the tests' business."""
    monkeypatch.setattr(list_ports, "comports", list)
    monkeypatch.setattr(find, "_mount_points", lambda: iter(()))
    monkeypatch.setattr(find, "_LABELS", Path("/nonexistent"))


def usb_port(device: str, vid: int = 0x2E8A, pid: int = 0x0005) -> ListPortInfo:
    """Return what pyserial says of a port with these USB ids; a Pico's unless they are given."""
    port = ListPortInfo(device)
    port.vid, port.pid = vid, pid
    return port


class Line:
    """A pseudo terminal; `path` is what a program opens."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._lock = threading.Lock()
        self.is_open = True

    def unplug(self) -> None:
        """Take the port away; its name stays ours, and no other process's port is called so."""
        with self._lock:
            if self.is_open:
                self.is_open = False
                os.close(self.master)

    def close(self) -> None:
        self.unplug()
        with self._lock:
            if self._slave >= 0:
                os.close(self._slave)
                self._slave = -1

    def was_read(self) -> bool:
        """Return whether somebody has taken all that was written to it."""
        waiting = fcntl.ioctl(self._slave, termios.FIONREAD, bytes(4))
        return int.from_bytes(waiting, sys.byteorder) == 0

    def read(self, seconds: float = 0.02) -> bytes:
        readable, _, _ = select.select([self.master], [], [], seconds)
        return os.read(self.master, 4096) if readable else b""


@contextmanager
def running(line: Line, step: Callable[[Line], None]) -> Iterator[Line]:
    """Call `step` in a thread until the end."""
    end = threading.Event()

    def run() -> None:
        while not end.is_set() and line.is_open:
            step(line)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield line
    finally:
        end.set()
        thread.join(60)
        line.close()


def leaving(text: bytes) -> Callable[[Line], None]:
    """Return the step of a board that is unplugged once somebody reads what it says."""
    n_read = itertools.count()

    def step(line: Line) -> None:
        if not line.was_read():
            time.sleep(0.01)
        elif next(n_read) < 3:  # the first ones may have been thrown away as the port was opened
            os.write(line.master, text)
        else:
            line.unplug()

    return step


@contextmanager
def prompt(banner: bytes) -> Iterator[Line]:
    """A MicroPython prompt: says who it is after Ctrl-B; any other byte is a failure."""

    def step(line: Line) -> None:
        got = line.read()
        assert got.strip(b"\x02") == b"", f"a program would have been disturbed by {got!r}"
        if got:
            os.write(line.master, b"\r\n" + banner + b'\r\nType "help()" for more.\r\n>>> ')

    with running(Line(), step) as line:
        yield line


@contextmanager
def chatter(text: bytes) -> Iterator[Line]:
    """A program that talks and does not listen."""

    def step(line: Line) -> None:
        line.read()
        if select.select([], [line.master], [], 0)[1]:
            os.write(line.master, text)

    with running(Line(), step) as line:
        yield line


class EspBoard:
    """The boot loader of an ESP32 behind a pseudo terminal.

    Args:
        chip: Such as esp32s3.
        cut_after: Unplug after so many bytes from the computer.
        lies: The flash's MD5 comes back wrong.
    """

    def __init__(self, chip: str, cut_after: int | None = None, lies: bool = False) -> None:
        self.chip = chip
        self.line = Line()
        self.commands: list[int] = []
        self._cut_after = cut_after
        self._lies = lies
        self._received = bytearray()

    @property
    def path(self) -> str:
        return self.line.path

    @property
    def erased(self) -> bool:
        """Whether a command came that erases."""
        return any(command in ERASING for command in self.commands)

    def __enter__(self) -> "EspBoard":
        self._process, port = start_server(timeout=120, chip=self.chip)
        self._server = socket.create_connection(("127.0.0.1", port), 10)
        self._relay = running(self.line, self._step)
        self._relay.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._relay.__exit__(None, None, None)
        self._server.close()
        self._process.terminate()
        stop_subprocess(self._process)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _step(self, line: Line) -> None:
        readable, _, _ = select.select([line.master, self._server], [], [], 0.02)
        if line.master in readable:
            self._to_chip(os.read(line.master, 4096))
        if line.is_open and self._server in readable:
            data = bytearray(self._server.recv(4096))
            if self._lies and data.startswith(_MD5):
                data[_MD5_AT] ^= 1
            os.write(line.master, data)

    def _to_chip(self, data: bytes) -> None:
        self._received += data
        frames = bytes(self._received).split(b"\xc0")
        self.commands = [frame[1] for frame in frames if len(frame) >= 8 and frame[0] == 0]
        if self._cut_after is not None and len(self._received) > self._cut_after:
            self.line.unplug()
        else:
            self._server.sendall(data)
