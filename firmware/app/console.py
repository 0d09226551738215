"""The serial console of a node: with `console` locked, Ctrl-C ends nothing and no prompt comes.

Until the node runs, Ctrl-C in the time of `safe_boot_ms` still opens it. docs/CONFIG.md says what
that is worth.

A process of a PC has no console. Who starts one with ONEBYTE_KEYS set may write Ctrl-C to its
standard input: it ends between two steps. The signal would interrupt the unix port anywhere in its
C code; within a collection it leaves the heap locked, and what lies in RAM can no longer be saved.
A terminal is not read unasked: that stops a process in the background.
"""

import os
import select
import sys

import micropython

LOCKED = "locked"

_LINE = "onebyte boot: locked; Ctrl-C within %d ms after a reset opens the console"
_CTRL_C = "\x03"
_NEVER = -1
_MAX_KEYS = 64
_PAUSE_MS = 200


class Console:
    """Takes Ctrl-C away from the moment when it is made, if the configuration says so.

    Args:
        config: Config.
        is_process: whether this is a process of a PC.

    Attributes:
        is_locked: whether it did.
    """

    def __init__(self, config, is_process: bool):
        self.is_locked = config.console == LOCKED and not is_process
        self._window_ms = config.safe_boot_ms
        self._poll = None
        if self.is_locked:
            micropython.kbd_intr(_NEVER)
        if self.is_locked or (is_process and os.getenv("ONEBYTE_KEYS")):
            self._poll = select.poll()
            self._poll.register(sys.stdin, select.POLLIN)

    def look(self) -> None:
        """Says why nothing happens to whoever typed Ctrl-C.

        Raises:
            KeyboardInterrupt: it was typed, and nothing is locked.
        """
        asked = False
        for _ in range(_MAX_KEYS):
            if self._poll is None or not self._poll.poll(0):
                break
            key = sys.stdin.read(1)
            asked = asked or key == _CTRL_C
            if not key:
                self._poll = None  # its end; nothing comes any more
        if asked and not self.is_locked:
            raise KeyboardInterrupt
        if asked:
            print(_LINE % self._window_ms)

    def end(self, sleep_ms) -> None:
        """Returns if the prompt may come; a locked node waits for its watchdog, or for a reset."""
        while self.is_locked:
            self.look()
            sleep_ms(_PAUSE_MS)
