"""A made-up person in front of a sensor: three movements that a model can tell apart, as .obr."""

from pathlib import Path

import numpy as np

from formats import recording

RATE_HZ = 104
MOVEMENTS = {"resting": 0.0, "walking": 2.0, "shaking": 6.0}


def movement(label: str, seconds: float, seed: int) -> np.ndarray:
    """Return int16 rows of six channels, in counts of an LSM6DSOX at 8 g and 2000 dps."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    frequency_hz = MOVEMENTS[label] * rng.uniform(0.93, 1.07)
    phase = rng.uniform(0, 2 * np.pi)
    swing = np.sin(2 * np.pi * frequency_hz * t + phase) * bool(frequency_hz)
    axes = np.array([1800, 900, 500, 700, 300, 150])
    rows = swing[:, None] * axes + rng.normal(0, 30, (len(t), 6))
    rows[:, 2] += 4098  # 1 g
    return np.rint(rows).astype("<i2")


def numbered(n_rows: int) -> np.ndarray:
    """Return rows that are all different from their neighbours and known by their number."""
    rows = np.empty((n_rows, 6), dtype="<i2")
    numbers = np.arange(n_rows)
    rows[:, 0] = numbers & 0x7FFF
    rows[:, 1] = numbers >> 15
    rows[:, 2:] = np.random.default_rng(2).integers(-30000, 30000, (n_rows, 4))
    return rows


def write_obr(path: Path, *segments: np.ndarray) -> Path:
    """Write a recording, a segment an array."""
    with path.open("wb") as file:
        file.write(recording.pack_header(6, RATE_HZ * 1000, [len(rows) for rows in segments]))
        for rows in segments:
            file.write(rows.astype("<i2").tobytes())
    return path
