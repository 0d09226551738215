"""The short form of `make bench-rp2040`: its figures are those of the baseline."""

import re
from pathlib import Path

from native_runs import run_script

BENCH = Path(__file__).parents[1] / "bench" / "rp2040" / "cycles.py"
TIMEOUT_S = 1200  # where the image is not built yet


def test_cycles_are_no_worse_than_the_baseline() -> None:
    done = run_script(BENCH, "--short", missing="bench-rp2040: ", timeout_s=TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = dict(re.findall(r"^(?:cycles|bytes|ratio) (\w+) ([\d.]+)$", done.stdout, re.M))
    assert int(figures["window_to_byte"]) <= 400_000
    assert int(figures["fft_256_O2"]) <= 45_000
    assert int(figures["heap_bytes_per_decision"]) == 0
    assert float(figures["bytes_per_node"]) <= 4
