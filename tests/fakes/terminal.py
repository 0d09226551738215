"""A program at a pseudo terminal, where keys are typed and words are waited for."""

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

WAIT_S = 60  # for what comes at once, but on a busy machine

# Ctrl-C is a signal only where the terminal controls the session.
_CONTROLLED = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
_CONTROLLED += "os.execv(sys.argv[1], sys.argv[1:])"


class Terminal:
    """A program at a terminal of its own, as a person has it; stderr is shown there, too.

    Attributes:
        process: the program.
        screen: what it showed.
    """

    def __init__(
        self,
        command: Sequence[object],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", 40, 200, 0, 0))
        self._cooked = termios.tcgetattr(self.slave)
        self.screen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CONTROLLED, *map(str, command)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            env=env,
            cwd=cwd,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait(WAIT_S)
        os.close(self.slave)
        os.close(self.master)

    @property
    def is_cooked(self) -> bool:
        """Whether the terminal is as it was before the command."""
        return termios.tcgetattr(self.slave) == self._cooked

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def shows(self, words: bytes) -> None:
        """Wait until these words were shown."""
        end = time.monotonic() + WAIT_S
        while words not in self.screen:
            assert time.monotonic() < end, self.screen
            self._look(0.1)

    def ends(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and the last line."""
        end = time.monotonic() + WAIT_S
        while self.process.poll() is None:
            assert time.monotonic() < end, self.screen
            self._look(0.1)
        while self._look(0):
            pass
        lines = self.screen.decode().splitlines()
        return self.process.returncode, lines[-1] if lines else ""

    def _look(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        self.screen += os.read(self.master, 4096)
        return True
