"""The C kernels on the host: the same source that runs on the device, through ctypes.

The shared library is built from lib/native/kernels at first use and again when a source is newer.
Training and evaluation compute their features here, so a model never sees other numbers in the
field than it was trained on.
"""

import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from formats.errors import OnebyteError
from onebyte.errors import UserError

__all__ = [
    "CFLAGS",
    "KernelModel",
    "Program",
    "build",
    "features",
    "fft",
    "measure_cost_us",
    "power_spectrum",
    "sources",
]

ROOT = Path(__file__).resolve().parents[2]
KERNELS = ROOT / "lib" / "native" / "kernels"
BATCH = Path(__file__).with_name("native") / "batch.c"
LIBRARY = ROOT / "build" / "host" / "libobkernels.so"
CFLAGS = ("-std=gnu99", "-O2", "-Wall", "-Wextra", "-Werror")

_MAX_COUNT = 0xFFFFFFFF


class _Sizes(ctypes.Structure):
    _fields_ = (
        ("window", ctypes.c_uint32),
        ("n_channels", ctypes.c_uint32),
        ("n_features", ctypes.c_uint32),
        ("n_classes", ctypes.c_uint32),
        ("work_bytes", ctypes.c_uint32),
    )


def sources() -> list[Path]:
    """Return the C files of the host library."""
    return [*sorted(KERNELS.glob("*.c")), BATCH]


def build(target: Path = LIBRARY, flags: Sequence[str] = CFLAGS) -> Path:
    """Compile the kernels into a shared library unless it has the time of the newest source.

    Raises:
        UserError: there is no C compiler, or it refuses a source.
    """
    files = sources()
    inputs = [*files, *KERNELS.glob("*.h")]
    newest = max(path.stat().st_mtime_ns for path in inputs)
    if target.is_file() and target.stat().st_mtime_ns == newest:
        return target
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise UserError("there is no C compiler: install gcc or clang, or set CC")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as folder:
        part = Path(folder) / target.name
        command = [compiler, *flags, "-shared", "-fPIC", f"-I{KERNELS}", "-o", str(part)]
        done = subprocess.run(
            [*command, *map(str, files)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if "error" in line]
            raise UserError(f"{compiler} refused the kernels: {(lines or [done.stderr])[0]}")
        # Not the time of building: a source may have changed while the compiler ran.
        os.utime(part, ns=(newest, newest))
        part.replace(target)
    return target


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(build()))
    library.obh_fft.restype = ctypes.c_int32
    library.obh_spectrum.restype = ctypes.c_int32
    return library


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _raise_for(reason: int) -> None:
    if reason:
        raise OnebyteError(reason)


def _checked_windows(windows: np.ndarray, sizes: _Sizes) -> np.ndarray:
    expected = (sizes.window, sizes.n_channels)
    if windows.dtype != np.int16 or windows.ndim != 3 or windows.shape[1:] != expected:
        raise ValueError(
            f"windows must be int16 of shape (n, {expected[0]}, {expected[1]}), "
            f"not {windows.dtype} {windows.shape}"
        )
    assert len(windows) <= _MAX_COUNT
    return np.ascontiguousarray(windows)


