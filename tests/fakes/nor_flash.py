"""NOR flash in RAM for LittleFS, whose power, reads and blocks can fail.

An erase sets every bit of a block, a program only clears bits, and both may be cut. Runs on
MicroPython and on CPython.
"""

CLEAN = "clean"  # the operation did not begin
HALF = "half"  # the first half of its bytes is done
TORN = "torn"  # of every byte some bits are done
DONE = "done"  # it is done, but nobody was told
KINDS = (CLEAN, HALF, TORN, DONE)

# How a block can be bad: what the driver answers, or what it does not notice.
REFUSES = "refuses"  # erase and program fail and say so
SILENT = "silent"  # they do nothing and say nothing

_EIO = -5
_CORRUPT = -84  # what a driver answers for a bad block: LittleFS then takes another one

_IOCTL_BLOCK_COUNT = 4
_IOCTL_BLOCK_BYTES = 5
_IOCTL_ERASE = 6

_POOL_BYTES = 8192


class NorFlash:
    """Block device for `vfs.VfsLfs2`.

    After the cut every access answers EIO. It never raises itself: LittleFS also writes from
    finalisers, where an exception would go nowhere.

    Args:
        image: content to start from; None: erased.
        n_blocks: number of blocks, when there is no image.
        block_bytes: bytes in a block.
        cut: number of the write or erase during which power fails; -1 never.
        kind: one of `KINDS`.
        watch: called with (flash, operation) before each write or erase, or None. An operation is
            (offset, number of bytes, what is programmed or None for an erase).

    Attributes:
        image: what the flash holds.
        ops: writes and erases so far.
        reads: reads so far.
        dead: whether power has failed.
        bad_blocks: number of a block -> REFUSES or SILENT.
        failing_reads: numbers of the reads that fail, from 1 on.
        flipping_read: number of a read that says nothing and answers with one bit changed; 0 none.
        flips_at: which bit, in any range.
        flips_only: what the blocks begin with whose reads are listed in `flippable`.
        writable_ops: writes and erases until each further one fails and does nothing; -1: none.
        kind: how the power fails, one of `KINDS`.
    """

    def __init__(self, image=None, n_blocks=64, block_bytes=4096, cut=-1, kind=CLEAN, watch=None):
        self.image = bytearray(image if image is not None else b"\xff" * (n_blocks * block_bytes))
        self.block_bytes = block_bytes
        self.ops = 0
        self.reads = 0
        self.dead = False
        self.watch = watch
        self.wire = None
        self.bad_blocks = {}
        self.failing_reads = self.flips_only = ()
        self.flipping_read = self.flips_at = 0
        self.flippable = []
        self.writable_ops = -1
        self._n_blocks = len(self.image) // block_bytes
        self._view = memoryview(self.image)
        self._cut = cut
        self.kind = kind

    def cut_power(self, cut, kind=CLEAN):
        """Let power fail during the write or erase with this number from now on, 0 is the next."""
        self._cut, self.kind = self.ops + cut, kind

    def power_on(self):
        """Bring the power back; the content is as it was left."""
        self.dead = False
        self._cut = -1

    def readblocks(self, block, buf, offset=0):
        self.reads += 1
        if self.dead or self.reads in self.failing_reads:
            return _EIO
        at = block * self.block_bytes + offset
        buf[:] = self._view[at : at + len(buf)]
        if self.flips_only and self._may_flip(block):
            self.flippable.append(self.reads)
        if self.reads == self.flipping_read:
            buf[self.flips_at % len(buf)] ^= 1 << self.flips_at % 8
        return 0

    def _may_flip(self, block):
        at = block * self.block_bytes
        return True in [self.image[at : at + len(start)] == start for start in self.flips_only]

    def writeblocks(self, block, buf, offset=0):
        return self._change(block, (block * self.block_bytes + offset, len(buf), buf))

    def ioctl(self, op, arg):
        if op == _IOCTL_BLOCK_COUNT:
            return self._n_blocks
        if op == _IOCTL_BLOCK_BYTES:
            return self.block_bytes
        if op == _IOCTL_ERASE:
            return self._change(arg, (arg * self.block_bytes, self.block_bytes, None))
        return 0

    def _change(self, block, operation):
        if self.dead or not self.writable_ops:
            return _EIO
        self.writable_ops -= 1
        if self.watch:
            self.watch(self, operation)
        kind = DONE
        if self.ops == self._cut:
            self.dead = True
            kind = self.kind
        bad = self.bad_blocks.get(block)
        if bad is None:
            apply(self.image, operation, kind, self.ops)
        self.ops += 1
        if self.dead:
            return _EIO
        return _CORRUPT if bad == REFUSES else 0


class Wire:
    """The connection of one start of a node to a flash; the next start cuts it.

    What an earlier start has left open must not reach the flash when its memory is collected.
    """

    def __init__(self, flash):
        if flash.wire is not None:
            flash.wire.flash = None
        flash.wire = self
        self.flash = flash

    def readblocks(self, block, buf, offset=0):
        flash = self.flash
        return flash.readblocks(block, buf, offset) if flash else _EIO

    def writeblocks(self, block, buf, offset=0):
        return self.flash.writeblocks(block, buf, offset) if self.flash else _EIO

    def ioctl(self, op, arg):
        return self.flash.ioctl(op, arg) if self.flash else _EIO


def _make_pool():
    """Return random bytes, always the same."""
    pool = bytearray(_POOL_BYTES)
    state = 2463534242
    for i in range(_POOL_BYTES):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        pool[i] = state >> 24
    return bytes(pool)


_POOL = _make_pool()


def apply(image, operation, kind, seed):
    """Change `image` as an operation does that power interrupts in the way of `kind`.

    Args:
        image: content of the flash.
        operation: as for `watch` of `NorFlash`.
        kind: one of `KINDS`.
        seed: chooses the bits of TORN.
    """
    offset, n_bytes, content = operation
    if kind == CLEAN:
        return
    n = n_bytes // 2 if kind == HALF else n_bytes
    old = int.from_bytes(image[offset : offset + n], "little")
    mask = 0
    if kind == TORN:
        at = seed * 2657 % (_POOL_BYTES - n) if n < _POOL_BYTES else 0
        mask = int.from_bytes((_POOL * (n // _POOL_BYTES + 1))[at : at + n], "little")
    if content is not None:
        # The bits of the mask keep their charge.
        new = old & (int.from_bytes(content[:n], "little") | mask)
    elif kind == TORN:
        new = old | mask
    else:
        image[offset : offset + n] = b"\xff" * n
        return
    image[offset : offset + n] = new.to_bytes(n, "little")
