"""The bit tests of armv6m run the assembly of the Cortex-M0+: an error in it is found."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from onebyte import kernels
from onebyte.crossbuild import natmods

EMULATE = Path(__file__).with_name("emulate")
SOURCE = "walk_thumb1.h"
N_CALLS = 48
# Each changes one instruction; none can make the walk run away.
ERRORS = {
    "right at the threshold": (
        'STEP "bge " right "\\n" LEFT STEP',
        'STEP "bgt " right "\\n" LEFT STEP',
    ),
    "a vote counts twice": ('"adds %[threshold], 1\\n"', '"adds %[threshold], 2\\n"'),
    "another class's row": ('"muls %[head], %[x]\\n"', '"muls %[x], %[head]\\n"'),
    "confidence rounds": (
        '"1: adcs %[quotient], %[quotient]\\n"',
        '"1: adds %[quotient], %[quotient]\\n"',
    ),
}


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest):
    """The program of `make test-native`, as a module."""
    sys.path.insert(0, str(EMULATE))
    request.addfinalizer(lambda: sys.path.remove(str(EMULATE)))
    return pytest.importorskip("run")


@pytest.mark.parametrize("name", ERRORS)
def test_error_in_the_assembly_is_found(name: str, run, tmp_path: Path) -> None:
    for tool in ("arm-none-eabi-gcc", "qemu-arm"):
        if shutil.which(tool) is None:
            assert os.environ.get("CI") != "true", f"CI needs {tool}"
            pytest.skip(f"{tool} is not installed")
    folder = tmp_path / "kernels"
    shutil.copytree(kernels.KERNELS, folder)
    path = folder / SOURCE
    right, wrong = ERRORS[name]
    text = path.read_text()
    assert text.count(right) == 1, "the line to change is gone"
    path.write_text(text.replace(right, wrong))
    natmods.build_all(["armv6m"])
    settings = {"KERNELS": str(folder), "BUILD": str(tmp_path / "build")}
    mpy = natmods.build("armv6m", settings).path
    jobs = run.cases.make_jobs(N_CALLS)
    answers = run.qemu.run_jobs(run.qemu.command_for("armv6m", mpy), mpy, jobs)
    n_calls, n_identical = run.compare(answers, jobs)
    assert 0 < n_identical < n_calls
