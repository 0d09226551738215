"""The outbox on LittleFS: order, accounting, capacity, recovery, and flash that fails."""

import micropython
import vfs
from check import Random, raises_kind
from nor_flash import KINDS, NorFlash, apply

from app import epoch
from app.outbox import Outbox
from formats import record
from formats.crc import crc32

_FOLDER = "/q"


def _filesystem(n_blocks=64):
    flash = NorFlash(n_blocks=n_blocks, block_bytes=512)
    vfs.VfsLfs2.mkfs(flash)
    return vfs.VfsLfs2(flash)


def _outbox(files, capacity=100, ram_records=4, segment_records=3, drop_newest=False):
    return Outbox(files, _FOLDER, capacity, ram_records, segment_records, drop_newest)


def _append(outbox, count):
    for _ in range(count):
        seq = outbox.next_seq
        assert outbox.append(seq & 255, 0, 1000 + seq, seq % 1000) == seq


def _drain(outbox, max_records=256):
    """Takes everything out, as the uplink does."""
    records = []
    while True:
        batch = outbox.peek_batch(max_records)
        if not batch:
            assert outbox.queued() == 0
            return records
        records += batch
        outbox.acked(batch[-1][0], batch[-1][3])


def _keys(records):
    return [(entry[0], entry[3]) for entry in records]


def _segment_files(files):
    return sorted(entry[0] for entry in files.ilistdir(_FOLDER) if entry[0].endswith(".q"))


class _Failing:
    """A filesystem whose operations fail at random, before or after they were done."""

    def __init__(self, files, random, permille):
        self._files = files
        self._random = random
        self.permille = permille
        self.failures = 0

    def _maybe(self):
        if self._random.below(1000) < self.permille:
            self.failures += 1
            raise OSError(28 if self.failures % 2 else 5)

    def open(self, path, mode):
        self._maybe()
        return _FailingFile(self._files.open(path, mode), self)

    def remove(self, path):
        self._maybe()
        self._files.remove(path)

    def rename(self, old, new):
        self._maybe()
        self._files.rename(old, new)

    def mkdir(self, path):
        self._maybe()
        self._files.mkdir(path)

    def ilistdir(self, path):
        self._maybe()
        return self._files.ilistdir(path)


class _FailingFile:
    def __init__(self, file, files):
        self._file = file
        self._files = files

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self._files._maybe()

    def write(self, content):
        self._files._maybe()
        return self._file.write(content)

    def read(self, n):
        self._files._maybe()
        return self._file.read(n)

    def seek(self, at):
        self._file.seek(at)


def test_ram_alone_keeps_order_and_numbers():
    outbox = _outbox(_filesystem())
    _append(outbox, 3)
    assert (outbox.epoch, outbox.next_seq, outbox.queued(), outbox.unsaved) == (1, 3, 3, 3)
    assert outbox.peek_batch(2) == [(1, 0, 0, 0, 1000, 0), (1, 1, 0, 1, 1001, 1)]
    outbox.acked(1, 0)
    outbox.acked(1, 0)
    assert _keys(outbox.peek_batch(9)) == [(1, 1), (1, 2)]


def test_an_idle_link_never_touches_the_flash():
    files = _filesystem()
    outbox = _outbox(files)
    for seq in range(50):
        _append(outbox, 1)
        outbox.acked(1, seq)
    assert _segment_files(files) == []


def test_appending_to_ram_allocates_nothing():
    outbox = _outbox(_filesystem(), ram_records=8)
    _append(outbox, 1)
    micropython.heap_lock()
    try:
        for second in range(7):
            outbox.append(second, 0, second, 0)
    finally:
        micropython.heap_unlock()
    assert outbox.queued() == 8


def test_a_full_ram_goes_to_flash_and_comes_back_in_order():
    files = _filesystem()
    outbox = _outbox(files)
    _append(outbox, 20)
    assert outbox.unsaved <= 4
    assert len(_segment_files(files)) == 6
    assert _keys(_drain(outbox, 7)) == [(1, seq) for seq in range(20)]
    assert _segment_files(files) == []


def test_batches_end_where_a_batch_must_end():
    files = _filesystem()
    outbox = _outbox(files)
    _append(outbox, 5)
    outbox.flush()
    outbox = _outbox(files)
    outbox.append(7, 0, 10, 0)
    outbox.append(8, 2, 1700000000, 0)
    outbox.append(9, 2, 1699999999, 0)
    lengths = []
    while outbox.queued():
        batch = outbox.peek_batch(256)
        lengths.append(len(batch))
        outbox.acked(batch[-1][0], batch[-1][3])
    assert lengths == [5, 1, 1, 1], "epoch, time quality, clock set back"


