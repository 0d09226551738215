"""`onebyte fetch`: put what the device side needs into the cache and print where it is."""

import click

from onebyte import toolchain


@click.command(hidden=True)
@click.argument("what", type=click.Choice(["umqtt", "micropython"]))
def command(what: str) -> None:
    """Fetch umqtt or MicroPython's source; print the folder.

    The Makefile calls it.
    """
    if what == "umqtt":
        click.echo(toolchain.unpack_umqtt(toolchain.ROOT / "build"))
    else:
        click.echo(toolchain.micropython_source())
