"""Honest figures: every window is predicted by a model that never saw its group.

The model under test is the quantized file run by the device's kernels, not scikit-learn's floats;
selection, training and novelty ranges are done anew in every fold.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from sklearn.utils.parallel import Parallel, delayed

from formats import model as model_format
from formats import result
from onebyte import kernels
from onebyte.errors import UserError
from onebyte.training import calibrate, custom, datasets, train
from onebyte.training.recipe import Recipe
from pipeline.decision import Decision

__all__ = [
    "Evaluation",
    "Fold",
    "WindowResult",
    "evaluate",
    "folds",
    "predict_recording",
    "smoothed",
]


@dataclass(frozen=True)
class Fold:
    """What one fold predicted; arrays have one entry for each of its test windows."""

    name: str
    test: np.ndarray  # indices of the windows
    class_id: np.ndarray
    confidence: np.ndarray
    novelty: np.ndarray
    float_class: np.ndarray  # scikit-learn's own prediction
    n_reference_differs: int  # windows where the kernels and quantize.Forest differ: must be 0
    file_bytes: int
    columns: list[int]
    novel_scores: list[tuple[int, np.ndarray]]  # left-out class, scores of all test windows


@dataclass(frozen=True)
class Evaluation:
    """All folds together; arrays have one entry for each tested window, in window order."""

    folds: list[Fold]
    tested: np.ndarray  # indices of the windows
    truth: np.ndarray
    class_id: np.ndarray
    confidence: np.ndarray
    novelty: np.ndarray
    float_class: np.ndarray

    @property
    def macro_f1(self) -> float:
        return macro_f1(self.truth, self.class_id)

    @property
    def accuracy(self) -> float:
        return float(accuracy_score(self.truth, self.class_id))

    def confusion(self, n_classes: int) -> np.ndarray:
        """Return counts, row = truth, column = prediction."""
        counts: np.ndarray = confusion_matrix(self.truth, self.class_id, labels=range(n_classes))
        return counts

    def novelty_auroc(self, truth: np.ndarray) -> dict[int, float]:
        """Return the AUROC of each left-out class; `truth` are all windows' classes."""
        scores: dict[int, list[list[np.ndarray]]] = {}
        for fold in self.folds:
            for class_id, values in fold.novel_scores:
                is_novel = truth[fold.test] == class_id
                known, novel = scores.setdefault(class_id, [[], []])
                known.append(values[~is_novel])
                novel.append(values[is_novel])
        return {
            class_id: calibrate.auroc(np.concatenate(known), np.concatenate(novel))
            for class_id, (known, novel) in scores.items()
        }


@dataclass(frozen=True)
class WindowResult:
    """What the device says about one window of a recording."""

    start: int  # row
    class_id: int
    confidence: int
    novelty: int
    byte: int


def macro_f1(truth: np.ndarray, class_id: np.ndarray) -> float:
    """Return the mean of the F1 of the classes that occur."""
    return float(f1_score(truth, class_id, average="macro", zero_division=0.0))


def folds(recipe: Recipe, windows: datasets.Windows) -> list[tuple[str, np.ndarray]]:
    """Return (name, mask of the test windows); the other windows train."""
    if recipe.validation == "given_split":
        test = windows.splits == "test"
        if not test.any() or test.all():
            raise UserError(
                f'{recipe.path.name}: [validation] kind = "given_split" needs a '
                "dataset that names training and test"
            )
        return [("test", test)]
    names = sorted(set(windows.groups.tolist()), key=datasets.natural)
    if len(names) < 2:
        raise UserError(
            f"{recipe.path.name}: [validation] leave_one_group_out needs two groups, "
            "the dataset has one; set group_column or a pattern in [dataset]"
        )
    return [(name, windows.groups == name) for name in names]


def evaluate(
    recipe: Recipe,
    table: train.FeatureTable,
    n_jobs: int = 2,
    done: Callable[[str], None] = lambda name: None,
) -> Evaluation:
    """Run all folds; `done` is told the name of each finished one."""
    tasks = (
        delayed(_run_fold)(recipe, table, name, test)
        for name, test in folds(recipe, table.windows)
    )
    finished = []
    for fold in Parallel(n_jobs=n_jobs, return_as="generator")(tasks):
        done(fold.name)
        finished.append(fold)
    return _merge(finished, table.windows.class_ids)


