"""How small can it be: model size against held-out accuracy over a grid of settings.

Comparing settings on the held-out subjects themselves favours the luckiest. `nested` therefore
also chooses a setting for every subject by the other subjects alone, and scores those choices.
"""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.utils.parallel import Parallel, delayed

from onebyte.training import evaluate, quantize, train
from onebyte.training.recipe import Recipe

matplotlib.use("Agg")
from matplotlib import pyplot as plt

__all__ = [
    "Nested",
    "Point",
    "Setting",
    "front",
    "grid",
    "nested",
    "nested_grid",
    "smallest",
    "sweep",
    "write",
]

_FEATURES = (8, 12, 16, 32)
_TREES = ((3, 8), (3, 12), (5, 12), (5, 16), (8, 16), (8, 32), (16, 32), (32, 64))
_LEAF_BITS = (0, 4)
# The nested choice is among these alone: 45 pairs of ten subjects take their time.
_NESTED_FEATURES = (16, 32)
_NESTED_TREES = ((16, 32), (32, 64))


@dataclass(frozen=True)
class Setting:
    """What is varied; the rest is the recipe's."""

    features: int
    n_trees: int
    max_leaf_nodes: int
    leaf_bits: int

    def apply(self, recipe: Recipe) -> Recipe:
        """Return the recipe with this setting."""
        classifier = replace(
            recipe.classifier,
            n_trees=self.n_trees,
            max_depth=None,
            max_leaf_nodes=self.max_leaf_nodes,
            leaf_bits=self.leaf_bits,
            limit_bytes=262144,
        )
        return replace(recipe, select_features=self.features, classifier=classifier)


@dataclass(frozen=True)
class Point:
    """A setting and what it reaches; `model_bytes` is the mean over folds, without goldens."""

    setting: Setting
    macro_f1: float
    accuracy: float
    model_bytes: int


@dataclass(frozen=True)
class Nested:
    """The outcome of nested selection within a limit of bytes."""

    limit_bytes: int
    macro_f1: float
    accuracy: float
    choices: dict[str, Setting]


@dataclass(frozen=True)
class _Said:
    """Predicted classes and file size of every setting, in order."""

    classes: list[np.ndarray]
    sizes: list[int]


def grid(recipe: Recipe) -> list[Setting]:
    """Return the settings of the search; equal features stand together."""
    counts = [count for count in _FEATURES if count <= len(recipe.features)]
    return [
        Setting(count, *trees, bits) for count, trees, bits in product(counts, _TREES, _LEAF_BITS)
    ]


def nested_grid(recipe: Recipe) -> list[Setting]:
    """Return the settings that the nested choice has, whatever their score."""
    counts = [count for count in _NESTED_FEATURES if count <= len(recipe.features)]
    return [Setting(count, *trees, _LEAF_BITS[-1]) for count in counts for trees in _NESTED_TREES]


def sweep(
    recipe: Recipe,
    table: train.FeatureTable,
    settings: Sequence[Setting],
    n_jobs: int,
    done: Callable[[str], None],
) -> tuple[list[Point], list[np.ndarray]]:
    """Return the point of every setting, and its held-out class of every tested window."""
    folds = evaluate.folds(recipe, table.windows)
    tasks = (delayed(_run)(recipe, table, ~test, test, settings) for _, test in folds)
    truth = table.windows.class_ids
    classes = [np.full(len(truth), -1) for _ in settings]
    sizes = np.zeros((len(folds), len(settings)))
    for i, said in enumerate(Parallel(n_jobs=n_jobs, return_as="generator")(tasks)):
        name, test = folds[i]
        done(name)
        sizes[i] = said.sizes
        for mine, predicted in zip(classes, said.classes, strict=True):
            mine[test] = predicted
    points = []
    for setting, mine, size in zip(settings, classes, sizes.mean(axis=0), strict=True):
        tested = mine >= 0
        points.append(
            Point(
                setting,
                evaluate.macro_f1(truth[tested], mine[tested]),
                float(accuracy_score(truth[tested], mine[tested])),
                round(size),
            )
        )
    return points, classes


