"""The outbox after a reboot, on damaged files, and on flash that fails."""

import vfs
from check import Random
from nor_flash import KINDS, NorFlash, apply
from outbox_files import (
    FOLDER,
    Failing,
    append,
    drain,
    keys_of,
    make_filesystem,
    make_outbox,
    segment_files,
)

from app import epoch
from formats import record
from formats.crc import crc32


def test_reboot_keeps_what_was_flushed():
    files = make_filesystem()
    outbox = make_outbox(files)
    append(outbox, 10)
    assert outbox.flush()
    outbox.acked(1, 4)
    again = make_outbox(files)
    assert again.epoch == 2
    # The segment of records 3-5 was acknowledged in part: it comes again as a whole.
    assert keys_of(again.peek_batch(256)) == [(1, seq) for seq in range(3, 10)]
    append(again, 2)
    assert keys_of(drain(again)) == [(1, seq) for seq in range(3, 10)] + [(2, 0), (2, 1)]
    assert make_outbox(files).queued() == 0


def test_segments_are_filled_up_after_a_reboot():
    files = make_filesystem()
    for boot in range(6):
        outbox = make_outbox(files, segment_records=3)
        append(outbox, 1)
        assert outbox.flush()
        assert outbox.epoch == boot + 1
    assert len(segment_files(files)) == 2


def test_epochs_rise_with_every_boot_and_wrap_to_one():
    files = make_filesystem()
    assert [make_outbox(files).epoch for _ in range(3)] == [1, 2, 3]
    epoch.write(files, FOLDER + "/epoch", 65535)
    assert make_outbox(files).epoch == 1
    assert epoch.is_after(1, 0, 65535, 9)
    assert not epoch.is_after(65535, 9, 1, 0)


def test_the_later_of_epoch_file_and_records_counts():
    for in_file, in_record, expected in ((3, 1, 4), (1, 7, 8), (65000, 3, 4), (3, 65000, 4)):
        files = make_filesystem()
        files.mkdir(FOLDER)
        epoch.write(files, FOLDER + "/epoch", in_file)
        _write_segment(files, 0, [5], in_record)
        assert make_outbox(files).epoch == expected


def test_a_damaged_epoch_file_falls_back_on_the_records():
    files = make_filesystem()
    for content in (b"", b"\x05\x00", b"\x05\x00\x00\x00", b"\x05\x00\x00\x00\x00"):
        outbox = make_outbox(files)
        append(outbox, 1)
        outbox.flush()
        last = outbox.epoch
        with files.open(FOLDER + "/epoch", "wb") as file:
            file.write(content)
        assert make_outbox(files).epoch == last + 1


def _write_segment(files, number, seqs, epoch=1):
    content = bytearray(record.RECORD_BYTES * len(seqs))
    for i in range(len(seqs)):
        record.pack_into(content, record.RECORD_BYTES * i, epoch, 9, 0, seqs[i], 50, 0)
    with files.open(FOLDER + "/%08d.q" % number, "wb") as file:
        file.write(content)


def test_boot_skips_what_a_failed_write_left_twice():
    files = make_filesystem()
    files.mkdir(FOLDER)
    _write_segment(files, 3, [0, 1, 2, 3])
    _write_segment(files, 4, [2, 3, 4, 5])
    _write_segment(files, 5, [4, 5])
    _write_segment(files, 6, [6, 7, 6, 8])
    _write_segment(files, 7, [8, 9])
    outbox = make_outbox(files)
    assert keys_of(drain(outbox)) == [(1, seq) for seq in range(10)]
    assert outbox.flash_errors == 1, "only the disorder inside of a segment is damage"
    assert segment_files(files) == []


def test_a_damaged_record_ends_its_segment_and_is_reported():
    files = make_filesystem()
    outbox = make_outbox(files)
    append(outbox, 9)
    outbox.flush()
    name = FOLDER + "/" + segment_files(files)[1]
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
    assert keys_of(drain(outbox)) == [(1, 6), (1, 7), (1, 8)]
    assert outbox.dropped == 2
    # At boot: cut off at the damaged record.
    again = make_outbox(files)
    assert again.flash_errors == 1
    assert keys_of(drain(again)) == [(1, 3)]


def test_nothing_is_written_behind_a_damaged_record():
    files = make_filesystem()
    outbox = make_outbox(files, segment_records=8)
    append(outbox, 3)
    outbox.flush()
    with files.open(FOLDER + "/" + segment_files(files)[0], "ab") as file:
        file.write(b"half a record")
    outbox = make_outbox(files, segment_records=8)
    assert outbox.flash_errors == 1
    append(outbox, 2)
    outbox.flush()
    assert keys_of(drain(make_outbox(files))) == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]


def test_garbage_in_the_folder_is_left_alone():
    files = make_filesystem()
    files.mkdir(FOLDER)
    for name in ("00000001.x", "abcdefgh.q", "1.q", "000000001.q", "note"):
        with files.open(FOLDER + "/" + name, "wb") as file:
            file.write(b"?" * 40)
    with files.open(FOLDER + "/00000007.q", "wb") as file:
        file.write(b"?" * 40)
    outbox = make_outbox(files)
    append(outbox, 1)
    outbox.flush()
    assert segment_files(files) == ["000000001.q", "00000008.q", "1.q", "abcdefgh.q"]


def test_dead_flash_leaves_the_ram():
    flash = NorFlash(n_blocks=32, block_bytes=512)
    vfs.VfsLfs2.mkfs(flash)
    for drop_newest in (False, True):
        files = vfs.VfsLfs2(NorFlash(flash.image, block_bytes=512, cut=0))
        outbox = make_outbox(files, 100, 4, 3, drop_newest)
        append(outbox, 10)
        assert (outbox.queued(), outbox.dropped, outbox.unsaved) == (4, 6, 4)
        assert outbox.flash_errors > 0
        errors_before = outbox.flash_errors
        append(outbox, 12)
        assert outbox.flash_errors <= errors_before + 6, "not every append waits for dead flash"
        assert not outbox.flush()
        first = 0 if drop_newest else 18
        assert keys_of(drain(outbox)) == [(1, first + i) for i in range(4)]


def test_nothing_raises_after_the_cut_and_the_image_is_the_one_predicted():
    images = []

    def life(flash):
        try:
            outbox = make_outbox(vfs.VfsLfs2(flash, mtime=False), 8)
        except OSError:  # a mount that the cut interrupted
            return
        for _ in range(12):
            append(outbox, 3)
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
    files = make_filesystem(n_blocks=16)
    outbox = make_outbox(files, 1000, 4, 8)
    append(outbox, 600)
    assert outbox.flash_errors > 0
    assert outbox.queued() + outbox.dropped == 600
    keys = keys_of(drain(outbox))
    assert keys == sorted(keys)
    assert len(keys) + outbox.dropped == 600
    append(outbox, 30)
    assert outbox.flush(), "there is room again"
    assert make_outbox(files).queued() == 30


def test_any_failure_anywhere_keeps_the_account_and_never_raises():
    for seed in range(1, 41):
        random = Random(seed)
        files = Failing(make_filesystem(), random, 80)
        outbox = make_outbox(files, 30, 4, 3, bool(seed & 1))
        acked = []
        for _ in range(150):
            action = random.below(10)
            if action < 7:
                append(outbox, 1 + random.below(3))
            elif action < 8:
                outbox.flush()
            else:
                batch = outbox.peek_batch(1 + random.below(9))
                if batch:
                    before = outbox.queued()
                    acked += keys_of(batch)
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
