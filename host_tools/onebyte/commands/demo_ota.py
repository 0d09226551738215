"""`onebyte demo-ota`: updates of a running node, good ones and bad ones."""

import shutil
from pathlib import Path

import click

from onebyte.arguments import demo_model_option


@click.command(short_help="updates over the air")
@demo_model_option
@click.option(
    "--speed",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    help="Times real time.",
)
@click.option("--keep", is_flag=True, help="Keep the node's folder with its slots and log.")
def command(model_folder: Path, speed: int, keep: bool) -> int:
    """Update a running node, with good and bad releases.

    The node is the firmware on MicroPython's unix port, with two slots, a real broker, and a
    watchdog. It begins with a weak model and is offered ten releases: three are good, seven are
    bad in different ways. The exit code is 1 unless each is confirmed, reverted or refused for the
    right reason, and every decision has arrived and is what the host computes.

    \b
    Example: onebyte demo-ota --speed 20
    """
    from rich.console import Console

    # The imports take seconds of their own, in which nobody should wonder.
    with Console().status("loading the recordings; the first time they are fetched"):
        from onebyte import toolchain
        from onebyte.simulation import demo, ota_demo, ota_releases
        from onebyte.simulation.broker import Broker

        show = ota_demo.prepare(model_folder, speed)
    with demo.run_folder(toolchain.ROOT / "build" / "demo-ota", keep) as run, Broker() as broker:
        shutil.rmtree(run, ignore_errors=True)  # what is kept is that of the last run
        click.echo(f"broker: {broker.kind} on {broker.address}")
        vendor = ota_releases.Vendor(run / "vendor")
        steps = ota_releases.course(vendor, show.models, run / "apps")
        click.echo(
            f"node: plays group {show.scene.group} at {speed} times real time; its keys are "
            "files, so it is trust level L1"
        )
        click.echo(f"models: {ota_demo.models_line(show)}")
        play = ota_demo.perform(show, steps, vendor, (broker, run / "node"), click.echo)
        if keep:
            click.echo(f"node's folder: {run / 'node'}")
    for line in ota_demo.lines(play):
        click.echo(line)
    click.echo(f"demo-ota: {play.summary()}")
    return 0 if play.is_right else 1
