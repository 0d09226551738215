"""NOR-like flash in RAM for LittleFS, whose power can fail in the middle of any write or erase."""

CLEAN = "clean"  # the operation did not begin
TORN = "torn"  # half of it is done
BITS = "bits"  # an arbitrary part of its bits has changed
DONE = "done"  # it is done, but nobody was told
KINDS = (CLEAN, TORN, BITS, DONE)

_EIO = -5


class PowerCutFlash:
    """Block device for `vfs.VfsLfs2`.

    After the cut every access answers EIO. It never raises itself: LittleFS also writes from
    finalisers, where an exception would go nowhere.

    Args:
        image: content to start from; None: erased.
        n_blocks: number of blocks, when there is no image.
        block_bytes: bytes in a block.
        cut: number of the write or erase during which power fails; -1 never.
        kind: one of `KINDS`.
        watch: called with (flash, offset, content) before each write or erase, or None.
    """

    def __init__(self, image=None, n_blocks=64, block_bytes=4096, cut=-1, kind=CLEAN, watch=None):
        self.image = bytearray(image if image is not None else b"\xff" * (n_blocks * block_bytes))
        self.block_bytes = block_bytes
        self.ops = 0
        self.dead = False
        self._n_blocks = len(self.image) // block_bytes
        self._erased = b"\xff" * block_bytes
        self._view = memoryview(self.image)
        self._cut = cut
        self._kind = kind
        self._watch = watch

    def readblocks(self, block, buf, offset=0):
        if self.dead:
            return _EIO
        at = block * self.block_bytes + offset
        buf[:] = self._view[at : at + len(buf)]
        return 0

    def writeblocks(self, block, buf, offset=0):
        return self._change(block * self.block_bytes + offset, buf)

    def ioctl(self, op, arg):
        if op == 4:
            return self._n_blocks
        if op == 5:
            return self.block_bytes
        if op == 6:
            return self._change(arg * self.block_bytes, self._erased)
        return 0

    def _change(self, offset, content):
        if self.dead:
            return _EIO
        if self._watch:
            self._watch(self, offset, content)
        kind = DONE
        if self.ops == self._cut:
            self.dead = True
            kind = self._kind
        apply(self.image, offset, content, kind, self.ops)
        self.ops += 1
        return _EIO if self.dead else 0


def apply(image, offset, content, kind, seed):
    """Changes `image` as a write of `content` does that power interrupts in the way of `kind`."""
    n = len(content)
    if kind == DONE:
        image[offset : offset + n] = content
    elif kind == TORN:
        image[offset : offset + n // 2] = content[: n // 2]
    elif kind == BITS:
        state = seed * 2654435761 & 0xFFFFFFFF | 1
        for i in range(n):
            state ^= state << 13 & 0xFFFFFFFF
            state ^= state >> 17
            state ^= state << 5 & 0xFFFFFFFF
            mask = state >> 24
            image[offset + i] = content[i] & mask | image[offset + i] & ~mask & 0xFF
