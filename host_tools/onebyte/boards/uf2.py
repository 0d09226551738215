"""UF2 files for the RP2040: every block is checked before the first one leaves.

The boot ROM ignores what it does not like and waits for ever for the rest, so a wrong file leaves
a board that is half written. Microsoft's UF2 specification and section 2.8 of the RP2040's data
sheet have the fields.
"""

import struct
from dataclasses import dataclass

from onebyte.errors import UserError

__all__ = ["BLOCK_BYTES", "FLASH_START", "MAGIC", "Uf2Image", "boot2_checksum", "parse_uf2"]

BLOCK_BYTES = 512
FLASH_START = 0x10000000
MAGIC = struct.pack("<II", 0x0A324655, 0x9E5D5157)

_HEADER = struct.Struct("<8I")  # two magics, flags, address, payload, number, count, family
_END_MAGIC = struct.pack("<I", 0x0AB16F30)
_FLAG_FAMILY = 0x2000
_FLAGS_OTHER = 0xFFFFFFFF & ~_FLAG_FAMILY
_PAGE_BYTES = 256  # the boot ROM takes no other payload
_MAX_BLOCKS = 16 * 1024 * 1024 // _PAGE_BYTES  # the RP2040 reaches 16 MiB of flash
_BOOT2_BYTES = 252  # a CRC-32 follows, without which the boot ROM does not start the flash

_RP2040 = 0xE48BFF56
_FAMILIES = {
    0xE48BFF57: "RP2350",
    0xE48BFF58: "RP2350",
    0xE48BFF59: "RP2350",
    0xE48BFF5A: "RP2350",
    0xE48BFF5B: "RP2350",
    0xC47E5767: "ESP32-S3",
    0xBFDD4EEE: "ESP32-S2",
    0x1C5F21B0: "ESP32",
    0xD42BA06C: "ESP32-C3",
    0x68ED2B88: "SAMD21",
    0x55114460: "SAMD51",
    0xADA52840: "nRF52840",
}


@dataclass(frozen=True)
class Uf2Image:
    """A UF2 file that an RP2040 takes.

    Attributes:
        name: The file's name, for messages.
        blocks: Its content, whole blocks of 512 bytes.
        size: Bytes that it puts into the flash, from the flash's start.
    """

    name: str
    blocks: bytes
    size: int

    chip = "RP2040"

    def check_fits(self, flash_bytes: int) -> None:
        """Refuse an image that is longer than the flash.

        Raises:
            UserError: it is.
        """
        if self.size > flash_bytes:
            raise UserError(
                f"{self.name} takes {self.size} bytes, the flash has {flash_bytes}; "
                "--flash-mib says how large a board's flash is"
            )


def parse_uf2(name: str, data: bytes) -> Uf2Image:
    """Check every block of a UF2 file.

    Args:
        name: The file's name, for messages.
        data: The file's content.

    Raises:
        UserError: cut off, a wrong magic, flag, number or address, another chip's family, a gap or
            an overlap, or a second stage whose checksum the boot ROM would refuse.
    """
    count, rest = divmod(len(data), BLOCK_BYTES)
    if rest or not count:
        raise UserError(f"{name} is cut off: {len(data)} bytes are no whole number of UF2 blocks")
    if count > _MAX_BLOCKS:
        raise UserError(f"{name} has {count} blocks; the RP2040 reaches {_MAX_BLOCKS}")
    for number in range(count):
        block = data[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
        problem = _find_problem(block, number, count)
        if problem:
            raise UserError(f"{name}, block {number} of {count}: {problem}")
    boot2 = data[_HEADER.size : _HEADER.size + _BOOT2_BYTES]
    checksum = data[_HEADER.size + _BOOT2_BYTES : _HEADER.size + _PAGE_BYTES]
    if boot2_checksum(boot2) != int.from_bytes(checksum, "little"):
        raise UserError(f"{name} would not start: its boot code (first 256 bytes) is damaged")
    return Uf2Image(name, data, count * _PAGE_BYTES)


def _find_problem(block: bytes, number: int, count: int) -> str | None:
    _, _, flags, address, payload, own_number, own_count, family = _HEADER.unpack_from(block)
    expected = FLASH_START + number * _PAGE_BYTES
    if not block.startswith(MAGIC) or not block.endswith(_END_MAGIC):
        return "no UF2 block (wrong magic number)"
    if not flags & _FLAG_FAMILY:
        return "does not say for which chip it is"
    if family != _RP2040:
        chip = _FAMILIES.get(family, "another chip")
        return f"made for {chip} (family 0x{family:08x}), not for RP2040"
    if flags & _FLAGS_OTHER:
        return f"flags 0x{flags:08x}, which the RP2040 does not write into its flash"
    if payload != _PAGE_BYTES:
        return f"{payload} bytes of payload; the RP2040 takes {_PAGE_BYTES}"
    if (own_number, own_count) != (number, count):
        return f"calls itself block {own_number} of {own_count}"
    if not FLASH_START <= address <= FLASH_START + (_MAX_BLOCKS - 1) * _PAGE_BYTES:
        return f"address 0x{address:08x} is outside the flash"
    if address != expected:
        what = "overlaps the blocks before" if address < expected else "leaves a gap"
        return f"address 0x{address:08x} {what}; 0x{expected:08x} was due"
    return None


def boot2_checksum(data: bytes) -> int:
    """Return the CRC-32 that the boot ROM compares: most significant bit first, not inverted."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc
