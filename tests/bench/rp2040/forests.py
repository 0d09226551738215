"""Forests trained on real data, as our model file and as emlearn's tables, with real inputs."""

import struct
from pathlib import Path

import numpy as np
import sample_model
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

import bench
from formats import model, model_pack
from onebyte import toolchain
from onebyte.training import quantize

EXERCISE = toolchain.ROOT / "models" / "exercise" / "model.obm"
N_TRAIN = 1200
N_VECTORS = 64
LEAF_BITS = {"hard": 0, "soft": 8}


def digits() -> tuple[dict[str, quantize.Forest], np.ndarray]:
    """Ten trees of depth 8 that tell ten handwritten digits; 64 vectors held out."""
    pixels, classes = load_digits(return_X_y=True)
    noise = np.random.default_rng(1).integers(-64, 64, pixels.shape)
    features = (pixels * 1024 - 8192 + noise).astype(np.int16)  # to the width of our features
    estimator = RandomForestClassifier(n_estimators=10, max_depth=8, random_state=3)
    estimator.fit(features[:N_TRAIN], classes[:N_TRAIN])
    forests = {kind: quantize.from_estimator(estimator, bits) for kind, bits in LEAF_BITS.items()}
    return forests, features[N_TRAIN : N_TRAIN + N_VECTORS]


def exercise() -> tuple[dict[str, quantize.Forest], np.ndarray]:
    """The forest of the exercise model; vectors mixed from its golden ones."""
    parsed = model.parse(EXERCISE.read_bytes())
    soft = bench.forest_of(parsed)
    vectors = bench.similar(np.array([vector[3] for vector in parsed.golden_vectors]))
    return {"soft": soft, "hard": bench.hard(soft)}, vectors[:N_VECTORS]


def model_of(forest: quantize.Forest) -> bytes:
    """Return a model file of this forest without novelty; its features do not matter."""
    values = sample_model.smallest()
    values["program"] = [(1, 0, 0, 0, 0)] * forest.n_features
    values["trees"] = forest.trees
    values["rows"] = [bytes(row) for row in forest.rows]
    values["labels"] = [f"class {i}" for i in range(forest.n_classes)]
    return model_pack.pack(values)


def emlearn_tables(forest: quantize.Forest) -> bytes:
    """Return emlearn's tables as image.c takes them."""
    nodes, roots, leaves = quantize.to_emlearn(forest)
    values = [vote for leaf in leaves for vote in (leaf if forest.rows else [leaf])]
    sizes = (len(nodes), len(roots), len(values), forest.n_features, forest.n_classes)
    parts = [struct.pack("<6i", *sizes, 8 if forest.rows else 0)]
    for index, (feature, threshold, *children) in enumerate(nodes):
        left, right = (child - index if child >= 0 else child for child in children)
        parts.append(struct.pack("<bxhhh", feature, threshold, left, right))
    parts += [struct.pack(f"<{len(roots)}i", *roots), bytes(values)]
    return b"".join(parts)


def files() -> dict[str, bytes]:
    """Return all of it as files of the bench."""
    result = {"exercise.obm": EXERCISE.read_bytes()}
    for name, (forests, vectors) in (("digits", digits()), ("exercise", exercise())):
        result[f"{name}.vectors"] = vectors.tobytes()
        for kind, forest in forests.items():
            result[f"{name}_{kind}.obm"] = model_of(forest)
            result[f"{name}_{kind}.eml"] = emlearn_tables(forest)
    return result


def bytes_per_node(folder: Path = EXERCISE.parent) -> dict[str, float]:
    """Return what a node costs, split or leaf, in our file and in emlearn's table of nodes."""
    parsed = model.parse((folder / EXERCISE.name).read_bytes())
    forest = bench.forest_of(parsed)
    n_splits = sum(not isinstance(node, int) for tree in forest.trees for node in tree)
    ours = 2 * parsed.n_words / forest.n_nodes
    return {
        "bytes_per_node": round(ours, 3),
        "emlearn_bytes_per_node": round(8 * n_splits / forest.n_nodes, 3),
    }
