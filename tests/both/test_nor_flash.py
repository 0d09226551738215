"""The flash that the power cuts are made on behaves as NOR flash does."""

from check import Skip
from nor_flash import CLEAN, DONE, HALF, KINDS, REFUSES, SILENT, TORN, NorFlash, Wire, apply

_ERASE = 6
_OLD = bytes([0xF0] * 16)
_NEW = bytes([0x3C] * 16)


def written(kind):
    """Return 16 bytes that held _OLD after a program of _NEW that was cut in this way."""
    image = bytearray(_OLD)
    apply(image, (0, 16, _NEW), kind, 5)
    return bytes(image)


def erased(kind):
    """Return 16 bytes that held _OLD after an erase that was cut in this way."""
    image = bytearray(_OLD)
    apply(image, (0, 16, None), kind, 5)
    return bytes(image)


def test_a_program_only_clears_bits():
    assert written(CLEAN) == _OLD
    assert written(DONE) == bytes([0x30] * 16)
    assert written(HALF) == bytes([0x30] * 8 + [0xF0] * 8)
    torn = written(TORN)
    assert torn not in (written(CLEAN), written(DONE), written(HALF))
    assert all([byte & 0x30 == 0x30 and byte & 0x0F == 0 for byte in torn])


def test_only_an_erase_sets_bits():
    assert erased(CLEAN) == _OLD
    assert erased(DONE) == b"\xff" * 16
    assert erased(HALF) == b"\xff" * 8 + _OLD[8:]
    torn = erased(TORN)
    assert torn not in (erased(CLEAN), erased(DONE), erased(HALF))
    assert all([byte & 0xF0 == 0xF0 for byte in torn])


def test_it_is_dead_after_the_cut_until_the_power_is_back():
    for kind in KINDS:
        flash = NorFlash(n_blocks=4, block_bytes=64)
        assert flash.writeblocks(1, bytes(16), 16) == 0
        flash.cut_power(1, kind)
        assert flash.ioctl(_ERASE, 0) == 0 and not flash.dead
        assert flash.writeblocks(1, bytes(16), 32) == -5 and flash.dead
        image = bytes(flash.image)
        assert flash.writeblocks(2, bytes(16)) == flash.ioctl(_ERASE, 1) == -5
        assert flash.readblocks(1, bytearray(16)) == -5
        assert bytes(flash.image) == image
        flash.power_on()
        content = bytearray(16)
        assert flash.readblocks(1, content, 32) == 0
        assert (bytes(content) == bytes(16)) == (kind == DONE)
        assert flash.ioctl(_ERASE, 1) == 0


def test_a_watcher_sees_each_operation_before_it():
    seen = []

    def watch(flash, operation):
        seen.append((operation[0], operation[1], operation[2] is None, bytes(flash.image[64:66])))

    flash = NorFlash(n_blocks=4, block_bytes=64, watch=watch)
    flash.writeblocks(1, bytes(2))
    flash.ioctl(_ERASE, 1)
    assert seen == [(64, 2, False, b"\xff\xff"), (64, 64, True, bytes(2))]


def test_reads_fail_as_told():
    flash = NorFlash(n_blocks=4, block_bytes=64)
    flash.failing_reads = (2, 3)
    assert [flash.readblocks(0, bytearray(4)) for _ in range(4)] == [0, -5, -5, 0]


def test_the_next_start_cuts_the_wire_of_the_one_before():
    flash = NorFlash(n_blocks=4, block_bytes=64)
    first, second = Wire(flash), None
    assert first.writeblocks(1, bytes(2)) == 0 and first.ioctl(4, 0) == 4
    second = Wire(flash)
    image = bytes(flash.image)
    assert first.writeblocks(2, bytes(2)) == first.ioctl(_ERASE, 1) == -5
    assert first.readblocks(1, bytearray(2)) == -5 and bytes(flash.image) == image
    assert second.ioctl(_ERASE, 1) == 0 and bytes(flash.image) != image


def test_one_bit_of_a_read_may_be_wrong():
    flash = NorFlash(n_blocks=4, block_bytes=64)
    flash.writeblocks(1, b"start")
    flash.flips_only = (b"start",)
    flash.flipping_read, flash.flips_at = 2, 9
    content = bytearray(4)
    flash.readblocks(0, content)
    flash.readblocks(1, content)
    assert bytes(content) == b"svar" and flash.flippable == [2]
    flash.readblocks(1, content)
    assert bytes(content) == b"star" and flash.flippable == [2, 3]


def _lfs2():
    try:
        import vfs
    except ImportError:
        raise Skip("only MicroPython has LittleFS built in") from None
    return vfs.VfsLfs2


class Touched:
    """Notes which blocks are written or erased."""

    def __init__(self):
        self.blocks = set()

    def see(self, flash, operation):
        """Watch a flash."""
        self.blocks.add(operation[0] // flash.block_bytes)


def test_littlefs_moves_away_from_bad_blocks():
    lfs2 = _lfs2()
    for how in (REFUSES, SILENT):
        flash = NorFlash(n_blocks=40, block_bytes=512)
        lfs2.mkfs(flash)
        touched = Touched()
        flash.watch = touched.see
        files = lfs2(flash)
        for bad in range(4, 40, 6):
            flash.bad_blocks[bad] = how
        for name in "abcdefgh":
            with files.open("/" + name, "wb") as file:
                file.write(name.encode() * 700)
        assert touched.blocks & set(flash.bad_blocks), "no bad block was used"
        files = lfs2(NorFlash(flash.image, block_bytes=512))
        for name in "abcdefgh":
            with files.open("/" + name, "rb") as file:
                assert file.read() == name.encode() * 700
