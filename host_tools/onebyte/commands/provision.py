"""`onebyte provision`: who a board is, which network and which broker."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onebyte.arguments import port_option
from onebyte.errors import UserError
from onebyte.passphrases import Passphrases, passphrase_option

if TYPE_CHECKING:
    from onebyte.boards.link import Board
    from onebyte.boards.profile import Profile, Target

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="who and where it is")
@port_option
@click.option("--file", "toml", type=_FILE, help="Take the values from this TOML file.")
@click.option("--csv", "table", type=_FILE, help="Many boards: a row for each.")
@click.option(
    "--set", "pairs", multiple=True, metavar="KEY=VALUE", help="One value; no secret. Repeatable."
)
@click.option("--ca", type=_FILE, help="Certificate of the authority to trust, PEM or DER.")
@click.option("--cert", type=_FILE, help="The node's own certificate, for a broker that asks.")
@click.option("--key", type=_FILE, help="Its private key, as `onebyte keygen device` makes it.")
@click.option("--update-ca", type=_FILE, help="The authority of an https server of releases.")
@click.option(
    "--product", type=_FILE, help="What product it is, for updates; TOML, or JSON and --root."
)
@click.option("--root", type=_FILE, help="The root document that its updates rest on.")
@click.option("--install", metavar="BOARD", help="First our files: pico_w or esp32_s3.")
@click.option("--fresh", is_flag=True, help="Keep nothing of what the board has.")
@click.option("--lock", is_flag=True, help="Lock the console: no Ctrl-C, no prompt.")
@click.option("--unlock", is_flag=True, help="Open a locked console; asks to press RESET.")
@click.option("--show", is_flag=True, help="Show what the board has, secrets left out.")
@click.option("--clear", is_flag=True, help="Remove it again; config.json counts then.")
@click.option("--no-restart", is_flag=True, help="Leave the board at its prompt.")
@passphrase_option
def command(port: str, passphrase_files: tuple[Path, ...], **options: Any) -> None:
    """Give a board its identity, network, broker and certificates.

    Without --file, --csv or --set it asks; passwords are not echoed, and never shown or logged.
    Everything is checked here and by the board's own code before it takes effect. docs/CONFIG.md
    lists the keys.

    \b
    Example: onebyte provision
             onebyte provision --file kitchen.toml --ca ca.pem --port /dev/ttyACM0
             onebyte provision --file house.toml --csv rooms.csv
             onebyte provision --install pico_w --file kitchen.toml
             onebyte provision --set sensor=mpu6050 --lock
    """
    _check_options(port, options)
    if options["show"] or options["clear"]:
        _look(port, options)
    elif options["unlock"]:
        _unlock(port, options)
    elif options["table"]:
        _provision_many(options, Passphrases(passphrase_files))
    else:
        _provision_one(port, options, Passphrases(passphrase_files))


def _check_options(port: str, options: dict[str, Any]) -> None:
    alone = [name for name in ("show", "clear", "unlock") if options[name]]
    others = [name for name in ("toml", "table", "pairs", "lock", "install") if options[name]]
    if len(alone) > 1 or (alone and others):
        raise UserError(f"--{alone[0]} goes with no other action")
    if port and options["table"]:
        raise UserError("--csv names its boards itself: in the columns port or unique_id")


def _look(port: str, options: dict[str, Any]) -> None:
    from onebyte.boards import node_config, provision
    from onebyte.boards.link import open_board, running_afterwards

    with open_board(port) as board, running_afterwards(board, not options["no_restart"]):
        if options["clear"]:
            click.echo(provision.clear(board))
        else:
            current = provision.read_current(board)
            source = f"sealed {current.number}" if current.number else "config.json"
            click.echo(f"# {board.device}: {source if current.values else 'no configuration'}")
            for line in node_config.shown(current.values):
                click.echo(line)


def _unlock(port: str, options: dict[str, Any]) -> None:
    from onebyte.boards import provision
    from onebyte.boards.catch import catch_board
    from onebyte.boards.link import running_afterwards
    from onebyte.boards.profile import Profile

    is_restarted = not options["no_restart"]
    with catch_board(port, click.echo) as board, running_afterwards(board, is_restarted):
        current = provision.read_current(board)
        if current.values.get("console") != "locked":
            click.echo(f"{board.device}: the console is open")
        else:
            click.echo(provision.apply(board, Profile({"console": "open"}), current))


def _provision_one(port: str, options: dict[str, Any], passphrases: Passphrases) -> None:
    from onebyte.boards import provision
    from onebyte.boards.link import open_board, running_afterwards

    profile = _profile(options, passphrases)
    asks = not (options["toml"] or options["pairs"] or profile.files or options["lock"])
    if asks and not options["install"] and not sys.stdin.isatty():
        raise UserError("no terminal to ask: use --file, --csv or --set")
    with open_board(port) as board, running_afterwards(board, not options["no_restart"]):
        if options["install"]:
            click.echo(_install(board, options["install"]))
            if asks:
                return
        current = provision.read_current(board)
        if asks:
            from onebyte.questions import ask

            known = {} if options["fresh"] else current.values
            profile = ask(board.facts, known, passphrases.of)
        click.echo(provision.apply(board, profile, current, options["fresh"]))


def _provision_many(options: dict[str, Any], passphrases: Passphrases) -> None:
    from onebyte.boards import provision
    from onebyte.boards.link import running_afterwards
    from onebyte.boards.profile import read_csv

    base = _profile(options, passphrases)
    targets = read_csv(options["table"], base, passphrases.of)

    def one(board: "Board", target: "Target") -> str:
        with running_afterwards(board, not options["no_restart"]):
            done = f"{_install(board, options['install'])}; " if options["install"] else ""
            current = provision.read_current(board)
            return done + provision.apply(board, target.profile, current, options["fresh"])

    results = provision.each(provision.match_boards(targets), one)
    for result in results:
        click.echo(f"{'FAILED' if result.failed else 'ok'} {result.line}")
    n_failed = sum(result.failed for result in results)
    if n_failed:
        raise UserError(f"{n_failed} of {len(results)} boards were not provisioned")


def _install(board: "Board", name: str) -> str:
    """Put our files on a board with MicroPython's own image; return a line."""
    from onebyte.boards import install
    from onebyte.boards.progress import bars

    with bars() as bar:
        work = install.install(board, name, bar(board.device))
    if work.note:
        click.echo(f"{board.device}: {work.note}", err=True)
    return str(work)


def _profile(options: dict[str, Any], passphrases: Passphrases) -> "Profile":
    """Return what the options say, the more special before the more general."""
    from dataclasses import replace

    from onebyte.boards import profile
    from onebyte.boards.product import check_product
    from onebyte.updates import product
    from onebyte.updates.keys import verify

    found = profile.Profile()
    if options["toml"]:
        found = profile.read_toml(options["toml"], passphrases.of)
    if options["product"] and options["product"].suffix == ".toml":
        described = product.read(options["product"])
        files = {"product": described.json_text(), "root": described.root}
        found = replace(found, files={**found.files, **files})
        options["product"] = None
    for name in profile.FILES:
        if options[name]:
            found = profile.add_file(found, name, options[name], passphrases.of)
    values = dict(found.values)
    for pair in options["pairs"]:
        key, value = profile.read_pair(pair)
        values[key] = value
    if options["lock"]:
        values["console"] = "locked"
    check_product(found.files, verify)
    return replace(found, values=values)
