"""Images for boards: what is accepted, and each way in which a file is refused before a board."""

import struct
from pathlib import Path

import board_images
import pytest
from board_images import ROWS, esp_program, partition_table, uf2_block, uf2_blocks
from esptool.bin_image import LoadFirmwareImage

from onebyte.boards.esp_image import EspImage, parse_esp_image
from onebyte.boards.image import read_image
from onebyte.boards.uf2 import Uf2Image, boot2_checksum, parse_uf2
from onebyte.errors import UserError

MIB = 1024 * 1024


def swap(blocks: list[bytes], number: int, block: bytes) -> bytes:
    return b"".join([*blocks[:number], block, *blocks[number + 1 :]])


def test_boot_code_checksum_is_the_crc_of_the_data_sheet() -> None:
    # CRC-32/MPEG-2 of the check string, from the catalogue of parametrised CRC algorithms.
    assert boot2_checksum(b"123456789") == 0x0376E6E7


def test_uf2_that_is_right_is_accepted() -> None:
    image = parse_uf2("a.uf2", b"".join(uf2_blocks(200)))
    assert (image.chip, image.size, len(image.blocks)) == ("RP2040", 51200, 200 * 512)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"flags": 0}, "does not say for which chip"),
        ({"flags": 0x2001}, "flags 0x00002001"),
        ({"flags": 0xA000}, "flags 0x0000a000"),
        ({"address": 0x10000200}, r"overlaps the blocks before; 0x10000300 was due"),
        ({"address": 0x10000400}, "leaves a gap"),
        ({"address": 0x20000000}, "0x20000000 is outside the flash"),
        ({"address": 0x11000000}, "outside the flash"),
        ({"address": 0x0FFFFF00}, "outside the flash"),
        ({"size": 476}, "476 bytes of payload"),
        ({"number": 4}, "calls itself block 4 of 8"),
        ({"count": 9}, "calls itself block 3 of 9"),
        ({"family": 0xE48BFF59}, "made for RP2350"),
        ({"family": 0xC47E5767}, "made for ESP32-S3"),
        ({"family": 0x12345678}, r"another chip \(family 0x12345678\)"),
    ],
)
def test_uf2_with_one_wrong_field_is_refused(other: dict[str, int], reason: str) -> None:
    blocks = uf2_blocks(8)
    data = swap(blocks, 3, uf2_block(3, 8, b"x" * 256, **other))
    with pytest.raises(UserError, match=rf"^a\.uf2, block 3 of 8: .*{reason}"):
        parse_uf2("a.uf2", data)


@pytest.mark.parametrize("at", [0, 4, 511])
def test_uf2_with_a_wrong_magic_is_refused(at: int) -> None:
    blocks = uf2_blocks(4)
    damaged = bytearray(blocks[2])
    damaged[at] ^= 1
    with pytest.raises(UserError, match=r"block 2 of 4: no UF2 block"):
        parse_uf2("a.uf2", swap(blocks, 2, bytes(damaged)))


def test_uf2_that_is_cut_off_too_long_or_does_not_boot_is_refused() -> None:
    whole = b"".join(uf2_blocks(8))
    for data, reason in (
        (whole[:-1], "cut off"),
        (b"", "cut off"),
        (whole[:-512], "calls itself block 0 of 8"),
        (whole[:512] * 65537, "reaches 65536"),
        (whole[:40] + bytes([whole[40] ^ 1]) + whole[41:], "would not start"),
    ):
        with pytest.raises(UserError, match=reason):
            parse_uf2("a.uf2", data)


def test_image_larger_than_the_flash_is_refused() -> None:
    uf2 = Uf2Image("a.uf2", b"", 2 * MIB)
    uf2.check_fits(2 * MIB)
    with pytest.raises(UserError, match="takes 2097152 bytes, the flash has 2097151"):
        uf2.check_fits(2 * MIB - 1)
    esp = parse_esp_image("a.bin", board_images.esp_image())
    esp.check_fits(4 * MIB)
    with pytest.raises(UserError, match="made for a flash of 4194304 bytes, this one has 2097152"):
        esp.check_fits(2 * MIB)


