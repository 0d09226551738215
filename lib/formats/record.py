"""The outbox record: one decision with its number and time, 16 bytes."""

import struct

from formats import errors
from formats.crc import crc16

RECORD_BYTES = 16

# time_quality: 0 since boot, the clock was never set; 1 set once, not followed up; 2 synchronised.
SINCE_BOOT = 0
MAX_QUALITY = 2
U32_MAX = 0xFFFFFFFF

_FORMAT = "<HBBIIH"
_BODY_BYTES = 14


def pack_into(buf, offset, epoch, result, quality, seq, time_s, time_ms):  # noqa: PLR0913, PLR0917
    """Write a record of 16 bytes to buf[offset:].

    The parameters are the fields of the record: an object to carry them would be allocated for
    every decision.

    Args:
        buf: A writable buffer.
        offset: Where the record begins.
        epoch: Boot counter, 1-65535.
        result: Result byte.
        quality: time_quality, 0 to MAX_QUALITY.
        seq: Number of the decision in this epoch, u32.
        time_s: Seconds since 1970-01-01 UTC, or since boot with SINCE_BOOT, u32.
        time_ms: 0-999.

    Raises:
        OnebyteError: A field is out of range, or the buffer too short.
    """
    if offset < 0 or len(buf) - offset < RECORD_BYTES:
        raise errors.OnebyteError(errors.RECORD_SIZE)
    check_fields(epoch, quality, time_ms)
    check_ranges(result, seq, time_s)
    struct.pack_into(_FORMAT, buf, offset, epoch, result, quality, seq, time_s, time_ms)
    crc = crc16(buf, offset, offset + _BODY_BYTES)
    buf[offset + 14] = crc & 255
    buf[offset + 15] = crc >> 8


def parse(buf, offset: int = 0) -> tuple:
    """Return (epoch, result, quality, seq, time_s, time_ms) of the record at buf[offset:].

    Raises:
        OnebyteError: There is no valid record.
    """
    if offset < 0 or len(buf) - offset < RECORD_BYTES:
        raise errors.OnebyteError(errors.RECORD_SIZE)
    crc = buf[offset + 14] | buf[offset + 15] << 8
    if crc16(buf, offset, offset + _BODY_BYTES) != crc:
        raise errors.OnebyteError(errors.RECORD_CRC)
    epoch, result, quality, seq, time_s, time_ms = struct.unpack_from(_FORMAT, buf, offset)
    check_fields(epoch, quality, time_ms)
    return epoch, result, quality, seq, time_s, time_ms


def check_fields(epoch: int, quality: int, time_ms: int) -> None:
    """Raise an `OnebyteError` unless the fields that not every integer fits are in range."""
    if epoch < 1 or epoch > 65535:
        raise errors.OnebyteError(errors.RECORD_EPOCH)
    if quality < 0 or quality > MAX_QUALITY:
        raise errors.OnebyteError(errors.RECORD_QUALITY)
    if time_ms < 0 or time_ms > 999:
        raise errors.OnebyteError(errors.RECORD_TIME)


def check_ranges(result: int, seq: int, time_s: int) -> None:
    """Raise an `OnebyteError` unless these fit their bytes: MicroPython would cut them."""
    if result < 0 or result > 255:
        raise errors.OnebyteError(errors.RESULT_VALUE)
    if seq < 0 or seq > U32_MAX:
        raise errors.OnebyteError(errors.RECORD_SEQ)
    if time_s < 0 or time_s > U32_MAX:
        raise errors.OnebyteError(errors.RECORD_TIME)
