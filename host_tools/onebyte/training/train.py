"""From a recipe and its recordings to a model file.

Everything that learns from data is in `fit`: it sees only the windows it is given, so evaluation
calls it once a fold and nothing of the held-out subject leaks into selection, training or ranges.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from formats import model_pack
from onebyte import kernels
from onebyte.errors import UserError
from onebyte.training import custom, datasets, golden, quantize
from onebyte.training.features import chunks, compile_program
from onebyte.training.recipe import UNITS, Recipe

__all__ = [
    "Calibration",
    "FeatureTable",
    "Fit",
    "build_model",
    "compute_features",
    "feature_ranges",
    "fit",
    "fit_trees",
    "load_table",
    "rank",
    "select",
    "training_rows",
]

UNCALIBRATED_LEVELS = (32, 64, 96, 128, 160, 192, 224)
NEVER_NOVEL = 65535
# The ensemble that ranks candidates is its own, whatever the size of the one that is built.
_RANKING = {
    "n_estimators": 16,
    "max_leaf_nodes": 64,
    "max_depth": None,
    "min_samples_leaf": 2,
    "max_features": 0.3,
}
_KEEP = 0.6  # share of the candidates that survives one round of selection
_RANGE_PERCENTILES = (0.5, 99.5)  # of each feature in training; beyond lies novelty
_ESTIMATORS = {"extra_trees": ExtraTreesClassifier, "random_forest": RandomForestClassifier}


@dataclass(frozen=True)
class FeatureTable:
    """All candidate features of all windows; row i belongs to window i."""

    values: np.ndarray  # int16 (n, candidates)
    mirrored: np.ndarray | None  # the same of the mirrored windows, when the recipe mirrors
    windows: datasets.Windows


@dataclass(frozen=True)
class Fit:
    """What was learned from some windows."""

    columns: list[int]  # candidates that the model uses
    estimator: Any
    forest: quantize.Forest
    ranges: list[tuple[int, int]]  # low, high of each used feature


@dataclass(frozen=True)
class Calibration:
    """What only held-out predictions can tell; the defaults are for a model inside a fold."""

    levels: Sequence[int] = UNCALIBRATED_LEVELS
    novelty_threshold: int = NEVER_NOVEL


def load_table(recipe: Recipe) -> tuple[datasets.Dataset, FeatureTable]:
    """Load the recordings and compute every candidate feature of every window."""
    dataset = datasets.load(recipe)
    windows = datasets.cut_windows(dataset, recipe)
    n_short = len(dataset.recordings) - len(np.unique(windows.recordings))
    if n_short:
        dataset.notes.append(f"{n_short} recordings are shorter than a window and were not used")
    mirrored = None
    if recipe.mirror:
        sign = np.array([-1 if name in recipe.mirror else 1 for name in recipe.channel_names])
        other = np.clip(windows.samples * sign, -32768, 32767).astype(np.int16)
        mirrored = compute_features(recipe, other)
    return dataset, FeatureTable(compute_features(recipe, windows.samples), mirrored, windows)


def compute_features(recipe: Recipe, samples: np.ndarray) -> np.ndarray:
    """Return the candidates of int16 windows (n, window, n_channels) as the device has them."""
    n_channels = len(recipe.channels)
    parts = []
    for features in chunks(recipe.features):
        program = compile_program(
            features, recipe.streams, n_channels, recipe.fft_log2, recipe.fft_window
        )
        section = model_pack.pack_features(
            {
                "streams": program.streams,
                "program": program.features,
                "fft_log2": program.fft_log2,
                "fft_window": program.fft_window,
            }
        )
        parts.append(kernels.Program(section, n_channels, recipe.window).features(samples))
    values = np.hstack(parts)
    if recipe.custom is not None:
        outputs = custom.compute(recipe.custom, samples)
        columns = [i for i, one in enumerate(recipe.features) if one.op == "custom"]
        values[:, columns] = outputs[:, [recipe.features[i].args[0] for i in columns]]
    return values


def fit(recipe: Recipe, table: FeatureTable, chosen: np.ndarray) -> Fit:
    """Select features, train and quantize on the windows that the mask `chosen` names."""
    values, class_ids = training_rows(table, chosen)
    rounds = rank(recipe, values, class_ids, recipe.select_features)
    columns = select(rounds, recipe.select_features, values.shape[1])
    estimator = fit_trees(recipe, values[:, columns], class_ids)
    forest = quantize.from_estimator(estimator, recipe.classifier.leaf_bits)
    # The mirrored windows are made up, so they do not widen what counts as seen.
    return Fit(columns, estimator, forest, feature_ranges(table.values[chosen][:, columns]))


def fit_trees(recipe: Recipe, features: np.ndarray, class_ids: np.ndarray) -> Any:
    """Return the fitted ensemble of the recipe's settings."""
    estimator = _new_estimator(recipe).fit(features, class_ids)
    if list(estimator.classes_) != list(range(len(recipe.labels))):
        raise UserError("a class has no window in training; record it with more subjects")
    return estimator


