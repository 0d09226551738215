"""ulab's spectrum: the conformance test runs, has the SPEC's limits, and finds a wrong FFT."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "tests" / "ulab" / "run.py"
CONFORMANCE = RUN.with_name("conformance.py")
STAND_IN = ROOT / "tests" / "fakes" / "ulab_on_cpython"
SKIPPED = "ulab: skipped, this interpreter has no ulab"

# Stand-ins that differ from the first one: the name is that of the test.
COMPLEX = """
class fft:
    @staticmethod
    def fft(values):
        re, im = _first.numpy.fft.fft(values)
        return re + 1j * im

numpy.fft = fft
numpy.real = staticmethod(lambda values: values.real)
numpy.imag = staticmethod(lambda values: values.imag)
"""
WRONG = """
class fft:
    @staticmethod
    def fft(values):
        re, im = _first.numpy.fft.fft(values)
        re[len(re) // 8] *= 1.01
        return re, im

numpy.fft = fft
"""
WITHOUT_FFT = "del numpy.fft\n"


def conform(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the conformance test on CPython with the ulab in a folder."""
    return subprocess.run(
        [sys.executable, CONFORMANCE],
        env=dict(os.environ, PYTHONPATH=str(folder)),
        capture_output=True,
        text=True,
        check=False,
    )


def another(folder: Path, changes: str) -> Path:
    """Write a changed stand-in; return its folder."""
    (folder / "ulab_first.py").write_text((STAND_IN / "ulab.py").read_text())
    text = f"import ulab_first as _first\n\nclass numpy(_first.numpy):\n    pass\n{changes}"
    (folder / "ulab.py").write_text(text)
    return folder


def test_runs_here_and_on_the_interpreter_that_is_given() -> None:
    done = subprocess.run(
        [sys.executable, RUN], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"ulab: windows=\d{3,} exceeded=0 proven=1", lines[-1]), lines
    if "MICROPYTHON" not in os.environ:
        assert SKIPPED in lines, "the packaged port has no ulab, and the test must say so"


def test_an_interpreter_that_is_none_is_one_line() -> None:
    env = dict(os.environ, MICROPYTHON="/no/such/micropython")
    done = subprocess.run(
        [sys.executable, RUN], capture_output=True, text=True, check=False, env=env
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "test-ulab: MICROPYTHON=/no/such/micropython is no program\n"


def test_without_ulab_it_says_so(tmp_path: Path) -> None:
    for folder in (
        tmp_path,
        another(tmp_path, WITHOUT_FFT.replace("del numpy.fft", "numpy = None")),
    ):
        done = conform(folder)
        assert (done.returncode, done.stdout.strip()) == (0, SKIPPED), done.stderr


def test_complex_results_are_understood(tmp_path: Path) -> None:
    done = conform(another(tmp_path, COMPLEX))
    assert done.returncode == 0 and "exceeded=0 proven=1" in done.stdout, done.stdout + done.stderr


def test_a_wrong_fft_is_found(tmp_path: Path) -> None:
    done = conform(another(tmp_path, WRONG))
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"exceeded=[1-6] proven=0", done.stdout), done.stdout


def spec_limits() -> list[int]:
    text = (ROOT / "docs" / "SPEC.md").read_text(encoding="utf-8")
    section = text.split("### Spectrum by ulab", 1)[1].split("\n## ", 1)[0]
    cells = re.findall(r"^\| .* \| (\d+|a bin with \d+ % .*?) \| \d+", section, re.MULTILINE)
    *numbers, peak = cells
    percent = re.search(r"\d+", peak)
    assert percent
    return [*map(int, numbers), 1000 - 10 * int(percent[0])]


def test_limits_are_those_of_the_spec() -> None:
    (text,) = re.findall(r"^LIMITS = ({.*?})", CONFORMANCE.read_text(), re.MULTILINE | re.DOTALL)
    assert list(map(int, re.findall(r": (\d+)", text))) == spec_limits()


@pytest.mark.parametrize(
    ("name", "words"), [("SHARE", "by more than"), ("TOTAL", "by more\nthan")]
)
def test_limits_of_the_proof_are_those_of_the_spec(name: str, words: str) -> None:
    source = (ROOT / "lib/native/obkernels/obulab.py").read_text()
    limit = re.search(rf"^{name}_LIMIT = (\d+)", source, re.MULTILINE)
    assert limit
    assert f"{words} {limit[1]} (Q" in (ROOT / "docs" / "SPEC.md").read_text(encoding="utf-8")
