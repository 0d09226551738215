"""A child process that cannot outlive its parent: context manager, atexit, and a bounded stop."""

import atexit
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

_STOP_S = 5.0
_running: set["Child"] = set()


class Child:
    """One process whose output goes to a log file.

    Args:
        argv: program and arguments.
        log: file that takes stdout and stderr; its folder must exist.
        cwd: working directory, the parent's when None.
        env: variables added to the parent's environment.
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
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(env or {})},
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
        """Ask it to end, kill it when it does not within five seconds. May be called twice."""
        _running.discard(self)
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def interrupt(self) -> None:
        """Send what Ctrl-C sends, and wait for its end as `stop` does."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it without a chance to clean up, as a power cut would."""
        _running.discard(self)
        self._process.kill()
        self._process.wait()

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
