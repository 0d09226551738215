"""A folder that behaves like an RP2040's BOOTSEL drive, and a file on it that fails like one."""

import errno
import os
import shutil
import threading
from pathlib import Path
from types import TracebackType

BLOCK = 512
INFO = "UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: {}\n"


def make_drive(folder: Path, board_id: str = "RPI-RP2") -> Path:
    """Make the folder with the files that the boot ROM shows."""
    folder.mkdir(parents=True)
    (folder / "INDEX.HTM").write_text("<html></html>")
    (folder / "INFO_UF2.TXT").write_text(INFO.format(board_id))
    return folder


class BootselDrive:
    """Collects the blocks of any file that appears, and vanishes once it has all of them."""

    def __init__(self, folder: Path, stays: bool = False) -> None:
        self.folder = make_drive(folder)
        self.flash: dict[int, bytes] = {}
        self.is_whole = threading.Event()
        self._stays = stays
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "BootselDrive":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._end.wait(0.01):
            for path in self.folder.glob("*.uf2"):
                self._collect(path.read_bytes())
            if self.is_whole.is_set() and not self._stays:
                shutil.rmtree(self.folder)
                return

    def _collect(self, data: bytes) -> None:
        for at in range(0, len(data) - BLOCK + 1, BLOCK):
            block = data[at : at + BLOCK]
            self.flash[int.from_bytes(block[12:16], "little")] = block[32 : 32 + 256]
            if len(self.flash) == int.from_bytes(block[24:28], "little"):
                self.is_whole.set()


class FailingFile:
    """A file on a drive that writes little at a time and fails after `limit` bytes.

    Args:
        path: Where the file is.
        limit: Bytes that it takes; None is no limit.
        code: The error after that; EIO also removes the folder, as unplugging does.
        most: Bytes that one call takes at most.
    """

    def __init__(
        self, path: Path, limit: int | None = None, code: int = errno.EIO, most: int = 700
    ) -> None:
        self._path = path
        self._file = path.open("wb", buffering=0)
        self._limit = limit
        self._code = code
        self._most = most
        self.taken = 0
        self.calls = 0

    def write(self, data: memoryview) -> int:
        self.calls += 1
        room = self._most if self._limit is None else min(self._most, self._limit - self.taken)
        if room <= 0:
            if self._code == errno.EIO:
                shutil.rmtree(self._path.parent)
            raise OSError(self._code, os.strerror(self._code))
        written = self._file.write(data[:room])
        self.taken += written
        return written

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()
