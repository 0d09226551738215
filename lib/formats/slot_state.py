"""The state record of the two slots, 44 bytes with a CRC. docs/SPEC.md: Slot state.

One record holds all that a boot decides by, so that one write moves a node from one state to the
next: see `ota.slots`.
"""

import struct

from formats import errors
from formats.crc import crc32
from formats.errors import OnebyteError

STATE_BYTES = 44
NO_SLOT = 0
SLOT_A = 1
SLOT_B = 2
MAX_TRIES = 100
U32_MAX = 0xFFFFFFFF
NAMES = ("none", "a", "b")

FIELDS = (
    "active",
    "pending",
    "tries_left",
    "record_seq",
    "installed_seq",
    "security_floor",
    "pending_seq",
    "pending_floor",
    "root_epoch",
    "last_bad_seq",
    "fail_reason",
    "may_confirm_offline",
)

_MAGIC = b"OBT\x1a"
_VERSION = 1
_FORMAT = "<4sBBBB7IHBB"
_CRC_AT = 40
_OFFLINE = 1


class State:
    """What a node remembers of its slots; a new one has none.

    Attributes:
        active: The slot that was confirmed last, or NO_SLOT.
        pending: The slot that is on trial or waits for it, or NO_SLOT.
        tries_left: Starts that the trial still has.
        record_seq: Rises by one with every record that is written; 1 follows on the last number.
        installed_seq: Highest manifest_seq that was ever confirmed.
        security_floor: Lowest content_version that may be installed.
        pending_seq: The manifest_seq of the pending slot.
        pending_floor: The security_floor that its confirmation brings.
        root_epoch: Of the root document in force.
        last_bad_seq: Highest manifest_seq whose trial failed.
        fail_reason: Why, a reason code.
        may_confirm_offline: The pending release may do without the server.
    """

    def __init__(self) -> None:
        self.active = NO_SLOT
        self.pending = NO_SLOT
        self.tries_left = 0
        self.record_seq = 0
        self.installed_seq = 0
        self.security_floor = 0
        self.pending_seq = 0
        self.pending_floor = 0
        self.root_epoch = 1
        self.last_bad_seq = 0
        self.fail_reason = 0
        self.may_confirm_offline = False

    def values(self) -> tuple:
        """Return the fields in the order of FIELDS."""
        return tuple([getattr(self, name) for name in FIELDS])

    def copy(self) -> "State":
        """Return a state of its own with the same values."""
        other = State()
        for name in FIELDS:
            setattr(other, name, getattr(self, name))
        return other


def pack(state: State) -> bytearray:
    """Return the bytes of a state.

    Raises:
        OnebyteError: SLOT_STATE_RANGE: `parse` would refuse it.
    """
    _check(state)
    content = bytearray(STATE_BYTES)
    struct.pack_into(
        _FORMAT,
        content,
        0,
        _MAGIC,
        _VERSION,
        state.active,
        state.pending,
        state.tries_left,
        state.record_seq,
        state.installed_seq,
        state.security_floor,
        state.pending_seq,
        state.pending_floor,
        state.root_epoch,
        state.last_bad_seq,
        state.fail_reason,
        _OFFLINE if state.may_confirm_offline else 0,
        0,
    )
    struct.pack_into("<I", content, _CRC_AT, crc32(memoryview(content)[:_CRC_AT]))
    return content


def parse(content) -> State:
    """Return the `State` in `content`.

    Raises:
        OnebyteError: A SLOT_STATE_* code: there is none.
    """
    if len(content) != STATE_BYTES:
        raise OnebyteError(errors.SLOT_STATE_SIZE, "%d bytes" % len(content))
    fields = struct.unpack_from(_FORMAT, content, 0)
    if fields[0] != _MAGIC:
        raise OnebyteError(errors.SLOT_STATE_MAGIC)
    if fields[1] != _VERSION:
        raise OnebyteError(errors.SLOT_STATE_VERSION, "version %d" % fields[1])
    if crc32(memoryview(content)[:_CRC_AT]) != struct.unpack_from("<I", content, _CRC_AT)[0]:
        raise OnebyteError(errors.SLOT_STATE_CRC)
    flags, reserved = fields[13:]
    if flags > _OFFLINE or reserved:
        raise OnebyteError(errors.SLOT_STATE_RANGE, "flags")
    state = State()
    for name, value in zip(FIELDS, fields[2:13]):
        setattr(state, name, value)
    state.may_confirm_offline = flags == _OFFLINE
    _check(state)
    return state


def _check(state: State) -> None:
    """Raise SLOT_STATE_RANGE unless the fields fit each other."""
    wide = state.values()[3:10]
    good = (
        state.active in (NO_SLOT, SLOT_A, SLOT_B)
        and 0 <= min(wide) <= max(wide) <= U32_MAX
        and state.record_seq
        and state.root_epoch
        and 0 <= state.fail_reason <= 0xFFFF
    )
    if good and state.pending == NO_SLOT:
        rest = (state.tries_left, state.pending_seq, state.pending_floor)
        good = rest == (0, 0, 0) and not state.may_confirm_offline
    elif good:
        good = (
            state.pending in (SLOT_A, SLOT_B)
            and state.pending != state.active
            and 0 <= state.tries_left <= MAX_TRIES
            and state.pending_seq > max(state.installed_seq, state.last_bad_seq)
        )
    if not good:
        raise OnebyteError(errors.SLOT_STATE_RANGE)
