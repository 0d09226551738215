"""One image onto one board or several at once: which ones, in parallel, a result for each."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from onebyte.boards import bootsel, esp32, find
from onebyte.boards.image import Image
from onebyte.boards.uf2 import Uf2Image
from onebyte.errors import UserError

__all__ = ["Result", "check_named", "choose", "flash_boards"]

_TO_BOOTSEL = "hold BOOTSEL while plugging it in, or run `mpremote connect {} bootloader`"


@dataclass(frozen=True)
class Result:
    """What became of one board: a line, and whether it is a failure."""

    line: str
    failed: bool


def choose(image: Image, found: Sequence[find.Board], take_all: bool) -> list[str]:
    """Return where the boards are that this image is for.

    Args:
        image: A checked image.
        found: All boards.
        take_all: Flash several of them.

    Raises:
        UserError: none or too many; the message has those that do not fit, and the remedy.
    """
    if isinstance(image, Uf2Image):
        fitting = [one for one in found if one.is_drive and one.chip == image.chip]
    else:
        # A chip that is not known yet is asked before it is flashed.
        fitting = [one for one in found if one.is_esp and one.chip in (None, image.chip)]
    if not fitting:
        raise UserError(_explain_none(image, found))
    if len(fitting) > 1 and not take_all:
        names = ", ".join(one.where for one in fitting)
        raise UserError(
            f"several boards: {names}; name some with --port or --drive, or take --all"
        )
    return [one.where for one in fitting]


def _explain_none(image: Image, found: Sequence[find.Board]) -> str:
    if isinstance(image, Uf2Image):
        for one in found:
            if not one.is_drive and not one.is_esp and one.chip in (None, image.chip):
                remedy = _TO_BOOTSEL.format(one.where)
                return f"{one.where} ({one.detail}) is not in BOOTSEL mode: {remedy}"
        for path in find.unmounted_drives():
            return f"a board in BOOTSEL mode is there, but not mounted: mount {path}"
    if found:
        others = "; ".join(map(str, found))
        return f"no board found for {image.name}, which is for the {image.chip}. Found: {others}"
    return (
        f"no board found for {image.name}: plug an {image.chip} in, with a cable that carries data"
        f"{', holding BOOTSEL' if isinstance(image, Uf2Image) else ''}"
    )


def check_named(image: Image, ports: Sequence[str], drives: Sequence[str]) -> None:
    """Refuse places of the other kind of board than the image's.

    Raises:
        UserError: a port for an RP2040's image, which only its drive takes, or a drive for a
            port's image.
    """
    if isinstance(image, Uf2Image) and ports:
        raise UserError(
            f"{ports[0]} is a port, so the board is in the wrong mode for {image.name}, which an "
            f"{image.chip} takes as a BOOTSEL drive: {_TO_BOOTSEL.format(ports[0])}"
        )
    if drives and not isinstance(image, Uf2Image):
        raise UserError(
            f"{drives[0]} is a BOOTSEL drive, {image.name} is for an {image.chip}'s port (--port)"
        )


def flash_boards(
    image: Image,
    where: Sequence[str],
    progress_of: Callable[[str], Callable[[int, int], None]],
    baud: int = esp32.BAUD,
) -> list[Result]:
    """Flash boards at the same time; a board that fails does not stop the others.

    Args:
        image: A checked image.
        where: Ports for an ESP32-S3's image, folders of drives for an RP2040's.
        progress_of: Gives each board its callback of bytes done and total.
        baud: Speed of an ESP32-S3's port while writing.
    """
    if isinstance(image, Uf2Image):
        comeback = bootsel.Comeback()
        uf2 = image

        def flash_one(place: str) -> str:
            return bootsel.flash_drive(uf2, Path(place), progress_of(place), comeback)

    else:
        esp_image = image

        def flash_one(place: str) -> str:
            return esp32.flash_esp32(esp_image, place, progress_of(place), baud)

    def result_of(place: str) -> Result:
        try:
            return Result(flash_one(place), False)
        except UserError as error:
            return Result(str(error), True)

    if len(where) == 1:  # in this thread, so that Ctrl-C ends it
        return [result_of(where[0])]
    with ThreadPoolExecutor(len(where)) as pool:
        return list(pool.map(result_of, where))
