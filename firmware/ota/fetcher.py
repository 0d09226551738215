"""Asks a source for one piece after the other, and ends what takes too long."""

from formats import errors
from formats.errors import OnebyteError
from ota.pace import elapsed_ms

_ETIMEDOUT = 110


class Fetcher:
    """One attempt of a download.

    Args:
        limits: `ota.pace.Limits`.
    """

    def __init__(self, limits):
        self._limits = limits
        self._source = None
        self._asked = None
        self._asked_ms = self._opened_ms = 0

    @property
    def is_open(self) -> bool:
        """Whether an attempt has begun."""
        return self._source is not None

    def open(self, sources, url: str, now_ms: int) -> None:
        """Begin an attempt.

        Args:
            sources: (of objects on the broker, of those at an address); each None where there is
                none, else with `begin(object_id, offset, n_bytes)`, `step(now_ms)` -> bytes or
                None, `close()`; the second also `locate(url)`.
            url: of the want, "" for the broker.
            now_ms: millisecond ticks.

        Raises:
            OnebyteError: SOURCE_URL.
            OSError: another attempt may do better.
        """
        self.close()
        source = sources[1 if url else 0]
        if source is None:
            raise OnebyteError(errors.SOURCE_URL, "no way to %s" % (url or "a broker"))
        if url:
            source.locate(url)
        self._source = source
        self._opened_ms = now_ms

    def step(self, request, now_ms: int):
        """Return the next piece of what is requested, None while it is on its way.

        Raises:
            OSError: it did not come, or in time; another attempt may do better.
            OnebyteError: what answers is not what was asked for.
        """
        if elapsed_ms(now_ms, self._opened_ms) > self._limits.attempt_ms:
            raise OSError(_ETIMEDOUT)
        if self._asked != request:
            self._asked = request
            self._asked_ms = now_ms
            self._source.begin(*request)
        piece = self._source.step(now_ms)
        if piece is not None:
            self._asked = None
        elif elapsed_ms(now_ms, self._asked_ms) > self._limits.piece_ms:
            raise OSError(_ETIMEDOUT)
        return piece

    def close(self) -> None:
        """End the attempt."""
        source, self._source = self._source, None
        self._asked = None
        if source is not None:
            source.close()
