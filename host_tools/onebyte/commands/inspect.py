"""`onebyte inspect`: everything in a file of ours or a native module, in words."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click


@click.command(short_help="what a file holds")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for scripts.")
def command(file: Path, as_json: bool) -> None:
    """Say what stands in a model, recording, release or key.

    A module is a .mpy file with native code.
    A release is its folder or manifest; signatures are shown, `onebyte verify` verifies them.
    A file that is refused gives one line with the reason and exit code 2.

    \b
    Example: onebyte inspect models/exercise/model.obm
    """
    from onebyte import inspect

    found = _native_facts(file) if file.suffix == ".mpy" else inspect.facts(file)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    from rich.console import Console

    from onebyte import inspect_text

    inspect_text.show(found, Console(highlight=False))


def _native_facts(file: Path) -> dict[str, Any]:
    from onebyte.crossbuild import mpyfile, natmods

    module = mpyfile.read(file)
    known = natmods.ARCHS.get(module.arch)
    chips = known.chips if known else None
    return {"file": str(file), "kind": "native module", **asdict(module), "chips": chips}
