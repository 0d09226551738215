"""A board at a pseudo terminal whose line can be made to fail in every way that real ones do.

Behind the line is `raw_repl.py` on MicroPython's unix port, or a TCP port such as the emulator's.
"""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from serial_boards import Line, running

from onebyte import toolchain

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("raw_repl.py")
FROZEN_FROM = f"{ROOT}/firmware:{ROOT}/lib"
BLOCK_BYTES = 4096
READY = b"\x06"  # the first byte of an interpreter; from then on it takes Ctrl-C


def micropython() -> str:
    """Return the packaged unix port."""
    beside = Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.is_file() else shutil.which("micropython")
    assert found, "the packaged MicroPython is one of the project's dependencies"
    return found


def unix_port() -> str:
    """Return our own unix port, which takes Ctrl-C as a chip does."""
    found = toolchain.find_unix_port()
    if found is None:
        reason = "no MicroPython build of our own: run make test, not pytest alone"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return str(found)


class Process:
    """The interpreter; Ctrl-C reaches its program as a signal.

    Args:
        n_blocks: Blocks of 4 KiB of its flash.
        version: Of another MicroPython that it says it is.
        name: The same for its implementation.
        unique_id: Of its chip.
        frozen: Modules of ours that its image has.
        chip: One of `stock_chip.py`: MicroPython's own image, which runs /boot.py and /main.py;
            a reset ends the interpreter, and another one starts with the same flash.

    Attributes:
        flash: the file that is its flash.
    """

    def __init__(
        self,
        n_blocks: int = 64,
        version: str = "-",
        name: str = "micropython",
        unique_id: str = "e661640843215678",
        frozen: Sequence[str] = (),
        chip: str = "-",
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.flash = Path(self._folder.name) / "flash"
        self.flash.write_bytes(b"\xff" * BLOCK_BYTES * n_blocks)
        command = [unix_port(), str(SCRIPT), str(self.flash), version, name, unique_id]
        command += [FROZEN_FROM, ",".join(frozen), chip]
        self._has_chip = chip != "-"
        self._is_resetting = False
        self._held = b""
        # A shell starts it anew: a fork of this process would for a moment hold the ports that a
        # command has just closed, and the next command would find them locked.
        self._process = subprocess.Popen(
            ["sh", "-c", "trap '' USR2; while \"$@\"; do :; done", "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self.out = self._process.stdin, self._process.stdout
        assert self.out.read(1) == READY

    def fileno(self) -> int:
        return self.out.fileno()

    def send(self, data: bytes) -> None:
        while data:
            before, key, after = data.partition(b"\x03")
            self._in.write(before)
            # A chip resets within microseconds: this computer's next Ctrl-C comes after that.
            self._is_resetting = self._is_resetting or b"machine.reset()" in before
            if self._is_resetting and self._has_chip:
                self._held += key + after
                return
            if key:
                os.killpg(self._process.pid, signal.SIGUSR2)
                # A program that reads its input should end before it takes what follows. Where it
                # does not, what stops it tries again, and then it has ended.
                time.sleep(0.03)
            self._in.write(key)
            data = after

    def receive(self) -> bytes:
        data = os.read(self.out.fileno(), 4096)
        assert data, "the interpreter has ended"
        if READY in data or data.endswith((b">", b">>> ")):
            self._is_resetting, held, self._held = False, self._held, b""
            self.send(held)
        return data.replace(READY, b"")

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(60)
        self._in.close()
        self.out.close()
        self._folder.cleanup()


class Tcp:
    """The emulator's serial port, or another one that is served by TCP."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("socket://").rpartition(":")
        self._socket = socket.create_connection((host, int(port)), 10)

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> bytes:
        return self._socket.recv(4096)

    def close(self) -> None:
        self._socket.close()


class ReplBoard:
    """A board; `path` is the port that a program opens.

    Args:
        peer: What answers; a `Process` by default.
        unplug_after: The cable is pulled after so many bytes from the computer.
        stall_after: From then on nothing arrives any more, and nothing is answered.
        garble_every: Every so many bytes from the board, one has a flipped bit.
        garble_in_every: The same for bytes from the computer.
        swap: Bytes from the computer that become others, once.
        board: Arguments of the `Process`.

    Attributes:
        unplug_at: As `unplug_after`, for bytes from the board.
        said: All that the board said, heard or not.
    """

    def __init__(
        self,
        peer: Process | Tcp | None = None,
        unplug_after: int | None = None,
        stall_after: int | None = None,
        garble_every: int | None = None,
        garble_in_every: int | None = None,
        swap: tuple[bytes, bytes] | None = None,
        **board: Any,
    ) -> None:
        self.peer = peer or Process(**board)
        self.line = Line()
        self.unplug_after = unplug_after
        self.unplug_at: int | None = None
        self.stall_after = stall_after
        self.garble_every = garble_every
        self.garble_in_every = garble_in_every
        self.swap = swap
        self.n_in = 0
        self.n_out = 0
        self.n_interrupts = 0
        self.said = b""

    @property
    def path(self) -> str:
        return self.line.path

    def __enter__(self) -> Self:
        self._relay = running(self.line, self._step)
        self._relay.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._relay.__exit__(None, None, None)
        self.peer.close()

    def replug(self) -> None:
        """Put the cable in again: the same board at a new port, with a good line."""
        self._relay.__exit__(None, None, None)
        self.line = Line()
        self.unplug_after = self.unplug_at = self.stall_after = None
        self.garble_every = self.garble_in_every = None
        self._relay = running(self.line, self._step)
        self._relay.__enter__()

    def _step(self, line: Line) -> None:
        readable, _, _ = select.select([line.master, self.peer], [], [], 0.02)
        if line.master in readable:
            self._to_board(os.read(line.master, 4096))
        if line.is_open and self.peer in readable:
            data = self._garbled(self.peer.receive(), self.garble_every, self.n_out)
            self.n_out += len(data)
            self.said += data
            if not self._is_stalled():
                os.write(line.master, data)
            if self.unplug_at is not None and self.n_out >= self.unplug_at:
                line.unplug()

    def _to_board(self, data: bytes) -> None:
        if self.unplug_after is not None:
            data = data[: max(0, self.unplug_after - self.n_in)]
        if self.stall_after is not None:
            data = data[: max(0, self.stall_after - self.n_in)]
        if self.swap and self.swap[0] in data:
            data = data.replace(*self.swap, 1)
            self.swap = None
        self.peer.send(self._garbled(data, self.garble_in_every, self.n_in))
        self.n_in += len(data)
        self.n_interrupts += data.count(3)
        if self.unplug_after is not None and self.n_in >= self.unplug_after:
            self.line.unplug()

    def _is_stalled(self) -> bool:
        return self.stall_after is not None and self.n_in >= self.stall_after

    @staticmethod
    def _garbled(data: bytes, every: int | None, before: int) -> bytes:
        if every is None:
            return data
        spoilt = bytearray(data)
        for at in range(len(spoilt)):
            if (before + at + 1) % every == 0:
                spoilt[at] ^= 0x20
        return bytes(spoilt)
