"""`onebyte inspect`: everything in a model file or a recording, in words."""

import json
from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for scripts.")
def command(file: Path, as_json: bool) -> None:
    """Say what stands in a model file or a recording.

    A file that is refused gives one line with the reason and exit code 2.

    \b
    Example: onebyte inspect models/exercise/model.obm
    """
    from onebyte import inspect

    found = inspect.facts(file)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    from rich.console import Console

    from onebyte import inspect_text

    inspect_text.show(found, Console(highlight=False))
