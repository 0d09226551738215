"""Recordings on flash: what a quota leaves free, what is there after a power cut at any write."""

from array import array

import vfs
from nor_flash import CLEAN, KINDS, NorFlash, apply
from test_recorder import Source, Ticks

from app import record_flash, record_plan, record_setup
from app.recorder import Recorder
from formats import errors, sample_block

INFO = b'{"n_channels":2}'
KIB = 1024
OLDER = list(range(600))


def filesystem(flash):
    return vfs.VfsLfs2(flash, readsize=64, progsize=64, mtime=False)


def formatted(n_blocks=48):
    flash = NorFlash(n_blocks=n_blocks, block_bytes=4096)
    vfs.VfsLfs2.mkfs(flash, readsize=64, progsize=64)
    return flash


def free_of(files):
    def free():
        stat = files.statvfs("/")
        return stat[0] * stat[3]

    return free


def read_back(files):
    """Returns the rows of each run, and how it ended; a block that is not whole fails."""
    runs = {}
    for run, _, path in record_flash.segments(files):
        file = files.open(path, "rb")
        content = file.read()
        file.close()
        rows, end = runs.setdefault(run, ([], None))
        if not content:
            continue  # the power failed before its first portion
        at = 0
        kind, _, body, at = sample_block.parse(content, at)
        assert (kind, body) == (sample_block.INFO, INFO)
        while at < len(content):
            kind, _, body, at = sample_block.parse(content, at)
            if kind == sample_block.END:
                end = sample_block.parse_end(body)
            else:
                row, *_, values = sample_block.parse_samples(body)
                assert row == len(rows), "a block is missing within a run"
                rows += list(array("h", values))[::2]
        runs[run] = (rows, end)
    return runs


def record(files, n_rows, quota=0, free=None):
    recorder = Recorder(Source([30] * (n_rows // 30)), Ticks())
    sink = record_flash.Sink(files, free or free_of(files), INFO, quota)
    reason = record_flash.run(recorder, sink, sleep_ms=lambda ms: None)
    return reason, sink


def test_a_recording_is_there_as_it_was_made():
    files = filesystem(formatted())
    reason, sink = record(files, 9000)
    sizes = [files.stat(path)[6] for _, _, path in record_flash.segments(files)]
    assert (reason, sink.written) == (sample_block.SOURCE_OVER, sum(sizes))
    ((rows, end),) = read_back(files).values()
    assert rows == [i & 0x7FFF for i in range(9000)]
    assert end == (9000, 0, 0, 0, 0, sample_block.SOURCE_OVER)
    assert len(sizes) == 2


def test_every_run_has_a_number_of_its_own():
    files = filesystem(formatted())
    for _ in range(3):
        record(files, 600)
    runs = read_back(files)
    assert sorted(runs) == [1, 2, 3]
    assert all(rows == list(range(600)) for rows, _ in runs.values())


def test_it_stops_before_the_quota_and_the_oldest_stays():
    for quota_kib in (0, 40, 90):
        flash = formatted()
        files = filesystem(flash)
        reason, _ = record(files, 300000, quota_kib * KIB)
        assert reason == sample_block.QUOTA
        assert free_of(files)() >= quota_kib * KIB
        assert free_of(files)() < (quota_kib + 64) * KIB, "much more could have been kept"
        ((rows, end),) = read_back(files).values()
        assert rows == [i & 0x7FFF for i in range(len(rows))] and len(rows) > 1000
        assert end == (len(rows), 0, 0, 0, 0, sample_block.QUOTA), "what found no room is lost"
        before = flash.ops
        assert record(files, 3000, quota_kib * KIB)[0] == sample_block.QUOTA
        assert flash.ops - before < 40  # the folder may be looked at and no more


def test_a_flash_without_room_for_one_segment_gets_none():
    files = filesystem(formatted(12))
    assert record(files, 3000)[0] == sample_block.QUOTA
    assert record_flash.segments(files) == []


def test_a_flash_that_fails_ends_the_recording():
    flash = formatted()
    files = filesystem(flash)
    flash.cut_power(40, CLEAN)
    assert record(files, 90000, free=lambda: 10**6)[0] == sample_block.FLASH_FAILED


def test_a_power_cut_at_any_write_costs_at_most_one_portion():
    # Nothing reaches the flash after a cut, so one life serves for all: each on a copy.
    record_flash.SEGMENT_BYTES, before = 3 * record_flash.PORTION_BYTES, record_flash.SEGMENT_BYTES
    try:
        cuts, most_lost = cut_everywhere()
    finally:
        record_flash.SEGMENT_BYTES = before
    print("%d cuts, at most %d rows lost" % (cuts, most_lost))
    # What a portion holds, and the read that filled it.
    assert cuts > 300 and most_lost <= record_flash.PORTION_BYTES // 4 + 128


def cut_everywhere():
    """Returns the number of cuts, and the most rows that one of them cost."""
    flash = formatted(24)
    files = filesystem(flash)
    record(files, 600)
    recorder = Recorder(Source([30] * 200), Ticks())
    losses = []

    def cut(one, operation):
        for kind in KINDS:
            image = bytearray(one.image)
            apply(image, operation, kind, len(losses))
            losses.append(recorder.rows - survivors(image, len(losses) % 16 == 0))

    flash.watch = cut
    sink = record_flash.Sink(files, free_of(files), INFO, 0)
    assert record_flash.run(recorder, sink, sleep_ms=lambda ms: None) == sample_block.SOURCE_OVER
    return len(losses), max(losses)


def survivors(image, goes_on):
    """Returns how many rows of the second run are there after a cut."""
    files = filesystem(NorFlash(image, block_bytes=4096))
    runs = read_back(files)
    assert runs[1][0] == OLDER, "an older recording is damaged"
    rows = runs[2][0] if 2 in runs else []
    assert rows == list(range(len(rows)))
    if goes_on:
        record(files, 300)
        assert read_back(files)[max(runs) + 1][0] == list(range(300))
    return len(rows)


def test_a_plan_is_kept_until_it_is_removed():
    files = filesystem(formatted())
    assert not record_plan.exists(files) and record_plan.read(files) == {}
    record_plan.remove(files)
    record_plan.write(files, b'{"v":1,"label":"run","quota_kib":8,"sensor":"adc"}')
    record_plan.write(files, b'{"v":1,"label":"walk","quota_kib":8,"sensor":"adc"}')
    assert record_plan.exists(files)
    said, overrides = record_setup.split_plan(record_plan.read(files))
    assert said == {
        "v": 1,
        "label": "walk",
        "subject": "",
        "license": "",
        "quota_kib": 8,
        "duration_s": 0,
    }
    assert overrides == {"sensor": "adc"}
    record_plan.remove(files)
    assert not record_plan.exists(files)
    files.open(record_plan.PLAN, "wb").close()
    assert record_plan.read(files) == {}  # cut off: not a plan


def test_a_board_without_a_configuration_records():
    def load(path):
        raise errors.OnebyteError(errors.CONFIG_MISSING)

    config = record_setup.settings(load, "config.json", {"sensor": "lis3dh"})
    assert config.sensor == "lis3dh"
    try:
        record_setup.settings(load, "config.json", {"sensor": "thermometer"})
    except errors.OnebyteError as error:
        assert error.code == errors.CONFIG_RANGE
    else:
        raise AssertionError("an unknown sensor was taken")
