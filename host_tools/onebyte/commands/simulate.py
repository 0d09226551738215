"""`onebyte simulate`: many nodes at once, every byte checked."""

import tempfile
from pathlib import Path

import click

from onebyte.arguments import BrokerAddress

_DEFAULT_MODEL = Path("models/exercise")
_DEFAULT_PORT = 1883


@click.command(short_help="many nodes, checked")
@click.option(
    "-n", "--nodes", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many."
)
@click.option(
    "--broker",
    type=BrokerAddress(),
    help="A running broker without password; one of our own when left out.",
)
@click.option(
    "--model",
    "model_folder",
    type=click.Path(path_type=Path),
    help="Folder with recipe.toml and model.obm.  [default: models/exercise]",
)
@click.option(
    "--seconds",
    type=click.FloatRange(5),
    default=60.0,
    show_default=True,
    help="Length of each node's recording.",
)
@click.option(
    "--speed",
    type=click.IntRange(0, 1_000_000),
    default=10,
    show_default=True,
    help="Times real time; 0 as fast as the nodes can.",
)
def command(
    nodes: int,
    broker: tuple[str, int | None] | None,
    model_folder: Path | None,
    seconds: float,
    speed: int,
) -> int:
    """Run simulated nodes against a broker, every byte checked.

    Each node is a MicroPython process with the real firmware that plays another piece of the
    model's dataset. The exit code is 1 when a byte was lost or wrong.

    \b
    Example: onebyte simulate -n 20 --seconds 120
    """
    from onebyte import toolchain
    from onebyte.simulation import device, playback, simulate

    plan = simulate.Plan(model_folder or toolchain.ROOT / _DEFAULT_MODEL, nodes, seconds, speed)
    scripts = simulate.make_scripts(plan)
    click.echo(f"{nodes} nodes play {seconds:g} s each at {speed} times real time")
    with tempfile.TemporaryDirectory(prefix="onebyte-nodes-") as folder:
        address = None if broker is None else (broker[0], broker[1] or _DEFAULT_PORT)
        parts, took_s = simulate.run(plan, scripts, address, Path(folder))
    for part in parts:
        if part.lost or part.wrong:
            click.echo(f"{part.node.name}: {playback.summary([part])}")
    click.echo(f"kernels on the nodes: {device.describe_kernels(parts[0].report)}; {took_s:.1f} s")
    click.echo(f"simulate: nodes={nodes} {playback.summary(parts)}")
    return 0 if all(part.lost == part.wrong == 0 for part in parts) else 1
