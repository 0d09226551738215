"""`onebyte rotate-keys`: the next root document, signed by one holder of keys after the other."""

from pathlib import Path
from typing import Any

import click

from onebyte.arguments import complete_path
from onebyte.passphrases import Passphrases, passphrase_option

_file = click.Path(path_type=Path)


@click.command(short_help="change trusted keys")
@click.argument("folder", type=_file)
@click.option("--add-root", multiple=True, type=_file, help="Public root key to add.")
@click.option(
    "--add-release",
    multiple=True,
    metavar="FILE[:CLASS[:TYPES]]",
    shell_complete=complete_path,
    help="Public release key to add, or to give another scope.",
)
@click.option("--remove", multiple=True, help="Key that signs nothing new any more: .pub or id.")
@click.option("--revoke", multiple=True, help="Key that may never be trusted again: .pub or id.")
@click.option("--threshold", type=click.IntRange(1, 8), help="Root keys that have to sign.")
@click.option(
    "--key", "key_paths", multiple=True, type=_file, help="Private root key to sign with."
)
@click.option("--discard", is_flag=True, help="Throw the draft away.")
@passphrase_option
def command(folder: Path, key_paths: tuple[Path, ...], discard: bool, **options: Any) -> None:
    """Make the next root document of FOLDER.

    It needs the signatures of enough root keys of the one in force, and enough of its own. The
    first call says what changes and signs with the keys at hand; as long as some are missing it
    leaves root.N.draft, which the next holder signs with --key alone. Every one sees what changes
    before he signs. Nodes fetch each root document in turn, so keep them all.

    \b
    Example: onebyte rotate-keys keys --revoke keys/release.pub --add-release new.pub:any:all \\
             --key keys/root-1.pem
             onebyte rotate-keys keys --key keys/root-2.pem
    """
    from onebyte.updates import ceremony

    passphrases = Passphrases(options.pop("passphrase_files"))
    if discard:
        click.echo(ceremony.discard(folder))
        return
    changes = ceremony.changes_of(**options)
    for line in ceremony.rotate(folder, changes, key_paths, passphrases.of):
        click.echo(line)
