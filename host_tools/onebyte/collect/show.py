"""A session on a terminal: lines, a live picture of the signal, and the keys that are pressed."""

import sys
import time
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from onebyte.collect.capture import Channel
from onebyte.collect.keyboard import Keyboard
from onebyte.collect.plot import braille

__all__ = ["Show"]

_REFRESH_S = 0.2
_MOST_CURVES = 6


class Show:
    """A `session.Display`; a context manager.

    Args:
        is_live: False: lines only.
        is_interactive: whether keys are read from standard input.
    """

    def __init__(self, is_live: bool, is_interactive: bool) -> None:
        self._console = Console(stderr=True)
        self._is_live = is_live and sys.stdout.isatty() and self._console.is_terminal
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._keyboard = Keyboard() if is_interactive else None
        self._shown_s = 0.0
        self._channels: tuple[Channel, ...] = ()

    def __enter__(self) -> Self:
        if self._is_live:
            self._live.start()
        if self._keyboard:
            self._keyboard.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._keyboard:
            self._keyboard.__exit__(kind, value, trace)
        if self._is_live:
            self._live.stop()

    def begin(self, channels: tuple[Channel, ...]) -> None:
        """Take the names of the curves."""
        self._channels = channels

    def tell(self, line: str) -> None:
        """Show a line for people."""
        if self._is_live:
            self._console.print(Text(line))
        else:
            print(line, file=sys.stderr, flush=True)

    def keys(self) -> str:
        """Return what was typed since the last call."""
        return self._keyboard.typed() if self._keyboard else ""

    def update(self, recent: np.ndarray, state: str, n_samples: int) -> None:
        """Show the signal."""
        now_s = time.monotonic()
        if not self._is_live or now_s - self._shown_s < _REFRESH_S:
            return
        self._shown_s = now_s
        self._live.update(self._picture(recent, state, n_samples), refresh=True)

    def _picture(self, recent: np.ndarray, state: str, n_samples: int) -> Group:
        lines = [Text(f"{n_samples} samples   {state}", style="bold")]
        n_curves = min(recent.shape[1] if len(recent) else 0, _MOST_CURVES)
        height = 2 if n_curves > 3 else 4
        width = max(20, self._console.width - 14)
        for i in range(n_curves):
            name = self._channels[i].name
            for j, row in enumerate(braille(recent[:, i], width, height)):
                lines.append(Text(f"{name if j == 0 else '':>10}  {row}"))
        return Group(*lines)
