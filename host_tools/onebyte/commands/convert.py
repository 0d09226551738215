"""`onebyte convert`: put trees from emlearn's CSV into a model file."""

from pathlib import Path

import click

from onebyte.errors import UserError


@click.command(short_help="emlearn CSV to a model")
@click.argument("base", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("csv", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
def command(base: Path, csv: Path, out: Path) -> None:
    """Put the trees of a CSV into a model file.

    Writes OUT: the model file BASE with the trees of CSV.

    The CSV is what `onebyte export --csv` and emlearn's save(format="csv") write. Features, labels
    and decision stay those of BASE, so the trees must have been trained on its features.

    \b
    Example: onebyte convert model.obm trees.csv new.obm
    """
    from onebyte.training import csvmodel

    try:
        forest = csvmodel.read(csv.read_text(encoding="utf-8"), csv.name)
        file = csvmodel.replace_trees(base.read_bytes(), forest)
    except UnicodeDecodeError as error:
        raise UserError(f"{csv} is not text") from error
    except OSError as error:
        raise UserError(f"cannot read {error.filename}: {error.strerror}") from error
    out.write_bytes(file)
    click.echo(f"{out}: {len(file)} bytes")
