"""`onebyte repl`: MicroPython's prompt, by mpremote."""

import subprocess
import sys

import click

from onebyte.arguments import port_option


@click.command(short_help="MicroPython's prompt")
@port_option
@click.option("--capture", type=click.Path(), help="Also write what is shown to this file.")
def command(port: str, capture: str | None) -> int:
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
    more = [] if capture is None else ["--capture", capture]
    # `resume`: a soft reset would end the timer that feeds a stopped node's watchdog.
    words = ["connect", device, "resume", "repl", *more]
    return subprocess.call([sys.executable, "-m", "mpremote", *words])
