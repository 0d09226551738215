"""The folder `dl`: what is on its way, and what was tried in vain. docs/SPEC.md: Download.

`manifest` is the signed manifest of the release that goes to the slot now, and says that every
partial file there is of this release; `<i>.z` the packed form of its file i; `tried` the failures.
A manifest that was not accepted yet, and a root document, lie there under their object ids.
"""

import struct

from formats import signed
from formats.crc import crc32

MANIFEST = "manifest"
TRIED = "tried"
PACKED = ".z"

BLOCK_BYTES = 1024  # read or written at a time
_FOLDER = "dl"
_TRIED = "<32sIHBBII"
_TRIED_BYTES = 44
_IS_FOLDER = 0x4000
_EILSEQ = 84


class Tried:
    """How often a release was tried in vain, and why.

    Attributes:
        digest: SHA-256 of the signed manifest, zeros while nothing was tried.
        seq: Its seq as the want said it.
        reason: The last reason code.
        attempts: How many ended badly.
        is_settled: It is not tried any more.
        since_s: Uptime in seconds, deep sleep included, when that was settled.
    """

    def __init__(self, digest=bytes(32), seq=0) -> None:
        self.digest = digest
        self.seq = seq
        self.reason = 0
        self.attempts = 0
        self.is_settled = False
        self.since_s = 0


class Downloads:
    """The folder; nothing in it is needed, everything can be fetched again.

    Args:
        store: `ota.store.Store`.
    """

    def __init__(self, store) -> None:
        self._store = store
        self._files = store.files

    def path(self, name: str) -> str:
        """Return where a file of the folder lies."""
        return self._store.path("%s/%s" % (_FOLDER, name))

    def names(self) -> list:
        """Return what lies there."""
        return [entry[0] for entry in entries(self._files, self._store.path(_FOLDER))]

    def digest_of(self, name: str) -> bytes:
        """Return the SHA-256 of a file that lies there; empty when there is none."""
        return self._store.digest("%s/%s" % (_FOLDER, name))

    def read(self, name: str) -> bytes:
        """Return a signed document, empty when there is none or it is too long to be one."""
        content = self._store.read("%s/%s" % (_FOLDER, name), signed.MAX_BYTES)
        return content if content and len(content) <= signed.MAX_BYTES else b""

    def write(self, name: str, content) -> None:
        """Write a file beside the old one, then rename it."""
        self._store.write("%s/%s" % (_FOLDER, name), content)

    def remove(self, name: str) -> None:
        """Remove a file unless there is none."""
        remove(self._files, self.path(name))

    def clear(self) -> None:
        """Remove all but the failures."""
        for name in self.names():
            if name != TRIED:
                self._files.remove(self.path(name))

    def read_tried(self) -> Tried:
        """Return the failures; none when they cannot be read."""
        content = self.read(TRIED)
        if len(content) != _TRIED_BYTES + 4:
            return Tried()
        digest, seq, reason, attempts, is_settled, since_s, crc = struct.unpack(_TRIED, content)
        if crc != crc32(content[:-4]):
            return Tried()
        tried = Tried(digest, seq)
        tried.reason = reason
        tried.attempts = attempts
        tried.is_settled = bool(is_settled)
        tried.since_s = since_s
        return tried

    def write_tried(self, tried) -> None:
        """Remember the failures over a restart."""
        numbers = tried.seq, tried.reason, tried.attempts, tried.is_settled, tried.since_s
        content = struct.pack(_TRIED, tried.digest, *numbers, 0)[:-4]
        self.write(TRIED, content + struct.pack("<I", crc32(content)))


def entries(files, folder: str) -> list:
    """Return the entries of a folder, none when there is no such folder.

    Raises:
        OSError: it cannot be read, or a name in it is no UTF-8.
    """
    try:
        return list(files.ilistdir(folder))
    except ValueError:
        raise OSError(_EILSEQ) from None
    except OSError as error:
        if error.errno == 2:  # ENOENT
            return []
        raise


def is_folder(entry) -> bool:
    """Return whether an entry of `entries` is a folder."""
    return entry[1] == _IS_FOLDER


def length(files, path: str) -> int:
    """Return how long a file is, -1 when there is none."""
    try:
        found = files.stat(path)
    except OSError as error:
        if error.errno in (2, 20):  # ENOENT, ENOTDIR
            return -1
        raise
    return found[6]


def remove(files, path: str) -> None:
    """Remove a file unless there is none."""
    try:
        files.remove(path)
    except OSError as error:
        if error.errno != 2:  # ENOENT
            raise


def append(files, path: str, content) -> None:
    """Append to a file; durable when this returns."""
    with files.open(path, "ab") as file:
        file.write(content)
