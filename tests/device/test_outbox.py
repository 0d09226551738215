"""The outbox on LittleFS: order, accounting, capacity, and what is sent again."""

import micropython
from check import Random, raises_kind
from outbox_files import (
    Failing,
    append,
    drain,
    keys_of,
    make_filesystem,
    make_outbox,
    segment_files,
)


def test_ram_alone_keeps_order_and_numbers():
    outbox = make_outbox(make_filesystem())
    append(outbox, 3)
    assert (outbox.epoch, outbox.next_seq, outbox.queued(), outbox.unsaved) == (1, 3, 3, 3)
    assert outbox.peek_batch(2) == [(1, 0, 0, 0, 1000, 0), (1, 1, 0, 1, 1001, 1)]
    outbox.acked(1, 0)
    outbox.acked(1, 0)
    assert keys_of(outbox.peek_batch(9)) == [(1, 1), (1, 2)]


def test_an_idle_link_never_touches_the_flash():
    files = make_filesystem()
    outbox = make_outbox(files)
    for seq in range(50):
        append(outbox, 1)
        outbox.acked(1, seq)
    assert segment_files(files) == []


def test_appending_to_ram_allocates_nothing():
    outbox = make_outbox(make_filesystem(), ram_records=8)
    append(outbox, 1)
    micropython.heap_lock()
    try:
        for second in range(7):
            outbox.append(second, 0, second, 0)
    finally:
        micropython.heap_unlock()
    assert outbox.queued() == 8


def test_a_full_ram_goes_to_flash_and_comes_back_in_order():
    files = make_filesystem()
    outbox = make_outbox(files)
    append(outbox, 20)
    assert outbox.unsaved <= 4
    assert len(segment_files(files)) == 6
    assert keys_of(drain(outbox, 7)) == [(1, seq) for seq in range(20)]
    assert segment_files(files) == []


def test_batches_end_where_a_batch_must_end():
    files = make_filesystem()
    outbox = make_outbox(files)
    append(outbox, 5)
    outbox.flush()
    outbox = make_outbox(files)
    outbox.append(7, 0, 10, 0)
    outbox.append(8, 2, 1700000000, 0)
    outbox.append(9, 2, 1699999999, 0)
    lengths = []
    while outbox.queued():
        batch = outbox.peek_batch(256)
        lengths.append(len(batch))
        outbox.acked(batch[-1][0], batch[-1][3])
    assert lengths == [5, 1, 1, 1], "epoch, time quality, clock set back"


def test_capacity_drops_the_oldest_and_counts():
    for segment_records in (1, 3, 50):
        outbox = make_outbox(make_filesystem(), 10, 4, segment_records)
        append(outbox, 25)
        assert (outbox.queued(), outbox.dropped) == (10, 15)
        assert keys_of(drain(outbox)) == [(1, seq) for seq in range(15, 25)]


def test_capacity_can_refuse_the_newest():
    outbox = make_outbox(make_filesystem(), 10, 4, 3, True)
    append(outbox, 25)
    assert (outbox.queued(), outbox.dropped, outbox.next_seq) == (10, 15, 25)
    outbox.acked(1, 3)
    append(outbox, 2)
    expected = [(1, seq) for seq in range(4, 10)] + [(1, 25), (1, 26)]
    assert keys_of(drain(outbox)) == expected


def test_rewind_in_ram():
    outbox = make_outbox(make_filesystem())
    append(outbox, 4)
    outbox.acked(1, 3)
    assert outbox.rewind(1, 2) == 2
    assert keys_of(outbox.peek_batch(9)) == [(1, 2), (1, 3)]
    assert outbox.rewind(0, 0) == 2
    outbox.acked(1, 3)
    append(outbox, 3)
    assert outbox.rewind(1, 0) == 1, "the others were overwritten"
    assert keys_of(outbox.peek_batch(9)) == [(1, seq) for seq in range(3, 7)]
    assert outbox.rewind(7, 0) == 0


