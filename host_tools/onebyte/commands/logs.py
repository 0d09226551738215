"""`onebyte logs`: what a board's console says."""

import sys

import click

from onebyte.arguments import port_option


@click.command(short_help="its console, untouched")
@port_option
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    help="End after so many seconds; else Ctrl-C ends it.",
)
def command(port: str, timeout_s: float | None) -> None:
    """Follow a board's console; the program on it is not interrupted.

    Nothing is sent to the board. When it restarts, its port is waited for. Decisions of a node
    without a network are lines that begin with ob1; `onebyte monitor --serial` decodes them.

    \b
    Example: onebyte logs
             onebyte logs --port /dev/ttyACM0 --timeout 60
    """
    from onebyte.boards.console import follow, text_writer

    follow(
        port, text_writer(sys.stdout), lambda line: click.echo(f"-- {line}", err=True), timeout_s
    )
