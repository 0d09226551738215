"""Follow a board's console without a byte to the board, also over its restarts."""

import codecs
import time
from collections.abc import Callable
from contextlib import closing
from typing import TextIO

from onebyte.boards.diagnosis import choose_port
from onebyte.boards.transport import Lost, Wire
from onebyte.errors import UserError

__all__ = ["follow", "text_writer"]

_PAUSE_S = 0.2
_COMEBACK_S = 30.0


def follow(
    port: str,
    write: Callable[[bytes], object],
    tell: Callable[[str], object],
    timeout_s: float | None = None,
) -> None:
    """Write what a board says until the time is over.

    A board that restarts takes its USB port away for a moment: it is waited for.

    Args:
        port: As for `link.open_board`.
        write: Takes the bytes.
        tell: Takes a line on what happens to the port.
        timeout_s: How long; None: until Ctrl-C.

    Raises:
        UserError: the port cannot be opened, or does not come back.
    """
    end = None if timeout_s is None else time.monotonic() + timeout_s
    wire = Wire(choose_port(port))
    while True:
        try:
            with closing(wire):
                _copy(wire, write, end)
            return
        except Lost as error:
            tell(f"{error} Waiting for it.")
            wire = _again(port, error, end)


def text_writer(stream: TextIO) -> Callable[[bytes], None]:
    """Return a function that writes what a board says to a stream, with our ends of lines.

    The bytes come in pieces of any length: a letter or the end of a line may lie in two.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    held = ""

    def write(piece: bytes) -> None:
        nonlocal held
        text = held + decoder.decode(piece)
        held = "\r" if text.endswith("\r") else ""
        stream.write(text.removesuffix("\r").replace("\r\n", "\n"))
        stream.flush()

    return write


def _copy(wire: Wire, write: Callable[[bytes], object], end: float | None) -> None:
    while end is None or time.monotonic() < end:
        piece = wire.read_some()
        if piece:
            write(piece)


def _again(port: str, lost: Lost, end: float | None) -> Wire:
    deadline = time.monotonic() + _COMEBACK_S
    while time.monotonic() < min(deadline, end or deadline):
        time.sleep(_PAUSE_S)
        try:
            return Wire(choose_port(port))
        except UserError:
            continue
    raise lost
