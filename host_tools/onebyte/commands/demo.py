"""`onebyte demo`: the whole path on this machine."""

from pathlib import Path

import click

from onebyte.arguments import demo_model_option

_DEFAULT_SPEED = 30


@click.command(short_help="on this machine")
@demo_model_option
@click.option(
    "--speed",
    type=click.IntRange(0, 1_000_000),
    default=_DEFAULT_SPEED,
    show_default=True,
    help="Times real time; 0 as fast as the node can.",
)
@click.option("--seconds", type=click.FloatRange(5), help="Play only so much of the recording.")
@click.option("--keep", is_flag=True, help="Keep the node's folder with its outbox and log.")
def command(model_folder: Path, speed: int, seconds: float | None, keep: bool) -> int:
    """Run broker, sensor node and host, and compare every byte.

    The node is the firmware on MicroPython's unix port; it plays the recording of a person whom
    its model was not trained on. The exit code is 1 when a byte was lost or wrong.

    \b
    Example: onebyte demo --speed 100
    """
    from rich.console import Console

    console = Console()
    # The imports take seconds of their own, in which nobody should wonder.
    with console.status("loading the recordings; the first time they are fetched"):
        from onebyte import toolchain
        from onebyte.simulation import demo, device, playback
        from onebyte.simulation.broker import Broker

        scene = demo.prepare(model_folder, seconds)
    folder = toolchain.ROOT / "build" / "demo"
    script = scene.script
    click.echo(f"model: {scene.model_path}, trained without group {scene.group}")
    click.echo(
        f"node: plays {script.duration_s / 60:.1f} minutes of group {scene.group}, "
        f"{len(script.expected)} windows, at {speed} times real time"
    )
    with demo.run_folder(folder, keep) as run, Broker() as broker:
        click.echo(f"broker: {broker.kind} on {broker.address}")
        lines = demo.DemoLines(scene, console)
        part, took_s = demo.perform(scene, broker, run / "node", speed, lines)
    demo.draw(scene, part, folder / "timeline.png")
    n_undecided = demo.decided(part).count(None)
    click.echo(f"kernels on the node: {device.describe_kernels(part.report)}; {took_s:.1f} s")
    click.echo(f"timeline: {folder / 'timeline.png'}")
    click.echo(
        f"accuracy: the decided class is the true one; {n_undecided} windows without a class "
        "count as wrong"
    )
    if keep:
        click.echo(f"node's folder: {part.node.folder}")
    click.echo(f"demo: {playback.summary([part])} accuracy={demo.score(part):.2f}")
    return 0 if part.lost == part.wrong == 0 else 1