def test_reboot_keeps_what_was_flushed():
    files = _filesystem()
    outbox = _outbox(files)
    _append(outbox, 10)
    assert outbox.flush()
    outbox.acked(1, 4)
    again = _outbox(files)
    assert again.epoch == 2
    # The segment of records 3-5 was acknowledged in part: it comes again as a whole.
    assert _keys(again.peek_batch(256)) == [(1, seq) for seq in range(3, 10)]
    _append(again, 2)
    assert _keys(_drain(again)) == [(1, seq) for seq in range(3, 10)] + [(2, 0), (2, 1)]
    assert _outbox(files).queued() == 0


def test_segments_are_filled_up_after_a_reboot():
    files = _filesystem()
    for boot in range(6):
        outbox = _outbox(files, segment_records=3)
        _append(outbox, 1)
        assert outbox.flush()
        assert outbox.epoch == boot + 1
    assert len(_segment_files(files)) == 2


def test_epochs_rise_with_every_boot_and_wrap_to_one():
    files = _filesystem()
    assert [_outbox(files).epoch for _ in range(3)] == [1, 2, 3]
    epoch.write(files, _FOLDER + "/epoch", 65535)
    assert _outbox(files).epoch == 1
    assert epoch.is_after(1, 0, 65535, 9)
    assert not epoch.is_after(65535, 9, 1, 0)


def test_the_later_of_epoch_file_and_records_counts():
    for in_file, in_record, expected in ((3, 1, 4), (1, 7, 8), (65000, 3, 4), (3, 65000, 4)):
        files = _filesystem()
        files.mkdir(_FOLDER)
        epoch.write(files, _FOLDER + "/epoch", in_file)
        _write_segment(files, 0, [5], in_record)
        assert _outbox(files).epoch == expected


def test_a_damaged_epoch_file_falls_back_on_the_records():
    files = _filesystem()
    for content in (b"", b"\x05\x00", b"\x05\x00\x00\x00", b"\x05\x00\x00\x00\x00"):
        outbox = _outbox(files)
        _append(outbox, 1)
        outbox.flush()
        last = outbox.epoch
        with files.open(_FOLDER + "/epoch", "wb") as file:
            file.write(content)
        assert _outbox(files).epoch == last + 1


def test_capacity_drops_the_oldest_and_counts():
    for segment_records in (1, 3, 50):
        outbox = _outbox(_filesystem(), 10, 4, segment_records)
        _append(outbox, 25)
        assert (outbox.queued(), outbox.dropped) == (10, 15)
        assert _keys(_drain(outbox)) == [(1, seq) for seq in range(15, 25)]


def test_capacity_can_refuse_the_newest():
    outbox = _outbox(_filesystem(), 10, 4, 3, True)
    _append(outbox, 25)
    assert (outbox.queued(), outbox.dropped, outbox.next_seq) == (10, 15, 25)
    outbox.acked(1, 3)
    _append(outbox, 2)
    expected = [(1, seq) for seq in range(4, 10)] + [(1, 25), (1, 26)]
    assert _keys(_drain(outbox)) == expected


def test_rewind_in_ram():
    outbox = _outbox(_filesystem())
    _append(outbox, 4)
    outbox.acked(1, 3)
    assert outbox.rewind(1, 2) == 2
    assert _keys(outbox.peek_batch(9)) == [(1, 2), (1, 3)]
    assert outbox.rewind(0, 0) == 2
    outbox.acked(1, 3)
    _append(outbox, 3)
    assert outbox.rewind(1, 0) == 1, "the others were overwritten"
    assert _keys(outbox.peek_batch(9)) == [(1, seq) for seq in range(3, 7)]
    assert outbox.rewind(7, 0) == 0


def test_rewind_on_flash_and_its_drops_are_no_loss():
    outbox = _outbox(_filesystem(), 8, 4, 6)
    _append(outbox, 8)
    outbox.flush()
    outbox.acked(1, 4)
    assert outbox.queued() == 3
    assert outbox.rewind(1, 2) == 3
    assert _keys(outbox.peek_batch(9)) == [(1, seq) for seq in range(2, 8)]
    _append(outbox, 4)
    assert (outbox.queued(), outbox.dropped) == (8, 0), "they were delivered once"
    _append(outbox, 2)
    assert outbox.dropped == 1
    assert _keys(_drain(outbox)) == [(1, seq) for seq in range(6, 14)]


def test_rewind_never_brings_back_what_was_dropped():
    outbox = _outbox(_filesystem(), 8, 4, 6)
    _append(outbox, 10)
    outbox.flush()
    outbox.acked(1, 2)
    assert (outbox.queued(), outbox.dropped) == (7, 2)
    assert outbox.rewind(1, 0) == 1
    assert _keys(outbox.peek_batch(9)) == [(1, seq) for seq in range(2, 10)]


