"""`onebyte flash`: find boards, check an image, write it, and verify that it is there."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onebyte.arguments import complete_path
from onebyte.errors import UserError

if TYPE_CHECKING:
    from onebyte.boards import flash

_MIB = 1024 * 1024
_BAUDS = ["115200", "230400", "460800", "921600"]


@click.command(short_help="write an image")
@click.argument("image", required=False, type=click.Path(path_type=Path))
@click.option(
    "--port",
    "ports",
    multiple=True,
    shell_complete=complete_path,
    help="Port of an ESP32-S3; may be repeated.",
)
@click.option(
    "--drive",
    "drives",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of an RP2040's BOOTSEL drive; may be repeated.",
)
@click.option("--all", "take_all", is_flag=True, help="Flash every board the image is for.")
@click.option("--list", "only_list", is_flag=True, help="Show the boards and flash none.")
@click.option(
    "--flash-mib",
    default=2,
    show_default=True,
    type=click.IntRange(1, 16),
    help="Flash of an RP2040's board in MiB; an ESP32-S3 is asked.",
)
@click.option(
    "--baud",
    default="460800",
    show_default=True,
    type=click.Choice(_BAUDS),
    help="Speed of an ESP32-S3's port while writing.",
)
def command(image: Path | None, only_list: bool, **options: Any) -> None:
    """Find boards, write an image, verify it.

    IMAGE is a .uf2 file for an RP2040 in BOOTSEL mode or a whole .bin file for an ESP32-S3, from
    MicroPython's site or your own. It is checked before anything is erased. The files on the board
    lie behind the image and stay.

    \b
    Example: onebyte flash --list
             onebyte flash dist/firmware/pico_ppp.uf2
             onebyte flash ESP32_GENERIC_S3.bin --port /dev/ttyACM0
    """
    if only_list:
        _list_boards()
        return
    if image is None:
        raise UserError("which image? `onebyte flash --list` shows the boards that are there")
    _flash(image, options)


def _list_boards() -> None:
    from onebyte.boards import find

    boards = [*find.find_ports(), *find.find_drives()]
    hidden = find.unmounted_drives() if not any(one.is_drive for one in boards) else []
    if not boards and not hidden:
        raise UserError("no board found: plug one in, with a cable that carries data")
    for board in boards:
        click.echo(str(board))
    for path in hidden:
        click.echo(f"{path}: BOOTSEL mode, not mounted")


def _flash(path: Path, options: dict[str, Any]) -> None:
    from onebyte.boards import find, flash, progress
    from onebyte.boards.image import read_image
    from onebyte.boards.uf2 import Uf2Image

    image = read_image(path)
    if isinstance(image, Uf2Image):
        image.check_fits(options["flash_mib"] * _MIB)
    ports, drives = list(options["ports"]), [str(path) for path in options["drives"]]
    if ports or drives:
        flash.check_named(image, ports, drives)
        where = list(dict.fromkeys(ports + drives))
    else:
        where = flash.choose(image, [*find.find_ports(), *find.find_drives()], options["take_all"])
    with progress.bars() as bar_of:
        results = flash.flash_boards(image, where, bar_of, int(options["baud"]))
    _show(results)


def _show(results: "list[flash.Result]") -> None:
    """A line for each board; the failure of the only one is the command's own."""
    failed = [one for one in results if one.failed]
    if len(results) == 1 and failed:
        raise UserError(failed[0].line)
    for one in results:
        click.echo(f"{'FAILED' if one.failed else 'ok'} {one.line}")
    if failed:
        raise UserError(f"{len(failed)} of {len(results)} boards were not flashed")
