"""`onebyte sign`: put a signature under a release."""

from pathlib import Path

import click

from onebyte.errors import UserError
from onebyte.passphrases import Passphrases, passphrase_option


@click.command(short_help="a release for devices")
@click.argument("release", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "key_path",
    required=True,
    type=click.Path(path_type=Path),
    help="The private release key, a .pem file.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where the signed manifest goes.  [default: manifest beside the unsigned one]",
)
@passphrase_option
def command(
    release: Path, key_path: Path, out: Path | None, passphrase_files: tuple[Path, ...]
) -> None:
    """Sign the manifest of a release.

    RELEASE is a release folder, or its manifest.unsigned alone: nothing else is read, so this step
    can be done on a machine without a network. What is signed is printed.

    \b
    Example: onebyte sign releases/5 --key keys/release.pem
    """
    from onebyte.updates import keys, signing
    from onebyte.updates.release import SIGNED, UNSIGNED

    path = release / UNSIGNED if release.is_dir() else release
    try:
        body = signing.body_of(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise UserError(f"{path} is missing; onebyte pack makes a release") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    for line in signing.summary(body):
        click.echo(line)
    key = keys.read_private(key_path, Passphrases(passphrase_files).of(str(key_path)))
    target = out or path.with_name(SIGNED)
    content = signing.sign_manifest(body, key)
    keys.write_file(target, content)
    click.echo(f"{target}: signed by key {key.key_id.hex()}, {len(content)} bytes")
