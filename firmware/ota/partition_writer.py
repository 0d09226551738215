"""Writes an image into a partition so that nothing could start it before its hash is right.

Its first bytes are kept apart, in the partition's last block, until then. That block also says for
which image the partition is being written, and has a mark for each chunk that is there.
docs/adr/0022-firmware-in-two-partitions.md
"""

import hashlib

BLOCK_BYTES = 4096
CHUNK_BYTES = 1024  # a resume after a restart goes back to the beginning of one
INFO_SIZE = 3  # in Partition.info()

_ERASE = 6  # ioctl
_ERASED = 0xFF
_MAGIC = b"OBP\x1a"
_NOTE_BYTES = 48  # magic, u32 size, SHA-256, 8 bytes that stay erased
_HEAD_AT = 64
_HEAD_BYTES = 32  # the header of an image is 24 bytes
_MARKS_AT = 128  # one byte a chunk, erased until it is there


class Hash:
    """SHA-256 of the first `size` bytes of a partition, one block a step."""

    def __init__(self, partition, size, head=b""):
        self._partition = partition
        self._size = size
        self._head = head  # stands for the bytes at the beginning
        self._sha = hashlib.sha256()
        self._at = 0
        self._block = bytearray(BLOCK_BYTES)
        self._digest = None

    def step(self):
        """Return the hash, None while there is more."""
        if self._at < self._size:
            self._partition.readblocks(self._at // BLOCK_BYTES, self._block, 0)
            if self._at == 0:
                self._block[: len(self._head)] = self._head
            n_bytes = min(BLOCK_BYTES, self._size - self._at)
            self._sha.update(memoryview(self._block)[:n_bytes])
            self._at += n_bytes
        elif self._digest is None:
            self._digest = self._sha.digest()
        return self._digest


class Writer:
    """Writes one image, over restarts; each call is bounded.

    Every method may raise OSError: the flash failed, try later.

    Args:
        running: The partition that runs.
        other: The partition to write, an `esp32.Partition` or what has its methods.
        size: Of the image in bytes, 1 to `room_of(other)`.
        digest: Its SHA-256.

    Attributes:
        position: Bytes of the image that are safely there, None until `step` has found out.
    """

    def __init__(self, running, other, size, digest):
        assert 0 < size <= room_of(other)
        self._other = other
        self._size = size
        self._digest = digest
        self._last_block = other.info()[INFO_SIZE] // BLOCK_BYTES - 1
        self._hashes = [Hash(running, size), Hash(other, size)]
        self._head = None
        self._is_whole = False
        self.position = None

    def step(self):
        """Do one piece of finding out what is there; return whether `position` is known."""
        if self.position is not None:
            return True
        if self._hashes:
            found = self._hashes[0].step()
            if found == self._digest:
                # A release may come again with the same firmware.
                self._is_whole = True
                self.position = self._size
            elif found is not None:
                self._hashes.pop(0)
        else:
            self._read_note()
        return self.position is not None

    def write(self, data):
        """Write what follows on `position`."""
        assert self.position + len(data) <= self._size
        view = memoryview(data)
        while len(view):  # noqa: PLC1802 - whether one without bytes is false is a port's matter
            # One write never leaves a chunk, so a torn one is the last that there is.
            n_bytes = min(len(view), CHUNK_BYTES - self.position % CHUNK_BYTES)
            self._write_inside(view[:n_bytes])
            view = view[n_bytes:]

    def finish(self):
        """Read everything back; return whether it is the image, None: call again.

        What is not the image is forgotten: the next Writer begins anew.
        """
        if self._is_whole:
            return True
        if not self._hashes:
            self._begin_check()
        found = self._hashes[0].step()
        if found is None:
            return None
        self._hashes.pop()
        if found != self._digest:
            self._erase(self._last_block)
            return False
        if self._head is None:
            self._is_whole = True
            return True
        self._other.writeblocks(0, self._head, 0)
        self._head = None
        self._hashes = [Hash(self._other, self._size)]
        return None

    def _begin_check(self):
        self._head = bytearray(min(_HEAD_BYTES, self._size))
        self._other.readblocks(self._last_block, self._head, _HEAD_AT)
        self._hashes = [Hash(self._other, self._size, self._head)]

    def _note(self):
        return _MAGIC + self._size.to_bytes(4, "little") + self._digest + b"\xff" * 8

    def _read_note(self):
        """Go on where the note says, or note the image and begin."""
        block = bytearray(BLOCK_BYTES)
        self._other.readblocks(self._last_block, block, 0)
        if bytes(block[:_NOTE_BYTES]) == self._note():
            n_chunks = 0
            while block[_MARKS_AT + n_chunks] != _ERASED:
                n_chunks += 1
            self.position = min(n_chunks * CHUNK_BYTES, self._size)
            return
        self._erase(self._last_block)
        self._erase(0)  # what was there must not start
        self._other.writeblocks(self._last_block, self._note(), 0)
        self.position = 0

    def _write_inside(self, data):
        """Write inside one chunk. Where it is torn, the same bytes written again complete it."""
        block, at = divmod(self.position, BLOCK_BYTES)
        if at == 0:
            self._erase(block)
        skipped = 0
        if self.position < _HEAD_BYTES:
            skipped = min(len(data), _HEAD_BYTES - self.position)
            self._other.writeblocks(self._last_block, data[:skipped], _HEAD_AT + self.position)
        if len(data) > skipped:
            self._other.writeblocks(block, data[skipped:], at + skipped)
        end = self.position + len(data)
        if end % CHUNK_BYTES == 0 or end == self._size:
            mark = _MARKS_AT + self.position // CHUNK_BYTES
            self._other.writeblocks(self._last_block, b"\x00", mark)
        self.position = end

    def _erase(self, block):
        self._other.ioctl(_ERASE, block)


def room_of(partition):
    """Return the size of the largest image that the partition takes."""
    marked = (BLOCK_BYTES - _MARKS_AT - 1) * CHUNK_BYTES
    return min(partition.info()[INFO_SIZE] - BLOCK_BYTES, marked)
