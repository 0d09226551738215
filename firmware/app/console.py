"""The serial console of a node: with `console` locked, Ctrl-C ends nothing and no prompt comes.

Until the node runs, Ctrl-C in the time of `safe_boot_ms` still opens it. docs/CONFIG.md says what
that is worth.
"""

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
        is_process: whether this is a process of a PC, which has no console to lock.

    Attributes:
        is_locked: whether it did.
    """

    def __init__(self, config, is_process: bool):
        self.is_locked = config.console == LOCKED and not is_process
        self._window_ms = config.safe_boot_ms
        if self.is_locked:
            micropython.kbd_intr(_NEVER)
            self._poll = select.poll()
            self._poll.register(sys.stdin, select.POLLIN)

    def look(self) -> None:
        """Says why nothing happens to whoever typed Ctrl-C."""
        if not self.is_locked:
            return
        asked = False
        for _ in range(_MAX_KEYS):
            if not self._poll.poll(0):
                break
            asked = sys.stdin.read(1) == _CTRL_C or asked
        if asked:
            print(_LINE % self._window_ms)

    def end(self, sleep_ms) -> None:
        """Returns if the prompt may come; a locked node waits for its watchdog, or for a reset."""
        while self.is_locked:
            self.look()
            sleep_ms(_PAUSE_MS)
