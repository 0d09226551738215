"""`onebyte demo-board`: from an empty chip to decisions of a model of one's own, emulated."""

from pathlib import Path

import click

_FIRMWARE = Path("dist/firmware/pico_ppp.uf2")
_FIRST_MODEL = Path("models/exercise/model.obm")


@click.command(short_help="empty chip to decisions")
@click.option(
    "--firmware",
    type=click.Path(path_type=Path),
    help="Image with PPP, .uf2.  [default: dist/firmware/pico_ppp.uf2]",
)
@click.option(
    "--seconds",
    type=click.FloatRange(30, 300),
    default=60.0,
    show_default=True,
    help="Record so much.",
)
@click.option("--keep", is_flag=True, help="Keep the folder with all that was made.")
def command(firmware: Path | None, seconds: float, keep: bool) -> int:
    """Take an emulated Pico from empty flash to decisions.

    Flash the image, provision, deploy the app, collect three labelled movements from the emulated
    IMU, train on them, deploy the new model, and compare the node's decisions with movements that
    the model was not trained on. Each step is the command that a board on the desk gets. The exit
    code is 1 when a step fails.

    \b
    Example: onebyte demo-board --keep
    """
    from onebyte import toolchain
    from onebyte.errors import UserError
    from onebyte.simulation import demo
    from onebyte.simulation.board_course import Course

    image = firmware or toolchain.ROOT / _FIRMWARE
    if not image.is_file():
        raise UserError(f"there is no image {image}: run make firmware BOARD=pico_ppp")
    with demo.run_folder(toolchain.ROOT / "build" / "demo-board", keep) as folder:
        first = toolchain.ROOT / _FIRST_MODEL
        course = Course(folder / "course", image, first, click.echo, seconds)
        try:
            course.run()
        except UserError as error:
            click.echo(f"failed: {error}", err=True)
        if keep:
            click.echo(f"all that was made: {course.folder}")
    click.echo(f"demo-board: {course.summary()}")
    return 0 if course.is_right else 1
