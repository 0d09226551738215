"""What an RP2040 image takes of the chip, read from its ELF file."""

import struct
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from onebyte.errors import UserError

__all__ = ["Sizes", "check_fits", "measure"]

_FLASH = range(0x10000000, 0x11000000)
_RAM = range(0x20000000, 0x20042000)
_ALLOCATED = 2  # SHF_ALLOC
_STORAGE = "rp2_flash_obj"  # MicroPython's object of the filesystem's flash: type, start, length
_STORAGE_FIELDS = struct.Struct("<III")


@dataclass(frozen=True)
class Sizes:
    """Bytes of an image.

    Attributes:
        flash: What is written into the flash.
        data: RAM that starts with content from the flash, code included.
        bss: RAM that the program takes besides, without MicroPython's heap.
        filesystem_start: Where the filesystem begins in the flash.
        filesystem: Length of the filesystem.
    """

    flash: int
    data: int
    bss: int
    filesystem_start: int
    filesystem: int


def measure(elf: Path) -> Sizes:
    """Return the sizes of an image.

    Raises:
        UserError: it is no RP2040 image of MicroPython.
    """
    with elf.open("rb") as file:
        opened = ELFFile(file)
        segments = [one for one in opened.iter_segments("PT_LOAD") if one["p_filesz"]]
        ends = [one["p_paddr"] + one["p_filesz"] for one in segments if one["p_paddr"] in _FLASH]
        sections = [
            one
            for one in opened.iter_sections()
            if one["sh_flags"] & _ALLOCATED and one["sh_addr"] in _RAM
        ]
        storage = _read_storage(opened)
    if not ends or storage is None:
        raise UserError(f"{elf} is no RP2040 image of MicroPython")
    return Sizes(
        flash=max(ends) - _FLASH.start,
        data=sum(one["sh_size"] for one in sections if one["sh_type"] != "SHT_NOBITS"),
        bss=sum(one["sh_size"] for one in sections if one["sh_type"] == "SHT_NOBITS"),
        filesystem_start=storage[0],
        filesystem=storage[1],
    )


def check_fits(board: str, sizes: Sizes) -> None:
    """Refuse an image that reaches into the filesystem, which the linker lets pass.

    Raises:
        UserError: it does.
    """
    if sizes.flash > sizes.filesystem_start:
        raise UserError(
            f"the image for {board} is {sizes.flash - sizes.filesystem_start} bytes too large: "
            f"{sizes.flash} bytes, and the filesystem of {sizes.filesystem} bytes leaves "
            f"{sizes.filesystem_start}"
        )


def _read_storage(opened: ELFFile) -> tuple[int, int] | None:
    table = opened.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        return None
    for symbol in table.get_symbol_by_name(_STORAGE) or ():
        address = symbol["st_value"]
        for section in opened.iter_sections():
            offset = address - section["sh_addr"]
            if section["sh_flags"] & _ALLOCATED and 0 <= offset < section["sh_size"]:
                _, start, length = _STORAGE_FIELDS.unpack_from(section.data(), offset)
                return start, length
    return None
