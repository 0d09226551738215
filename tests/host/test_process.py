"""A child process: how it is ended, and that nothing of it stays."""

import sys
import time
from pathlib import Path

import pytest

from onebyte.simulation import process
from onebyte.simulation.process import Child

TIMEOUT_S = 60


def start(folder: Path, program: str) -> Child:
    """Start Python on a program, and wait until it says that it runs."""
    text = f"import signal, sys, time\n{program}"
    child = Child([sys.executable, "-u", "-c", text], folder / "log")
    deadline = time.monotonic() + TIMEOUT_S
    while child.tail() != "runs" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert child.tail() == "runs"
    return child


def test_interrupt_is_a_byte_on_its_standard_input_and_no_signal(tmp_path):
    asked = "print('runs')\nsys.exit(40 + sys.stdin.buffer.read(1)[0])"
    child = start(tmp_path, f"signal.signal(signal.SIGINT, lambda *_: sys.exit(1))\n{asked}")
    child.interrupt()
    assert child.returncode == 43
    child.interrupt()  # it has ended
    child.stop()
    assert child.returncode == 43


def test_what_does_not_end_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "_INTERRUPT_S", 0.1)
    monkeypatch.setattr(process, "_STOP_S", 0.1)
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('runs')\ntime.sleep(600)"
    for end in (Child.interrupt, Child.stop, Child.kill):
        child = start(tmp_path, deaf)
        end(child)
        assert child.returncode == -9
        (tmp_path / "log").unlink()


def test_stop_lets_it_clean_up(tmp_path):
    tidy = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\nprint('runs')\ntime.sleep(600)"
    with start(tmp_path, tidy) as child:
        pass
    assert child.returncode == 7


def test_a_program_that_is_not_there_leaves_nothing(tmp_path):
    before = set(process._running)
    with pytest.raises(FileNotFoundError):
        Child(["/no/such/program"], tmp_path / "log")
    assert process._running == before
