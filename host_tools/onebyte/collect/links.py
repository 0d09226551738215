"""Where the bytes come from: a program on a PC, any stream of text. A link never waits long."""

import contextlib
import json
import os
import re
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from onebyte.errors import UserError

__all__ = ["PIPE_BYTES", "FileLink", "Link", "ProcessLink", "SerialLink", "replay_config"]

_WAIT_S = 0.05
_PIECE_BYTES = 4096
_STOP_S = 10.0
PIPE_BYTES = 1 << 20  # as much as Linux gives everybody: 10 s at 40 times real time


class Link(Protocol):
    """A device's console."""

    is_over: bool

    def read(self) -> bytes:
        """Return what has arrived, after at most a twentieth of a second."""

    def stop(self) -> None:
        """Tell the device to end; its last words can still be read."""

    def close(self) -> None:
        """Let go of it. May be called twice."""


class ProcessLink:
    """The recorder on MicroPython's unix port, over pipes.

    Args:
        argv: the program.
        env: its environment.
        pipe_bytes: size of the pipe, what arrives while this program stalls; not everywhere.

    Raises:
        UserError: it cannot be started; from `read`, it failed.
    """

    def __init__(
        self, argv: Sequence[str | Path], env: dict[str, str], pipe_bytes: int = PIPE_BYTES
    ) -> None:
        try:
            # A session of its own: Ctrl-C is ours, and tells it to end in order.
            self._process = subprocess.Popen(
                list(map(str, argv)),
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise UserError(f"cannot start {argv[0]}: {error.strerror}") from error
        self.is_over = False
        self._last = b""
        if sys.platform == "linux":
            import fcntl

            with contextlib.suppress(OSError):  # the user has many large ones already
                fcntl.fcntl(self._out, fcntl.F_SETPIPE_SZ, pipe_bytes)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def read(self) -> bytes:
        """See Link."""
        if not select.select([self._out], [], [], _WAIT_S)[0]:
            return b""
        data = os.read(self._out.fileno(), _PIECE_BYTES)
        if data:
            self._last = (self._last + data)[-500:]
            return data
        self.is_over = True
        if self._process.wait(_STOP_S):
            line = self._last.decode(errors="replace").strip().splitlines()[-1:]
            raise UserError(f"the device failed: {' '.join(line) or 'no reason'}")
        return b""

    def stop(self) -> None:
        """See Link."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def close(self) -> None:
        """See Link."""
        self.stop()
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._out.close()


class FileLink:
    """Text from standard input or a file.

    Args:
        file: open for reading bytes; stays the caller's to close.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._fd = file.fileno()
        self.is_over = False

    def read(self) -> bytes:
        """See Link."""
        if not select.select([self._fd], [], [], _WAIT_S)[0]:
            return b""
        data = os.read(self._fd, _PIECE_BYTES)
        self.is_over = not data
        return data or b"\n"  # the last line of a file may have no end

    def stop(self) -> None:
        """Nobody listens there."""
        self.is_over = True

    def close(self) -> None:
        """See Link."""


class SerialLink:
    """Text from a serial port.

    Whoever opens a port hears the first line from its middle: half of a number is one, too. Only
    a line of names is taken there, from a board that starts when its port is opened.

    Args:
        open_port: opens it, such as `onebyte.boards.ports.open_port`.
        device: its name.
    """

    def __init__(self, open_port: Callable[[str], Any], device: str) -> None:
        self._device = device
        self._port = open_port(device)
        self._first: bytes | None = b""  # None: behind the first line
        self.is_over = False

    def read(self) -> bytes:
        """See Link."""
        try:
            data = bytes(self._port.read(max(1, self._port.in_waiting)))
        except OSError as error:
            self.is_over = True
            raise UserError(f"{self._device} went away: is the board unplugged?") from error
        if self._first is None:
            return data
        line, end, rest = (self._first + data).partition(b"\n")
        if not end:
            self._first = line[-_PIECE_BYTES:]
            return b""
        self._first = None
        return line + end + rest if re.match(rb'[\s"]*[A-Za-z_]', line) else rest

    def stop(self) -> None:
        """Nobody listens there."""
        self.is_over = True

    def close(self) -> None:
        """See Link."""
        self._port.close()


def replay_config(recording: Path, speed: float) -> str:
    """Return config.json of a device that plays a recording."""
    settings = {
        "tenant": "collect",
        "device": "collect",
        "broker_host": "-",
        "sensor": "replay",
        "replay_path": str(recording.resolve()),
        "replay_speed": int(speed),
    }
    return json.dumps(settings)
