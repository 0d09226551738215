"""Unpacking a file, a bounded piece a step: raw deflate with a window of 4096 bytes."""

import deflate

from formats import errors
from formats.errors import OnebyteError
from ota.downloads import BLOCK_BYTES

_WINDOW_BITS = 12


def unpack_into(source, target, n_bytes: int):
    """Unpack one file into another, a piece each time that the generator is asked.

    Args:
        source: Open file with the packed form.
        target: Open file to write to.
        n_bytes: The signed size; not one byte more is written.

    Yields:
        None.

    Raises:
        OnebyteError: UPDATE_DEFLATE: it is no deflate, or unpacks to another size.
    """
    stream = deflate.DeflateIO(source, deflate.RAW, _WINDOW_BITS)
    left = n_bytes
    while left:
        content = _read(stream, min(BLOCK_BYTES, left))
        if not content:
            raise OnebyteError(errors.UPDATE_DEFLATE, "%d bytes are missing" % left)
        target.write(content)
        left -= len(content)
        yield
    # Asked for, never written: a bomb shows by a single byte.
    if _read(stream, 1):
        raise OnebyteError(errors.UPDATE_DEFLATE, "more than %d bytes" % n_bytes)


def _read(stream, n_bytes: int) -> bytes:
    try:
        return stream.read(n_bytes)
    except (OSError, EOFError, ValueError) as error:
        raise OnebyteError(errors.UPDATE_DEFLATE, str(error)) from None
