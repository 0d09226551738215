"""mpremote's serial transport over a port of ours: buffered, with a deadline for every wait.

mpremote waits without end for a board that fell silent, and reads byte by byte. What it knows of
the raw REPL stays: executing code with raw paste and flow control, files, a mounted folder.
"""

import contextlib
import math
import time
from collections.abc import Callable

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from onebyte.boards import ports
from onebyte.errors import UserError

__all__ = ["Lost", "Silent", "Transport", "Wire"]

RAW_REPL = b"raw REPL; CTRL-B to exit\r\n>"
_CTRL_A, _CTRL_C = b"\r\x01", b"\r\x03"
_READ_S = 0.05
_ANSWER_S = 8.0  # for the few bytes by which the REPL goes on
_STOP_S = 5.0  # a node that is stopped says goodbye and writes its outbox first
_STOP_TRIES = 3
_LONGEST_S = 0.5
_MAX_BUFFER_BYTES = 1 << 20

Consumer = Callable[[bytes], object]


class Lost(UserError):
    """The port went away: the cable was pulled, the board was reset."""


class Silent(UserError):
    """The board is there and does not answer as a raw REPL does.

    Attributes:
        heard: what it said instead.
    """

    def __init__(self, message: str, heard: bytes = b"") -> None:
        super().__init__(message)
        self.heard = heard


class Patience:
    """So many seconds of waiting. While this computer does other things or sleeps, none go by.

    Args:
        seconds: None never ends.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = self._left = math.inf if seconds is None else seconds
        self._last = time.monotonic()

    def renew(self) -> None:
        """Begin anew."""
        self._left = self._seconds

    def is_over(self) -> bool:
        """Return whether they have passed; ask after each look at what one waits for."""
        now = time.monotonic()
        # What came while we stood still has not been looked at yet.
        self._left -= min(now - self._last, _LONGEST_S)
        self._last = now
        return self._left <= 0


class Wire:
    """What mpremote takes for a pyserial port.

    Args:
        device: As the user named it.

    Raises:
        UserError: it cannot be opened; see `ports.open_port`.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self._port = ports.open_port(device, _READ_S)
        self._buffer = bytearray()

    def _lost(self) -> Lost:
        return Lost(f"{self.device}: the connection was lost; is the board unplugged?")

    def _pump(self, is_waiting: bool) -> None:
        """Move what has arrived into the buffer; wait a little for the first byte, or not."""
        try:
            if not is_waiting and not self._port.in_waiting:
                return
            got = self._port.read(1)
            self._buffer += got
            while got and len(self._buffer) < _MAX_BUFFER_BYTES:
                got = self._port.read(more) if (more := self._port.in_waiting) else b""
                self._buffer += got
        except ports.PORT_ERRORS as error:
            raise self._lost() from error

    @property
    def fd(self) -> int:
        """What mpremote's prompt waits for, beside the keyboard."""
        try:
            return int(self._port.fileno())
        except OSError as error:
            raise UserError(f"{self.device} has no prompt: take a port or socket://") from error

    def inWaiting(self) -> int:  # pyserial's name, which mpremote uses
        """Return how many bytes can be read at once."""
        self._pump(False)
        return len(self._buffer)

    @property
    def in_waiting(self) -> int:
        """As `inWaiting`."""
        return self.inWaiting()

    def read(self, size: int = 1) -> bytes:
        """Return so many bytes, or fewer when nothing more comes for some seconds."""
        patience = Patience(_ANSWER_S)
        while len(self._buffer) < size and not patience.is_over():
            self._pump(True)
        return self._take(size)

    def read_some(self) -> bytes:
        """Return what has arrived, after a short wait if that is nothing."""
        if not self._buffer:
            self._pump(True)
        return self._take(len(self._buffer))

    def put_back(self, data: bytes) -> None:
        """Let the next read begin with these bytes."""
        self._buffer[:0] = data

    def write(self, data: bytes) -> None:
        """Write all of it."""
        try:
            self._port.write(data)
        except ports.PORT_ERRORS as error:
            if type(error).__name__ == "SerialTimeoutException":
                raise Silent(
                    f"{self.device} takes no bytes: the board hangs; press RESET and try again"
                ) from error
            raise self._lost() from error

    def flush(self) -> None:
        """Everything is written at once."""

    def close(self) -> None:
        """Close the port; a board that is gone is closed, too."""
        with contextlib.suppress(*ports.PORT_ERRORS):
            # In this order a board behind a bridge is not reset; see mpremote.
            self._port.rts = False
            self._port.dtr = False
        with contextlib.suppress(*ports.PORT_ERRORS):
            self._port.close()

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data


