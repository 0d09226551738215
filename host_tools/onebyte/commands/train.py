"""`onebyte train`: from a recipe to a model file with its card."""

from pathlib import Path

import click

from onebyte.arguments import jobs_option, recipe_argument
from onebyte.training.progress import folds_bar


@click.command(short_help="recordings to a model")
@recipe_argument
@jobs_option
@click.option(
    "--quick",
    is_flag=True,
    help="Write model.obm only, without held-out figures, levels and card.",
)
def command(model: Path, jobs: int, quick: bool) -> None:
    """Train a model and write its file and card.

    Writes model.obm, holdout.obm, metrics.json, MODEL.md and its plots. MODEL is a folder with
    recipe.toml.

    \b
    Example: onebyte train models/exercise
    """
    from onebyte.training import recipe, train
    from onebyte.training.studio import finish, write_quick

    loaded = recipe.load(model)
    dataset, table = train.load_table(loaded)
    for note in dataset.notes:
        click.echo(note)
    if quick:
        click.echo(f"{write_quick(loaded, table)}: not calibrated, levels are a guess")
        return
    steps = len(dataset.groups) if loaded.validation == "leave_one_group_out" else 1
    with folds_bar(f"{loaded.name}: held-out folds", steps) as done:
        for line in finish(loaded, dataset, table, jobs, done):
            click.echo(line)
