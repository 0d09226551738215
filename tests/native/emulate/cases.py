"""What the emulated module computes: models, random and extreme inputs, and the host's results."""

import struct
from array import array
from dataclasses import dataclass, replace
from pathlib import Path

import feature_programs
import numpy as np
import sample_model
from check import Random

from formats import crc, golden, model, model_pack
from onebyte.kernels import KernelModel

MODELS = Path(__file__).resolve().parents[3] / "models"
N_RANDOM_MODELS = 30
RING_EXTRA_ROWS = 5  # a ring longer than its window, so that reading it wraps


@dataclass
class Job:
    """A model with what is asked of it.

    Attributes:
        kernel: The model on this machine, whose results the module must give.
        rings: int16 (n, rows, n_channels).
        starts: The row where each window begins.
        vectors: int16 (n, n_features).
    """

    kernel: KernelModel
    rings: np.ndarray
    starts: np.ndarray
    vectors: np.ndarray

    @property
    def n_calls(self) -> int:
        return len(self.rings) + len(self.vectors)

    def with_first_window_twice(self) -> "Job":
        """Return the job with one more window, to tell the first call from what goes before it."""
        rings, starts = (np.concatenate([a[:1], a]) for a in (self.rings, self.starts))
        return replace(self, rings=rings, starts=starts)

    def request(self) -> bytes:
        """Return the job in main.c's protocol."""
        data = self.kernel.data
        sizes = (self.rings[0].nbytes, self.kernel.n_features, 4 + self.kernel.n_classes)
        head = struct.pack("<6I", len(data), *sizes, len(self.rings), len(self.vectors))
        rings = [
            struct.pack("<I", start) + ring.tobytes()
            for start, ring in zip(self.starts, self.rings, strict=True)
        ]
        return b"".join([head, data, *rings, self.vectors.tobytes()])

    def expected(self) -> list[bytes]:
        """Return the answer to each call as this machine computes it, the two sizes first."""
        order = self.starts[:, None] + np.arange(self.kernel.window)
        pairs = zip(self.rings, order, strict=True)
        windows = np.stack([ring.take(rows, axis=0, mode="wrap") for ring, rows in pairs])
        features = self.kernel.features(windows)
        results = self.kernel.predict(self.vectors)
        sizes = struct.pack("<2i", 0, self.kernel.work_bytes)
        return [sizes, *(row.tobytes() for row in features), *(row.tobytes() for row in results)]


def make_jobs(n_each: int) -> list[Job]:
    """Return jobs with at least `n_each` windows and as many vectors, and the golden ones."""
    shipped = sorted(MODELS.glob("*/model.obm"))
    assert shipped
    files = [path.read_bytes() for path in shipped]
    files += [random_model(seed) for seed in range(1, N_RANDOM_MODELS + 1)]
    share = -(-n_each // len(files))
    jobs = [make_job(data, share, seed) for seed, data in enumerate(files)]
    return [*jobs, *(golden_job(data) for data in files[: len(shipped)])]


def random_model(seed: int) -> bytes:
    """Return a model whose program uses every op; the trees alternate in kind with the seed."""
    n_channels, window, streams, program, fft_log2, fft_window, _ = feature_programs.case(seed)
    random = Random(seed)
    n_classes = random.between(2, 20)
    n_rows = random.between(1, 40) * (seed & 1)
    leaves = n_rows or n_classes
    fields = sample_model.smallest()
    fields.update(
        channels=[(f"ch_{i}", 0, 1) for i in range(n_channels)],
        window=window,
        streams=streams,
        program=program,
        fft_log2=fft_log2,
        fft_window=fft_window,
        trees=[
            sample_model.random_tree(random, len(program), leaves, random.below(300))
            for _ in range(random.between(1, 9))
        ],
        rows=[bytes([1]) + random.bytes(n_classes - 1) for _ in range(n_rows)],
        labels=[f"label {i}" for i in range(n_classes)],
        novelty_ranges=[(-random.bits(15), random.bits(15)) for _ in program],
    )
    return model_pack.pack(fields)


def make_job(data: bytes, count: int, seed: int) -> Job:
    """Return `count` windows and `count` vectors for a model, half of them extreme."""
    kernel = KernelModel(data)
    rng = np.random.default_rng(seed)
    rows = kernel.window + RING_EXTRA_ROWS * (seed & 1)
    rings = np.empty((count, rows, kernel.n_channels), np.int16)
    for i in range(count):
        samples = feature_programs.random_window(seed * count + i + 1, rows, kernel.n_channels)
        rings[i] = np.frombuffer(samples, np.int16).reshape(rows, kernel.n_channels)
    starts = rng.integers(0, rows, count)
    return Job(kernel, rings, starts, make_vectors(data, kernel, count, rng))


def make_vectors(
    data: bytes, kernel: KernelModel, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Return vectors: a third each of any values, ends of the range, values at thresholds."""
    parsed = model.Model(data)
    thresholds: dict[int, list[int]] = {}
    for tree in range(parsed.n_trees):
        for node in parsed.trees.nodes(tree):
            if not isinstance(node, int):
                thresholds.setdefault(node[0], []).append(node[1])
    vectors = rng.integers(-32768, 32768, (count, kernel.n_features))
    ends = np.array([-32768, -32767, -1, 0, 1, 32766, 32767])
    vectors[1::3] = rng.choice(ends, vectors[1::3].shape)
    for feature, values in thresholds.items():
        near = rng.choice(values, len(vectors[2::3])) + rng.integers(-1, 2, len(vectors[2::3]))
        vectors[2::3, feature] = near.clip(-32768, 32767)
    return vectors.astype(np.int16)


def golden_job(data: bytes) -> Job:
    """Return the golden windows and vectors of a model; the file's own results must hold too."""
    kernel, parsed = KernelModel(data), model.Model(data)
    shape = (parsed.n_golden_windows, kernel.window, kernel.n_channels)
    windows = np.empty(shape, np.int16)
    for i, (seed, *_) in enumerate(parsed.golden_windows):
        samples = array("h", bytes(2 * windows[i].size))
        golden.fill_into(samples, seed)
        windows[i] = np.frombuffer(samples, np.int16).reshape(shape[1:])
    vectors = np.array([features for *_, features in parsed.golden_vectors], np.int16)
    assert len(windows) and len(vectors)
    job = Job(kernel, windows, np.zeros(len(windows), int), vectors)
    check_golden(job, parsed)
    return job


def check_golden(job: Job, parsed: model.Model) -> None:
    """Fail unless this machine's results are the ones that the file carries."""
    features = job.kernel.features(job.rings)
    for row, (_, expected_crc, *expected) in zip(features, parsed.golden_windows, strict=True):
        assert crc.crc32(row.tobytes()) == expected_crc
        assert list(job.kernel.predict(row[None])[0])[:3] == expected
    for row, (*expected, _) in zip(
        job.kernel.predict(job.vectors), parsed.golden_vectors, strict=True
    ):
        assert list(row)[:3] == expected
