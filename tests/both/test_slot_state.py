"""The state record of the slots survives, and every damage to it is refused."""

from check import Random, raises
from sample_release import flips, reason

from formats import errors, slot_state
from formats.crc import crc32


def full(**changes):
    """Return a state without a field at its default."""
    state = slot_state.State()
    values = (2, 1, 3, 70000, 11, 8, 15, 9, 2, 14, 190, True)
    for name, value in zip(slot_state.FIELDS, values):
        setattr(state, name, value)
    for name, value in changes.items():
        setattr(state, name, value)
    return state


def resting(**changes):
    """Return a state without a pending slot."""
    values = {"pending": 0, "tries_left": 0, "pending_seq": 0, "pending_floor": 0}
    values["may_confirm_offline"] = False
    values.update(changes)
    return full(**values)


def test_a_state_survives():
    new = slot_state.State()
    assert new.values() == (0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, False)
    many = full(tries_left=100, record_seq=0xFFFFFFFF)
    for state in (full(), resting(), resting(active=0), full(active=0, tries_left=0), many):
        content = slot_state.pack(state)
        assert slot_state.parse(bytes(content)).values() == state.values()
        assert state.copy().values() == state.values()


def test_the_layout_is_the_one_of_the_spec():
    content = slot_state.pack(full())
    assert len(content) == 44
    assert content[:12] == b"OBT\x1a\x01\x02\x01\x03\x70\x11\x01\0"
    assert content[12:28] == bytes([11, 0, 0, 0, 8, 0, 0, 0, 15, 0, 0, 0, 9, 0, 0, 0])
    assert content[28:40] == bytes([2, 0, 0, 0, 14, 0, 0, 0, 190, 0, 1, 0])


def test_what_does_not_fit_is_refused_both_ways():
    for name, values in (
        ("active", (3, 1)),
        ("pending", (3,)),
        ("tries_left", (101, -1)),
        ("record_seq", (0, 1 << 32)),
        ("installed_seq", (15,)),
        ("security_floor", (1 << 32,)),
        ("pending_seq", (14,)),
        ("root_epoch", (0,)),
        ("last_bad_seq", (-1,)),
        ("fail_reason", (65536,)),
    ):
        for value in values:
            raises(errors.SLOT_STATE_RANGE, slot_state.pack, full(**{name: value}))
    alone = (("tries_left", 1), ("pending_seq", 20), ("pending_floor", 1))
    for name, value in alone + (("may_confirm_offline", True),):
        raises(errors.SLOT_STATE_RANGE, slot_state.pack, resting(**{name: value}))
    for at, value in ((5, 1), (6, 3), (7, 101), (38, 2), (39, 1), (6, 0), (8, 0)):
        content = slot_state.pack(full(record_seq=1))
        content[at] = value
        content[40:] = crc32(content[:40]).to_bytes(4, "little")
        raises(errors.SLOT_STATE_RANGE, slot_state.parse, bytes(content))


def test_every_cut_and_every_changed_bit_is_refused():
    content = bytes(slot_state.pack(full()))
    for length in range(44):
        assert reason(slot_state.parse, content[:length]) == errors.SLOT_STATE_SIZE
    raises(errors.SLOT_STATE_SIZE, slot_state.parse, content + b"\0")
    for bad in flips(content):
        assert 160 < reason(slot_state.parse, bad) < 164
    raises(errors.SLOT_STATE_MAGIC, slot_state.parse, bytes(44))
    raises(errors.SLOT_STATE_MAGIC, slot_state.parse, b"\xff" * 44)
    raises(errors.SLOT_STATE_VERSION, slot_state.parse, content[:4] + b"\x02" + content[5:])
    random = Random(9)
    for _ in range(300):
        assert reason(slot_state.parse, b"OBT\x1a\x01" + random.bytes(39))


def test_two_bits_and_torn_writes_are_refused():
    content = bytes(slot_state.pack(full()))
    older = bytes(slot_state.pack(resting()))
    for at in range(1, 44):
        for bad in (content[:at] + older[at:], content[:at] + bytes(44 - at)):
            assert bad in (content, older) or reason(slot_state.parse, bad)
    random = Random(11)
    for _ in range(2000):
        bad = bytearray(content)
        for _ in range(2):
            bad[random.below(44)] ^= 1 << random.below(8)
        assert bytes(bad) == content or reason(slot_state.parse, bytes(bad))
