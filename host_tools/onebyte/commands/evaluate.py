"""`onebyte evaluate`: recompute a model's held-out figures from the data."""

from pathlib import Path

import click

from onebyte.arguments import jobs_option, recipe_argument
from onebyte.training.progress import folds_bar


@click.command()
@recipe_argument
@jobs_option
def command(model: Path, jobs: int) -> None:
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
    click.echo(report.agreement_line(report.agreement_of(file, table.windows.samples)))
    click.echo(report.last_line(metrics, report.file_sizes(file)))