def _features(
    function: Callable[..., int], what: tuple[Any, ...], windows: np.ndarray, sizes: _Sizes
) -> np.ndarray:
    """Call a kernel that computes features; `what` are the arguments that say of which program."""
    windows = _checked_windows(windows, sizes)
    out = np.zeros((len(windows), sizes.n_features), np.int16)
    work = np.empty(sizes.work_bytes // 8 + 1, np.uint64)
    _raise_for(function(*what, _pointer(windows), len(windows), _pointer(work), _pointer(out)))
    return out


class Program:
    """A feature program without a classifier, as training needs it.

    Attributes:
        section: The bytes of a model's features section.
        n_channels: Channels of a window.
        window: Samples of a window.
        n_features: Features of the program.
        work_bytes: Work memory that one window needs on the device.
    """

    def __init__(self, section: bytes, n_channels: int, window: int) -> None:
        """Check the section.

        Raises:
            OnebyteError: FEATURES or STREAM.
        """
        sizes = _Sizes()
        _raise_for(
            _library().obh_program_sizes(
                section, len(section), n_channels, window, ctypes.byref(sizes)
            )
        )
        self.section = bytes(section)
        self.n_channels = n_channels
        self.window = window
        self.n_features = sizes.n_features
        self.work_bytes = sizes.work_bytes
        self._sizes = sizes

    def features(self, windows: np.ndarray) -> np.ndarray:
        """Compute the features, int16 (n, n_features), of windows, int16 (n, window, n_channels).

        Custom features are 0: `onebyte.training.custom` computes them.

        Raises:
            ValueError: another type or shape.
        """
        program = (self.section, len(self.section), self.n_channels, self.window)
        return _features(_library().obh_program_features, program, windows, self._sizes)


class KernelModel:
    """A whole model file: features and predictions as on the device.

    Attributes:
        data: The file.
        n_channels, window, n_features, n_classes, work_bytes: Its sizes.
    """

    def __init__(self, data: bytes) -> None:
        """Check the file.

        Raises:
            OnebyteError: with the reason of the kernels' check.
        """
        self.data = bytes(data)
        self._buffer = np.frombuffer(self.data, np.uint8).copy()  # numpy aligns to 16 bytes
        sizes = _Sizes()
        _raise_for(
            _library().obh_model_sizes(
                _pointer(self._buffer), len(self._buffer), ctypes.byref(sizes)
            )
        )
        self._sizes = sizes
        self.n_channels = sizes.n_channels
        self.window = sizes.window
        self.n_features = sizes.n_features
        self.n_classes = sizes.n_classes
        self.work_bytes = sizes.work_bytes

    def features(self, windows: np.ndarray) -> np.ndarray:
        """Compute the features, int16 (n, n_features), of windows, int16 (n, window, n_channels).

        Custom features are 0: `onebyte.training.custom` computes them.

        Raises:
            ValueError: another type or shape.
        """
        model = (_pointer(self._buffer), len(self._buffer))
        return _features(_library().obh_model_features, model, windows, self._sizes)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Classify feature vectors, int16 (n, n_features).

        Returns:
            A structured array of length n with the int32 fields class_id, confidence, novelty,
            sum_votes and votes (n_classes values).

        Raises:
            ValueError: another type or shape.
        """
        if features.dtype != np.int16 or features.shape[1:] != (self.n_features,):
            raise ValueError(
                f"features must be int16 of shape (n, {self.n_features}), "
                f"not {features.dtype} {features.shape}"
            )
        features = np.ascontiguousarray(features)
        fields = ("class_id", "confidence", "novelty", "sum_votes")
        out = np.empty(
            len(features),
            [*((name, np.int32) for name in fields), ("votes", np.int32, (self.n_classes,))],
        )
        _raise_for(
            _library().obh_model_predict(
                _pointer(self._buffer),
                len(self._buffer),
                _pointer(features),
                len(features),
                _pointer(out),
            )
        )
        return out


def features(program: Program | bytes, windows: np.ndarray) -> np.ndarray:
    """Compute features of windows, int16 (n, window, n_channels).

    Args:
        program: A checked program, or a features section whose sizes come from the windows.
        windows: int16 (n, window, n_channels).
    """
    if not isinstance(program, Program):
        program = Program(program, windows.shape[2], windows.shape[1])
    return program.features(windows)


def fft(points: np.ndarray) -> tuple[np.ndarray, int]:
    """Transform complex int16 points, shape (2^k, 2), re and im within +-2^14, k 2..9.

    Returns:
        The transformed points, int16 of the same shape, and the exponent e of their scale: the
        transform is points * 2^e.
    """
    out = np.ascontiguousarray(points, np.int16).copy()
    log2 = len(out).bit_length() - 1
    assert out.shape == (1 << log2, 2) and 2 <= log2 <= 9
    return out, _library().obh_fft(_pointer(out), log2)


def power_spectrum(x: np.ndarray, fft_log2: int, hann: bool = False) -> tuple[np.ndarray, int]:
    """Return the powers, uint32, of bins 0..2^fft_log2/2 of one stream and their exponent e.

    The power of a bin is power * 2^e in squared counts.
    """
    x = np.ascontiguousarray(x, np.int16)
    assert 4 <= fft_log2 <= 10 and 8 <= len(x) <= 1 << fft_log2
    bins = np.empty((1 << fft_log2) // 2 + 1, np.uint32)
    exponent = _library().obh_spectrum(_pointer(x), len(x), fft_log2, int(hann), _pointer(bins))
    return bins, exponent


def measure_cost_us(program: Program, windows: np.ndarray | None = None, n: int = 200) -> float:
    """Measure what one window costs on this host, in microseconds.

    The figure only compares programs that were measured in one run on one machine.

    Args:
        program: What to measure.
        windows: Real windows; random ones when None.
        n: How many windows a run computes; the fastest of five runs counts.
    """
    if windows is None or len(windows) == 0:
        shape = (n, program.window, program.n_channels)
        windows = np.random.default_rng(1).normal(0, 2000, shape).astype(np.int16)
    windows = windows[np.arange(n) % len(windows)]
    times = []
    for _ in range(5):
        start = time.perf_counter()
        program.features(windows)
        times.append(time.perf_counter() - start)
    return min(times) / n * 1e6
