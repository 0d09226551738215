"""A child process that cannot outlive its parent: context manager, atexit, and a bounded stop."""

import atexit
import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

_STOP_S = 15.0  # a broker writes what it keeps
_INTERRUPT_S = 30.0  # it may have much to save
_CTRL_C = b"\x03"
_running: set["Child"] = set()


class Child:
    """One process whose output goes to a log file.

    Args:
        argv: program and arguments.
        log: file that takes stdout and stderr; its folder must exist.
        cwd: working directory, the parent's when None.
        env: variables added to the parent's environment, and to the one by which a node listens
            to `interrupt`.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in argv],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                bufsize=0,
                cwd=cwd,
                env={**os.environ, "ONEBYTE_KEYS": "1", **(env or {})},
            )
        _running.add(self)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal, None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Ask it to end, kill it when it does not within 15 seconds. May be called twice."""
        if self._process.poll() is None:
            self._process.terminate()
        self._end(_STOP_S)

    def interrupt(self) -> None:
        """Write Ctrl-C to its standard input and wait for its end; kill it after 30 seconds.

        A node takes it when it has nothing else to do. The signal could hit MicroPython while it
        collects garbage, and the node would end without saving what it has.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError):  # it has ended already
            self._process.stdin.write(_CTRL_C)
        self._end(_INTERRUPT_S)

    def kill(self) -> None:
        """End it without a chance to clean up, as a power cut would."""
        self._process.kill()
        self._end(None)

    def _end(self, timeout_s: float | None) -> None:
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _running.discard(self)
        assert self._process.stdin is not None
        self._process.stdin.close()

    def tail(self, n_lines: int = 1) -> str:
        """Return the last lines that it wrote, in one line; empty when it wrote none."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return " | ".join([line.strip() for line in lines if line.strip()][-n_lines:])

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


@atexit.register
def _stop_all() -> None:
    for child in tuple(_running):
        child.stop()
