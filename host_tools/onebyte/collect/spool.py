"""What came so far, on disk while it comes: a program that is killed loses nothing of it.

A spool is a file of blocks, as a board keeps them on its flash, with the host's MARK blocks
between them. It is removed when its recordings are in the data set.
"""

import contextlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from onebyte.errors import UserError

__all__ = ["FOLDER", "Spool", "leftovers", "new_session", "write_whole"]

FOLDER = ".collect"
_SUFFIX = ".spool"


def new_session(folder: Path) -> str:
    """Return a name for a session that begins now, in UTC; none in `folder` has it."""
    name = datetime.now(UTC).strftime("%Y%m%dt%H%M%S")
    taken = {path.stem for path in (folder / FOLDER).glob("*")}
    taken |= {part for path in folder.rglob("*.*") for part in path.stem.split("_")}
    number, session = 1, name
    while session in taken:
        number += 1
        session = f"{name}-{number}"
    return session


class Spool:
    """An open spool; a context manager.

    Args:
        folder: of the data set; made if it is not there.
        session: its name.

    Raises:
        UserError: it cannot be written.
    """

    def __init__(self, folder: Path, session: str) -> None:
        self.path = folder / FOLDER / f"{session}{_SUFFIX}"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = self.path.open("xb", buffering=0)
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}") from error
        _lock(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, content: bytes) -> None:
        """Append; what does not fit as a whole is cut off again.

        Raises:
            UserError: the disk is full or fails.
        """
        at = self._file.tell()
        try:
            if self._file.write(content) != len(content):
                raise OSError("the disk is full")
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(at)
            reason = error.strerror or error
            raise UserError(f"{self.path}: {reason}; all before is kept") from error

    def sync(self) -> None:
        """Let it reach the disk."""
        os.fsync(self._file.fileno())


def leftovers(folder: Path) -> list[Path]:
    """Return the spools of sessions that ended without being stored and that nobody writes."""
    return [path for path in sorted((folder / FOLDER).glob(f"*{_SUFFIX}")) if not _is_locked(path)]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there as a whole or not at all.

    Raises:
        UserError: the disk is full or fails.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {error.strerror}") from error


if sys.platform == "win32":

    def _lock(file: IO[bytes]) -> None:
        """An open file cannot be opened for appending by another program there."""

    def _is_locked(path: Path) -> bool:
        try:
            path.rename(path)
        except OSError:
            return True
        return False

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _is_locked(path: Path) -> bool:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
        return False
