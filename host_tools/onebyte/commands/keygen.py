"""`onebyte keygen`: the keys that releases are signed with, and those of devices."""

from pathlib import Path

import click

from onebyte.arguments import TopicName, complete_path
from onebyte.passphrases import Passphrases, passphrase_option

_force = click.option("--force", is_flag=True, help="Overwrite files that are there.")


@click.group(short_help="keys for updates")
def command() -> None:
    """Make the keys that updates rest on.

    Root keys say which release keys are good, release keys sign releases. Private keys are written
    encrypted, and no command prints one or sends it anywhere.

    \b
    Example: onebyte keygen release keys/release
             onebyte keygen root keys --vendor 1 --release-key keys/release.pub
             onebyte keygen device keys/watch --tenant home --device watch
    """


@command.command("release")
@click.argument("base", type=click.Path(path_type=Path))
@passphrase_option
@_force
def release_key(base: Path, passphrase_files: tuple[Path, ...], force: bool) -> None:
    """Make a key pair: BASE.pem, which is secret, and BASE.pub.

    For signing releases, and also for a root key that its holder makes on a machine of his own.

    \b
    Example: onebyte keygen release keys/release
    """
    from onebyte.updates import keys

    keys.check_free([keys.private_path(base), keys.public_path(base)], force)
    key = keys.generate()
    passphrase = Passphrases(passphrase_files).new(str(keys.private_path(base)))
    keys.write_pairs([(base, key, passphrase)], force)
    _echo_pair(base, key.key_id)


@command.command("root")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--vendor", required=True, type=click.IntRange(1, 65535), help="Your number.")
@click.option(
    "--keys",
    "n_keys",
    default=3,
    show_default=True,
    type=click.IntRange(1, 8),
    help="How many root keys there are.",
)
@click.option(
    "--threshold",
    default=2,
    show_default=True,
    type=click.IntRange(1, 8),
    help="How many of them have to sign.",
)
@click.option(
    "--root-key",
    "held",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Public half of a root key that somebody else holds; counts among --keys.",
)
@click.option(
    "--release-key",
    "scopes",
    multiple=True,
    metavar="FILE[:CLASS[:TYPES]]",
    shell_complete=complete_path,
    help="Public release key, the class and the types that it may sign; may be repeated.",
)
@passphrase_option
@_force
def root_keys(folder: Path, **options: object) -> None:
    """Make root keys and the first root document.

    Writes root-1.pem, root-1.pub, ... and root.1 into FOLDER. Each root key has a passphrase of
    its own: move the .pem files to different places. With too few keys here, root.1.draft is
    written, and the others sign it with `onebyte rotate-keys`.

    \b
    Example: onebyte keygen root keys --vendor 1 --release-key keys/release.pub:any:all
             onebyte keygen root keys --vendor 1 --release-key models.pub:7:model,custom
    """
    from onebyte.updates import ceremony

    scopes, held = options.pop("scopes"), options.pop("held")
    passphrases = Passphrases(options.pop("passphrase_files"))  # type: ignore[arg-type]
    plan = ceremony.Plan(folder, scopes, held, **options)  # type: ignore[arg-type]
    for line in ceremony.make_root(plan, passphrases.new):
        click.echo(line)


@command.command("device")
@click.argument("base", type=click.Path(path_type=Path))
@click.option("--tenant", required=True, type=TopicName(), help="Whose it is.")
@click.option("--device", required=True, type=TopicName(), help="Its name in the topics.")
@click.option(
    "--der",
    type=click.Path(path_type=Path),
    help="Also write the key as a board's TLS reads it: not encrypted.",
)
@passphrase_option
@_force
def device_key(base: Path, tenant: str, device: str, der: Path | None, **options: object) -> None:
    """Make the TLS key of a device and the request for its certificate.

    Writes BASE.pem, encrypted, and BASE.csr for your certificate authority. The key is P-256,
    since the TLS of MicroPython's boards has no Ed25519.

    \b
    Example: onebyte keygen device keys/watch --tenant home --device watch
    """
    from onebyte.updates import keys

    force = bool(options["force"])
    request = base.with_name(base.name + ".csr")
    keys.check_free([keys.private_path(base), request, *([der] if der else [])], force)
    passphrases = Passphrases(options["passphrase_files"])  # type: ignore[arg-type]
    passphrase = passphrases.new(str(keys.private_path(base)))
    keys.write_device(base, (tenant, device), passphrase, der, force)
    click.echo(f"{keys.private_path(base)}: secret, encrypted")
    click.echo(f"{request}: request for a certificate")
    if der is not None:
        click.echo(f"{der}: secret, NOT encrypted: for the board alone, then delete it")


def _echo_pair(base: Path, key_id: bytes) -> None:
    from onebyte.updates import keys

    click.echo(f"{keys.private_path(base)}: secret, encrypted")
    click.echo(f"{keys.public_path(base)}: key {key_id.hex()}")
