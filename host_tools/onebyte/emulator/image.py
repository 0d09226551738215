"""Firmware files as the content of a flash."""

import struct
from pathlib import Path

from onebyte.errors import UserError

__all__ = ["FLASH_BYTES", "FLASH_START", "flash_image", "read_firmware"]

FLASH_START = 0x10000000
FLASH_BYTES = 2 * 1024 * 1024  # of a Pico

_BLOCK_BYTES = 512
_HEADER = struct.Struct("<8I")
_MAGIC = (0x0A324655, 0x9E5D5157)
_END_MAGIC = 0x0AB16F30
_NOT_MAIN_FLASH = 1
_RP2040_FAMILY = 0xE48BFF56
_HAS_FAMILY = 0x2000
_MAX_PAYLOAD = 476


def read_firmware(path: Path) -> bytes:
    """Return what a .uf2 or .bin file puts at the start of the flash.

    Raises:
        UserError: no such file, or not an image for this chip.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the firmware: {error}") from error
    if path.suffix == ".uf2":
        data = _from_uf2(path, data)
    if not 256 < len(data) <= FLASH_BYTES:
        raise UserError(f"{path}: {len(data)} bytes are no firmware for a flash of 2 MiB")
    return data


def flash_image(firmware: bytes, filesystem: bytes | None) -> bytes:
    """Return a whole flash: the firmware at its start, the file system at its end, ones between.

    Raises:
        UserError: the two do not fit.
    """
    tail = filesystem or b""
    gap = FLASH_BYTES - len(firmware) - len(tail)
    if gap < 0:
        raise UserError(f"firmware and file system are {-gap} bytes longer than the flash")
    return firmware + b"\xff" * gap + tail


def _from_uf2(path: Path, data: bytes) -> bytes:
    image = bytearray()
    for at in range(0, len(data), _BLOCK_BYTES):
        block = data[at : at + _BLOCK_BYTES]
        if len(block) < _BLOCK_BYTES:
            raise UserError(f"{path}: cut off within block {at // _BLOCK_BYTES}")
        fields = _HEADER.unpack_from(block)
        flags, address, size, family = fields[2], fields[3], fields[4], fields[7]
        end_magic = int.from_bytes(block[-4:], "little")
        if fields[:2] != _MAGIC or end_magic != _END_MAGIC or size > _MAX_PAYLOAD:
            raise UserError(f"{path}: block {at // _BLOCK_BYTES} is no UF2 block")
        if flags & _NOT_MAIN_FLASH:
            continue
        offset = address - FLASH_START
        if flags & _HAS_FAMILY and family != _RP2040_FAMILY:
            raise UserError(f"{path}: made for another chip (family 0x{family:08x})")
        if not 0 <= offset <= FLASH_BYTES - size:
            raise UserError(f"{path}: address 0x{address:08x} is outside the flash")
        image.extend(b"\xff" * (offset + size - len(image)))
        image[offset : offset + size] = block[_HEADER.size : _HEADER.size + size]
    return bytes(image)
