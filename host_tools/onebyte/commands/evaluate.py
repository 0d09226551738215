"""`onebyte evaluate`: recompute a model's held-out figures from the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onebyte.arguments import jobs_option, recipe_argument
from onebyte.training.progress import folds_bar

if TYPE_CHECKING:
    from onebyte.training.recipe import Recipe
    from onebyte.training.train import FeatureTable


@click.command(short_help="held-out figures again")
@recipe_argument
@jobs_option
@click.option("--seeds", type=click.IntRange(min=2), help="Also show seeds 1 to N of the recipe.")
def command(model: Path, jobs: int, seeds: int | None) -> None:
    """Compute the held-out figures of a recipe again.

    Every recording is predicted by a model that never saw its subject. MODEL is a folder with
    recipe.toml.

    \b
    Example: onebyte evaluate models/exercise
    """
    from onebyte.training import evaluate, recipe, report, train

    loaded = recipe.load(model)
    dataset, table = train.load_table(loaded)
    names = [name for name, _ in evaluate.folds(loaded, table.windows)]
    with folds_bar(f"{loaded.name}: held-out folds", len(names)) as done:
        outcome = evaluate.evaluate(loaded, table, jobs, done)
    metrics = report.measure(loaded, dataset, table, outcome)
    file = report.committed_model(loaded)
    for line in report.lines(metrics):
        click.echo(line)
    for line in _try_seeds(loaded, table, jobs, seeds or 0):
        click.echo(line)
    counts = report.agreement_of(file, table.windows.samples, loaded.custom)
    click.echo(report.agreement_line(counts))
    click.echo(report.last_line(metrics, report.file_sizes(file)))


def _try_seeds(loaded: Recipe, table: FeatureTable, jobs: int, seeds: int) -> Iterator[str]:
    """Say how much the figure owes to the seed: it is evaluated with 1 to `seeds`."""
    from onebyte.training import evaluate

    n_folds = len(evaluate.folds(loaded, table.windows))
    figures = []
    for seed in range(1, seeds + 1):
        changed = replace(loaded, classifier=replace(loaded.classifier, seed=seed))
        with folds_bar(f"seed {seed}", n_folds) as done:
            figures.append(evaluate.evaluate(changed, table, jobs, done).macro_f1)
        yield f"seed {seed}: macro F1 {figures[-1]:.3f}"
    if figures:
        mean = sum(figures) / seeds
        yield (
            f"seeds 1 to {seeds}: macro F1 of {min(figures):.3f} to {max(figures):.3f}, "
            f"mean {mean:.3f}"
        )
