"""obed25519 for every chip: small, without helpers, executed, a planted error found."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from native_runs import EMULATE, need, run_script

from onebyte.crossbuild import natmods

MAX_BYTES = 20_000
RUNS = ("armv6m-image", "armv6m-qemu", *natmods.ARCHS)
# A Cortex-M0+ has no long product.
HELPERS = {"armv6m": ("__aeabi_lmul",)}


def emulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_script(EMULATE / "signatures.py", *arguments)


@pytest.mark.parametrize("arch", natmods.ARCHS)
def test_module_is_small_and_needs_no_float_routines(arch: str, tmp_path: Path) -> None:
    need(arch)
    built = natmods.build_all([arch], tmp_path, natmods.SIGNATURES)[arch]
    assert built.path == tmp_path / arch / "obed25519.mpy"
    assert built.sizes.file_bytes < MAX_BYTES
    assert built.helpers == HELPERS.get(arch, ())
    package = json.loads((tmp_path / arch / "obed25519.json").read_text())
    assert package["urls"] == [["obed25519.mpy", "obed25519.mpy"]]


@pytest.mark.parametrize("run", RUNS)
def test_module_gives_the_right_verdicts(run: str) -> None:
    need(run.partition("-")[0])
    done = emulate("--arch", run, "--calls", "20")
    assert done.returncode == 0, done.stdout + done.stderr
    *before, last = done.stdout.splitlines()
    found = re.fullmatch(r"native obed25519 ([\w-]+) calls=(\d+) identical=(\d+)", last)
    assert found and found[1] == run
    assert int(found[2]) == int(found[3]) >= 12
    if run in ("armv6m", "armv6m-image"):
        cycles = dict(line.split()[1:] for line in before if line.startswith("cycles "))
        assert 1_000_000 < int(cycles["ed25519_verify"]) < 25_000_000  # a fifth of a second


@pytest.mark.parametrize("run", [run for run in RUNS if run != "armv6m-image"])
def test_planted_error_in_the_arithmetic_is_found(run: str) -> None:
    need(run.partition("-")[0])
    done = emulate("--arch", run, "--calls", "1", "--planted")
    assert done.stdout.splitlines()[-1:] == ["planted error found"], done.stdout + done.stderr
    assert done.returncode == 0
    # The module ran to its end, and what the error does not touch is right.
    found = re.search(rf"native obed25519 {run} calls=(\d+) identical=(\d+)", done.stdout)
    assert found and 0 < int(found[2]) < int(found[1])