def test_rewind_stops_at_what_was_dropped_when_flash_fails_too():
    files = _Failing(_filesystem(), Random(1), 0)
    outbox = _outbox(files, capacity=4, ram_records=2, segment_records=4)
    _append(outbox, 4)
    assert outbox.flush()
    _append(outbox, 2)  # in RAM; records 0 and 1 gave way
    files.permille = 1000
    _append(outbox, 1)  # 2 gave way, and as flash fails 4 in RAM
    files.permille = 0
    assert outbox.queued() == 3 and outbox.dropped == 4
    assert outbox.rewind(1, 0) == 0  # there is room for 2, but it has been counted as lost
    assert _keys(_drain(outbox)) == [(1, 3), (1, 5), (1, 6)]


def _write_segment(files, number, seqs, epoch=1):
    content = bytearray(record.RECORD_BYTES * len(seqs))
    for i in range(len(seqs)):
        record.pack_into(content, record.RECORD_BYTES * i, epoch, 9, 0, seqs[i], 50, 0)
    with files.open(_FOLDER + "/%08d.q" % number, "wb") as file:
        file.write(content)


def test_boot_skips_what_a_failed_write_left_twice():
    files = _filesystem()
    files.mkdir(_FOLDER)
    _write_segment(files, 3, [0, 1, 2, 3])
    _write_segment(files, 4, [2, 3, 4, 5])
    _write_segment(files, 5, [4, 5])
    _write_segment(files, 6, [6, 7, 6, 8])
    _write_segment(files, 7, [8, 9])
    outbox = _outbox(files)
    assert _keys(_drain(outbox)) == [(1, seq) for seq in range(10)]
    assert outbox.flash_errors == 1, "only the disorder inside of a segment is damage"
    assert _segment_files(files) == []


def test_rewind_after_a_boot_that_found_more_than_fits():
    files = _filesystem()
    outbox = _outbox(files, 20, 4, 20)
    _append(outbox, 20)
    outbox.flush()
    again = _outbox(files, 10, 4, 20)
    again.acked(1, 4)
    assert again.queued() == 15
    assert again.rewind(1, 0) == 0
    _append(again, 1)
    assert (again.queued(), again.dropped) == (10, 6)


def test_what_was_sent_again_is_dropped_as_any_other_afterwards():
    outbox = _outbox(_filesystem(), 4, 4, 6)
    _append(outbox, 4)
    outbox.acked(1, 3)
    assert outbox.rewind(1, 0) == 4
    outbox.acked(1, 3)
    _append(outbox, 6)
    assert (outbox.queued(), outbox.dropped) == (4, 2)


def test_a_damaged_record_ends_its_segment_and_is_reported():
    files = _filesystem()
    outbox = _outbox(files)
    _append(outbox, 9)
    outbox.flush()
    name = _FOLDER + "/" + _segment_files(files)[1]
    with files.open(name, "rb") as file:
        content = bytearray(file.read())
    content[record.RECORD_BYTES + 5] ^= 1
    with files.open(name, "wb") as file:
        file.write(content)
    # While the node runs: unreadable after three attempts, then the rest goes on.
    assert len(outbox.peek_batch(256)) == 4
    outbox.acked(1, 3)
    for _ in range(3):
        assert outbox.peek_batch(256) == []
    assert _keys(_drain(outbox)) == [(1, 6), (1, 7), (1, 8)]
    assert outbox.dropped == 2
    # At boot: cut off at the damaged record.
    again = _outbox(files)
    assert again.flash_errors == 1
    assert _keys(_drain(again)) == [(1, 3)]


def test_nothing_is_written_behind_a_damaged_record():
    files = _filesystem()
    outbox = _outbox(files, segment_records=8)
    _append(outbox, 3)
    outbox.flush()
    with files.open(_FOLDER + "/" + _segment_files(files)[0], "ab") as file:
        file.write(b"half a record")
    outbox = _outbox(files, segment_records=8)
    assert outbox.flash_errors == 1
    _append(outbox, 2)
    outbox.flush()
    assert _keys(_drain(_outbox(files))) == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]


def test_garbage_in_the_folder_is_left_alone():
    files = _filesystem()
    files.mkdir(_FOLDER)
    for name in ("00000001.x", "abcdefgh.q", "1.q", "000000001.q", "note"):
        with files.open(_FOLDER + "/" + name, "wb") as file:
            file.write(b"?" * 40)
    with files.open(_FOLDER + "/00000007.q", "wb") as file:
        file.write(b"?" * 40)
    outbox = _outbox(files)
    _append(outbox, 1)
    outbox.flush()
    assert _segment_files(files) == ["000000001.q", "00000008.q", "1.q", "abcdefgh.q"]


