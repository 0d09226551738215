"""What a node keeps over a deep sleep: a mark of 12 bytes, and a state. docs/SPEC.md: Retained.

The mark is small enough for a few registers, the state for the memory that a chip keeps in deep
sleep, or for a file. Only a state that the mark names was written for this sleep.
"""

import struct

from formats import errors, record
from formats.crc import crc16, crc32

MARK_BYTES = 12
HEAD_BYTES = 142  # of the state, before its records
MAX_RECORDS = 1024
MAX_HISTORY = 15
N_PHASES = 5
UNKNOWN_MS = 0xFFFFFFFF  # an age: never
NO_KEY = 0xFFFF  # `published`: nothing was published yet
REST_END = 3600000  # microampere milliseconds in a microampere hour

COUNTERS = ("windows", "faults", "dropped", "connects", "wakes", "flash_errors", "flash_held")

_MARK_FORMAT = "<2sBBBBI"
_MARK_MAGIC = b"OM"
_MAGIC = b"OBS\x1a"
_VERSION = 1
_ASLEEP = 1
_CRC_BYTES = 4
_FORMAT = "<4sBBHIIIIHBBII7I10II15s15sHH"
_U32_MAX = 0xFFFFFFFF


def pack_mark(early_ends: int, is_asleep: bool, state_crc: int) -> bytearray:
    """Return a mark.

    Args:
        early_ends: Boots in a row that ended early, 0-255.
        is_asleep: The state with `state_crc` may be continued.
        state_crc: Last 4 bytes of that state, 0 without one.
    """
    mark = bytearray(MARK_BYTES)
    flags = _ASLEEP if is_asleep else 0
    struct.pack_into(_MARK_FORMAT, mark, 0, _MARK_MAGIC, _VERSION, flags, early_ends, 0, state_crc)
    struct.pack_into("<H", mark, MARK_BYTES - 2, crc16(mark, 0, MARK_BYTES - 2))
    return mark


def parse_mark(content) -> tuple:
    """Return (early_ends, is_asleep, state_crc) of the mark at the start of `content`.

    Memory that nobody wrote, or that lost its supply, gives (0, False, 0).
    """
    nothing = (0, False, 0)
    if len(content) < MARK_BYTES:
        return nothing
    magic, version, flags, early_ends, reserved, state_crc = struct.unpack_from(
        _MARK_FORMAT, content, 0
    )
    crc = content[MARK_BYTES - 2] | content[MARK_BYTES - 1] << 8
    if magic != _MARK_MAGIC or version != _VERSION or reserved or flags > _ASLEEP:
        return nothing
    if crc != crc16(content, 0, MARK_BYTES - 2):
        return nothing
    return early_ends, flags == _ASLEEP, state_crc


class State:
    """What a node that wakes goes on with; a new one has nothing to go on with.

    Attributes:
        epoch: of the records that it makes, 1-65535.
        next_seq: number of the next record.
        uptime_s: since the boot that began the epoch, at the wake.
        uptime_ms: and its milliseconds, 0-999.
        status_age_ms: since the last status message, at the wake; UNKNOWN_MS: none was sent.
        published_age_ms: since the last decision that was published, at the wake.
        published: its policy key, or NO_KEY.
        link_failures: sessions in a row that ended without success.
        link_wait_s: what is left of the pause after them, at the wake.
        model: last 4 bytes of the model file, whose classes `published` and `votes` name.
        counters: integers in the order of COUNTERS.
        charge_uah: microampere hours of each phase of the ledger.
        charge_rest: and the microampere milliseconds beyond them, below REST_END.
        unsaved_age_ms: how long the oldest record waits, at the wake.
        at: slot of the decision's next window.
        votes: class ids of the last windows, 255 for none; at most MAX_HISTORY.
        confidences: and their confidences.
        records: the records that wait in RAM, 16 bytes each, oldest first.
    """

    def __init__(self):
        self.epoch = 1
        self.next_seq = 0
        self.uptime_s = 0
        self.uptime_ms = 0
        self.status_age_ms = UNKNOWN_MS
        self.published_age_ms = 0
        self.published = NO_KEY
        self.link_failures = 0
        self.link_wait_s = 0
        self.model = 0
        self.counters = [0] * len(COUNTERS)
        self.charge_uah = [0] * N_PHASES
        self.charge_rest = [0] * N_PHASES
        self.unsaved_age_ms = 0
        self.at = 0
        self.votes = b""
        self.confidences = b""
        self.records = b""


def state_bytes(n_records: int) -> int:
    """Return the size of a state with so many records."""
    return HEAD_BYTES + n_records * record.RECORD_BYTES + _CRC_BYTES


def crc_of(content) -> int:
    """Return what the mark of a packed state names: its last 4 bytes."""
    return struct.unpack_from("<I", content, len(content) - _CRC_BYTES)[0]


