"""The short form of `make bench-rp2040`: its figures are those of the baseline."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench" / "rp2040" / "cycles.py"
TIMEOUT_S = 1200  # where the image is not built yet


def test_cycles_are_no_worse_than_the_baseline() -> None:
    done = subprocess.run(
        [sys.executable, BENCH, "--short"],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    if done.stderr.startswith("bench-rp2040: ") and os.environ.get("CI") != "true":
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    figures = dict(re.findall(r"^(?:cycles|bytes|ratio) (\w+) ([\d.]+)$", done.stdout, re.M))
    assert int(figures["window_to_byte"]) <= 400_000
    assert int(figures["fft_256_O2"]) <= 45_000
    assert int(figures["heap_bytes_per_decision"]) == 0
    assert float(figures["bytes_per_node"]) <= 4