def test_rewind_on_flash_and_its_drops_are_no_loss():
    outbox = make_outbox(make_filesystem(), 8, 4, 6)
    append(outbox, 8)
    outbox.flush()
    outbox.acked(1, 4)
    assert outbox.queued() == 3
    assert outbox.rewind(1, 2) == 3
    assert keys_of(outbox.peek_batch(9)) == [(1, seq) for seq in range(2, 8)]
    append(outbox, 4)
    assert (outbox.queued(), outbox.dropped) == (8, 0), "they were delivered once"
    append(outbox, 2)
    assert outbox.dropped == 1
    assert keys_of(drain(outbox)) == [(1, seq) for seq in range(6, 14)]


def test_rewind_never_brings_back_what_was_dropped():
    outbox = make_outbox(make_filesystem(), 8, 4, 6)
    append(outbox, 10)
    outbox.flush()
    outbox.acked(1, 2)
    assert (outbox.queued(), outbox.dropped) == (7, 2)
    assert outbox.rewind(1, 0) == 1
    assert keys_of(outbox.peek_batch(9)) == [(1, seq) for seq in range(2, 10)]


def test_rewind_stops_at_what_was_dropped_when_flash_fails_too():
    files = Failing(make_filesystem(), Random(1), 0)
    outbox = make_outbox(files, capacity=4, ram_records=2, segment_records=4)
    append(outbox, 4)
    assert outbox.flush()
    append(outbox, 2)  # in RAM; records 0 and 1 gave way
    files.permille = 1000
    append(outbox, 1)  # 2 gave way, and as flash fails 4 in RAM
    files.permille = 0
    assert outbox.queued() == 3 and outbox.dropped == 4
    assert outbox.rewind(1, 0) == 0  # there is room for 2, but it has been counted as lost
    assert keys_of(drain(outbox)) == [(1, 3), (1, 5), (1, 6)]


def test_rewind_after_a_boot_that_found_more_than_fits():
    files = make_filesystem()
    outbox = make_outbox(files, 20, 4, 20)
    append(outbox, 20)
    outbox.flush()
    again = make_outbox(files, 10, 4, 20)
    again.acked(1, 4)
    assert again.queued() == 15
    assert again.rewind(1, 0) == 0
    append(again, 1)
    assert (again.queued(), again.dropped) == (10, 6)


def test_what_was_sent_again_is_dropped_as_any_other_afterwards():
    outbox = make_outbox(make_filesystem(), 4, 4, 6)
    append(outbox, 4)
    outbox.acked(1, 3)
    assert outbox.rewind(1, 0) == 4
    outbox.acked(1, 3)
    append(outbox, 6)
    assert (outbox.queued(), outbox.dropped) == (4, 2)


def test_equals_a_list_when_nothing_fails():
    for seed in range(1, 31):
        random = Random(seed)
        files = make_filesystem()
        drop_newest = bool(seed & 1)
        outbox = make_outbox(files, 12, 1 + seed % 6, 1 + seed % 5, drop_newest)
        waiting = []
        dropped = 0
        for _ in range(200):
            action = random.below(12)
            if action < 7:
                key = (outbox.epoch, outbox.next_seq)
                append(outbox, 1)
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
                assert keys_of(batch) == waiting[: len(batch)]
                assert bool(batch) == bool(waiting)
                if batch:
                    n = 1 + random.below(len(batch))
                    outbox.acked(batch[n - 1][0], batch[n - 1][3])
                    waiting = waiting[n:]
            assert outbox.queued() == len(waiting)
            assert outbox.dropped == dropped
        assert keys_of(drain(outbox)) == waiting


def test_refuses_sizes_that_make_no_sense():
    files = make_filesystem()
    for sizes in ((3, 4, 1), (4, 0, 1), (4, 4, 0)):
        raises_kind(ValueError, make_outbox, files, *sizes)