def pack(state: State) -> bytearray:
    """Return the bytes of a state.

    Raises:
        OnebyteError: RETAINED_RANGE: `parse` would refuse it.
    """
    n_records = len(state.records) // record.RECORD_BYTES
    _check(state, n_records)
    content = bytearray(state_bytes(n_records))
    struct.pack_into(
        _FORMAT,
        content,
        0,
        _MAGIC,
        _VERSION,
        len(state.votes),
        state.epoch,
        state.next_seq,
        state.uptime_s,
        state.status_age_ms,
        state.published_age_ms,
        state.published,
        state.link_failures,
        state.at,
        state.link_wait_s,
        state.model,
        *state.counters,
        *state.charge_uah,
        *state.charge_rest,
        state.unsaved_age_ms,
        bytes(state.votes),
        bytes(state.confidences),
        state.uptime_ms,
        n_records,
    )
    content[HEAD_BYTES : len(content) - _CRC_BYTES] = state.records
    struct.pack_into("<I", content, len(content) - _CRC_BYTES, crc32(content[:-_CRC_BYTES]))
    return content


def parse(content) -> State:
    """Return the `State` in `content`.

    Raises:
        OnebyteError: A RETAINED_* code: there is none.
    """
    if len(content) < state_bytes(0):
        raise errors.OnebyteError(errors.RETAINED_SIZE)
    head = struct.unpack_from(_FORMAT, content, 0)
    if head[0] != _MAGIC:
        raise errors.OnebyteError(errors.RETAINED_MAGIC)
    if head[1] != _VERSION:
        raise errors.OnebyteError(errors.RETAINED_VERSION, "version %d" % head[1])
    n_records = head[-1]
    if len(content) != state_bytes(n_records):
        raise errors.OnebyteError(errors.RETAINED_SIZE)
    if crc32(content[:-_CRC_BYTES]) != crc_of(content):
        raise errors.OnebyteError(errors.RETAINED_CRC)
    state = _from_head(head)
    state.records = bytes(content[HEAD_BYTES:-_CRC_BYTES])
    _check(state, n_records)
    return state


def _from_head(head) -> State:
    state = State()
    n_history = head[2]
    (
        state.epoch,
        state.next_seq,
        state.uptime_s,
        state.status_age_ms,
        state.published_age_ms,
        state.published,
        state.link_failures,
        state.at,
        state.link_wait_s,
        state.model,
    ) = head[3:13]
    state.counters = list(head[13:20])
    state.charge_uah = list(head[20:25])
    state.charge_rest = list(head[25:30])
    state.unsaved_age_ms = head[30]
    votes, confidences, state.uptime_ms = head[31:34]
    state.votes = votes[:n_history]
    state.confidences = confidences[:n_history]
    if n_history > MAX_HISTORY or any(votes[n_history:]) or any(confidences[n_history:]):
        raise errors.OnebyteError(errors.RETAINED_RANGE, "history")
    return state


def _check(state: State, n_records: int) -> None:
    """Raise RETAINED_RANGE unless every field fits: MicroPython would cut it."""
    u32 = [state.next_seq, state.uptime_s, state.status_age_ms, state.published_age_ms]
    u32 += [state.link_wait_s, state.unsaved_age_ms, state.model]
    u32 += list(state.counters) + list(state.charge_uah)
    good = (
        1 <= state.epoch <= 65535
        and min(u32) >= 0
        and max(u32) <= _U32_MAX
        and (0 <= state.published <= 255 or state.published == NO_KEY)
        and 0 <= state.uptime_ms <= 999
        and 0 <= state.link_failures <= 255
        and len(state.votes) == len(state.confidences) <= MAX_HISTORY
        and (0 <= state.at < len(state.votes) or state.at == 0)
        and len(state.counters) == len(COUNTERS)
        and len(state.charge_uah) == len(state.charge_rest) == N_PHASES
        and 0 <= min(state.charge_rest) <= max(state.charge_rest) < REST_END
        and n_records <= MAX_RECORDS
        and len(state.records) == n_records * record.RECORD_BYTES
    )
    if not good:
        raise errors.OnebyteError(errors.RETAINED_RANGE)
    _check_records(state)


def _check_records(state: State) -> None:
    """Raise RETAINED_RANGE unless the records are valid and rise up to `next_seq`."""
    before = None
    for offset in range(0, len(state.records), record.RECORD_BYTES):
        entry = record.parse(state.records, offset)
        # Those of earlier epochs wait here, too, while the flash fails.
        rises = before is None or before[0] != entry[0] or entry[3] > before[3]
        if not rises or (entry[0] == state.epoch and entry[3] >= state.next_seq):
            raise errors.OnebyteError(errors.RETAINED_RANGE, "records")
        before = entry
