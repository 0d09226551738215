"""Blocks of samples, on a serial line and in a file. docs/SPEC.md, "Sample block", has the bytes.

A block says which rows it holds and when they were read, so a reader sees where something is
missing. In a file blocks stand one behind the other; on a console each is a line of its own.
"""

import struct
from binascii import a2b_base64, b2a_base64

from formats import errors
from formats.crc import crc32

MAGIC = b"OS"
VERSION = 1

INFO = 1  # JSON: what is measured, and by what
SAMPLES = 2
MARK = 3  # from this row on another label counts; written by the host
END = 4

HEADER_BYTES = 12
SAMPLES_HEAD_BYTES = 20
END_BYTES = 16
CRC_BYTES = 4
MAX_BODY_BYTES = 1024
MAX_ROWS = 255
MAX_CHANNELS = 16
MAX_SAMPLE_BYTES = 512  # of the rows in one block

# Why a recording ended.
ASKED, SOURCE_OVER, ROWS_DONE, QUOTA, FLASH_FAILED = range(5)

LINE_MARK = b"obs1 "
LINE_ALIGN = 64  # bytes of a USB packet
MAX_LINE_BYTES = 1408  # of the longest block, padded

_HEADER = "<2sBBIHH"
_SAMPLES = "<IIIHHHBB"
_END = "<IIHHHBB"
_MILLION = 1000000


