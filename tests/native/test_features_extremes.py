"""No input makes the kernels overflow, divide by zero or leave a buffer.

The kernels run with AddressSanitizer and UndefinedBehaviorSanitizer on extreme streams of every
length class, and give the same features as the normal build.
"""

import struct
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from check import Random
from feature_programs import SHAPES, case, every_op, extreme, fft_log2_for, noise, section

from onebyte import kernels

SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WINDOWS = (8, 9, 15, 16, 17, 31, 33, 100, 127, 128, 129, 255, 256, 500, 512, 513, 1023, 1024)
STREAMS = [(64, 0, 1, 2), (65, 0, 0, 0), (66, 0, 1, 0), (66, 0, 0, 0), (64, 4, 5, 6)]
N_CHANNELS = 4
N_RANDOM = 60


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory) -> Path:
    """Compile the kernels with sanitizers into a program."""
    program = tmp_path_factory.mktemp("sanitized") / "sanitized"
    sources = [*sorted(kernels.KERNELS.glob("*.c")), Path(__file__).with_name("sanitized.c")]
    flags = ("-std=gnu99", "-Wall", "-Wextra", "-Werror", *SANITIZERS)
    command = ["cc", *flags, f"-I{kernels.KERNELS}", "-o", str(program), *map(str, sources)]
    subprocess.run(command, check=True)
    return program


def run(sanitized: Path, n_channels: int, sections: list[bytes], windows: np.ndarray) -> bytes:
    """Return the features of all programs, one after another."""
    window = windows.shape[1]
    rows = window + window // 3
    stdin = b"".join(
        struct.pack("<5I", n_channels, window, len(data), len(windows), rows)
        + data
        + windows.tobytes()
        for data in sections
    )
    done = subprocess.run([sanitized], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def extreme_windows(window: int) -> np.ndarray:
    """Return windows whose channels are all extreme shapes and noise of every amplitude."""
    random = Random(window)
    n_kinds = SHAPES + 16
    same = [(kind,) * N_CHANNELS for kind in range(n_kinds)]
    mixed = [tuple(random.below(n_kinds) for _ in range(N_CHANNELS)) for _ in range(n_kinds)]
    out = np.empty((2 * n_kinds, window, N_CHANNELS), np.int16)
    for i, kinds in enumerate(same + mixed):
        for (row, sample), channel in product(enumerate(out[i]), range(N_CHANNELS)):
            kind = kinds[channel]
            sample[channel] = (
                extreme(kind, row, window) if kind < SHAPES else noise(random, kind - SHAPES)
            )
    return out


@pytest.mark.parametrize("window", WINDOWS)
def test_extreme_streams(window, sanitized):
    windows = extreme_windows(window)
    n_streams = N_CHANNELS + len(STREAMS)
    fft_log2 = fft_log2_for(window)
    stride = 1 if window < 300 else 4  # the lags of long windows take their time
    sections = [
        section(STREAMS, every_op(stream, n_streams, window, fft_log2), fft_log2, stream & 1)
        for stream in range(window % stride, n_streams, stride)
    ]
    expected = b"".join(kernels.features(data, windows).tobytes() for data in sections)
    assert run(sanitized, N_CHANNELS, sections, windows) == expected


def test_random_programs(sanitized):
    for seed in range(1000, 1000 + N_RANDOM):
        n_channels, window, streams, program, fft_log2, fft_window, samples = case(seed)
        data = section(streams, program, fft_log2, fft_window)
        windows = np.frombuffer(samples, np.int16).reshape(1, window, n_channels)
        expected = kernels.features(data, windows).tobytes()
        assert run(sanitized, n_channels, [data], windows) == expected, f"seed {seed}"


def test_largest_program_fits_its_work_memory(sanitized):
    streams = [(64, 0, 0, 0)] * 24
    program = [(1 + i % 25, i % 40, 0, 0, 0) for i in range(127)]
    plain = [entry for entry in program if entry[0] in range(1, 13)]
    program = [*plain, (13, 39, 256, 0, 0), (18, 39, 1, 1023, 0), (20, 39, 0, 512, 0)]
    data = section(streams, program, 10, 1)
    windows = np.full((1, 1024, 16), -32768, np.int16)
    assert run(sanitized, 16, [data], windows) == kernels.features(data, windows).tobytes()
    assert kernels.Program(data, 16, 1024).work_bytes == 40 * 32 + 40 * 2048 + 2056 + 2 * 2048


def hostile_points(log2: int) -> Iterator[np.ndarray]:
    """Yield points at the limit of the input whose transform has its energy in one bin."""
    n = 1 << log2
    limit = (1 << 14) - 1
    for k in range(0, n, max(1, n // 16)):
        turn = 2 * np.pi * (k * np.arange(n) / n + 1 / 8)
        points = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        yield np.rint(points * limit).astype(np.int16)
        yield (np.sign(points) * limit).astype(np.int16)  # magnitudes of 2^14.5


@pytest.mark.parametrize("log2", range(2, 10))
def test_fft_never_overflows(log2):
    for points in hostile_points(log2):
        out, exponent = kernels.fft(points)
        exact = np.fft.fft(points[:, 0] + 1j * points[:, 1])
        error = np.abs((out[:, 0] + 1j * out[:, 1]) * 2.0**exponent - exact)
        assert error.max() < np.abs(exact).max() / 2000
