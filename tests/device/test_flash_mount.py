"""The boot code mounts what it can, formats only what is blank, and writes nothing else."""

import sys

from nor_flash import KINDS, TORN, NorFlash

sys.path.append(__file__.rsplit("/", 3)[0] + "/boards/rp2040_boot")

import flash_mount

_EIO = -5
_N_BLOCKS = 16
_BLOCK_BYTES = 4096
_TEXT = b"config" * 1000


class FailingReads(NorFlash):
    """A flash of which every read of the first `n_reads` fails in the way that `fail` does."""

    def __init__(self, image, n_reads, fail):
        super().__init__(image)
        self.n_reads = n_reads
        self.fail = fail

    def readblocks(self, block, buf, offset=0):
        if self.n_reads:
            self.n_reads -= 1
            return self.fail(buf)
        return super().readblocks(block, buf, offset)


def _answer_error(buf):
    return _EIO


def _raise_error(buf):
    raise OSError(5)


def _read_ones(buf):
    for i in range(len(buf)):
        buf[i] = 0xFF
    return 0


FAILURES = (_answer_error, _raise_error, _read_ones)


class Pauses:
    """A clock that nobody waits for."""

    def __init__(self):
        self.total_ms = 0

    def sleep_ms(self, duration_ms):
        self.total_ms += duration_ms


def open_filesystem(device):
    return flash_mount.open_filesystem(device, Pauses().sleep_ms)


def used_image():
    """Returns a flash with a filesystem that holds a file."""
    flash = NorFlash(n_blocks=_N_BLOCKS)
    filesystem = open_filesystem(flash)
    with filesystem.open("config.json", "wb") as file:
        file.write(_TEXT)
    return flash.image


def damage(image, blocks, n_bytes=_BLOCK_BYTES, value=0):
    """Returns a copy whose `blocks` start with other bytes."""
    damaged = bytearray(image)
    for block in blocks:
        start = block * _BLOCK_BYTES
        damaged[start : start + n_bytes] = bytes([value]) * n_bytes
    return damaged


def read_file(filesystem):
    with filesystem.open("config.json", "rb") as file:
        return file.read()


def refused(device):
    """Returns whether the device is left alone, not a byte of it written."""
    before = bytes(device.image)
    try:
        open_filesystem(device)
    except flash_mount.NotBlank:
        assert device.ops == 0
        assert bytes(device.image) == before
        return True
    return False


def test_blank_flash_is_formatted_once():
    flash = NorFlash(n_blocks=_N_BLOCKS)
    assert list(open_filesystem(flash).ilistdir("/")) == []
    assert flash.ops
    again = NorFlash(flash.image)
    open_filesystem(again)
    assert again.ops == 0


def test_filesystem_is_mounted_without_a_write():
    flash = NorFlash(used_image())
    pauses = Pauses()
    assert read_file(flash_mount.open_filesystem(flash, pauses.sleep_ms)) == _TEXT
    assert flash.ops == 0
    assert pauses.total_ms == 0


def test_one_damaged_superblock_is_no_reason_to_format():
    for value in (0, 0x55, 0xFF):
        n_read = 0
        for block in (0, 1):
            flash = NorFlash(damage(used_image(), [block], value=value))
            filesystem = open_filesystem(flash)
            assert flash.ops == 0
            # One of the two is from before the file was written.
            if list(filesystem.ilistdir("/")):
                assert read_file(filesystem) == _TEXT
                n_read += 1
        assert n_read == 1


def test_two_damaged_superblocks_are_left_as_they_are():
    image = used_image()
    for value in (0, 0x55):
        for n_bytes in (_BLOCK_BYTES, 256):
            assert refused(NorFlash(damage(image, [0, 1], n_bytes, value)))
    # One erased, the other damaged: something was there.
    assert refused(NorFlash(damage(damage(image, [0], value=0xFF), [1])))


def test_one_byte_is_enough_not_to_be_blank():
    for position in (0, 255, 4095, 4096, 8191):
        image = bytearray(b"\xff" * (_N_BLOCKS * _BLOCK_BYTES))
        image[position] = 0xFE
        assert refused(NorFlash(image)), position


def test_another_filesystem_is_left_as_it_is():
    image = bytearray(b"\xff" * (_N_BLOCKS * _BLOCK_BYTES))
    image[:11] = b"\xeb\x3c\x90MSDOS5.0"
    assert refused(NorFlash(image))


def test_passing_read_errors_are_waited_for():
    image = used_image()
    for fail in FAILURES:
        for n_reads in (1, 2, 3):
            flash = FailingReads(image, n_reads, fail)
            assert read_file(open_filesystem(flash)) == _TEXT, (fail, n_reads)
            assert flash.ops == 0


def test_lasting_read_errors_format_nothing():
    blank = bytes(b"\xff" * (_N_BLOCKS * _BLOCK_BYTES))
    for image in (used_image(), blank):
        for fail in (_answer_error, _raise_error):
            assert refused(FailingReads(image, 1000000, fail)), fail


def test_flash_that_reads_blank_for_a_while_is_not_formatted():
    # It answers ones while its supply is too low.
    for n_reads in range(1, 5 * flash_mount.TRIES):
        flash = FailingReads(used_image(), n_reads, _read_ones)
        try:
            assert read_file(open_filesystem(flash)) == _TEXT
        except flash_mount.NotBlank:
            pass
        if flash.n_reads == 0:
            assert flash.ops == 0, n_reads


def test_flash_that_was_seen_with_content_is_not_formatted_when_it_reads_blank_later():
    device = FailingReads(damage(used_image(), [0, 1]), 0, _read_ones)

    def read_ones_from_now_on(_duration_ms):
        device.n_reads = 1_000_000

    try:
        flash_mount.open_filesystem(device, read_ones_from_now_on)
        raise AssertionError("formatted")
    except flash_mount.NotBlank:
        pass


def test_power_cut_while_formatting():
    clean = NorFlash(n_blocks=_N_BLOCKS)
    open_filesystem(clean)
    for cut in range(clean.ops):
        for kind in KINDS:
            try:
                flash = NorFlash(n_blocks=_N_BLOCKS, cut=cut, kind=kind)
                open_filesystem(flash)
            except OSError:
                pass
            after = NorFlash(flash.image)
            if (cut, kind) == (1, TORN):
                # The page that makes it a filesystem is half written: a person has to decide.
                assert refused(after)
            else:
                assert list(open_filesystem(after).ilistdir("/")) == []


def test_what_is_wrong_is_said():
    damaged = damage(used_image(), [0, 1])
    problem = flash_mount.mount(NorFlash(damaged))
    assert problem.startswith("not blank, left as it is: "), problem
    assert len(problem) < 100  # the serial port keeps 256 bytes until it is opened
    problem = flash_mount.mount(NorFlash(n_blocks=_N_BLOCKS, cut=0))
    assert problem.startswith("blank, but formatting failed: "), problem
