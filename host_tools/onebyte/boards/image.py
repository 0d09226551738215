"""An image file of any kind that we know, told by its content and not by its name."""

from pathlib import Path

from onebyte.boards import esp_image, uf2
from onebyte.errors import UserError

__all__ = ["Image", "read_image"]

Image = uf2.Uf2Image | esp_image.EspImage

_MAX_BYTES = 64 * 1024 * 1024  # above every flash of these chips, a UF2 file's headers included


def read_image(path: Path) -> Image:
    """Return a checked image.

    Raises:
        UserError: it cannot be read, is no image, or one that would not run on its chip.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read the image {path}: {error.strerror or error}") from error
    if len(data) > _MAX_BYTES:
        raise UserError(f"{path} is larger than every flash: no image")
    if data.startswith(uf2.MAGIC):
        return uf2.parse_uf2(path.name, data)
    if data.startswith(esp_image.MAGIC):
        return esp_image.parse_esp_image(path.name, data)
    raise UserError(f"{path} is no image: neither UF2 (RP2040) nor a .bin for the ESP32-S3")
