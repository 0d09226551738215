"""Which boards there are: serial ports by their USB ids, BOOTSEL drives by their INFO_UF2.TXT."""

import os
import re
import string
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports

from onebyte.boards import ports
from onebyte.errors import UserError

__all__ = ["Board", "drive_chip", "find_drives", "find_ports", "unmounted_drives"]

INFO = "INFO_UF2.TXT"
_MAX_INFO_BYTES = 4096
_MOUNTS = Path("/proc/self/mounts")
_LABELS = Path("/dev/disk/by-label")
_BOARD_ID = re.compile(r"^Board-ID:\s*(\S+)", re.MULTILINE)
_DRIVE_CHIPS = {"RPI-RP2": "RP2040", "RP2350": "RP2350"}
_OTHER_CHIP = "unknown"


@dataclass(frozen=True)
class _UsbKind:
    name: str
    chip: str | None = None  # None: behind a bridge, or one of several chips
    is_esp: bool = False  # esptool may ask


_BRIDGE = "USB to UART bridge"
_USB_IDS = {
    (0x2E8A, 0x0005): _UsbKind("MicroPython on an RP2040 or RP2350"),
    (0x2E8A, 0x000A): _UsbKind("program of the Pico SDK", "RP2040"),
    (0x303A, 0x0009): _UsbKind("boot loader of the ESP32-S3", "ESP32-S3", is_esp=True),
    (0x303A, 0x1001): _UsbKind("Espressif's USB Serial/JTAG", is_esp=True),
    (0x303A, 0x4001): _UsbKind("MicroPython on an ESP32-S2 or ESP32-S3", is_esp=True),
    (0x10C4, 0xEA60): _UsbKind(f"{_BRIDGE} CP210x", is_esp=True),
    (0x1A86, 0x7523): _UsbKind(f"{_BRIDGE} CH340", is_esp=True),
    (0x1A86, 0x55D3): _UsbKind(f"{_BRIDGE} CH343", is_esp=True),
    (0x1A86, 0x55D4): _UsbKind(f"{_BRIDGE} CH9102", is_esp=True),
    (0x0403, 0x6001): _UsbKind(f"{_BRIDGE} FT232", is_esp=True),
    (0x0403, 0x6015): _UsbKind(f"{_BRIDGE} FT231X", is_esp=True),
}


@dataclass(frozen=True)
class Board:
    """A board that was found.

    Attributes:
        where: Its port or the folder of its drive.
        is_drive: It is in BOOTSEL mode.
        chip: Its chip where that is known.
        is_esp: esptool may ask it.
        detail: MicroPython's version, or what the USB ids say, or why it cannot be asked.
    """

    where: str
    is_drive: bool
    chip: str | None
    is_esp: bool
    detail: str

    def __str__(self) -> str:
        return f"{self.where}: {self.chip or 'chip not known yet'}, {self.detail}"


def find_ports(ask: bool = True) -> list[Board]:
    """Return the serial ports whose USB ids are those of a board.

    A port of another kind is never opened. A program that runs on a board is not interrupted.

    Args:
        ask: Open each port and ask for MicroPython's version.
    """
    found = sorted(list_ports.comports(), key=lambda port: port.device)
    return [
        _look_at(port.device, kind, ask)
        for port in found
        if (kind := _USB_IDS.get((port.vid or 0, port.pid or 0)))
    ]


def _look_at(device: str, kind: _UsbKind, ask: bool) -> Board:
    chip, detail = kind.chip, kind.name
    try:
        banner = ports.ask_banner(device) if ask else None
    except UserError as error:
        return Board(device, False, chip, kind.is_esp, str(error).removeprefix(f"{device} "))
    if banner:
        chip = banner.chip.replace("ESP32S3", "ESP32-S3")
        detail = f"MicroPython {banner.version}, {banner.machine}"
    return Board(device, False, chip, kind.is_esp, detail)


def find_drives() -> list[Board]:
    """Return the mounted drives of boards in BOOTSEL mode."""
    drives = []
    for folder in sorted(set(_mount_points())):
        chip = drive_chip(folder)
        if chip:
            drives.append(Board(str(folder), True, chip, False, "BOOTSEL mode"))
    return drives


def drive_chip(folder: Path) -> str | None:
    """Return the chip behind a BOOTSEL drive, `unknown` for another boot loader, None for none."""
    try:
        with (folder / INFO).open("rb") as file:
            text = file.read(_MAX_INFO_BYTES).decode("ascii", "replace")
    except OSError:
        return None
    found = _BOARD_ID.search(text)
    return _DRIVE_CHIPS.get(found[1], _OTHER_CHIP) if found else None


def unmounted_drives() -> list[Path]:
    """Return the BOOTSEL drives that Linux sees; the caller knows that none is mounted."""
    return [path for name in _DRIVE_CHIPS if (path := _LABELS / name).exists()]


def _mount_points() -> Iterator[Path]:
    if sys.platform == "win32":
        yield from (Path(f"{letter}:/") for letter in string.ascii_uppercase)
        return
    if sys.platform == "darwin":
        yield from Path("/Volumes").iterdir()
        return
    for line in _MOUNTS.read_bytes().splitlines():
        fields = line.split(b" ")
        if len(fields) > 2 and fields[2] in (b"vfat", b"msdos"):
            # A space or a backslash in a name is written as \040 and so on.
            raw = re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), fields[1])
            yield Path(os.fsdecode(raw))
