"""`onebyte build`: native modules, our unix port, boards' images; the Makefile calls it."""

import os
import platform
from pathlib import Path

import click

from onebyte import toolchain
from onebyte.crossbuild import firmware, natmods
from onebyte.errors import UserError
from onebyte.updates import product


@click.group(hidden=True)
def command() -> None:
    """Build what runs on the device side."""


@command.command()
@click.option("--arch", default="x64", show_default=True, help="MicroPython's architecture name.")
@click.option("--optional", is_flag=True, help="Say why and go on when it cannot be built.")
def natmod(arch: str, optional: bool) -> None:
    """Build the native modules (.mpy): the kernels, and the verification of signatures."""
    try:
        if optional and (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            raise UserError("this machine cannot run native modules of MicroPython")
        paths = [natmods.build(arch, None, module).path for module in natmods.MODULES]
    except UserError as error:
        if not optional or os.environ.get("CI") == "true":
            raise
        click.echo(f"Without the native module (slower, same results): {error}")
    else:
        for path in paths:
            click.echo(f"{path.relative_to(toolchain.ROOT)}: {path.stat().st_size} bytes")


@command.command("natmods")
@click.option("--arch", "archs", multiple=True, help="Only this architecture; may be repeated.")
def all_natmods(archs: tuple[str, ...]) -> None:
    """Build the native modules of every architecture into dist/natmods and print the sizes."""
    n_files = 0
    for module in natmods.MODULES:
        built = natmods.build_all(archs or natmods.ARCHS, module=module)
        n_files += len(built)
        click.echo(module)
        for line in natmods.table(built):
            click.echo(line)
    click.echo(f"natmods {n_files} in {natmods.DIST.relative_to(toolchain.ROOT)}")


@command.command("micropython-unix")
def micropython_unix() -> None:
    """Build MicroPython's unix port with the kernels inside."""
    click.echo(toolchain.build_unix_port(toolchain.micropython_source()))


@command.command("firmware")
@click.option("--board", required=True, help="A folder of boards/, for example pico_ppp.")
@click.option(
    "--extra-modules",
    multiple=True,
    type=click.Path(path_type=Path),
    help="micropython.cmake of a further C module; may be repeated.",
)
@click.option(
    "--product",
    "product_path",
    type=click.Path(path_type=Path),
    help="TOML file: what the node is and whom it trusts; then only what is signed for it runs.",
)
def board_firmware(board: str, extra_modules: tuple[Path, ...], product_path: Path | None) -> None:
    """Build the image of a board and print what it takes."""
    made = product.read(product_path) if product_path else None
    source = (made.name, made.module_text()) if made else None
    built = firmware.build(board, extra_modules, None, source)
    click.echo((firmware.DIST / f"{built.board}.uf2").relative_to(toolchain.ROOT))
    click.echo(firmware.summary(built))
