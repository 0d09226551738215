"""`onebyte demo-rp2040`: the whole path with a real firmware image in the emulator."""

from pathlib import Path

import click

from onebyte.arguments import demo_model_option

_FIRMWARE = Path("dist/firmware/pico_ppp.uf2")
_DEFAULT_SECONDS = 130.0


@click.command(short_help="on an emulated Pico")
@demo_model_option
@click.option(
    "--firmware",
    type=click.Path(path_type=Path),
    help="Image with PPP, .uf2 or .bin.  [default: dist/firmware/pico_ppp.uf2]",
)
@click.option(
    "--seconds",
    type=click.FloatRange(5),
    default=_DEFAULT_SECONDS,
    show_default=True,
    help="Measure so much of the recordings.",
)
@click.option("--tls", is_flag=True, help="The board checks the broker's name and certificate.")
@click.option("--keep", is_flag=True, help="Keep the board's folder with its log.")
def command(
    model_folder: Path, firmware: Path | None, seconds: float, tls: bool, keep: bool
) -> int:
    """Run a Pico's image in the emulator, compare every byte.

    The broker is real, and the board runs the firmware's own instructions. An emulated MPU-6050 on
    its I2C bus measures what a person did whom the model was not trained on, an emulated modem on
    its UART speaks PPP. The exit code is 1 when a byte was lost or wrong.

    \b
    Example: onebyte demo-rp2040 --tls
    """
    from rich.console import Console

    console = Console()
    # The imports take seconds of their own, in which nobody should wonder.
    with console.status("loading the recordings; the first time they are fetched"):
        from onebyte import toolchain
        from onebyte.simulation import board_demo, demo, playback

        scene = demo.prepare(model_folder, seconds, True)
    image = firmware or toolchain.ROOT / _FIRMWARE
    board_demo.check_parts(image, scene)
    folder = toolchain.ROOT / "build" / "demo-rp2040"
    click.echo(f"model: {scene.model_path}, trained without group {scene.group}")
    click.echo(
        f"board: {image.name} in the emulator, an MPU-6050 measures "
        f"{scene.script.duration_s / 60:.1f} minutes of group {scene.group}, "
        f"{len(scene.script.expected)} windows"
    )
    with (
        demo.run_folder(folder, keep) as run,
        board_demo.open_broker(run / "tls", tls) as service,
    ):
        click.echo(f"broker: {service.description}")
        lines = demo.DemoLines(scene, console)
        options = board_demo.options_for(image, service)
        part, node = board_demo.perform(scene, options, service, run / "board", lines)
    demo.draw(scene, part, folder / "timeline.png")
    for line in board_demo.describe(part, node):
        click.echo(line)
    click.echo(f"timeline: {folder / 'timeline.png'}; accuracy {demo.score(part):.2f}")
    if keep:
        click.echo(f"board's folder: {node.folder}")
    click.echo(f"demo-rp2040: {playback.summary([part])}")
    return 0 if part.lost == part.wrong == 0 else 1
