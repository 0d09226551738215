"""Whole models: the C kernels, in both ways to walk the trees, and the twin agree in every bit."""

import ctypes
import sys
from array import array
from pathlib import Path

import numpy as np
import pytest
import sample_model
from feature_programs import random_window

from formats import model, model_pack
from onebyte import kernels

ROOT = Path(__file__).resolve().parents[2]
SEEDS = range(1, 41)
N_VECTORS = 60


@pytest.fixture(scope="module")
def obtwin():
    """Import the twin, which lies beside the native module's source."""
    sys.path.insert(0, str(ROOT / "lib" / "native" / "obkernels"))
    try:
        import obtwin
    finally:
        sys.path.pop(0)
    return obtwin


def random_model(seed: int) -> tuple[bytes, np.ndarray]:
    """Return a model file and int16 vectors for it, some of them near the thresholds."""
    fields = sample_model.random_fields(seed)
    random = np.random.default_rng(seed)
    shape = (N_VECTORS, len(fields["program"]))
    vectors = random.integers(-32768, 32768, shape, dtype=np.int16)
    thresholds = [node[1] for tree in fields["trees"] for node in tree if isinstance(node, tuple)]
    if thresholds:
        near = random.choice(thresholds, shape) + random.integers(-1, 1, shape)
        vectors[::2] = np.clip(near, -32768, 32767)[::2]
    return model_pack.pack(fields), vectors


def test_votes_agree(obtwin):
    for seed in SEEDS:
        file, vectors = random_model(seed)
        native = kernels.KernelModel(file)
        twin = obtwin.Model(file, bytearray(native.work_bytes))
        assert obtwin.work_bytes(file) == native.work_bytes
        expected = native.predict(vectors)
        result = array("i", bytes(16 + 4 * native.n_classes))
        for vector, one in zip(vectors, expected, strict=True):
            twin.predict_into(array("h", vector.tobytes()), result)
            assert result.tobytes() == one.tobytes(), f"seed {seed}"


def test_features_of_whole_models_agree(obtwin):
    for seed in range(1, 9):
        file = model_pack.pack(sample_model.random_fields(seed))
        parsed = model.parse(file)
        samples = random_window(seed, parsed.window, parsed.n_channels)
        native = kernels.KernelModel(file)
        windows = np.frombuffer(samples, np.int16).reshape(1, parsed.window, parsed.n_channels)
        twin = obtwin.Model(file, bytearray(native.work_bytes))
        features = array("h", bytes(2 * parsed.n_features))
        twin.features_into(samples, 0, features)
        assert features.tobytes() == native.features(windows).tobytes(), f"seed {seed}"


def test_trees_one_by_one_and_in_lockstep_agree(tmp_path):
    libraries = [
        ctypes.CDLL(
            str(kernels.build(tmp_path / f"{n}.so", (*kernels.CFLAGS, f"-DOB_LOCKSTEP={n}")))
        )
        for n in (0, 1)
    ]
    for seed in SEEDS:
        file, vectors = random_model(seed)
        buffer = np.frombuffer(file, np.uint8).copy()
        sizes = 4 + kernels.KernelModel(file).n_classes
        results = [np.zeros((N_VECTORS, sizes), np.int32) for _ in libraries]
        for library, out in zip(libraries, results, strict=True):
            pointers = [ctypes.c_void_p(a.ctypes.data) for a in (buffer, vectors, out)]
            reason = library.obh_model_predict(
                pointers[0], len(file), pointers[1], N_VECTORS, pointers[2]
            )
            assert reason == 0
        assert (results[0] == results[1]).all(), f"seed {seed}"
        assert results[0].any()
