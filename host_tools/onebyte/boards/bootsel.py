"""Flash an RP2040 in BOOTSEL mode: copy the blocks, see the drive vanish, ask who came back.

The boot ROM shows a drive, takes the blocks of a UF2 file, and starts the flash after the last
one: the drive goes away. That is its only receipt.
"""

import errno
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from onebyte.boards import find, ports
from onebyte.boards.uf2 import BLOCK_BYTES, Uf2Image
from onebyte.errors import UserError

__all__ = ["Comeback", "copy_image", "flash_drive"]

_CHUNK_BLOCKS = 64
_VANISH_S = 15.0
_COMEBACK_S = 6.0
_PAUSE_S = 0.1
_AFTER_PLUG = "hold BOOTSEL while plugging it in and flash it again; until then it does not start"

Progress = Callable[[int, int], None]


class DriveFile(Protocol):
    """A file on the drive, without a buffer of ours; a test's may fail like a drive."""

    def write(self, data: memoryview, /) -> int | None:
        """Write some of the bytes and return how many."""

    def fileno(self) -> int:
        """Return the descriptor."""

    def close(self) -> None:
        """Close it."""


def _open(path: Path) -> DriveFile:
    return path.open("wb", buffering=0)


@dataclass
class Comeback:
    """Which ports were there before, so that a new one belongs to a board that was flashed.

    The boot ROM's USB serial number is the same for every chip, so with several boards at once a
    new port is some one of them; each is counted once.
    """

    before: set[str] = field(
        default_factory=lambda: {one.where for one in find.find_ports(ask=False)}
    )
    wait_s: float = field(default_factory=lambda: _COMEBACK_S)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> find.Board | None:
        """Return a new port within the time; its detail has MicroPython's version if known."""
        deadline = time.monotonic() + self.wait_s
        found = None
        while time.monotonic() < deadline:
            with self._lock:
                now = find.find_ports(ask=False)
                found = found or next((one for one in now if one.where not in self.before), None)
                if found:
                    self.before.add(found.where)
            if found:
                again = _ask(found)
                if again:
                    return again
            time.sleep(_PAUSE_S)
        return found


def flash_drive(image: Uf2Image, drive: Path, progress: Progress, comeback: Comeback) -> str:
    """Copy an image to a drive, wait until the board has started it; return a line that says so.

    Args:
        image: A checked image.
        drive: The drive's folder.
        progress: Is called with the bytes copied and their total.
        comeback: Knows the ports from before.

    Raises:
        UserError: no BOOTSEL drive or another chip's, a drive that is full or went away, or one
            that stays although it has every block.
    """
    chip = find.drive_chip(drive)
    if chip is None:
        raise UserError(f"{drive} is no BOOTSEL drive: it has no {find.INFO} with a Board-ID")
    if chip != image.chip:
        raise UserError(
            f"{drive} is the boot loader of another chip ({chip}), {image.name} is for the "
            f"{image.chip}; nothing was written"
        )
    copy_image(image, drive, progress)
    _wait_until_gone(drive)
    line = f"{drive}: {image.chip}, {image.size} bytes written, the drive vanished"
    back = comeback.take()
    if back is None:
        return f"{line}; no serial port appeared"
    return f"{line}; {back.where} appeared: {back.detail}"


def copy_image(
    image: Uf2Image, drive: Path, progress: Progress, opener: Callable[[Path], DriveFile] = _open
) -> None:
    """Copy every block, the last one alone: the drive may vanish with it, and not before.

    Raises:
        UserError: the drive is full, or went away before the last block.
    """
    view = memoryview(image.blocks)
    last = len(view) - BLOCK_BYTES
    done = 0
    file = None
    try:
        file = opener(drive / "firmware.uf2")
        while done < len(view):
            step = _CHUNK_BLOCKS * BLOCK_BYTES
            end = len(view) if done >= last else min(done + step, last)
            _write_all(file, view[done:end])
            done = end
            progress(done, len(view))
        file.close()
    except OSError as error:
        if done < last or find.drive_chip(drive) is not None:
            raise UserError(_explain(drive, error, done, len(view))) from error
    finally:
        _close(file)


def _write_all(file: DriveFile, data: memoryview) -> None:
    while data:
        written = file.write(data)
        if not written:
            raise OSError(errno.ENOSPC, "the drive took nothing")
        data = data[written:]
    # Until here the blocks may be in the computer's memory only, and progress would lie.
    os.fsync(file.fileno())


def _close(file: DriveFile | None) -> None:
    if file is not None:
        try:
            file.close()
        except OSError:
            return  # the drive is gone; what that means was said


def _explain(drive: Path, error: OSError, done: int, total: int) -> str:
    how_far = f"after {done} of {total} bytes"
    if find.drive_chip(drive) is None:
        return f"{drive} went away {how_far}: is the board unplugged? {_AFTER_PLUG}"
    if error.errno == errno.ENOSPC:
        return f"{drive} is full {how_far}: unplug the board, {_AFTER_PLUG}"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission to write to {drive}: mount it for this user (nothing was written)"
    return f"{drive} takes no more {how_far} ({error.strerror or error}): {_AFTER_PLUG}"


def _wait_until_gone(drive: Path) -> None:
    deadline = time.monotonic() + _VANISH_S
    while find.drive_chip(drive) is not None:
        if time.monotonic() > deadline:
            raise UserError(
                f"{drive} has every block and is still there: the board did not start the image"
            )
        time.sleep(_PAUSE_S)


def _ask(board: find.Board) -> find.Board | None:
    """Return the board with MicroPython's version, None while it does not answer."""
    try:
        banner = ports.ask_banner(board.where)
    except UserError:
        return None  # a port that just appeared may not be ready
    if banner is None:
        return None
    detail = f"MicroPython {banner.version}, {banner.machine}"
    return find.Board(board.where, False, banner.chip, False, detail)
