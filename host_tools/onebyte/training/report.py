"""A model's figures as one dictionary (metrics.json), as lines, and what produced them."""

import platform
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.metrics import accuracy_score, f1_score

from formats import model as model_format
from formats import model_pack
from onebyte import kernels
from onebyte.errors import UserError
from onebyte.training import agreement, csvmodel, custom, train
from onebyte.training.datasets import Dataset, natural
from onebyte.training.evaluate import Evaluation, macro_f1, smoothed
from onebyte.training.features import compile_program
from onebyte.training.recipe import Recipe

__all__ = [
    "agreement_line",
    "agreement_of",
    "committed_model",
    "cost_us",
    "file_sizes",
    "last_line",
    "lines",
    "measure",
]


def measure(
    recipe: Recipe, dataset: Dataset, table: train.FeatureTable, outcome: Evaluation
) -> dict[str, Any]:
    """Return every held-out figure; only plain numbers, strings, lists and dicts."""
    labels = list(recipe.labels.values())
    truth, said = outcome.truth, outcome.class_id
    per_class = f1_score(truth, said, average=None, labels=range(len(labels)), zero_division=0.0)
    decided = smoothed(recipe, outcome, table.windows.recordings)
    aurocs = outcome.novelty_auroc(table.windows.class_ids)
    return {
        "name": recipe.name,
        "validation": recipe.validation,
        "windows": len(truth),
        "recordings": len(dataset.recordings),
        "groups": len(dataset.groups),
        "notes": dataset.notes,
        "macro_f1": macro_f1(truth, said),
        "accuracy": outcome.accuracy,
        "macro_f1_float": macro_f1(truth, outcome.float_class),
        "agreement_float": float((said == outcome.float_class).mean()),
        "kernel_differs_from_reference": sum(fold.n_reference_differs for fold in outcome.folds),
        "per_class_f1": dict(zip(labels, map(float, per_class), strict=True)),
        "per_group": _per_group(outcome, table.windows.groups),
        "confusion": outcome.confusion(len(labels)).tolist(),
        "fold_bytes": [fold.file_bytes for fold in outcome.folds],
        "smoothed_macro_f1": _decided_f1(truth, decided, len(labels)),
        "smoothed_undecided": float((decided < 0).mean()),
        "novelty_auroc": {labels[class_id]: value for class_id, value in aurocs.items()},
        "scikit_learn": sklearn.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _per_group(outcome: Evaluation, groups: np.ndarray) -> dict[str, dict[str, float]]:
    mine = groups[outcome.tested]
    if len(outcome.folds) == 1:
        return {}
    return {
        name: {
            "macro_f1": macro_f1(outcome.truth[mine == name], outcome.class_id[mine == name]),
            "accuracy": float(
                accuracy_score(outcome.truth[mine == name], outcome.class_id[mine == name])
            ),
            "windows": int((mine == name).sum()),
        }
        for name in sorted(set(mine.tolist()), key=natural)
    }


def _decided_f1(truth: np.ndarray, decided: np.ndarray, n_classes: int) -> float:
    # An undecided window is a miss of its class and nobody's false alarm.
    return float(
        f1_score(truth, decided, average="macro", labels=range(n_classes), zero_division=0.0)
    )


def lines(metrics: dict[str, Any]) -> list[str]:
    """Return the figures as lines for people."""
    text = [
        f"{metrics['name']}: {metrics['windows']} held-out windows, "
        f"{metrics['validation'].replace('_', ' ')}",
        *metrics["notes"],
        f"{metrics['kernel_differs_from_reference']} windows where the kernels and the reference "
        "differ",
        f"scikit-learn's floats say the same in {metrics['agreement_float']:.2%} of the windows "
        f"(macro F1 {metrics['macro_f1_float']:.3f})",
    ]
    for name, value in metrics["per_group"].items():
        text.append(
            f"  group {name:>4}: macro F1 {value['macro_f1']:.3f}, "
            f"accuracy {value['accuracy']:.3f}, {value['windows']} windows"
        )
    for label, value in metrics["per_class_f1"].items():
        text.append(f"  {label}: F1 {value:.3f}")
    text.append(
        f"k of n: macro F1 {metrics['smoothed_macro_f1']:.3f}, "
        f"{metrics['smoothed_undecided']:.1%} of the windows undecided"
    )
    return text


def cost_us(recipe: Recipe, columns: list[int], windows: np.ndarray) -> tuple[float, int]:
    """Return (microseconds a window on this host, bytes of work memory) of chosen features.

    Custom features are left out: the time of custom.py here says nothing about a board.
    """
    program = compile_program(
        [recipe.features[column] for column in columns],
        recipe.streams,
        len(recipe.channels),
        recipe.fft_log2,
        recipe.fft_window,
    )
    section = model_pack.pack_features(
        {
            "streams": program.streams,
            "program": program.features,
            "fft_log2": program.fft_log2,
            "fft_window": program.fft_window,
        }
    )
    compiled = kernels.Program(section, len(recipe.channels), recipe.window)
    return kernels.measure_cost_us(compiled, windows), compiled.work_bytes


def agreement_of(
    file: bytes, windows: np.ndarray, code: custom.CustomCode | None
) -> dict[str, int]:
    """Count where a model file, the reference and emlearn's C differ on int16 windows."""
    forest = csvmodel.forest_of(model_format.parse(file))
    model = kernels.KernelModel(file)
    features = custom.features_of(model, windows, code)
    said = model.predict(features)
    theirs = agreement.compare_with_emlearn(forest, features, said["votes"])
    return {
        "windows": len(windows),
        "reference_differs": int(forest.predict(features).differs(said).sum()),
        "emlearn_differs": theirs.differ,
        "emlearn_differs_without_tie": theirs.differ_without_tie,
    }


def agreement_line(counts: dict[str, int]) -> str:
    """Return what `agreement_of` counted as a line for people."""
    n = counts["windows"]
    return (
        f"model.obm: the reference agrees in {n - counts['reference_differs']} of {n} windows, "
        f"emlearn's C in {n - counts['emlearn_differs']}, without exact ties of votes in "
        f"{n - counts['emlearn_differs_without_tie']}"
    )


def last_line(metrics: dict[str, Any], sizes: dict[str, int]) -> str:
    """Return the line that scripts read."""
    how = "loso" if metrics["validation"] == "leave_one_group_out" else "test"
    figures = {
        f"macro_f1_{how}": f"{metrics['macro_f1']:.3f}",
        f"accuracy_{how}": f"{metrics['accuracy']:.3f}",
        **sizes,
    }
    return " ".join(f"{key}={value}" for key, value in figures.items())


def file_sizes(file: bytes) -> dict[str, int]:
    """Return the sizes that the last line of `onebyte evaluate` names."""
    model = model_format.parse(file)
    nodes = sum(len(model.trees.nodes(i)) for i in range(model.n_trees))
    return {"model_bytes": len(file), "nodes": nodes, "features": model.n_features}


def committed_model(recipe: Recipe) -> bytes:
    """Return the model file beside the recipe."""
    path = Path(recipe.path).with_name("model.obm")
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"there is no {path}; run `onebyte train {path.parent}`") from error
