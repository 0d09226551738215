"""`onebyte run`: a script of this computer, executed on a board."""

import sys
from pathlib import Path

import click

from onebyte.arguments import port_option
from onebyte.errors import UserError


@click.command(short_help="a script on it")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@port_option
@click.option(
    "--silence",
    "silence_s",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Longest time without output, in seconds.",
)
def command(file: Path, port: str, silence_s: float) -> int:
    """Run a script on a board and show what it prints; Ctrl-C stops it.

    The node on the board is stopped; RESET starts it again. Nothing is written to its flash. The
    exit code is 1 when the script raises.

    \b
    Example: onebyte run blink.py
             onebyte run blink.py --port /dev/ttyACM0
    """
    from onebyte.boards.console import text_writer
    from onebyte.boards.link import DeviceError, open_board

    try:
        source = file.read_text(encoding="utf-8")
    except ValueError as error:
        raise UserError(f"{file} is no text in UTF-8") from error

    with open_board(port) as board:
        try:
            board.exec(source, silence_s, text_writer(sys.stdout))
        except DeviceError as error:
            click.echo(error.traceback.replace("\r\n", "\n").rstrip(), err=True)
            return 1
    return 0
