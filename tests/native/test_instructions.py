"""The counted instructions of the ESP32-S3's code: the same in every run, and gated."""

import json
import re
import subprocess
import sys
from pathlib import Path

from native_runs import run_script

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "tests" / "bench" / "xtensa"
TIMEOUT_S = 300


def count(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_script(BENCH / "instructions.py", *arguments, timeout_s=TIMEOUT_S)


def test_two_runs_count_the_same_and_pass_the_gate():
    first, second = count("--short"), count("--short")
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout == second.stdout
    figures = dict(re.findall(r"^instructions (\w+) (\d+)$", first.stdout, re.M))
    baseline = json.loads((BENCH / "baseline.json").read_text())["instructions"]
    assert set(figures) <= set(baseline) and len(figures) >= 8
    assert "qemu-xtensa version" in first.stdout.splitlines()[0]
    # A window has 100 samples of 6 channels, each of which is touched at least once.
    assert int(figures["window_to_class"]) > 600
    parts = int(figures["features"]) + int(figures["predict_soft"])
    assert int(figures["window_to_class"]) == parts


def test_slower_kernel_fails():
    script = f"""
import sys
sys.path.insert(0, {str(BENCH)!r})
import instructions
real = instructions.count_all
def slower(arch, short):
    figures = real(arch, short)
    figures["fft_128"] = figures["fft_128"] * 104 // 100
    return figures
instructions.count_all = slower
sys.argv[1:] = ["--short"]
instructions.main()
"""
    count("--short")  # skips where it cannot run
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "WORSE: instructions fft_128" in done.stdout
