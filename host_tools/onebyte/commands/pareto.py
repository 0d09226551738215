"""`onebyte pareto`: model size against held-out accuracy."""

from pathlib import Path

import click

from onebyte.arguments import jobs_option, recipe_argument
from onebyte.training.progress import folds_bar


@click.command(short_help="size against figures")
@recipe_argument
@jobs_option
@click.option(
    "--nested",
    is_flag=True,
    help="Also choose the setting without the held-out group; takes much longer.",
)
def command(model: Path, jobs: int, nested: bool) -> None:
    """Weigh a model's size against its figures.

    Tries a grid of features, trees, leaves and leaf resolutions and writes pareto.csv and a plot.
    MODEL is a folder with recipe.toml.

    \b
    Example: onebyte pareto models/exercise
    """
    from onebyte.training import evaluate, pareto, recipe, train

    loaded = recipe.load(model)
    _, table = train.load_table(loaded)
    settings = pareto.grid(loaded)
    names = [name for name, _ in evaluate.folds(loaded, table.windows)]
    with folds_bar(f"{len(settings)} settings", len(names)) as done:
        points, classes = pareto.sweep(loaded, table, settings, jobs, done)
    pareto.write(loaded, points, None)
    honest = None
    if nested and len(names) > 2:
        limit = loaded.classifier.limit_bytes
        choice = pareto.nested_grid(loaded)
        listed = [
            i
            for i, point in enumerate(points)
            if point.setting in choice and point.model_bytes <= limit
        ]
        with folds_bar("nested choice", len(names) * (len(names) - 1) // 2) as done:
            honest = pareto.nested(
                loaded,
                table,
                [points[i] for i in listed],
                [classes[i] for i in listed],
                jobs,
                done,
            )
    pareto.write(loaded, points, honest)
    for point in pareto.front(points):
        click.echo(f"{point.model_bytes:6d} bytes: macro F1 {point.macro_f1:.3f}, {point.setting}")
    small = pareto.smallest(points, 0.80)
    if small is not None:
        click.echo(f"smallest with macro F1 0.80: {small.model_bytes} bytes")
    if honest is not None:
        click.echo(
            f"nested choice within {honest.limit_bytes} bytes: macro F1 {honest.macro_f1:.3f}"
        )
