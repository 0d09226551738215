"""The node process that runs the emulator: commands as JSON lines, one answer each."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onebyte.emulator.engine import load_engine

__all__ = ["EmulatorError", "Process"]

_SCRIPT = Path(__file__).with_name("js") / "run.mjs"
# Inlines the memory functions into the instruction loop: twice as fast.
_NODE_FLAGS = ("--max-inlined-bytecode-size-cumulative=20000",)
_CLOSE_S = 10


class EmulatorError(Exception):
    """The emulated program did what the chip cannot, or the emulator failed."""


class Process:
    """Starts node and talks to it.

    Args:
        config: For js/run.mjs; engine, bootrom and flash image are added here.
        image: Content of the flash.
        log: Takes what the emulator has to say about registers it lacks, a line at a time, when
            the process is closed.
    """

    def __init__(
        self, config: dict[str, Any], image: bytes, log: Callable[[str], None] | None
    ) -> None:
        engine = load_engine()
        self._log = log
        # All that live as long as the process; closed in close().
        self._folder = tempfile.TemporaryDirectory(prefix="onebyte-emulator-")
        self._errors = (self.folder / "stderr").open("w+b")
        image_path = self.folder / "start.bin"
        image_path.write_bytes(image)
        paths = {"engine": engine.package, "bootrom": engine.bootrom, "image": image_path}
        text = json.dumps(config | {name: str(path) for name, path in paths.items()})
        self._process = subprocess.Popen(
            [engine.node, *_NODE_FLAGS, str(_SCRIPT), text],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._next_id = 0
        self.state: dict[str, Any] = {}
        try:
            self._answer()
        except EmulatorError:
            self.close()
            raise

    @property
    def folder(self) -> Path:
        """A folder for files that both sides use; gone after close()."""
        return Path(self._folder.name)

    def call(self, op: str, **options: Any) -> dict[str, Any]:
        """Send a command and return its answer.

        Raises:
            EmulatorError: the command failed, or the process ended.
        """
        assert self._process.stdin is not None
        line = json.dumps({"id": self._next_id, "op": op} | options)
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise EmulatorError(f"the emulator has ended: {self._last_words()}") from error
        return self._answer()

    def close(self) -> None:
        """End the process; it has at most ten seconds."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        if self._log is not None:
            self._errors.seek(0)
            for line in self._errors.read().decode(errors="replace").splitlines():
                self._log(line)
        self._errors.close()
        self._folder.cleanup()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise EmulatorError(f"the emulator has ended: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        assert answer.get("id") == self._next_id, answer
        self._next_id += 1
        self.state = answer
        if "error" in answer:
            raise EmulatorError(answer["error"])
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        words = [line.strip() for line in lines if "Error" in line]
        return words[-1] if words else f"exit status {self._process.poll()}"
