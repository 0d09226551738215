"""`onebyte repl`: MicroPython's prompt, by mpremote."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onebyte.arguments import port_option
from onebyte.errors import UserError

if TYPE_CHECKING:
    from onebyte.boards.transport import Transport


@click.command(short_help="MicroPython's prompt")
@port_option
@click.option(
    "--capture", type=click.Path(path_type=Path), help="Also write what is shown to this file."
)
def command(port: str, capture: Path | None) -> None:
    """Talk to MicroPython on a board; Ctrl-] or Ctrl-X leaves.

    This is `mpremote repl`. A node that runs goes on until you type Ctrl-C; afterwards it starts
    again with RESET or `import machine; machine.reset()`.

    \b
    Example: onebyte repl
             onebyte repl --port /dev/ttyACM0 --capture session.txt
    """
    from onebyte.boards.diagnosis import choose_port
    from onebyte.boards.transport import Transport

    # First, since it says why a port cannot be opened as every other command does.
    transport = Transport(choose_port(port))
    try:
        if not sys.stdin.isatty():
            raise UserError("a prompt needs a terminal; `onebyte run FILE` executes a script")
        if capture is not None:
            try:
                capture.touch()
            except OSError as error:
                raise UserError(f"cannot write {capture}: {error.strerror}") from error
        _talk(transport, capture)
    finally:
        transport.close()


def _talk(transport: "Transport", capture: Path | None) -> None:
    from mpremote import main, repl

    from onebyte.boards.ports import PORT_ERRORS

    state = main.State()
    # Not by its command line, which knows no socket:// and ends well when the board is lost.
    state.transport = transport
    arguments = main.argparse_repl().parse_args([])
    arguments.capture = capture
    try:
        repl.do_repl(state, arguments)
    except PORT_ERRORS as error:  # the port's own are a UserError already
        where = capture or "to the terminal"
        raise UserError(f"cannot write {where}: {error.args[-1]}") from error
    except UserError:
        click.echo()  # below what the board said last
        raise
