"""Unpacking a file, a bounded piece a step: raw deflate with a window of 4096 bytes."""

import gc

import deflate

from formats import errors
from formats.errors import OnebyteError

_WINDOW_BITS = 12
_ROOM_BYTES = 5760  # the window, and what else `deflate` keeps


class Room:
    """Keeps a piece of the heap that is large enough for unpacking.

    A heap in use for weeks has many small gaps, and the window must not need luck.
    """

    def __init__(self):
        self._kept = None
        self.take()

    def take(self) -> None:
        """Keep it, from now on."""
        gc.collect()  # what was unpacked before
        self._kept = bytearray(_ROOM_BYTES)

    def give(self) -> None:
        """Leave it to whoever allocates next."""
        self._kept = None
        gc.collect()


def unpack_into(source, target, n_bytes: int, buffer, room=None):
    """Unpack one file into another, a piece each time that the generator is asked.

    Args:
        source: Open file with the packed form.
        target: Open file to write to.
        n_bytes: The signed size; not one byte more is written.
        buffer: memoryview for what is unpacked at a time.
        room: `Room` that is given while this lasts, or None.

    Yields:
        None.

    Raises:
        OnebyteError: UPDATE_DEFLATE: it is no deflate, or unpacks to another size.
    """
    stream = deflate.DeflateIO(source, deflate.RAW, _WINDOW_BITS)
    if room:
        room.give()
    left = n_bytes
    while left:
        count = _read_into(buffer[:left], stream)
        if not count:
            raise OnebyteError(errors.UPDATE_DEFLATE, "%d bytes are missing" % left)
        target.write(buffer[:count])
        left -= count
        yield
    # Asked for, never written: a bomb shows by a single byte.
    if _read_into(buffer[:1], stream):
        raise OnebyteError(errors.UPDATE_DEFLATE, "more than %d bytes" % n_bytes)


def _read_into(buffer, stream) -> int:
    try:
        return stream.readinto(buffer)
    except (OSError, EOFError, ValueError) as error:
        raise OnebyteError(errors.UPDATE_DEFLATE, str(error)) from None
