"""The backlog batch and the anchor."""

import struct

from check import Random, raises

from formats import batch, errors

FIRST = (3, 0x11, 2, 100, 1764000000, 250)


def follow(record, ms, result=0x22):
    """Return the record `ms` milliseconds after `record`, with the next number."""
    epoch, _, quality, seq, time_s, time_ms = record
    time_ms += ms
    return (epoch, result, quality, seq + 1, time_s + time_ms // 1000, time_ms % 1000)


def chain(*gaps_ms):
    records = [FIRST]
    for ms in gaps_ms:
        records.append(follow(records[-1], ms))
    return records


def test_batches_survive():
    records = chain(1000, 2500, 0, 6553500, 100)
    parsed = batch.parse(batch.pack(records))
    assert parsed.records == records
    assert (parsed.epoch, parsed.first_seq, parsed.quality, parsed.count) == (3, 100, 2, 6)
    assert parsed.next_seq == 106


def test_bytes_stand_where_the_spec_says():
    payload = batch.pack(chain(1000))
    assert payload == (
        b"\x01\x02\x03\x00\x64\x00\x00\x00\x00\x81\x24\x69\xfa\x00\x02\x00\x11\x00\x00\x22\x0a\x00"
    ), payload


def test_rounding_does_not_add_up():
    random = Random(3)
    for _ in range(20):
        gaps = [random.below(3000) for _ in range(255)]
        records = chain(*gaps)
        parsed = batch.parse(batch.pack(records)).records
        for sent, got in zip(records, parsed):
            assert sent[:4] == got[:4]
            late_ms = (sent[4] - got[4]) * 1000 + sent[5] - got[5]
            assert 0 <= late_ms < 100, late_ms


def test_span_stops_where_a_batch_must_end():
    records = chain(1000, 1000, 1000)
    assert batch.span(records) == 4
    assert batch.span(records, 2) == 2
    assert batch.span([]) == 0
    for field, value in ((0, 4), (2, 1), (3, 99)):
        broken = list(records[2])
        broken[field] = value
        assert batch.span(records[:2] + [tuple(broken)] + records[3:]) == 2, field
        raises(errors.BATCH_DELTA, batch.pack, records[:2] + [tuple(broken)])
    assert batch.span(chain(1000, -1000, 500)) == 2
    assert batch.span(chain(1000, 6553600)) == 2
    assert batch.span(chain(1000, 6553500)) == 3
    long = chain(*([1000] * 300))
    assert batch.span(long) == 256
    assert batch.parse(batch.pack(long[:256])).count == 256
    raises(errors.BATCH_COUNT, batch.pack, long)
    raises(errors.BATCH_COUNT, batch.pack, [])


def test_fields_out_of_range_are_not_packed():
    for field, value, code in (
        (0, 0, errors.BATCH_EPOCH),
        (1, 256, errors.RESULT_VALUE),
        (2, 3, errors.BATCH_QUALITY),
        (2, -1, errors.BATCH_QUALITY),
        (3, 1 << 32, errors.BATCH_SEQ),
        (4, 1 << 32, errors.RECORD_TIME),
        (5, -1, errors.BATCH_TIME),
    ):
        broken = list(FIRST)
        broken[field] = value
        raises(code, batch.pack, [tuple(broken)])


def test_what_span_accepts_can_be_packed():
    random = Random(4)
    for _ in range(100):
        records = [FIRST]
        while len(records) < 30:
            after = list(follow(records[-1], random.between(-50, 400), random.bits(8)))
            if random.below(20) == 0:
                after[random.below(4)] += 1
                after[1] %= 256
                after[2] %= 3
            records.append(tuple(after))
        while records:
            count = batch.span(records)
            assert count > 0
            assert batch.parse(batch.pack(records[:count])).count == count
            records = records[count:]


def test_anchor_survives():
    payload = batch.pack_anchor(65535, 0xFFFFFFFF)
    assert len(payload) == 16
    parsed = batch.parse(payload)
    assert (parsed.epoch, parsed.first_seq, parsed.count, parsed.records) == (
        65535,
        0xFFFFFFFF,
        0,
        [],
    )
    assert parsed.next_seq == 0xFFFFFFFF
    raises(errors.BATCH_EPOCH, batch.pack_anchor, 0, 0)
    raises(errors.BATCH_EPOCH, batch.pack_anchor, 65536, 0)
    raises(errors.BATCH_SEQ, batch.pack_anchor, 1, 1 << 32)


def header(**changes):
    fields = {
        "version": 1,
        "quality": 0,
        "epoch": 1,
        "seq": 0,
        "time_s": 0,
        "time_ms": 0,
        "count": 0,
    }
    fields.update(changes)
    names = ("version", "quality", "epoch", "seq", "time_s", "time_ms", "count")
    return struct.pack("<BBHIIHH", *[fields[name] for name in names])


def test_bad_batches_are_refused():
    assert batch.parse(header()).count == 0
    one = bytes(3)
    for code, payload in (
        (errors.BATCH_SIZE, b""),
        (errors.BATCH_SIZE, header()[:15]),
        (errors.BATCH_SIZE, header() + b"\0"),
        (errors.BATCH_SIZE, header(count=2) + one),
        (errors.BATCH_VERSION, header(version=0)),
        (errors.BATCH_VERSION, header(version=2)),
        (errors.BATCH_QUALITY, header(quality=3, count=1) + one),
        (errors.BATCH_EPOCH, header(epoch=0)),
        (errors.BATCH_TIME, header(time_ms=1000, count=1) + one),
        (errors.BATCH_TIME, header(time_s=1)),
        (errors.BATCH_TIME, header(time_ms=1)),
        (errors.BATCH_TIME, header(quality=1)),
        (errors.BATCH_COUNT, header(count=257) + one * 257),
        (errors.BATCH_SEQ, header(seq=0xFFFFFFFF, count=2) + one * 2),
        (errors.BATCH_DELTA, header(count=1) + b"\0\1\0"),
        (errors.BATCH_TIME, header(time_s=0xFFFFFFFF, count=2) + one + b"\0\x0a\0"),
    ):
        raises(code, batch.parse, payload)
    assert batch.parse(header(seq=0xFFFFFFFF, count=1) + one).next_seq == 1 << 32


def test_arbitrary_bytes_never_raise_anything_else():
    random = Random(5)
    good = batch.pack(chain(1000, 200, 300))
    for _ in range(2000):
        payload = bytearray(good)
        for _ in range(random.between(1, 4)):
            payload[random.below(len(payload))] = random.bits(8)
        payload = bytes(payload)[: random.between(0, 40)]
        try:
            parsed = batch.parse(payload)
        except errors.OnebyteError as error:
            assert 50 <= error.code < 60, error
        else:
            assert 16 + 3 * parsed.count == len(payload)