class Transport(SerialTransport):  # type: ignore[misc]  # mpremote has no types
    """A board's raw REPL; see `onebyte.boards.link` for what to use.

    Raises:
        UserError: the port cannot be opened.
    """

    def __init__(self, device: str) -> None:
        # Not mpremote's own, which forgets why a port cannot be opened.
        self.in_raw_repl = False
        self.use_raw_paste = True
        self.device_name = device
        self.mounted = False
        self.is_pty = False
        self._is_owed = False  # an answer to an earlier Ctrl-A, which would be misread
        self.serial = Wire(device)

    def close(self) -> None:
        """Close the port."""
        self.serial.close()

    def read_until(
        self,
        min_num_bytes: int,
        ending: bytes,
        timeout: float | None = 10,
        data_consumer: Consumer | None = None,
        timeout_overall: float | None = None,
    ) -> bytes:
        """Read up to `ending`, or until nothing came for `timeout`; mpremote's, in larger pieces.

        With a consumer, which gets every byte, only the last ones are returned.
        """
        data = bytearray()
        silence, overall = Patience(timeout), Patience(timeout_overall)
        while True:
            piece = self.serial.read_some()
            if piece:
                silence.renew()
                searched = max(0, len(data) - len(ending) + 1)
                data += piece
                at = data.find(ending, searched)
                if at >= 0:
                    rest = bytes(data[at + len(ending) :])
                    self.serial.put_back(rest)
                    del data[at + len(ending) :]
                    piece = piece[: len(piece) - len(rest)]
                if data_consumer:
                    data_consumer(piece)
                    del data[: -len(ending)]
                if at >= 0:
                    return bytes(data)
            if overall.is_over() or silence.is_over():
                return bytes(data)

    def enter_raw_repl(
        self, soft_reset: bool = False, timeout_overall: float | None = None
    ) -> None:
        """Stop the program that runs and enter the raw REPL.

        Never a soft reset: it would end the timer that feeds the watchdog of a stopped node, and
        the watchdog cannot be stopped.

        Raises:
            Silent: nothing answers as a raw REPL, or all the time something else is said.
            Lost: the port went away.
        """
        heard = b""
        for _ in range(_STOP_TRIES):
            # One Ctrl-C, since a second one would interrupt the node that writes its outbox.
            self.serial.write(_CTRL_C)
            self.serial.write(_CTRL_A)
            limit_s = timeout_overall or _STOP_S
            data = self.read_until(1, RAW_REPL, limit_s, None, limit_s)
            heard += data
            if data.endswith(RAW_REPL) and (not self._is_owed or self._catch_up()):
                self.serial.put_back(b">")
                self.in_raw_repl = True
                return
            self._is_owed = True
        raise Silent(f"{self.device_name}: the raw REPL does not answer", heard)

    def _catch_up(self) -> bool:
        """Read what earlier Ctrl-As bring late: all that stands before the answer to a question.

        The board takes things in their order, so nothing old can follow, however slow it is.
        """
        word = b"in step %d" % time.monotonic_ns()
        self.serial.write(b"print('%s',end='')\x04" % word)
        ending = word + b"\x04\x04>"
        self._is_owed = not self.read_until(1, ending, _STOP_S).endswith(ending)
        return not self._is_owed

    def raw_paste_write(self, command_bytes: bytes) -> None:
        """As mpremote's; a header that does not come is an error of the line, too."""
        header = self.serial.read(2)
        if len(header) != 2 or header == b"\0\0":
            raise TransportError(f"no window for raw paste: {header!r}")
        self.serial.put_back(header)
        super().raw_paste_write(command_bytes)