def feature_ranges(values: np.ndarray) -> list[tuple[int, int]]:
    """Return (low, high) of each feature in training windows, without the outermost 1 %."""
    low, high = np.percentile(values, _RANGE_PERCENTILES, axis=0)
    return [(int(np.floor(a)), int(np.ceil(b))) for a, b in zip(low, high, strict=True)]


@dataclass(frozen=True)
class Round:
    """One round of selection: candidates and how important each of them was."""

    columns: np.ndarray
    importances: np.ndarray


def rank(recipe: Recipe, values: np.ndarray, class_ids: np.ndarray, least: int) -> list[Round]:
    """Drop the least important candidates round by round until at most `least` are left.

    The rounds do not depend on `least`, only their number does.
    """
    columns = np.arange(values.shape[1])
    rounds = []
    while len(columns) > least:
        ranking = _new_estimator(recipe, **_RANKING).fit(values[:, columns], class_ids)
        rounds.append(Round(columns, ranking.feature_importances_))
        columns = _best(rounds[-1], int(_KEEP * len(columns)))
    return rounds


def select(rounds: list[Round], n_features: int, n_candidates: int) -> list[int]:
    """Return the columns of the best features, from the last round that still had as many."""
    columns = np.arange(n_candidates)
    for one in rounds:
        if len(one.columns) > n_features:
            columns = _best(one, n_features)
    return [int(column) for column in columns]


def _best(one: Round, count: int) -> np.ndarray:
    order = np.argsort(-one.importances, kind="stable")[:count]
    return np.asarray(one.columns[np.sort(order)])


def build_model(
    recipe: Recipe, fitted: Fit, calibration: Calibration, golden_rows: np.ndarray | None = None
) -> bytes:
    """Return the model file.

    Args:
        recipe: the recipe.
        fitted: what was learned.
        calibration: levels and novelty threshold.
        golden_rows: candidate features (n, candidates) of the vectors to store with their
            results; None leaves golden vectors and windows out.

    Raises:
        UserError: the file is larger than the recipe allows.
    """
    fields = _fields(recipe, fitted, calibration)
    if golden_rows is not None:
        plain = kernels.KernelModel(model_pack.pack(fields))
        vectors = golden_rows[:, fitted.columns]
        fields["golden_vectors"] = golden.vectors(plain, vectors)
        seeds = golden.seeds(recipe.golden_windows)
        fields["golden_windows"] = golden.windows(plain, seeds, recipe.custom)
    file = bytes(model_pack.pack(fields))
    limit = recipe.classifier.limit_bytes
    if len(file) > limit:
        raise UserError(
            f"the model takes {len(file)} bytes, [classifier] limit_bytes is {limit}; "
            "lower n_trees, max_leaf_nodes or leaf_bits"
        )
    return file


def training_rows(table: FeatureTable, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (candidate features, class ids) to train on, mirrored windows included."""
    values, class_ids = table.values[chosen], table.windows.class_ids[chosen]
    if table.mirrored is None:
        return values, class_ids
    return np.vstack([values, table.mirrored[chosen]]), np.concatenate([class_ids, class_ids])


def _new_estimator(recipe: Recipe, **changes: Any) -> Any:
    classifier = recipe.classifier
    settings = {
        "n_estimators": classifier.n_trees,
        "max_leaf_nodes": classifier.max_leaf_nodes,
        "max_depth": classifier.max_depth,
        "min_samples_leaf": classifier.min_samples_leaf,
        "max_features": classifier.max_features,
        "random_state": classifier.seed,
    }
    return _ESTIMATORS[classifier.method](**(settings | changes), n_jobs=1)


def _fields(recipe: Recipe, fitted: Fit, calibration: Calibration) -> dict[str, Any]:
    chosen = [recipe.features[column] for column in fitted.columns]
    program = compile_program(
        chosen, recipe.streams, len(recipe.channels), recipe.fft_log2, recipe.fft_window
    )
    novelty = recipe.decision.novelty_false_rate is not None
    code = recipe.custom if any(feature.op == "custom" for feature in chosen) else None
    return {
        "recipe_hash": recipe.sha256[:16],
        "model_version": recipe.version,
        "channels": [(c.name, UNITS.index(c.unit), c.lsb_nano) for c in recipe.channels],
        "window": recipe.window,
        "hop": recipe.hop,
        "rate_mhz": recipe.rate_mhz,
        "streams": program.streams,
        "program": program.features,
        "fft_log2": program.fft_log2,
        "fft_window": program.fft_window,
        "trees": fitted.forest.trees,
        "rows": fitted.forest.rows,
        "novelty_ranges": fitted.ranges if novelty else None,
        "k": recipe.decision.k,
        "n": recipe.decision.n,
        "min_confidence": round(recipe.decision.min_confidence * 255),
        "novelty_threshold": calibration.novelty_threshold if novelty else NEVER_NOVEL,
        "levels": list(calibration.levels),
        "labels": list(recipe.labels.values()),
        "name": f"{recipe.name} {recipe.version}",
        "custom": (len(code.outputs), code.digest) if code else None,
    }
