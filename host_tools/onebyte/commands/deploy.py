"""`onebyte deploy`: a release through the cable, tried and confirmed as one from the air."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onebyte.arguments import port_option
from onebyte.errors import UserError
from onebyte.passphrases import Passphrases, passphrase_option

if TYPE_CHECKING:
    from onebyte.boards.deploy_release import Standing
    from onebyte.boards.link import Board
    from onebyte.updates.release import SignedRelease

_path = click.Path(path_type=Path)
_FILES = ("model", "custom", "app", "app_folder", "native", "folder")


@click.command(short_help="app and model onto it")
@click.argument("release", required=False, type=_path)
@port_option
@click.option("--key", "key_path", type=_path, help="Release key that signs what is deployed.")
@click.option("--model", type=_path, help="Model file, checked as a node does.")
@click.option("--model-name", default="model.obm", show_default=True, help="Its name in the slot.")
@click.option("--custom", type=_path, help="custom.py of the model.")
@click.option("--app", is_flag=True, help="This repository's firmware/app, compiled.")
@click.option("--app-folder", type=_path, help="Another app's Python files, compiled.")
@click.option("--native", multiple=True, type=_path, help="Native module (.mpy); may be repeated.")
@click.option("--folder", type=_path, help="Files laid out as a slot: app/, model/, top/, ...")
@click.option("--fresh", is_flag=True, help="Keep nothing of what the running slot holds.")
@click.option("--content-version", type=int, help="Version of what the files are.")
@click.option("--tries", type=int, help="Starts of the trial.")
@click.option("--wait", "wait_s", default=180, show_default=True, help="Seconds for the trial.")
@click.option("--no-restart", is_flag=True, help="Arm it only: the next start tries it.")
@passphrase_option
def command(release: Path | None, port: str, wait_s: int, **options: Any) -> int:
    """Bring an app, modules or a model onto a board.

    Either RELEASE, a folder that `onebyte pack` and `onebyte sign` have made, or files, which are
    packed and signed with --key for what the board says it is; what the running slot holds besides
    stays. Only what the board does not have goes through the cable, and an interrupted copy goes
    on with the next call. The board verifies all of it, tries it, and goes back when it fails:
    then the exit status is 1.

    \b
    Example: onebyte deploy --model model.obm --key keys/release.pem
             onebyte deploy --app --model model.obm --key keys/release.pem --port /dev/ttyACM0
             onebyte deploy releases/5
    """
    _check_options(release, options)
    from onebyte.boards import deploy

    with deploy.open_settled(port, click.echo) as (board, standing):
        signed = _read(release) if release else _make(board, standing, options)
        seq = signed.manifest.manifest_seq
        _send(board, standing, signed)
        if options["no_restart"]:
            return 0
        board.restart()
        device = board.device
    try:
        deploy.wait_for_verdict(device, seq, wait_s, click.echo)
    except deploy.Refused as error:
        click.echo(f"onebyte: error: {error}", err=True)
        return 1
    click.echo(f"{device}: release {seq} is confirmed")
    return 0


def _check_options(release: Path | None, options: dict[str, Any]) -> None:
    given = [name for name in _FILES if options[name]]
    if release and (given or options["key_path"]):
        raise UserError("a RELEASE is signed already: give either that, or files and --key")
    if not release and not given:
        raise UserError("nothing to deploy: give a RELEASE, or --model, --app, ... and --key")
    if not release and options["key_path"] is None:
        raise UserError("files need --key, the release key that signs them (onebyte keygen)")


def _send(board: "Board", standing: "Standing", signed: "SignedRelease") -> None:
    from onebyte.boards import deploy
    from onebyte.boards.progress import bars

    with bars() as bar:
        sent = deploy.send(board, standing, signed, bar(board.device))
    click.echo(
        f"{board.device}: release {signed.manifest.manifest_seq} armed; {len(sent.objects)} "
        f"objects, {sent.n_bytes} bytes sent"
    )


def _read(folder: Path) -> "SignedRelease":
    from onebyte.updates.release import Release

    return Release(folder).signed()


def _make(board: "Board", standing: "Standing", options: dict[str, Any]) -> "SignedRelease":
    from onebyte.boards import deploy_release
    from onebyte.updates import keys

    files = _files(options, board.facts.arch)
    path = options["key_path"]
    key = keys.read_private(path, Passphrases(options["passphrase_files"]).of(str(path)))
    values = {name: options[name] for name in ("content_version", "tries") if options[name]}
    return deploy_release.make(board, standing, files, key, {**values, "fresh": options["fresh"]})


def _files(options: dict[str, Any], arch: str) -> list[Any]:
    """Return the files that the options name, compiled for the board."""
    from formats import manifest
    from onebyte import toolchain
    from onebyte.updates import sources

    compiler = sources.Compiler(arch or None)
    files = []
    if options["folder"]:
        files += sources.layout(options["folder"], compiler)
    if options["app"]:
        files += sources.app(toolchain.ROOT / "firmware" / "app", compiler)
    if options["app_folder"]:
        files += sources.app(options["app_folder"], compiler)
    if options["model"]:
        files.append(sources.single(manifest.MODEL, options["model"], options["model_name"]))
    if options["custom"]:
        files.append(sources.custom(options["custom"]))
    return files + [sources.single(sources.TOP, path) for path in options["native"]]
