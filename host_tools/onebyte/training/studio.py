"""A whole training run: held-out figures, calibration, model files, and what is said of them."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from onebyte.errors import UserError
from onebyte.training import card, evaluate, golden, report, train
from onebyte.training.datasets import Dataset
from onebyte.training.recipe import Recipe

__all__ = ["finish", "write_quick"]


def write_quick(recipe: Recipe, table: train.FeatureTable) -> Path:
    """Train on everything and write model.obm with default levels; no held-out figures."""
    everything = np.ones(len(table.windows), dtype=bool)
    fitted = train.fit(recipe, table, everything)
    rows = _golden_rows(recipe, table, everything)
    path = recipe.path.with_name("model.obm")
    path.write_bytes(train.build_model(recipe, fitted, train.Calibration(), rows))
    return path


def finish(
    recipe: Recipe,
    dataset: Dataset,
    table: train.FeatureTable,
    n_jobs: int,
    done: Callable[[str], None],
) -> list[str]:
    """Evaluate, train on everything, write all files beside the recipe; return lines to print."""
    if recipe.demo_group is not None and recipe.demo_group not in dataset.groups:
        raise UserError(
            f"[demo] group = {recipe.demo_group!r} has no recording; "
            f"there are {', '.join(dataset.groups)}"
        )
    outcome = evaluate.evaluate(recipe, table, n_jobs, done)
    metrics = report.measure(recipe, dataset, table, outcome)
    everything = _training_windows(recipe, table)
    calibration = evaluate.calibration_of(recipe, outcome, np.ones(len(table.windows), dtype=bool))
    fitted, file = _train_file(recipe, table, everything, calibration)
    _write(recipe, "model.obm", file)
    metrics["model"] = _describe(recipe, table, fitted, file, calibration)
    if recipe.demo_group is not None:
        others = table.windows.groups != recipe.demo_group
        held = evaluate.calibration_of(recipe, outcome, others)
        _, holdout = _train_file(recipe, table, everything & others, held)
        _write(recipe, "holdout.obm", holdout)
        metrics["holdout"] = {
            "group": recipe.demo_group,
            **report.file_sizes(holdout),
            "sha256": hashlib.sha256(holdout).hexdigest(),
        }
    text = json.dumps(metrics, indent=1, ensure_ascii=False) + "\n"
    _write(recipe, "metrics.json", text.encode())
    card.write(recipe, metrics)
    return [
        *report.lines(metrics),
        report.agreement_line(metrics["model"]["agreement"]),
        report.last_line(metrics, report.file_sizes(file)),
    ]


def _training_windows(recipe: Recipe, table: train.FeatureTable) -> np.ndarray:
    # With a given split the test half stays unseen, so that the figures are about this very file.
    if recipe.validation == "given_split":
        return np.asarray(table.windows.splits != "test")
    return np.ones(len(table.windows), dtype=bool)


def _train_file(
    recipe: Recipe, table: train.FeatureTable, chosen: np.ndarray, calibration: train.Calibration
) -> tuple[train.Fit, bytes]:
    fitted = train.fit(recipe, table, chosen)
    rows = _golden_rows(recipe, table, chosen)
    return fitted, train.build_model(recipe, fitted, calibration, rows)


def _golden_rows(recipe: Recipe, table: train.FeatureTable, chosen: np.ndarray) -> np.ndarray:
    rows = golden.pick_rows(table.windows.class_ids, chosen, recipe.golden_per_class)
    return np.asarray(table.values[rows])


def _describe(
    recipe: Recipe,
    table: train.FeatureTable,
    fitted: train.Fit,
    file: bytes,
    calibration: train.Calibration,
) -> dict[str, Any]:
    cost, work_bytes = report.cost_us(recipe, fitted.columns, table.windows.samples)
    return {
        **report.file_sizes(file),
        "sha256": hashlib.sha256(file).hexdigest(),
        "rows": len(fitted.forest.rows),
        "work_bytes": work_bytes,
        "feature_names": [recipe.features[column].name for column in fitted.columns],
        "host_us_per_window": round(cost, 1),
        "agreement": report.agreement_of(file, table.windows.samples, recipe.custom),
        "levels": list(calibration.levels),
        "novelty_threshold": calibration.novelty_threshold,
    }


def _write(recipe: Recipe, name: str, data: bytes) -> None:
    path = recipe.path.with_name(name)
    part = path.with_suffix(path.suffix + ".part")
    part.write_bytes(data)
    part.replace(path)
