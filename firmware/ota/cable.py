"""Installing over the console's cable: as over the air, but file by file, and asked for ahead.

A partial file is not kept: over a cable the next attempt has it again within a second.
"""

import io

from formats import errors, manifest, objects
from formats.crc import crc32
from formats.errors import OnebyteError
from ota import prepare
from ota.downloads import entries, is_folder
from ota.install import Install
from ota.store import make_folders
from ota.unpack import unpack_into

PIECE_BYTES = 4096
TIMEOUT = 110  # ETIMEDOUT

_PACKET_BYTES = 64  # of USB: what was sent of a packet arrives as a whole
_HEADER_BYTES = 16
_PATIENCE_MS = 10000
_QUIET_MS = 200
_IN_RAM_BYTES = 16384
_TRIES = 3


class Cable:
    """Objects over the console, on request.

    A request is a line, `desk get <id> <offset> <bytes>`. The answer has its length and its CRC-32
    as 8 hex digits each, then just those bytes, in which 03h, which is Ctrl-C, and 1Bh are 1Bh 'E'
    and 1Bh '['. So Ctrl-C always works.

    Args:
        stream: sys.stdin.buffer, or a test's.
        is_ready: function of milliseconds: whether there is something to read before they are
            over.
        window_bytes: how much may be asked for at once. From PIECE_BYTES on the console holds the
            sender back, and a second request may be on its way.

    Attributes:
        buffer: free between two pieces.
    """

    def __init__(self, stream, is_ready, window_bytes: int = PIECE_BYTES) -> None:
        self._stream = stream
        self._is_ready = is_ready
        self._window_bytes = min(window_bytes, PIECE_BYTES)
        self._asked: list = []
        self.buffer = memoryview(bytearray(PIECE_BYTES + 256))

    def fetch(self, wanted):
        """Yield the pieces of objects in order; `wanted` is a list of (object id, bytes).

        Raises:
            OSError: nobody answers, or what comes is damaged.
        """
        requests = self._requests(wanted)
        ahead = 2 if self._window_bytes == PIECE_BYTES else 1
        while True:
            while len(self._asked) < ahead:
                request = next(requests, None)
                if request is None:
                    break
                self._ask(request)
            if not self._asked:
                return
            yield self._take()

    def _requests(self, wanted):
        for name, n_bytes in wanted:
            for at in range(0, n_bytes, self._window_bytes):
                yield name, at, min(self._window_bytes, n_bytes - at)

    def _ask(self, request) -> None:
        print("desk get %s %d %d" % request)
        self._asked.append(request)

    def _take(self):
        """Return the answer to the oldest request."""
        for _ in range(_TRIES):
            piece = self._read_answer(self._asked[0][2])
            if piece is not None:
                self._asked.pop(0)
                return piece
            asked, self._asked = self._asked, []
            for request in asked:
                self._ask(request)
        raise OSError(5)  # EIO

    def _read_answer(self, n_bytes: int):
        header = bytes(self._read(_HEADER_BYTES))
        try:
            length, crc = int(header[:8], 16), int(header[8:], 16)
        except ValueError:
            length = 0
        if n_bytes <= length <= 2 * n_bytes:
            piece = bytes(self._read(length))
            # Faster than replace(), which looks for everything twice.
            piece = b"\x03".join(piece.split(b"\x1bE"))
            piece = b"\x1b".join(piece.split(b"\x1b["))
            if len(piece) == n_bytes and crc32(piece) == crc:
                return piece
        while self._is_ready(_QUIET_MS):  # the rest of a damaged answer
            self._stream.readinto(self.buffer[:1])
        return None

    def _read(self, n_bytes: int):
        if n_bytes > len(self.buffer):
            self.buffer = memoryview(bytearray(n_bytes))
        done = 0
        while done < n_bytes:
            if not self._is_ready(_PATIENCE_MS):
                raise OSError(TIMEOUT)
            end = min(n_bytes, done + _PACKET_BYTES)
            done += self._stream.readinto(self.buffer[done:end])
        return self.buffer[:n_bytes]


