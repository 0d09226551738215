"""The bit tests of armv6m run the assembly of the Cortex-M0+: an error in it is found."""

import importlib.util
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from formats import model
from onebyte import kernels
from onebyte.crossbuild import natmods

EMULATE = Path(__file__).with_name("emulate")
SOURCE = "walk_thumb1.h"
N_MODELS = 6
N_CALLS = 24
# Each changes one instruction; none can make the walk run away.
ERRORS = {
    "right at a far split's threshold": (
        '"bge " right "\\n" "lsls',
        '"bgt " right "\\n" "lsls',
    ),
    "right at a near split's threshold": (
        'NEAR "bge " right "\\n" LEFT NEAR "bge " right "\\n" LEFT NEAR',
        'NEAR "bgt " right "\\n" LEFT NEAR "bgt " right "\\n" LEFT NEAR',
    ),
    "another class's row": ('"muls %[head], %[x]\\n"', '"muls %[x], %[head]\\n"'),
    "confidence rounds": (
        '"1: adcs %[quotient], %[quotient]\\n"',
        '"1: adds %[quotient], %[quotient]\\n"',
    ),
}


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest):
    """The program of `make test-native`, as a module."""
    for tool in ("arm-none-eabi-gcc", "qemu-arm"):
        if shutil.which(tool) is None:
            assert os.environ.get("CI") != "true", f"CI needs {tool}"
            pytest.skip(f"{tool} is not installed")
    sys.path.insert(0, str(EMULATE))
    request.addfinalizer(lambda: sys.path.remove(str(EMULATE)))
    # By its file: other tests import a program of the same name.
    spec = importlib.util.spec_from_file_location("emulate_run", EMULATE / "run.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def jobs(run) -> list:
    """Hard and soft forests; vectors that meet the first threshold of each tree, and others."""
    made = []
    for seed in range(1, N_MODELS + 1):
        job = run.cases.make_job(run.cases.random_model(seed), N_CALLS, seed)
        parsed = model.Model(job.kernel.data)
        splits = [parsed.trees.nodes(tree)[0] for tree in range(parsed.n_trees)]
        vectors = [job.vectors]
        for feature, threshold in (node for node in splits if not isinstance(node, int)):
            at_threshold = job.vectors.copy()
            at_threshold[:, feature] = threshold
            vectors.append(at_threshold)
        made.append(
            replace(
                job, rings=job.rings[:1], starts=job.starts[:1], vectors=np.concatenate(vectors)
            )
        )
    return made


def count_identical(run, jobs: list, mpy: Path) -> tuple[int, int]:
    """Execute a module; return how many calls there were and how many answers were right."""
    answers = run.qemu.run_jobs(run.qemu.command_for("armv6m", mpy), mpy, jobs)
    calls, identical = run.compare(answers, jobs)
    return calls, identical


def test_assembly_gives_the_bits_of_the_host(run, jobs: list) -> None:
    calls, identical = count_identical(run, jobs, natmods.build("armv6m").path)
    assert calls == identical > N_MODELS * N_CALLS


@pytest.mark.parametrize("name", ERRORS)
def test_error_in_the_assembly_is_found(name: str, run, jobs: list, tmp_path: Path) -> None:
    folder = tmp_path / "kernels"
    shutil.copytree(kernels.KERNELS, folder)
    path = folder / SOURCE
    right, wrong = ERRORS[name]
    text = path.read_text()
    assert text.count(right) == 1, "the line to change is gone"
    path.write_text(text.replace(right, wrong))
    settings = {"KERNELS": str(folder), "BUILD": str(tmp_path / "build")}
    calls, identical = count_identical(run, jobs, natmods.build("armv6m", settings).path)
    assert 0 < identical < calls
