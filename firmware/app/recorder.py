"""Rows of a source into blocks that wait in a ring until somebody takes them.

A block is what one read brought, so the source's counters of lost samples belong to it. While
nobody takes blocks the source is read on: what then finds no room is dropped and its rows are
numbered all the same, so the gap shows, with its length, in the next block.
"""

import time
from array import array

from formats import sample_block

RING_BYTES = 16384
_TICKS_MASK = 0x3FFFFFFF  # ticks wrap at 2^30 on the boards
_MILLION = 1000000
_BLOCKS = 128  # that may wait
_FIELDS = 7  # of a waiting block: rows, first row, seconds, microseconds, the three counters
_LONGEST_REST_MS = 250  # a picture of the signal should not stutter
_FAILED_REST_MS = 500  # a bus that failed is tried again so often


class Recorder:
    """Reads a source and keeps what it brought; `read` allocates nothing.

    Args:
        source: a driver.
        ticks_us: microseconds that wrap at 2^30.
        ring_bytes: RAM for samples that wait.

    Attributes:
        rows: how many rows were read, dropped ones counted.
        dropped: how many of them found no room.
        failures: how many reads failed.
        counter: number of the next block.
    """

    def __init__(self, source, ticks_us=time.ticks_us, ring_bytes: int = RING_BYTES):
        self._source = source
        self._ticks_us = ticks_us
        self._row_bytes = 2 * source.n_channels
        self._block_rows = sample_block.rows_per_block(source.n_channels)
        self._ring_rows = max(ring_bytes // self._row_bytes, self._block_rows)
        self._ring = array("h", bytes(self._ring_rows * self._row_bytes))
        self._scratch = array("h", bytes(self._block_rows * self._row_bytes))
        self._view = memoryview(self._ring)
        self._waiting = array("i", bytes(4 * _FIELDS * _BLOCKS))
        self._first = 0  # of the waiting blocks
        self._head = 0  # row of the ring that is written next
        self._used = 0  # rows of the ring that wait
        self._last_us = ticks_us()
        self._time_s = 0
        self._time_us = 0
        self._ends = hasattr(source, "done")
        self.n_waiting = 0
        self.rows = 0
        self.dropped = 0
        self.failures = 0
        self.counter = 0
        self._is_empty = False
        self._has_failed = False

    @property
    def is_over(self) -> bool:
        """Whether the source has ended, as only a replay does."""
        return self._ends and self._source.done

    @property
    def losses(self) -> tuple:
        """The counters of overruns, gaps and failed reads."""
        return self._source.overruns, self._source.gaps, self.failures

    def read(self, max_rows: int = sample_block.MAX_ROWS) -> int:
        """Reads the source once, at most so many rows; returns how many rows it brought."""
        source = self._source
        room = min(self._block_rows, max_rows, self._ring_rows - self._used)
        room = min(room, self._ring_rows - self._head)
        has_room = room > 0 and self.n_waiting < _BLOCKS
        asked = room if has_room else min(self._block_rows, max_rows)
        try:
            if has_room:
                n_rows = source.read_into(self._ring, self._head, asked)
            else:
                n_rows = source.read_into(self._scratch, 0, asked)
        except OSError:
            self.failures += 1
            self._has_failed = True
            return 0
        self._has_failed = False
        self._count_time()
        # Drivers with a FIFO return at most 32 rows at a time, others all they have.
        self._is_empty = n_rows < min(asked, 32)
        if n_rows and has_room:
            self._keep(n_rows)
        elif n_rows:
            self.dropped += n_rows
        self.rows += n_rows
        return n_rows

    def rest_ms(self) -> int:
        """Returns how long the source may be left alone now."""
        if self._has_failed:
            return _FAILED_REST_MS
        if not self._is_empty:
            return 0
        source = self._source
        n_rows = self._block_rows
        if source.fifo_rows:
            n_rows = min(n_rows, max(1, source.fifo_rows // 2))
        rate_mhz = getattr(source, "pace_mhz", 0) or source.rate_mhz
        return max(1, min(n_rows * _MILLION // rate_mhz, _LONGEST_REST_MS))

    def take(self) -> bytes:
        """Returns the oldest block that waits and forgets it; empty when none does."""
        if not self.n_waiting:
            return b""
        at = self._first * _FIELDS
        waiting = self._waiting
        n_rows = waiting[at]
        n_channels = self._row_bytes // 2
        start = (self._head - self._used) % self._ring_rows * n_channels
        values = bytes(self._view[start : start + n_rows * n_channels])
        when = (waiting[at + 2], waiting[at + 3])
        losses = (waiting[at + 4], waiting[at + 5], waiting[at + 6])
        block = sample_block.pack_samples(
            self.counter, waiting[at + 1], when, losses, (n_channels, values)
        )
        self._used -= n_rows
        self._first = (self._first + 1) % _BLOCKS
        self.n_waiting -= 1
        self.counter += 1
        return block

    def pack_end(self, reason: int) -> bytes:
        """Returns the last block."""
        return sample_block.pack_end(self.counter, self.rows, self.dropped, self.losses, reason)

    def _keep(self, n_rows: int) -> None:
        at = (self._first + self.n_waiting) % _BLOCKS * _FIELDS
        waiting = self._waiting
        waiting[at] = n_rows
        waiting[at + 1] = self.rows
        waiting[at + 2] = self._time_s
        waiting[at + 3] = self._time_us
        waiting[at + 4] = self._source.overruns
        waiting[at + 5] = self._source.gaps
        waiting[at + 6] = self.failures
        self.n_waiting += 1
        self._used += n_rows
        self._head += n_rows
        if self._head == self._ring_rows:
            self._head = 0

    def _count_time(self) -> None:
        now_us = self._ticks_us()
        self._time_us += (now_us - self._last_us) & _TICKS_MASK
        self._last_us = now_us
        if self._time_us >= _MILLION:
            self._time_s += self._time_us // _MILLION
            self._time_us %= _MILLION
