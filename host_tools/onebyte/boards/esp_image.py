"""Whole images for the ESP32-S3: boot loader, partition table and app in one file for offset 0.

All of it is checked before a chip is touched: headers, chip, segments, checksums, the partition
table and its sizes. Espressif's "Firmware Image Format" and "Partition Tables" have the fields.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import xor

from onebyte.errors import UserError

__all__ = ["MAGIC", "EspImage", "Partition", "parse_esp_image"]

MAGIC = b"\xe9"

_CHIP = "ESP32-S3"
_CHIP_ID = 9
_CHIPS = {
    0: "ESP32",
    2: "ESP32-S2",
    5: "ESP32-C3",
    9: "ESP32-S3",
    12: "ESP32-C2",
    13: "ESP32-C6",
    16: "ESP32-H2",
    18: "ESP32-P4",
    20: "ESP32-C61",
    23: "ESP32-C5",
}
# magic, segments, mode, size and speed, entry, (pins), chip, (revisions), hash appended
_HEADER = struct.Struct("<BBBBI4xH9xB")
_SEGMENT = struct.Struct("<II")  # address, length
_MAX_SEGMENTS = 16
_CHECKSUM_START = 0xEF
_SHA256_BYTES = 32
_MIB = 1024 * 1024

_TABLE_START = 0x8000
_TABLE_BYTES = 0xC00
_ENTRY = struct.Struct("<2sBBII16sI")
_ENTRY_MAGIC = b"\xaa\x50"
_MD5_MAGIC = b"\xeb\xeb" + 14 * b"\xff"
_TYPE_APP = 0


@dataclass(frozen=True)
class Partition:
    """A line of the partition table; start and size in bytes."""

    label: str
    is_app: bool
    start: int
    size: int


@dataclass(frozen=True)
class EspImage:
    """An image that an ESP32-S3 takes at offset 0.

    Attributes:
        name: The file's name, for messages.
        data: Its content.
        flash_bytes: How large a flash it needs: what its header and its partitions say.
    """

    name: str
    data: bytes
    flash_bytes: int

    chip = _CHIP

    def check_fits(self, flash_bytes: int) -> None:
        """Refuse an image for a larger flash, which would not start.

        Raises:
            UserError: it is one.
        """
        needed = max(len(self.data), self.flash_bytes)
        if needed > flash_bytes:
            raise UserError(
                f"{self.name} is too large: made for a flash of {needed} bytes, "
                f"this one has {flash_bytes}"
            )


def parse_esp_image(name: str, data: bytes) -> EspImage:
    """Check a whole image.

    Args:
        name: The file's name, for messages.
        data: The file's content.

    Raises:
        UserError: no image, one for another chip, damaged, cut off, or an app without the boot
            loader and the partition table.
    """
    try:
        header_flash = _check_program(data)
    except ValueError as error:
        raise UserError(f"{name}: {error}") from error
    try:
        partitions = list(_parse_table(data))
        apps = [one for one in partitions if one.is_app and one.start < len(data)]
        if not apps:
            raise ValueError("no app in the file where the partition table says one is")
        for app in apps:
            content = data[app.start : app.start + app.size]
            if content.strip(b"\xff"):  # an erased slot is for updates
                _check_program(content)
    except ValueError as error:
        raise UserError(f"{name}: {error}") from error
    end = max(one.start + one.size for one in partitions)
    return EspImage(name, data, max(header_flash, end))


def _check_program(data: bytes) -> int:
    """Check a boot loader or an app and return the bytes of flash that its header names.

    Raises:
        ValueError: it is none for this chip, or damaged.
    """
    if len(data) < _HEADER.size or not data.startswith(MAGIC):
        raise ValueError("no ESP32 image (wrong magic number)")
    _, segments, _, size_speed, _, chip, has_hash = _HEADER.unpack_from(data)
    if chip != _CHIP_ID:
        other = _CHIPS.get(chip, f"another chip ({chip})")
        raise ValueError(f"made for {other}, not for {_CHIP}")
    if not 1 <= segments <= _MAX_SEGMENTS:
        raise ValueError(f"no ESP32 image ({segments} segments)")
    at = _HEADER.size
    checksum = _CHECKSUM_START
    for number in range(segments):
        end = at + _SEGMENT.size
        if end <= len(data):
            end += _SEGMENT.unpack_from(data, at)[1]
        if end > len(data):
            raise ValueError(f"cut off or damaged: segment {number} ends after the file")
        checksum = reduce(xor, data[at + _SEGMENT.size : end], checksum)
        at = end
    at += 16 - at % 16  # the checksum is the last byte of a line of 16
    if at > len(data) or data[at - 1] != checksum:
        raise ValueError("damaged: the checksum is wrong")
    digest = hashlib.sha256(data[:at]).digest()
    if has_hash and data[at : at + _SHA256_BYTES] != digest:
        raise ValueError("damaged: the SHA-256 is wrong")
    flash_bytes: int = _MIB << (size_speed >> 4)
    return flash_bytes


def _parse_table(data: bytes) -> Iterator[Partition]:
    """Yield the partitions.

    Raises:
        ValueError: no table, or a damaged one.
    """
    table = data[_TABLE_START : _TABLE_START + _TABLE_BYTES]
    if not table.startswith(_ENTRY_MAGIC):
        raise ValueError(
            "no partition table at 0x8000: an app alone (.app-bin) is for updates; "
            "take the board's whole .bin"
        )
    for at in range(0, len(table) - _ENTRY.size + 1, _ENTRY.size):
        entry = table[at : at + _ENTRY.size]
        if entry == _ENTRY.size * b"\xff":
            return
        if entry.startswith(_MD5_MAGIC):
            if entry[16:] != hashlib.md5(table[:at], usedforsecurity=False).digest():
                raise ValueError("damaged: the partition table's MD5 is wrong")
            return
        magic, kind, _, start, size, label, _ = _ENTRY.unpack(entry)
        if magic != _ENTRY_MAGIC or not size or start < _TABLE_START:
            raise ValueError(f"damaged: the partition table's line {at // _ENTRY.size} is wrong")
        yield Partition(_text(label), kind == _TYPE_APP, start, size)
    raise ValueError("damaged: the partition table has no end")


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("ascii", "replace")
