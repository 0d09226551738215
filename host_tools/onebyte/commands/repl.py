"""`onebyte repl`: MicroPython's prompt, by mpremote."""

import sys
from pathlib import Path

import click

from onebyte.arguments import port_option
from onebyte.errors import UserError


@click.command(short_help="MicroPython's prompt")
@port_option
@click.option(
    "--capture", type=click.Path(path_type=Path), help="Also write what is shown to this file."
)
def command(port: str, capture: Path | None) -> int:
    """Talk to MicroPython on a board; Ctrl-] or Ctrl-X leaves.

    This is `mpremote repl`. A node that runs goes on until you type Ctrl-C; afterwards it starts
    again with RESET or `import machine; machine.reset()`.

    \b
    Example: onebyte repl
             onebyte repl --port /dev/ttyACM0 --capture session.txt
    """
    from onebyte.boards.diagnosis import choose_port
    from onebyte.boards.ports import open_port

    device = choose_port(port)
    open_port(device).close()  # says why it cannot be opened, as every other command does
    if not sys.stdin.isatty():
        raise UserError("a prompt needs a terminal; `onebyte run FILE` executes a script")
    if capture is not None:
        try:
            capture.touch()
        except OSError as error:
            raise UserError(f"cannot write {capture}: {error.strerror}") from error
    more = [] if capture is None else ["--capture", str(capture)]
    # `resume`: a soft reset would end the timer that feeds a stopped node's watchdog.
    return _mpremote(device, ["connect", device, "resume", "repl", *more])


def _mpremote(device: str, words: list[str]) -> int:
    from mpremote import main

    from onebyte.boards.ports import PORT_ERRORS

    ours, sys.argv = sys.argv, ["mpremote", *words]
    try:
        return int(main.main())
    except PORT_ERRORS as error:  # it trips over a port that is gone when it closes it
        raise UserError(f"{device}: the connection was lost; is the board unplugged?") from error
    finally:
        sys.argv = ours
