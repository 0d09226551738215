"""Images for boards as their tools write them, for tests that then damage them."""

import hashlib
import random
import struct
from functools import reduce
from operator import xor

from onebyte.boards.uf2 import FLASH_START, boot2_checksum

RP2040 = 0xE48BFF56
ESP32_S3 = 9


def uf2_block(at: int, of: int, payload: bytes, **other: int) -> bytes:
    """Return one block; `other` replaces a field: flags, address, size, number, count, family."""
    fields = {
        "flags": 0x2000,
        "address": FLASH_START + 256 * at,
        "size": 256,
        "number": at,
        "count": of,
        "family": RP2040,
    } | other
    head = struct.pack("<8I", 0x0A324655, 0x9E5D5157, *fields.values())
    return head + payload.ljust(476, b"\0") + struct.pack("<I", 0x0AB16F30)


def uf2_blocks(count: int = 200, family: int = RP2040) -> list[bytes]:
    """Return the blocks of an image whose second stage the boot ROM accepts."""
    noise = random.Random(count)
    boot2 = noise.randbytes(252)
    pages = [boot2 + struct.pack("<I", boot2_checksum(boot2))]
    pages += [noise.randbytes(256) for _ in range(count - 1)]
    return [uf2_block(number, count, page, family=family) for number, page in enumerate(pages)]


def esp_program(chip: int = ESP32_S3, size: int = 3000, flash_code: int = 2) -> bytes:
    """Return a boot loader or an app of two segments; flash_code 2 means 4 MiB, 3 means 8 MiB."""
    noise = random.Random(size)
    segments = [noise.randbytes(size // 8 * 4) for _ in range(2)]
    image = struct.pack("<BBBBI", 0xE9, len(segments), 2, flash_code << 4, 0x40378000)
    image += struct.pack("<B3xHBHH4xB", 0xEE, chip, 0, 0, 0xFFFF, 1)
    for address, data in zip((0x3FC88000, 0x40378000), segments):
        image += struct.pack("<II", address, len(data)) + data
    image += bytes(15 - len(image) % 16)
    image += bytes([reduce(xor, b"".join(segments), 0xEF)])
    return image + hashlib.sha256(image).digest()


def partition_table(*rows: tuple[int, int, int, bytes]) -> bytes:
    """Return a table of rows (type, start, size, label) with its MD5."""
    table = b"".join(
        struct.pack("<2sBBII16sI", b"\xaa\x50", kind, 0, start, size, label, 0)
        for kind, start, size, label in rows
    )
    table += b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(table).digest()
    return table.ljust(0xC00, b"\xff")


ROWS = (
    (1, 0x9000, 0x6000, b"nvs"),
    (0, 0x10000, 0x1F0000, b"factory"),
    (1, 0x200000, 0x200000, b"vfs"),
)


def esp_image(
    chip: int = ESP32_S3, flash_code: int = 2, table: bytes | None = None, app: bytes | None = None
) -> bytes:
    """Return a whole image for offset 0: boot loader, partition table, app."""
    image = esp_program(chip, flash_code=flash_code).ljust(0x8000, b"\xff")
    image += table or partition_table(*ROWS)
    return image.ljust(0x10000, b"\xff") + (app or esp_program(chip, 60000))
