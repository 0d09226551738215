"""The C kernels and their MicroPython twin agree in every bit."""

import sys
from array import array
from pathlib import Path

import numpy as np
import pytest
from feature_programs import CASE_CRCS, case, crc_of, section

from onebyte.kernels import Program

ROOT = Path(__file__).resolve().parents[2]
N_BULK = 150  # about 15 s


@pytest.fixture(scope="module")
def twin():
    """Import the twin, which lies beside the native module's source."""
    sys.path.insert(0, str(ROOT / "lib" / "native" / "obkernels"))
    try:
        import obtwin_features
    finally:
        sys.path.pop(0)
    return obtwin_features


def native_features(seed: int) -> tuple[array, Program]:
    n_channels, window, streams, program, fft_log2, fft_window, samples = case(seed)
    kernels_program = Program(section(streams, program, fft_log2, fft_window), n_channels, window)
    windows = np.frombuffer(samples, np.int16).reshape(1, window, n_channels)
    return array("h", kernels_program.features(windows).tobytes()), kernels_program


def test_golden_crcs_are_those_of_the_c_kernels():
    crcs = tuple(crc_of(native_features(seed)[0]) for seed in range(1, 13))
    assert crcs == CASE_CRCS


@pytest.mark.parametrize("first", range(100, 100 + N_BULK, 25))
def test_random_and_extreme_windows_agree(first, twin):
    for seed in range(first, first + 25):
        n_channels, window, streams, program, fft_log2, fft_window, samples = case(seed)
        expected, kernels_program = native_features(seed)
        features = array("h", bytes(2 * len(program)))
        model = twin.Features(n_channels, window, streams, program, fft_log2, fft_window)
        model.into(samples, False, window, 0, features)
        different = [
            entry for entry, a, b in zip(program, expected, features, strict=True) if a != b
        ]
        assert not different, f"seed {seed}, window {window}"
        work_bytes = twin.work_bytes(n_channels, window, streams, program, fft_log2)
        assert work_bytes == kernels_program.work_bytes
