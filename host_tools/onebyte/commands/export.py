"""`onebyte export`: a model's trees as CSV, or a subject's recordings for the replay source."""

from pathlib import Path

import click

from onebyte.errors import UserError


@click.command(short_help="a replay, or a CSV")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--csv", is_flag=True, help="Write the trees of model.obm as emlearn's CSV.")
@click.option(
    "--recording",
    "subject",
    metavar="SUBJECT",
    help="Write this subject's recordings as .obr, and the truth as .json beside it.",
)
def command(model: Path, out: Path, csv: bool, subject: str | None) -> None:
    """Write a recording for replay, or trees as CSV.

    MODEL is a folder with recipe.toml and model.obm, such as models/exercise, or with --csv also a
    model file.

    \b
    Example: onebyte export models/exercise 5.obr --recording 5
             onebyte export models/exercise trees.csv --csv
    """
    if csv == (subject is not None):
        raise click.UsageError("say either --csv or --recording SUBJECT")
    if csv:
        _export_csv(model, out)
    else:
        assert subject is not None
        _export_recording(model, out, subject)


def _export_csv(model: Path, out: Path) -> None:
    from formats import model as model_format
    from onebyte.training import csvmodel

    path = model / "model.obm" if model.is_dir() else model
    try:
        forest = csvmodel.forest_of(model_format.parse(path.read_bytes()))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    out.write_text(csvmodel.write(forest), encoding="ascii", newline="")
    click.echo(f"{out}: {len(forest.trees)} trees, {forest.n_nodes} nodes")
    if forest.rows:
        click.echo("emlearn-micropython reads only hard votes (leaf_bits = 0); these are rows")


def _export_recording(model: Path, out: Path, subject: str) -> None:
    from onebyte.training import datasets, export, recipe

    loaded = recipe.load(model)
    beside = export.write_recording(datasets.load(loaded), loaded, subject, out)
    click.echo(f"{out}: {out.stat().st_size} bytes; what is true: {beside}")