class _Stored(io.IOBase):
    """So many bytes of an iterator of pieces, as a stream."""

    def __init__(self, pieces, n_bytes: int) -> None:
        self._pieces = pieces
        self._left = n_bytes
        self._piece = memoryview(b"")

    def readinto(self, target):
        """Fill a part of a buffer; 0 at the end."""
        if not self._piece:
            if not self._left:
                return 0
            self._piece = memoryview(next(self._pieces))
            self._left -= len(self._piece)
        n_bytes = min(len(target), len(self._piece))
        target[:n_bytes] = self._piece[:n_bytes]
        self._piece = self._piece[n_bytes:]
        return n_bytes

    def gather(self) -> bytearray:
        """Return all of it."""
        content = bytearray(self._left)
        at = 0
        while self._left:
            piece = next(self._pieces)
            content[at : at + len(piece)] = piece
            at += len(piece)
            self._left -= len(piece)
        return content

    def drain(self) -> None:
        """Take what nobody has read: the next object follows it."""
        while self._left:
            self._left -= len(next(self._pieces))


class CableInstall(Install):
    """`Install` whose objects come from a `Cable` while it steps: it never asks for any."""

    def __init__(self, cable, *arguments) -> None:
        super().__init__(*arguments)
        self._cable = cable

    def _install(self):
        yield from prepare.prepare(
            self._store, self._slot, self._found, self._signed, self._digest
        )
        missing = yield from self._settle_known()
        wanted = [(objects.file_id(entry), entry[3]) for _, entry in missing]
        pieces = self._cable.fetch(wanted)
        folders = set()
        for path, entry in missing:
            folder = path.rsplit("/", 1)[0]
            if folder not in folders:
                make_folders(self._files, path)
                folders.add(folder)
            yield from self._write(path, entry, pieces)
            self.done_bytes += entry[3]
        # Whoever arms the slot reads all of it back.
        with self._files.open(self._store.manifest_path(self._slot), "wb") as file:
            file.write(self._signed)
        yield

    def _settle_known(self):
        """Return (path, entry) of each file that neither slot has; copy what the other one has."""
        slot = self._store.slot_path(self._slot)
        here = _sizes(self._files, slot)
        missing = []
        for entry in self._found.files:
            path = "%s/%s" % (slot, manifest.path(entry[0], entry[4]))
            if entry[0] == manifest.FIRMWARE:
                raise OnebyteError(errors.UPDATE_PARTITION, "firmware comes by `onebyte flash`")
            if here.get(path) == entry[2] and (yield from self._is_right(path, entry[5])):
                self.done_bytes += entry[3]
                continue
            source = self._find_copy(entry[2], entry[5])
            if source:
                make_folders(self._files, path)
            if source and (yield from self._copy(source, path, entry[2])):
                self.done_bytes += entry[3]
            else:
                missing.append((path, entry))
        return missing

    def _copy(self, source: str, path: str, size: int):
        """Copy a file of the other slot; False when that is not as long as it should be."""
        buffer = self._cable.buffer
        try:
            with self._files.open(source, "rb") as old, self._files.open(path, "wb") as new:
                while True:
                    n_bytes = old.readinto(buffer)
                    if not n_bytes:
                        break
                    new.write(buffer[:n_bytes])
                    size -= n_bytes
                    yield
        except OSError:
            return False
        return not size

    def _write(self, path: str, entry, pieces):
        _, codec, size, stored, _, _ = entry
        with self._files.open(path, "wb") as file:
            if codec == manifest.PLAIN:
                left = stored
                while left:
                    piece = next(pieces)
                    left -= len(piece)
                    file.write(piece)
                    yield
            else:
                stream = _Stored(pieces, stored)
                # The unpacker reads byte by byte.
                packed = io.BytesIO(stream.gather()) if stored <= _IN_RAM_BYTES else stream
                yield from unpack_into(packed, file, size, self._buffer, self.room)
                stream.drain()


def _sizes(files, slot: str) -> dict:
    """Return the length of each file in a slot's folders by its path."""
    found = {}
    for folder in entries(files, slot):
        if is_folder(folder):
            inner = "%s/%s" % (slot, folder[0])
            for entry in entries(files, inner):
                found["%s/%s" % (inner, entry[0])] = entry[3] if len(entry) > 3 else -1
    return found
