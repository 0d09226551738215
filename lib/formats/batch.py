"""The backlog batch: consecutive records of one epoch, 3 bytes each; empty it is an anchor."""

import struct

from formats import errors
from formats.record import MAX_QUALITY, U32_MAX, check_ranges

VERSION = 1
HEADER_BYTES = 16
ENTRY_BYTES = 3
MAX_RECORDS = 256
MAX_DELTA_DS = 65535

_HEADER = "<BBHIIHH"
_ENTRY = "<BH"


class Batch:
    """A parsed batch.

    Attributes:
        epoch: Boot counter, 1-65535.
        first_seq: Number of the first record; of an anchor the number of the next live byte.
        quality: `time_quality` of all records.
        count: Number of records, 0 for an anchor.
        records: List of (epoch, result, quality, seq, time_s, time_ms), as `record.parse` returns.
    """

    def __init__(self, epoch: int, first_seq: int, quality: int, records: list) -> None:
        self.epoch = epoch
        self.first_seq = first_seq
        self.quality = quality
        self.count = len(records)
        self.records = records

    @property
    def next_seq(self) -> int:
        """Number of the next live byte in the same connection."""
        return self.first_seq + self.count


def span(records, limit: int = MAX_RECORDS) -> int:
    """Return how many of the leading `records` fit one batch.

    A batch ends where the epoch or the time quality changes, a number is missing, the clock was
    set back, or more time passed than a delta can hold.
    """
    last_ds = 0
    for i in range(min(len(records), limit, MAX_RECORDS)):
        if i and not 0 <= _delta_ds(records, i, last_ds) <= MAX_DELTA_DS:
            return i
        last_ds = _since_first_ds(records, i)
    return min(len(records), limit, MAX_RECORDS)


def pack(records) -> bytes:
    """Return the batch of 1-256 records.

    Args:
        records: (epoch, result, quality, seq, time_s, time_ms) tuples that `span` accepts.

    Raises:
        OnebyteError: They do not fit one batch, or a field is out of range.
    """
    count = len(records)
    if count < 1 or count > MAX_RECORDS:
        raise errors.OnebyteError(errors.BATCH_COUNT)
    epoch, _, quality, seq, time_s, time_ms = records[0]
    _check(epoch, quality, seq, count, time_ms)
    check_ranges(0, seq, time_s)
    payload = bytearray(HEADER_BYTES + ENTRY_BYTES * count)
    struct.pack_into(_HEADER, payload, 0, VERSION, quality, epoch, seq, time_s, time_ms, count)
    last_ds = 0
    for i in range(count):
        delta_ds = _delta_ds(records, i, last_ds) if i else 0
        if delta_ds < 0 or delta_ds > MAX_DELTA_DS:
            raise errors.OnebyteError(errors.BATCH_DELTA, "record %d" % i)
        last_ds = _since_first_ds(records, i)
        check_ranges(records[i][1], seq + i, records[i][4])
        struct.pack_into(_ENTRY, payload, HEADER_BYTES + ENTRY_BYTES * i, records[i][1], delta_ds)
    return bytes(payload)


def pack_anchor(epoch: int, next_seq: int) -> bytes:
    """Return the batch without records that says which number the next live byte has."""
    _check(epoch, 0, next_seq, 1, 0)  # the next live byte needs a number that exists
    return struct.pack(_HEADER, VERSION, 0, epoch, next_seq, 0, 0, 0)


def parse(payload) -> Batch:
    """Return the `Batch` in `payload`.

    Raises:
        OnebyteError: The payload is not exactly one valid batch.
    """
    if len(payload) < HEADER_BYTES:
        raise errors.OnebyteError(errors.BATCH_SIZE)
    fields = struct.unpack_from(_HEADER, payload, 0)
    version, quality, epoch, first_seq, time_s, time_ms, count = fields
    if version != VERSION:
        raise errors.OnebyteError(errors.BATCH_VERSION)
    if count > MAX_RECORDS:
        raise errors.OnebyteError(errors.BATCH_COUNT)
    if len(payload) != HEADER_BYTES + ENTRY_BYTES * count:
        raise errors.OnebyteError(errors.BATCH_SIZE)
    _check(epoch, quality, first_seq, count, time_ms)
    if count == 0 and (quality or time_s or time_ms):
        raise errors.OnebyteError(errors.BATCH_TIME, "time in an anchor")
    records = []
    for i in range(count):
        result, delta_ds = struct.unpack_from(_ENTRY, payload, HEADER_BYTES + ENTRY_BYTES * i)
        if i == 0 and delta_ds:
            raise errors.OnebyteError(errors.BATCH_DELTA, "first record")
        time_ms += delta_ds * 100
        time_s += time_ms // 1000
        time_ms %= 1000
        if time_s > U32_MAX:
            raise errors.OnebyteError(errors.BATCH_TIME)
        records.append((epoch, result, quality, first_seq + i, time_s, time_ms))
    return Batch(epoch, first_seq, quality, records)


def _since_first_ds(records, i):
    """Whole tenths of a second from record 0 to record i; negative when the clock was set back."""
    first = records[0]
    return ((records[i][4] - first[4]) * 1000 + records[i][5] - first[5]) // 100


def _delta_ds(records, i, last_ds):
    """Tenths of a second from record i - 1, at `last_ds`, to record i; -1 when it cannot follow.

    Counted from the first record, so that the rounding does not add up.
    """
    before = records[i - 1]
    here = records[i]
    if here[0] != before[0] or here[2] != before[2] or here[3] != before[3] + 1:
        return -1
    return _since_first_ds(records, i) - last_ds


def _check(epoch, quality, first_seq, count, time_ms):
    if quality < 0 or quality > MAX_QUALITY:
        raise errors.OnebyteError(errors.BATCH_QUALITY)
    if epoch < 1 or epoch > 65535:
        raise errors.OnebyteError(errors.BATCH_EPOCH)
    if first_seq < 0 or first_seq + count > U32_MAX + 1:
        raise errors.OnebyteError(errors.BATCH_SEQ)
    if time_ms < 0 or time_ms > 999:
        raise errors.OnebyteError(errors.BATCH_TIME)