def test_esp_image_that_is_right_is_accepted_here_and_by_esptool() -> None:
    data = board_images.esp_image()
    image = parse_esp_image("a.bin", data)
    assert (image.chip, image.flash_bytes) == ("ESP32-S3", 4 * MIB)
    other = LoadFirmwareImage("esp32s3", esp_program())
    assert other.chip_id == 9
    assert other.checksum == other.calculate_checksum()


@pytest.mark.parametrize(
    ("flash_code", "rows", "needed"),
    [(3, ROWS, 8 * MIB), (1, ROWS, 4 * MIB), (4, ROWS, 16 * MIB)],
)
def test_flash_that_an_image_needs_is_that_of_its_header_and_partitions(
    flash_code: int, rows: tuple, needed: int
) -> None:
    data = board_images.esp_image(flash_code=flash_code, table=partition_table(*rows))
    assert parse_esp_image("a.bin", data).flash_bytes == needed


@pytest.mark.parametrize(
    ("chip", "name"),
    [(0, "ESP32"), (2, "ESP32-S2"), (5, "ESP32-C3"), (99, r"another chip \(99\)")],
)
def test_esp_image_for_another_chip_is_refused(chip: int, name: str) -> None:
    with pytest.raises(UserError, match=rf"^a\.bin: made for {name}, not for ESP32-S3$"):
        parse_esp_image("a.bin", board_images.esp_image(chip))
    with pytest.raises(UserError, match=rf"made for {name}"):
        parse_esp_image("a.bin", board_images.esp_image(app=esp_program(chip)))


def changed(data: bytes, at: int, to: bytes) -> bytes:
    return data[:at] + to + data[at + len(to) :]


def test_esp_image_that_is_damaged_is_refused() -> None:
    whole = board_images.esp_image()
    no_apps = partition_table((1, 0x9000, 0x6000, b"nvs"))
    for data, reason in (
        (b"\xe9", "wrong magic number"),
        (whole[:20], "wrong magic number"),
        (changed(whole, 1, b"\0"), "0 segments"),
        (changed(whole, 1, b"\x11"), "17 segments"),
        (changed(whole, 28, struct.pack("<I", 0x7FFFFFFF)), "segment 0 ends after the file"),
        (changed(whole, 100, bytes([whole[100] ^ 1])), "checksum is wrong"),
        (changed(whole, 4, bytes([whole[4] ^ 1])), "SHA-256 is wrong"),
        (changed(whole, 0x10100, bytes([whole[0x10100] ^ 1])), "checksum is wrong"),
        (whole[:-200], "segment 1 ends after the file"),
        (esp_program(), "no partition table at 0x8000: an app alone"),
        (whole[:0x8000], "no partition table"),
        (whole[:0x8010], "no end"),
        (whole[:0x10000], "no app in the file"),
        (changed(whole, 0x8004, b"\x01"), "partition table's MD5 is wrong"),
        (changed(whole, 0x8020, b"\0"), "partition table's line 1 is wrong"),
        (board_images.esp_image(table=no_apps), "no app in the file"),
    ):
        with pytest.raises(UserError, match=reason) as error:
            parse_esp_image("a.bin", data)
        assert str(error.value).startswith("a.bin: ")


def test_erased_slot_for_an_update_is_no_damage() -> None:
    rows = (*ROWS[:2], (0, 0x200000, 0x100000, b"ota"))
    data = board_images.esp_image(table=partition_table(*rows)).ljust(0x210000, b"\xff")
    assert parse_esp_image("a.bin", data).flash_bytes == 4 * MIB


def test_kind_of_a_file_is_told_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "image.xyz"
    path.write_bytes(b"".join(uf2_blocks(4)))
    assert isinstance(read_image(path), Uf2Image)
    path.write_bytes(board_images.esp_image())
    assert isinstance(read_image(path), EspImage)


def test_file_that_is_no_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with pytest.raises(UserError, match=r"cannot read the image .*: No such file"):
        read_image(path)
    with pytest.raises(UserError, match=r"cannot read the image .*: Is a directory"):
        read_image(tmp_path)
    for content in (b"", b"\x7fELF", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="neither UF2"):
            read_image(path)
    with path.open("wb") as file:
        file.truncate(64 * MIB + 1)
    with pytest.raises(UserError, match="larger than every flash"):
        read_image(path)
