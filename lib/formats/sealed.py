"""A file of which a node keeps two copies: number, content, CRC. docs/SPEC.md: Sealed copy.

Whoever writes replaces the older copy and takes the next number, so the newer one is whole
whenever power fails; whoever reads takes the highest number of those that are whole.
"""

import struct

from formats import errors
from formats.crc import crc32
from formats.errors import OnebyteError

HEADER_BYTES = 16
MAX_CONTENT_BYTES = 8192
MAX_BYTES = HEADER_BYTES + MAX_CONTENT_BYTES + 4
MAX_NUMBER = 0xFFFFFFFF

_MAGIC = b"OBC\x1a"
_VERSION = 1
_HEADER = "<4sB3sII"
_RESERVED = b"\0\0\0"


def pack(number: int, content) -> bytes:
    """Return the bytes of a copy.

    Args:
        number: 1 to MAX_NUMBER.
        content: At most MAX_CONTENT_BYTES.

    Raises:
        OnebyteError: SEALED_RANGE or SEALED_SIZE: `parse` would refuse it.
    """
    if not 1 <= number <= MAX_NUMBER:
        raise OnebyteError(errors.SEALED_RANGE, "number %d" % number)
    if len(content) > MAX_CONTENT_BYTES:
        raise OnebyteError(errors.SEALED_SIZE, "%d bytes" % len(content))
    head = struct.pack(_HEADER, _MAGIC, _VERSION, _RESERVED, number, len(content))
    body = head + bytes(content)
    return body + struct.pack("<I", crc32(body))


def parse(copy) -> tuple:
    """Return (number, content) of a copy that is whole.

    Raises:
        OnebyteError: A SEALED_* code.
    """
    n_bytes = len(copy) - HEADER_BYTES - 4
    if not 0 <= n_bytes <= MAX_CONTENT_BYTES:
        raise OnebyteError(errors.SEALED_SIZE, "%d bytes" % len(copy))
    magic, version, reserved, number, length = struct.unpack_from(_HEADER, copy, 0)
    if magic != _MAGIC:
        raise OnebyteError(errors.SEALED_MAGIC)
    if version != _VERSION:
        raise OnebyteError(errors.SEALED_VERSION, "version %d" % version)
    if length != n_bytes:
        raise OnebyteError(errors.SEALED_SIZE, "%d bytes of %d" % (n_bytes, length))
    end = HEADER_BYTES + length
    if crc32(memoryview(copy)[:end]) != struct.unpack_from("<I", copy, end)[0]:
        raise OnebyteError(errors.SEALED_CRC)
    if reserved != _RESERVED or not number:
        raise OnebyteError(errors.SEALED_RANGE)
    return number, bytes(memoryview(copy)[HEADER_BYTES:end])


def newest(copies):
    """Return (number, content, index) of the copy that counts, None when none is whole.

    Args:
        copies: The bytes of each copy, None for one that is not there.
    """
    best = None
    for index, copy in enumerate(copies):
        if copy is None:
            continue
        try:
            number, content = parse(copy)
        except OnebyteError:
            continue
        if best is None or number > best[0]:
            best = (number, content, index)
    return best
