"""Single keys from a terminal, without Enter; nothing where the input is no terminal."""

import select
import sys
from types import TracebackType
from typing import Any, Self

__all__ = ["Keyboard"]


class Keyboard:
    """A context manager: the terminal is as it was afterwards.

    Args:
        stream: standard input, or a test's.
    """

    def __init__(self, stream: Any = None) -> None:
        self._stream = stream or sys.stdin
        self._before: Any = None

    def __enter__(self) -> Self:
        if sys.platform != "win32" and self._stream.isatty():
            import termios
            import tty

            self._before = termios.tcgetattr(self._stream)
            tty.setcbreak(self._stream)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None:
            import termios

            termios.tcsetattr(self._stream, termios.TCSADRAIN, self._before)

    def typed(self) -> str:
        """Return what was typed since the last call."""
        if self._before is None:
            return _windows_keys(self._stream)
        import os

        keys = b""
        while select.select([self._stream], [], [], 0)[0]:
            piece = os.read(self._stream.fileno(), 64)
            if not piece:
                break
            keys += piece
        return keys.decode("utf-8", "ignore")


def _windows_keys(stream: Any) -> str:
    keys = ""
    if sys.platform == "win32" and stream.isatty():
        import msvcrt

        while msvcrt.kbhit():
            keys += msvcrt.getwch()
    return keys
