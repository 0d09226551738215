"""`onebyte rollback`: old content under a new number."""

from pathlib import Path

import click

from onebyte.passphrases import Passphrases, passphrase_option

_file = click.Path(path_type=Path)


@click.command(short_help="old content, new seq")
@click.argument("old", type=_file)
@click.argument("out", type=_file)
@click.option("--current", required=True, type=_file, help="The release that the nodes run now.")
@click.option("--seq", type=click.IntRange(1), help="New number.  [default: one after --current]")
@click.option("--root-epoch", type=click.IntRange(1), help="Newest root document.")
@click.option("--key", "key_path", type=_file, help="Sign it with this private release key, too.")
@passphrase_option
def command(
    old: Path,
    out: Path,
    key_path: Path | None,
    passphrase_files: tuple[Path, ...],
    **options: object,
) -> None:
    """Release old content once more.

    A node never takes a number that it has seen, so the files of OLD come again under a new one,
    in OUT. Their content version must not lie below the security floor of --current.

    \b
    Example: onebyte rollback releases/4 releases/6 --current releases/5 --key keys/release.pem
    """
    from onebyte.updates import keys, packing, signing
    from onebyte.updates.release import Release

    current, made = Release(options.pop("current")), Release(out)  # type: ignore[arg-type]
    body = packing.roll_back(Release(old), current, out, **options)  # type: ignore[arg-type]
    for line in signing.summary(body):
        click.echo(line)
    if key_path is None:
        click.echo(f"{out}: packed, not signed yet")
        return
    key = keys.read_private(key_path, Passphrases(passphrase_files).of(str(key_path)))
    keys.write_file(made.signed_path, signing.sign_manifest(body, key))
    click.echo(f"{made.signed_path}: signed by key {key.key_id.hex()}")