def _merge(finished: list[Fold], class_ids: np.ndarray) -> Evaluation:
    tested = np.concatenate([fold.test for fold in finished])
    order = np.argsort(tested)

    def together(name: str) -> np.ndarray:
        return np.concatenate([getattr(fold, name) for fold in finished])[order]

    return Evaluation(
        finished,
        tested[order],
        class_ids[tested[order]],
        together("class_id"),
        together("confidence"),
        together("novelty"),
        together("float_class"),
    )


def _run_fold(recipe: Recipe, table: train.FeatureTable, name: str, test: np.ndarray) -> Fold:
    fitted = train.fit(recipe, table, ~test)
    file = train.build_model(recipe, fitted, train.Calibration())
    features = np.ascontiguousarray(table.values[test][:, fitted.columns])
    said = kernels.KernelModel(file).predict(features)
    reference = fitted.forest.predict(features)
    differs = reference.differs(said)
    return Fold(
        name,
        np.flatnonzero(test),
        said["class_id"],
        said["confidence"],
        said["novelty"],
        fitted.estimator.predict(features),
        int(differs.sum()),
        len(file),
        fitted.columns,
        list(_leave_classes_out(recipe, table, fitted.columns, test)),
    )


def _leave_classes_out(
    recipe: Recipe, table: train.FeatureTable, columns: list[int], test: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """Score the test windows by ranges that never saw a class, for each class in turn."""
    if recipe.decision.novelty_false_rate is None:
        return
    values = table.values[:, columns]
    for class_id in range(len(recipe.labels)):
        known = values[~test & (table.windows.class_ids != class_id)]
        ranges = train.feature_ranges(known)
        yield class_id, calibrate.novelty_scores(np.array(ranges), values[test])


def calibration_of(
    recipe: Recipe, evaluation: Evaluation, chosen: np.ndarray
) -> train.Calibration:
    """Return levels and novelty threshold from the held-out predictions of the chosen windows."""
    mine = chosen[evaluation.tested]
    right = evaluation.class_id[mine] == evaluation.truth[mine]
    levels = calibrate.confidence_levels(evaluation.confidence[mine], right)
    rate = recipe.decision.novelty_false_rate
    if rate is None:
        return train.Calibration(levels)
    return train.Calibration(levels, calibrate.novelty_threshold(evaluation.novelty[mine], rate))


def smoothed(recipe: Recipe, evaluation: Evaluation, recordings: np.ndarray) -> np.ndarray:
    """Return what k of n makes of the held-out predictions: a class, or -1 for undecided.

    `recordings` says which recording each window belongs to; every one starts afresh.
    """
    out = np.full(len(evaluation.class_id), -1)
    decision = _new_decision(recipe, train.Calibration())
    before = -1
    for i, window in enumerate(evaluation.tested):
        if recordings[window] != before:
            decision.reset()
            before = recordings[window]
        byte = decision.step(int(evaluation.class_id[i]), int(evaluation.confidence[i]), 0)
        out[i] = result.parse(recipe.encoding, byte)[0]
    return out


def _new_decision(recipe: Recipe, calibration: train.Calibration) -> Decision:
    rules = recipe.decision
    return Decision(
        recipe.encoding,
        rules.k,
        rules.n,
        round(rules.min_confidence * 255),
        calibration.novelty_threshold,
        calibration.levels,
    )


def predict_recording(
    file: bytes,
    rows: np.ndarray,
    segments: Sequence[int],
    code: custom.CustomCode | None = None,
) -> list[WindowResult]:
    """Return what a device with this model file decides on a recording.

    Args:
        file: the model file.
        rows: int16 (n, n_channels).
        segments: rows in each segment; a window never spans two, and decisions start afresh.
        code: the recipe's `custom`; what computes the model's custom features, if it has any.
    """
    model = model_format.parse(file)
    kernel_model = kernels.KernelModel(file)
    decision = Decision(
        model.encoding,
        model.k,
        model.n,
        model.min_confidence,
        model.novelty_threshold,
        model.levels,
    )
    results = []
    first = 0
    for length in segments:
        decision.reset()
        starts = list(range(first, first + length - model.window + 1, model.hop))
        first += length
        if not starts:
            continue
        windows = np.stack([rows[start : start + model.window] for start in starts])
        said = kernel_model.predict(custom.features_of(kernel_model, windows, code))
        for start, one in zip(starts, said, strict=True):
            values = int(one["class_id"]), int(one["confidence"]), int(one["novelty"])
            results.append(WindowResult(start, *values, decision.step(*values)))
    return results