def nested(
    recipe: Recipe,
    table: train.FeatureTable,
    points: Sequence[Point],
    classes: Sequence[np.ndarray],
    n_jobs: int,
    done: Callable[[str], None],
) -> Nested:
    """Choose among `points` for every group by the other groups alone, and score the choices.

    Args:
        recipe: validated by leave_one_group_out.
        table: the windows.
        points: the candidates, as `sweep` returned them.
        classes: each candidate's held-out classes, as `sweep` returned them.
        n_jobs: pairs of groups computed at the same time.
        done: told the name of each finished pair.
    """
    truth, groups = table.windows.class_ids, table.windows.groups
    names = [name for name, _ in evaluate.folds(recipe, table.windows)]
    pairs = list(combinations(names, 2))
    settings = [point.setting for point in points]
    tasks = (
        delayed(_run)(recipe, table, ~np.isin(groups, pair), np.isin(groups, pair), settings)
        for pair in pairs
    )
    # inner[name][i]: classes of setting i from models that saw neither `name` nor that window
    inner = {name: [np.full(len(truth), -1) for _ in settings] for name in names}
    for pair, said in zip(
        pairs, Parallel(n_jobs=n_jobs, return_as="generator")(tasks), strict=True
    ):
        done(" and ".join(pair))
        tested = np.flatnonzero(np.isin(groups, pair))
        for outer, other in (pair, pair[::-1]):
            mine = groups[tested] == other
            for i, predicted in enumerate(said.classes):
                inner[outer][i][tested[mine]] = predicted[mine]
    final = np.full(len(truth), -1)
    choices = {}
    for name in names:
        others = groups != name
        scores = [evaluate.macro_f1(truth[others], mine[others]) for mine in inner[name]]
        best = int(np.argmax(scores))
        choices[name] = settings[best]
        final[~others] = classes[best][~others]
    return Nested(
        recipe.classifier.limit_bytes,
        evaluate.macro_f1(truth, final),
        float(accuracy_score(truth, final)),
        choices,
    )


def _run(
    recipe: Recipe,
    table: train.FeatureTable,
    chosen: np.ndarray,
    test: np.ndarray,
    settings: Sequence[Setting],
) -> _Said:
    """Train every setting on `chosen` and let the quantized forest predict `test`."""
    values, class_ids = train.training_rows(table, chosen)
    rounds = train.rank(recipe, values, class_ids, min(setting.features for setting in settings))
    out = _Said([], [])
    fitted: Any = None
    before = None
    for setting in settings:
        changed = setting.apply(recipe)
        columns = train.select(rounds, setting.features, values.shape[1])
        if before != (setting.features, setting.n_trees, setting.max_leaf_nodes):
            fitted = train.fit_trees(changed, values[:, columns], class_ids)
            before = (setting.features, setting.n_trees, setting.max_leaf_nodes)
        forest = quantize.from_estimator(fitted, setting.leaf_bits)
        out.classes.append(forest.predict(table.values[test][:, columns]).class_id)
        ranges = train.feature_ranges(table.values[chosen][:, columns])
        file = train.build_model(
            changed, train.Fit(columns, fitted, forest, ranges), train.Calibration()
        )
        out.sizes.append(len(file))
    return out


def front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no smaller one reaches, smallest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.model_bytes, -point.macro_f1)):
        if not best or point.macro_f1 > best[-1].macro_f1:
            best.append(point)
    return best


def smallest(points: Sequence[Point], macro_f1: float) -> Point | None:
    """Return the smallest point that reaches a macro F1."""
    return next((point for point in front(points) if point.macro_f1 >= macro_f1), None)


def write(recipe: Recipe, points: Sequence[Point], honest: Nested | None) -> None:
    """Write pareto.csv, pareto.json and pareto.png beside the recipe."""
    folder = recipe.path.parent
    with (folder / "pareto.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*asdict(points[0].setting), "model_bytes", "macro_f1", "accuracy"])
        for point in points:
            rows.writerow(
                [
                    *asdict(point.setting).values(),
                    point.model_bytes,
                    f"{point.macro_f1:.4f}",
                    f"{point.accuracy:.4f}",
                ]
            )
    summary: dict[str, Any] = {"front": [_row(point) for point in front(points)]}
    for bound in (0.80, 0.85):
        small = smallest(points, bound)
        summary[f"smallest_{bound:.2f}"] = _row(small) if small else None
    summary["nested"] = asdict(honest) if honest else None
    (folder / "pareto.json").write_text(json.dumps(summary, indent=1) + "\n")
    _plot(points, folder / "pareto.png")


def _row(point: Point) -> dict[str, Any]:
    return {
        **asdict(point.setting),
        "model_bytes": point.model_bytes,
        "macro_f1": round(point.macro_f1, 4),
    }


def _plot(points: Sequence[Point], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(7, 4))
    for bits in sorted({point.setting.leaf_bits for point in points}):
        mine = [point for point in points if point.setting.leaf_bits == bits]
        label = f"rows of {bits} bits" if bits else "hard votes"
        axes.scatter(
            [point.model_bytes for point in mine],
            [point.macro_f1 for point in mine],
            s=8,
            alpha=0.5,
            label=label,
        )
    best = front(points)
    axes.step(
        [point.model_bytes for point in best],
        [point.macro_f1 for point in best],
        where="post",
        color="black",
        linewidth=1,
        label="best at its size",
    )
    axes.set_xscale("log")
    axes.set_xticks([1024, 2048, 4096, 8192, 16384], ["1k", "2k", "4k", "8k", "16k"])
    axes.minorticks_off()
    axes.set_xlabel("model file, bytes")
    axes.set_ylabel("macro F1, held-out groups")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
