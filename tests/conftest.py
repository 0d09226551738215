"""Bridge: every test of tests/both, tests/device and tests/heap is a pytest item per interpreter.

Those files know no pytest. `run_device.py` runs a whole file in one process of the interpreter;
the items of the file report the lines that it printed.
"""

import ast
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from onebyte import toolchain

ROOT = Path(__file__).resolve().parents[1]
RUNNER = Path(__file__).with_name("run_device.py")
DEVICE_FOLDERS = ("both", "device", "heap")
TIMEOUT_S = 600  # a hang; the longest file takes a twentieth of that
# Their files have few tests that take long. Where several processors share the tests those come
# first, so that short ones fill the end and no processor waits for another.
LONG_FOLDERS = ("powercut", "emulator", "attacks", "native", "e2e")


def pytest_configure() -> None:
    """Take interrupts even where a script started us in the background, with SIGINT ignored.

    The programs under test would inherit that, and some tests interrupt them.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the files that take longest first; within a file the order stays."""
    if hasattr(config, "workerinput"):  # a process of pytest-xdist
        items.sort(key=lambda item: item.path.parent.name not in LONG_FOLDERS)


def find_interpreters() -> dict[str, str | None]:
    """Map the names of the MicroPython builds to their programs; None where one is missing.

    `unix` is the packaged unix port, which loads our native module from its file; `own` is built
    by `make micropython-unix` with the native module inside.
    """
    beside = Path(sys.executable).with_name("micropython")
    packaged = str(beside) if beside.is_file() else shutil.which("micropython")
    own = toolchain.find_unix_port()
    return {"unix": packaged, "own": str(own) if own else None}


class DeviceFile(pytest.File):
    """A test file that run_device.py runs."""

    def collect(self) -> Iterator[pytest.Item]:
        tree = ast.parse(self.path.read_text(encoding="utf-8"), str(self.path))
        names = [
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        ]
        assert names, f"no test in {self.path}"
        interpreters = find_interpreters()
        if self.path.parent.name == "both":
            interpreters = {"cpython": sys.executable, **interpreters}
        for label, program in interpreters.items():
            for name in names:
                yield DeviceTest.from_parent(
                    self, name=f"{name}[{label}]", test=name, label=label, program=program
                )


class DeviceTest(pytest.Item):
    """One test function on one interpreter."""

    def __init__(self, *, test: str, label: str, program: str | None, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.test = test
        self.label = label
        self.program = program

    def runtest(self) -> None:
        if self.program is None:
            reason = f"no MicroPython build {self.label!r}: run make test, not pytest alone"
            if os.environ.get("CI") == "true":
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)
        results, output, status = run_file(self.program, self.path)
        verdict, detail = results.get(self.test, ("lost", ""))
        # CPython lacks what is MicroPython's own; a MicroPython that skips lacks a build.
        if verdict == "skip" and (self.label == "cpython" or os.environ.get("CI") != "true"):
            pytest.skip(detail)
        if verdict != "ok" or status not in (0, 1):
            raise DeviceFailure(f"{verdict} {self.test} {detail}\n{output}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> object:  # type: ignore[override]
        if isinstance(excinfo.value, DeviceFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name


class DeviceFailure(Exception):
    """A test failed on the device side, or its process ended before it."""


@cache
def run_file(program: str, path: Path) -> tuple[dict[str, tuple[str, str]], str, int]:
    """Run one file; return each test's verdict and detail, all that was printed, exit status."""
    status = -1
    try:
        done = subprocess.run(
            [program, str(RUNNER), str(path)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
        status = done.returncode
        output = f"{done.stdout}exit status {done.returncode}"
    except subprocess.TimeoutExpired as error:
        printed = error.stdout or b""
        text = printed.decode(errors="replace") if isinstance(printed, bytes) else printed
        output = f"{text}no end after {TIMEOUT_S} s"
    results = {}
    for line in output.splitlines():
        verdict, _, rest = line.partition(" ")
        if verdict in ("ok", "FAIL", "skip"):
            name, _, detail = rest.partition(": ")
            results[name] = (verdict, detail)
    return results, output, status


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.File | None:
    """Collect device files by our own collector and leave all others to pytest."""
    if module_path.parent.name in DEVICE_FOLDERS:
        return DeviceFile.from_parent(parent, path=module_path)
    return None
