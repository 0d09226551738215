"""`onebyte verify`: what a node would say to a release."""

import json
from pathlib import Path

import click


@click.command(short_help="whether devices take it")
@click.argument("release", type=click.Path(path_type=Path))
@click.option(
    "--roots",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder with root.1, root.2, ...",
)
@click.option(
    "--device",
    "device_path",
    type=click.Path(path_type=Path),
    help="JSON of a node: product.json with what else is known of it, or a message of its /u.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for scripts.")
def command(release: Path, roots: Path, device_path: Path | None, as_json: bool) -> None:
    """Check a signed release as a node does.

    First the chain of root documents, then the signature and what its key may sign, then every
    object. With --device also whether that node would take it. A release that is refused gives one
    line with the reason and exit code 2.

    \b
    Example: onebyte verify releases/5 --roots keys
             onebyte verify releases/5 --roots keys --device node.json
    """
    from onebyte.updates import verifying
    from onebyte.updates.release import Release
    from onebyte.updates.roots import read_chain

    device = verifying.read_device(device_path) if device_path else None
    found = verifying.verify(Release(release), read_chain(roots), device)
    if as_json:
        click.echo(json.dumps(found.as_json(), ensure_ascii=False))
        return
    for line in found.lines():
        click.echo(line)
