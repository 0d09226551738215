"""Golden vectors and windows: inputs with their results, by which a device proves its kernels."""

from array import array
from collections.abc import Iterable

import numpy as np

from formats import golden as golden_format
from formats.crc import crc32
from onebyte import kernels
from onebyte.training import custom

__all__ = ["pick_rows", "seed_window", "seeds", "vectors", "windows"]

GoldenVector = tuple[int, int, int, tuple[int, ...]]
GoldenWindow = tuple[int, int, int, int, int]


def vectors(model: kernels.KernelModel, features: np.ndarray) -> list[GoldenVector]:
    """Return (class_id, confidence, novelty, features) of int16 features (n, n_features)."""
    return [
        (*_result(model, vector), tuple(int(value) for value in vector)) for vector in features
    ]


def windows(
    model: kernels.KernelModel, chosen: Iterable[int], code: custom.CustomCode | None = None
) -> list[GoldenWindow]:
    """Return (seed, CRC-32 of the features, class_id, confidence, novelty) of each seed.

    Args:
        model: the model without golden windows.
        chosen: seeds.
        code: what computes its custom features; None when it has none.
    """
    out = []
    for seed in chosen:
        window = seed_window(seed, model.window, model.n_channels)[None]
        features = custom.features_of(model, window, code)[0]
        out.append((seed, crc32(features.astype("<i2").tobytes()), *_result(model, features)))
    return out


def seeds(count: int) -> list[int]:
    """Return seeds of golden windows, from loud (seed & 15 is 0) to faint."""
    return [(i + 1) * 2654435761 % (1 << 32) or 1 for i in range(count)]


def seed_window(seed: int, window: int, n_channels: int) -> np.ndarray:
    """Return a golden window: xorshift32 samples as SPEC section 7 defines them."""
    samples = array("h", [0]) * (window * n_channels)
    golden_format.fill_into(samples, seed)
    return np.array(samples, dtype=np.int16).reshape(window, n_channels)


def pick_rows(class_ids: np.ndarray, chosen: np.ndarray, per_class: int) -> list[int]:
    """Return window indices spread evenly over each class's windows in the mask `chosen`."""
    rows: list[int] = []
    for class_id in range(int(class_ids.max()) + 1):
        mine = np.flatnonzero(chosen & (class_ids == class_id))
        count = min(per_class, len(mine))
        rows += [int(mine[len(mine) * (2 * i + 1) // (2 * count)]) for i in range(count)]
    return rows


def _result(model: kernels.KernelModel, vector: np.ndarray) -> tuple[int, int, int]:
    result = model.predict(vector[None, :])[0]
    return int(result["class_id"]), int(result["confidence"]), int(result["novelty"])
