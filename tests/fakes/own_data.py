"""A small folder of recordings such as a user has: made up, three people, three movements."""

from pathlib import Path

import numpy as np

RATE_HZ = 25
PEOPLE = ("anna", "ben", "chris")
FREQUENCY_HZ = {"resting": 0.0, "walking": 2.0, "shaking": 6.0}

RECIPE = """\
name = "motion"
version = 3

[dataset]
kind = "folder"
path = "data"
pattern = '(?P<group>[^/]+)/(?P<label>[a-z]+)_.*'

[samples]
rate_hz = 25
window = 32
hop = 16
channels = [
    { name = "ax", unit = "g", lsb = 0.001 },
    { name = "ay", unit = "g", lsb = 0.001 },
    { name = "az", unit = "g", lsb = 0.001 },
]

[[streams]]
op = "magnitude"
of = ["ax", "ay", "az"]
name = "a"

[fft]
size = 32

[[features]]
op = ["mean", "std", "zero_crossings", "peak_bin"]
of = "all"

[select]
features = 6

[classifier]
kind = "trees"
n_trees = 5
max_leaf_nodes = 8
leaf_bits = 4

[labels]
resting = "at rest"
walking = "walking"
shaking = "shaking"

[decision]
k = 2
n = 3
novelty_false_rate = 0.05

[validation]
kind = "leave_one_group_out"

[demo]
group = "ben"

[golden]
per_class = 1
windows = 2
"""


def samples_of(label: str, person: str, seconds: float = 6) -> np.ndarray:
    """Return made-up accelerations in g, (rows, 3)."""
    rng = np.random.default_rng(sum(map(ord, label + person)))
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    frequency_hz = FREQUENCY_HZ[label] * (1 + 0.1 * PEOPLE.index(person))
    swing = np.sin(2 * np.pi * frequency_hz * t)
    return np.stack([0.5 * swing, 0.2 * swing, 1 + 0.1 * swing], 1) + rng.normal(
        0, 0.02, (len(t), 3)
    )


def write_csv(path: Path, values: np.ndarray) -> None:
    """Write a CSV with the channels' names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["ax,ay,az", *(",".join(f"{value:.4f}" for value in row) for row in values)]
    path.write_text("\n".join(lines) + "\n")


def write_model_folder(folder: Path, recipe: str = RECIPE) -> Path:
    """Write recipe.toml and nine recordings; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.toml").write_text(recipe)
    for person in PEOPLE:
        for label in FREQUENCY_HZ:
            write_csv(folder / "data" / person / f"{label}_1.csv", samples_of(label, person))
    return folder