def rows_per_block(n_channels: int) -> int:
    """Return how many rows of so many channels a block may hold."""
    return min(MAX_ROWS, MAX_SAMPLE_BYTES // (2 * n_channels))


def pack(kind: int, counter: int, body) -> bytes:
    """Return a block.

    Args:
        kind: INFO, SAMPLES, MARK or END.
        counter: Number of the block in its recording; 0 for INFO and MARK.
        body: At most 1024 bytes.
    """
    start = struct.pack(_HEADER, MAGIC, VERSION, kind, counter, len(body), 0) + body
    return start + struct.pack("<I", crc32(start))


def pack_samples(counter: int, row: int, when, losses, rows) -> bytes:
    """Return a block of samples.

    Args:
        counter: Number of the block.
        row: Number of its first row since the recording began, lost ones counted.
        when: (seconds, microseconds) since then, at the read that brought the last row.
        losses: The driver's counters so far: overruns, gaps, failed reads.
        rows: (n_channels, bytes of int16 values).
    """
    n_channels, values = rows
    head = struct.pack(
        _SAMPLES,
        row,
        when[0],
        when[1],
        losses[0] & 0xFFFF,
        losses[1] & 0xFFFF,
        losses[2] & 0xFFFF,
        n_channels,
        len(values) // (2 * n_channels),
    )
    return pack(SAMPLES, counter, head + values)


def pack_end(counter: int, rows: int, dropped: int, losses, reason: int) -> bytes:
    """Return the last block of a recording.

    Args:
        counter: Its number.
        rows: How many rows were read, dropped ones counted.
        dropped: How many of them found no room, because nobody took the blocks.
        losses: The driver's counters: overruns, gaps, failed reads.
        reason: ASKED, SOURCE_OVER, ROWS_DONE, QUOTA or FLASH_FAILED.
    """
    overruns, gaps, failures = [count & 0xFFFF for count in losses]
    return pack(
        END, counter, struct.pack(_END, rows, dropped, overruns, gaps, failures, reason, 0)
    )


def pack_mark(row: int, label: str) -> bytes:
    """Return the block that says which label counts from a row on."""
    return pack(MARK, 0, struct.pack("<I", row) + label.encode())


def pack_line(block) -> bytes:
    """Return a block as a line with its end; its length is a multiple of 64."""
    text = b2a_base64(block)[:-1]
    n_bytes = len(LINE_MARK) + len(text) + 1
    return LINE_MARK + text + b" " * (-n_bytes % LINE_ALIGN) + b"\n"


def parse_line(line) -> bytes:
    """Return the bytes of the block in a line, with or without the line's end.

    Raises:
        OnebyteError: LINE_MARK, it is something else that the device printed; LINE_SIZE or
            LINE_KIND, it is damaged.
    """
    text = bytes(line).rstrip()
    if not text.startswith(LINE_MARK):
        raise errors.OnebyteError(errors.LINE_MARK)
    if len(text) > MAX_LINE_BYTES:
        raise errors.OnebyteError(errors.LINE_SIZE)
    body = text[len(LINE_MARK) :]
    if len(body) % 4 or not _is_base64(body):
        raise errors.OnebyteError(errors.LINE_KIND, "base64")
    return a2b_base64(body)


def _is_base64(body) -> bool:
    # Both decoders skip what they do not know, which would hide damage until the CRC.
    digits = body.rstrip(b"=")
    if len(body) - len(digits) > 2:
        return False
    for digit in digits:
        is_letter = 0x41 <= digit <= 0x5A or 0x61 <= digit <= 0x7A
        if not is_letter and not 0x30 <= digit <= 0x39 and digit not in b"+/":
            return False
    return True


def parse(content, at: int = 0) -> tuple:
    """Return (kind, counter, body, end) of the block that begins at `at`.

    Raises:
        OnebyteError: BLOCK_SIZE, it ends too early; BLOCK_MAGIC, BLOCK_VERSION, BLOCK_CRC;
            BLOCK_RANGE, its length or kind.
    """
    if len(content) < at + HEADER_BYTES + CRC_BYTES:
        raise errors.OnebyteError(errors.BLOCK_SIZE)
    magic, version, kind, counter, n_bytes, reserved = struct.unpack_from(_HEADER, content, at)
    if magic != MAGIC:
        raise errors.OnebyteError(errors.BLOCK_MAGIC)
    if version != VERSION:
        raise errors.OnebyteError(errors.BLOCK_VERSION, "version %d" % version)
    if n_bytes > MAX_BODY_BYTES or reserved or not INFO <= kind <= END:
        raise errors.OnebyteError(errors.BLOCK_RANGE, "header")
    end = at + HEADER_BYTES + n_bytes
    if len(content) < end + CRC_BYTES:
        raise errors.OnebyteError(errors.BLOCK_SIZE)
    if struct.unpack_from("<I", content, end)[0] != crc32(bytes(content[at:end])):
        raise errors.OnebyteError(errors.BLOCK_CRC)
    return kind, counter, bytes(content[at + HEADER_BYTES : end]), end + CRC_BYTES


def parse_samples(body) -> tuple:
    """Return (row, time_us, overruns, gaps, failures, n_channels, values) of a SAMPLES body.

    Raises:
        OnebyteError: BLOCK_SIZE or BLOCK_RANGE.
    """
    if len(body) < SAMPLES_HEAD_BYTES:
        raise errors.OnebyteError(errors.BLOCK_SIZE)
    fields = struct.unpack_from(_SAMPLES, body)
    row, time_s, time_us, overruns, gaps, failures, n_channels, n_rows = fields
    if not 1 <= n_channels <= MAX_CHANNELS or not n_rows or time_us >= _MILLION:
        raise errors.OnebyteError(errors.BLOCK_RANGE, "samples")
    values = body[SAMPLES_HEAD_BYTES:]
    if len(values) != 2 * n_channels * n_rows:
        raise errors.OnebyteError(errors.BLOCK_SIZE)
    return row, time_s * _MILLION + time_us, overruns, gaps, failures, n_channels, values


def parse_end(body) -> tuple:
    """Return (rows, dropped, overruns, gaps, failures, reason) of an END body.

    Raises:
        OnebyteError: BLOCK_SIZE or BLOCK_RANGE.
    """
    if len(body) != END_BYTES:
        raise errors.OnebyteError(errors.BLOCK_SIZE)
    fields = struct.unpack(_END, body)
    if fields[5] > FLASH_FAILED or fields[6]:
        raise errors.OnebyteError(errors.BLOCK_RANGE, "end")
    return fields[:6]


def parse_mark(body) -> tuple:
    """Return (row, label) of a MARK body.

    Raises:
        OnebyteError: BLOCK_SIZE or BLOCK_RANGE.
    """
    if not 4 <= len(body) <= 4 + 24:
        raise errors.OnebyteError(errors.BLOCK_SIZE)
    try:
        return struct.unpack_from("<I", body)[0], body[4:].decode()
    except UnicodeError:
        raise errors.OnebyteError(errors.BLOCK_RANGE, "label")
