"""What is counted: models that each use one part of the kernels, and windows and vectors for them.

A window of an op has 128 samples; its samples are a triangle wave with noise, another period in
every channel, all from integers, so that they are the same everywhere.
"""

from pathlib import Path

import cases
import numpy as np
import sample_model
from check import Random

import bench
from formats import features_table, model, model_pack
from onebyte import toolchain
from onebyte.kernels import KernelModel
from onebyte.training import quantize

WINDOW = 128
N_WINDOWS = 4
N_CHANNELS = 6
FFT_LOG2S = (6, 7, 8, 9, 10)
EXERCISE = toolchain.ROOT / "models" / "exercise" / "model.obm"

_NO_VECTORS = np.empty((0, 1), np.int16)
_BAND_ENERGY = features_table.feature_op("band_energy")
_MEAN = features_table.feature_op("mean")


def samples(n_windows: int, window: int, n_channels: int) -> np.ndarray:
    """Return windows, int16 (n_windows, window, n_channels)."""
    random = Random(1)
    out = np.empty((n_windows, window, n_channels), np.int16)
    for i in range(n_windows):
        for channel in range(n_channels):
            period = 2 * random.between(5, 30)
            offset = random.between(-4000, 4000)
            for row in range(window):
                at = row % period
                wave = min(at, period - at) * 16000 // period
                out[i, row, channel] = offset + wave + random.between(-500, 500)
    return out


def model_with(
    program: list[tuple], n_channels: int, window: int, fft_log2: int, streams: tuple = ()
) -> bytes:
    """Return a model file with this feature program."""
    fields = sample_model.smallest()
    fields.update(
        channels=[(f"ch_{i}", 0, 1) for i in range(n_channels)],
        window=window,
        streams=list(streams),
        program=program,
        fft_log2=fft_log2,
        fft_window=1 if fft_log2 else 0,
    )
    return model_pack.pack(fields)


def job_of(data: bytes, windows: np.ndarray, vectors: np.ndarray = _NO_VECTORS) -> cases.Job:
    """Return a job; every window begins at row 0."""
    return cases.Job(KernelModel(data), windows, np.zeros(len(windows), int), vectors)


def arguments_of(op: int) -> tuple[int, int, int]:
    """Return the arguments of a feature as a recipe would use them."""
    kind = features_table.FEATURES[op - 1][1]
    half = WINDOW // 2
    return {
        features_table.QUANTILE: (64, 0, 0),
        features_table.SHARE: (0, 3, 0),
        features_table.OTHER: (1, 0, 0),
        features_table.LAGS: (4, half, 0),
        features_table.BINS: (1, half // 4, 0),
        features_table.UPPER_BINS: (1, half // 4, 0),
        features_table.FREQUENCY: (1311, 0, 0),
    }.get(kind, (0, 0, 0))


def op_jobs() -> dict[str, cases.Job]:
    """Return a job for every feature op and every derived stream, each alone in its program."""
    windows = samples(N_WINDOWS, WINDOW, 3)
    jobs = {}
    for op in range(1, features_table.CUSTOM):  # whose instructions are the user's
        fft_log2 = WINDOW.bit_length() - 1 if features_table.needs_fft(op) else 0
        data = model_with([(op, 0, *arguments_of(op))], 3, WINDOW, fft_log2)
        jobs[f"feature_{features_table.feature_name(op)}"] = job_of(data, windows)
    windows = samples(N_WINDOWS, WINDOW, N_CHANNELS)
    for op, arguments in ((64, (0, 1, 2)), (65, (0, 0, 0)), (66, (0, 3, 0))):
        data = model_with(
            [(_MEAN, N_CHANNELS, 0, 0, 0)], N_CHANNELS, WINDOW, 0, ((op, *arguments),)
        )
        jobs[f"stream_{features_table.stream_name(op)}"] = job_of(data, windows)
    return jobs


def fft_jobs() -> dict[str, cases.Job]:
    """Return a job for every length of the FFT, the window as long."""
    jobs = {}
    for log2 in FFT_LOG2S:
        data = model_with([(_BAND_ENERGY, 0, 1, 4, 0)], 1, 1 << log2, log2)
        jobs[f"fft_{1 << log2}"] = job_of(data, samples(2, 1 << log2, 1))
    return jobs


def exercise_job() -> cases.Job:
    """Return the windows and the vectors that the exercise model is measured with."""
    data = EXERCISE.read_bytes()
    parsed = model.parse(data)
    windows = samples(N_WINDOWS, parsed.window, parsed.n_channels)
    return job_of(data, windows, exercise_vectors(parsed))


def exercise_vectors(parsed: model.Model) -> np.ndarray:
    """Return feature vectors, int16 (n, n_features), mixed from the golden ones."""
    return bench.similar(np.array([vector[3] for vector in parsed.golden_vectors]))


def forests() -> dict[str, quantize.Forest]:
    """Return the exercise model's forest with its soft votes and with hard ones."""
    soft = bench.forest_of(model.parse(EXERCISE.read_bytes()))
    return {"soft": soft, "hard": bench.hard(soft)}


def forest_jobs(folder: Path) -> dict[str, cases.Job]:
    """Return a job for each forest behind the exercise model's features."""
    parsed = model.parse(EXERCISE.read_bytes())
    vectors = exercise_vectors(parsed)
    jobs = {}
    for name, forest in forests().items():
        path = folder / f"{name}.obm"
        bench.write_model(forest, parsed, path)
        jobs[name] = job_of(
            path.read_bytes(), samples(1, parsed.window, parsed.n_channels), vectors
        )
    return jobs