def test_dead_flash_leaves_the_ram():
    flash = NorFlash(n_blocks=32, block_bytes=512)
    vfs.VfsLfs2.mkfs(flash)
    for drop_newest in (False, True):
        files = vfs.VfsLfs2(NorFlash(flash.image, block_bytes=512, cut=0))
        outbox = _outbox(files, 100, 4, 3, drop_newest)
        _append(outbox, 10)
        assert (outbox.queued(), outbox.dropped, outbox.unsaved) == (4, 6, 4)
        assert outbox.flash_errors > 0
        errors_before = outbox.flash_errors
        _append(outbox, 12)
        assert outbox.flash_errors <= errors_before + 6, "not every append waits for dead flash"
        assert not outbox.flush()
        first = 0 if drop_newest else 18
        assert _keys(_drain(outbox)) == [(1, first + i) for i in range(4)]


def test_nothing_raises_after_the_cut_and_the_image_is_the_one_predicted():
    images = []

    def life(flash):
        try:
            outbox = _outbox(vfs.VfsLfs2(flash, mtime=False), 8)
        except OSError:  # a mount that the cut interrupted
            return
        for _ in range(12):
            _append(outbox, 3)
            batch = outbox.peek_batch(2)
            if batch:
                outbox.acked(batch[-1][0], batch[-1][3])
        outbox.flush()

    blank = NorFlash(n_blocks=32, block_bytes=512)
    vfs.VfsLfs2.mkfs(blank)

    def watch(flash, operation):
        images.append({})
        for kind in KINDS:
            image = bytearray(flash.image)
            apply(image, operation, kind, flash.ops)
            images[-1][kind] = crc32(image)

    life(NorFlash(blank.image, block_bytes=512, watch=watch))
    assert len(images) > 30, len(images)
    for cut in range(len(images)):
        for kind in KINDS:
            flash = NorFlash(blank.image, block_bytes=512, cut=cut, kind=kind)
            life(flash)
            assert flash.dead
            assert crc32(flash.image) == images[cut][kind], (cut, kind)


def test_a_full_filesystem_is_survived_and_counted():
    files = _filesystem(n_blocks=16)
    outbox = _outbox(files, 1000, 4, 8)
    _append(outbox, 600)
    assert outbox.flash_errors > 0
    assert outbox.queued() + outbox.dropped == 600
    keys = _keys(_drain(outbox))
    assert keys == sorted(keys)
    assert len(keys) + outbox.dropped == 600
    _append(outbox, 30)
    assert outbox.flush(), "there is room again"
    assert _outbox(files).queued() == 30


def test_any_failure_anywhere_keeps_the_account_and_never_raises():
    for seed in range(1, 41):
        random = Random(seed)
        files = _Failing(_filesystem(), random, 80)
        outbox = _outbox(files, 30, 4, 3, bool(seed & 1))
        acked = []
        for _ in range(150):
            action = random.below(10)
            if action < 7:
                _append(outbox, 1 + random.below(3))
            elif action < 8:
                outbox.flush()
            else:
                batch = outbox.peek_batch(1 + random.below(9))
                if batch:
                    before = outbox.queued()
                    acked += _keys(batch)
                    outbox.acked(batch[-1][0], batch[-1][3])
                    # A failed read may leave some of them: they come again.
                    left = outbox.queued() - (before - len(batch))
                    assert 0 <= left <= len(batch)
                    if left:
                        acked = acked[:-left]
        assert acked == sorted(acked)
        assert len(set(acked)) == len(acked)
        assert outbox.next_seq == len(acked) + outbox.queued() + outbox.dropped
        assert files.failures == 0 or outbox.flash_errors > 0


def test_equals_a_list_when_nothing_fails():
    for seed in range(1, 31):
        random = Random(seed)
        files = _filesystem()
        drop_newest = bool(seed & 1)
        outbox = _outbox(files, 12, 1 + seed % 6, 1 + seed % 5, drop_newest)
        waiting = []
        dropped = 0
        for _ in range(200):
            action = random.below(12)
            if action < 7:
                key = (outbox.epoch, outbox.next_seq)
                _append(outbox, 1)
                if len(waiting) < 12:
                    waiting.append(key)
                else:
                    dropped += 1
                    if not drop_newest:
                        waiting = waiting[1:] + [key]
            elif action < 8:
                outbox.flush()
            elif action < 11:
                batch = outbox.peek_batch(1 + random.below(6))
                assert _keys(batch) == waiting[: len(batch)]
                assert bool(batch) == bool(waiting)
                if batch:
                    n = 1 + random.below(len(batch))
                    outbox.acked(batch[n - 1][0], batch[n - 1][3])
                    waiting = waiting[n:]
            assert outbox.queued() == len(waiting)
            assert outbox.dropped == dropped
        assert _keys(_drain(outbox)) == waiting


def test_refuses_sizes_that_make_no_sense():
    files = _filesystem()
    for sizes in ((3, 4, 1), (4, 0, 1), (4, 4, 0)):
        raises_kind(ValueError, _outbox, files, *sizes)
