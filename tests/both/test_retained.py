"""What is kept over a deep sleep: survives, and is refused when a bit of it changed."""

from check import Random, raises

from formats import errors, record, retained
from formats.retained import State


def records(entries):
    """Return packed records of (epoch, seq)."""
    content = bytearray(len(entries) * record.RECORD_BYTES)
    for i, (epoch, seq) in enumerate(entries):
        record.pack_into(content, i * record.RECORD_BYTES, epoch, 0x31, 1, seq, 1000 + i, 5)
    return bytes(content)


def full(**changes):
    """Return a state without a field at its default."""
    state = State()
    state.epoch = 7
    state.next_seq = 1234
    state.uptime_s = 86400
    state.uptime_ms = 999
    state.status_age_ms = 3599000
    state.published_age_ms = 60001
    state.published = 0x8F
    state.link_failures = 3
    state.link_wait_s = 240
    state.model = 0xDEADBEEF
    state.counters = [1, 2, 3, 4, 5, 6, 7]
    state.charge_uah = [10, 20, 30, 40, 50]
    state.charge_rest = [0, 1, 2, 3, retained.REST_END - 1]
    state.unsaved_age_ms = 59000
    state.at = 2
    state.votes = b"\x01\xff\x03"
    state.confidences = b"\x80\x00\xff"
    state.records = records([(6, 9), (7, 1230), (7, 1233)])
    for key, value in changes.items():
        setattr(state, key, value)
    return state


def test_a_state_survives():
    for state in (State(), full(), full(records=b"", votes=b"", confidences=b"", at=0)):
        content = retained.pack(state)
        assert len(content) == retained.state_bytes(len(state.records) // 16)
        again = retained.parse(bytes(content))
        for key in vars_of(state):
            assert getattr(again, key) == getattr(state, key), key
        assert retained.pack(again) == content


def vars_of(state):
    """Return the names of a state's fields on either runtime."""
    return [key for key in dir(state) if not key.startswith("_")]


def test_the_layout_is_the_one_of_the_spec():
    content = retained.pack(full())
    assert content[:6] == b"OBS\x1a\x01\x03"
    assert content[6:12] == b"\x07\x00\xd2\x04\x00\x00"
    assert content[24] == 0x8F and content[26] == 3 and content[27] == 2
    assert content[32:36] == b"\xef\xbe\xad\xde"
    assert content[36] == 1 and content[60] == 7, "counters"
    assert content[64] == 10 and content[80] == 50, "charge"
    assert content[108:111] == b"\x01\xff\x03" and content[123:126] == b"\x80\x00\xff"
    assert content[138:142] == b"\xe7\x03\x03\x00" and content[142:144] == b"\x06\x00"
    assert len(content) == 142 + 48 + 4


def test_a_field_that_does_not_fit_is_refused_both_ways():
    two = [(7, 5), (7, 5)]
    for changes in (
        {"epoch": 0},
        {"epoch": 65536},
        {"next_seq": -1},
        {"next_seq": 1 << 32},
        {"uptime_s": 1 << 32},
        {"uptime_ms": 1000},
        {"status_age_ms": -1},
        {"model": 1 << 32},
        {"published": 256},
        {"published": 65536},
        {"link_failures": 256},
        {"at": 3},
        {"votes": b"1"},
        {"votes": b"1" * 16, "confidences": b"1" * 16},
        {"counters": [0] * 6},
        {"counters": [1 << 32] * 7},
        {"charge_rest": [0, 0, 0, 0, retained.REST_END]},
        {"charge_uah": [0, 0, 0, 0, -1]},
        {"records": b"1"},
        {"records": records(two)},
        {"records": records([(7, 1234)])},
    ):
        raises(errors.RETAINED_RANGE, retained.pack, full(**changes))


def seal(content):
    """Return the state with a CRC that fits."""
    from formats.crc import crc32

    content = bytearray(content)
    content[-4:] = crc32(content[:-4]).to_bytes(4, "little")
    return bytes(content)


def test_wrong_states_are_refused_by_name():
    good = bytes(retained.pack(full()))
    for at, value, code in (
        (0, 0, errors.RETAINED_MAGIC),
        (4, 2, errors.RETAINED_VERSION),
        (140, 4, errors.RETAINED_SIZE),
        (146, 0, errors.RETAINED_CRC),
    ):
        bad = bytearray(good)
        bad[at] = value
        raises(code, retained.parse, bytes(bad))
    for at, value in ((5, 2), (5, 16), (6, 0), (25, 1), (27, 3), (87, 255), (114, 1)):
        bad = bytearray(good)
        bad[at] = value
        raises(errors.RETAINED_RANGE, retained.parse, seal(bad))
    raises(errors.RETAINED_SIZE, retained.parse, good + b"\0")
    raises(errors.RETAINED_SIZE, retained.parse, b"")


def test_every_cut_and_every_changed_bit_is_refused():
    good = bytes(retained.pack(full()))
    for length in range(len(good)):
        refused(good[:length])
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit >> 3] ^= 1 << (bit & 7)
        refused(bytes(bad))
    random = Random(5)
    for length in (0, 12, 143, 144, 160, 500):
        for _ in range(50):
            refused(random.bytes(length))


def refused(content):
    """Fail unless the state is refused with a code of ours."""
    try:
        retained.parse(content)
    except errors.OnebyteError as error:
        assert 120 <= error.code <= 124, error
        return
    raise AssertionError("accepted")


def test_a_mark_survives():
    for early in (0, 1, 255):
        for asleep in (False, True):
            for crc in (0, 1, 0xFFFFFFFF):
                mark = retained.pack_mark(early, asleep, crc)
                assert len(mark) == 12
                assert retained.parse_mark(mark) == (early, asleep, crc)
                assert retained.parse_mark(bytes(mark) + b"tail") == (early, asleep, crc)


def test_a_mark_that_nobody_wrote_says_nothing():
    good = retained.pack_mark(3, True, 0x12345678)
    for length in range(12):
        assert retained.parse_mark(good[:length]) == (0, False, 0)
    for bit in range(96):
        bad = bytearray(good)
        bad[bit >> 3] ^= 1 << (bit & 7)
        assert retained.parse_mark(bad) == (0, False, 0), bit
    assert retained.parse_mark(b"\xff" * 12) == (0, False, 0)
    assert retained.parse_mark(bytes(12)) == (0, False, 0)
