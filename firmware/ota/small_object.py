"""A signed document on its way into the folder `dl`: a manifest, or a root document."""

from formats import errors, objects, signed
from formats.errors import OnebyteError
from ota.downloads import append, length

_NEEDED_HEAD_BYTES = signed.HEADER_BYTES + signed.MAX_SIGNATURES * signed.ENTRY_BYTES + 12


class SmallObject:
    """Goes on where a power cut left it.

    Args:
        files: filesystem.
        path: where it goes; its folder is there.
        object_id: what it is called.
        n_bytes: how long it is; 0 when only its own first bytes tell.

    Attributes:
        is_done: it is there as a whole, whatever it is.
        done_bytes: how much of it is there.
        total_bytes: how much it will be, as far as that is known.
    """

    def __init__(self, files, path: str, object_id: str, n_bytes: int) -> None:
        self.is_done = False
        self.done_bytes = max(0, length(files, path))
        self.total_bytes = n_bytes or signed.MAX_BYTES
        self._files = files
        self._path = path
        self._id = object_id
        self._n_bytes = n_bytes
        self._look()

    def next_request(self):
        """Return (object id, offset, bytes) of what to fetch now, None when it is all there."""
        if self.is_done:
            return None
        return self._id, self.done_bytes, self.total_bytes - self.done_bytes

    def put(self, piece) -> None:
        """Take the beginning of what `next_request` asked for; durable when this returns.

        Raises:
            OnebyteError: UPDATE_CHUNK: it is empty or longer than that.
            OSError: the flash failed.
        """
        if not 0 < len(piece) <= self.total_bytes - self.done_bytes:
            raise OnebyteError(errors.UPDATE_CHUNK, "%d bytes" % len(piece))
        append(self._files, self._path, piece)
        self.done_bytes += len(piece)
        self._look()

    def step(self) -> None:
        """Do nothing: all of its work is in `put`."""

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _look(self) -> None:
        if not self._n_bytes and self.done_bytes:
            with self._files.open(self._path, "rb") as file:
                self._n_bytes = objects.signed_bytes(file.read(_NEEDED_HEAD_BYTES))
            if self._n_bytes:
                self.total_bytes = min(self._n_bytes, signed.MAX_BYTES)
        # One that is too long is not a matter of more bytes: its reader refuses it.
        self.is_done = self.done_bytes >= self.total_bytes
