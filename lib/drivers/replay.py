"""A recording that stands in for a sensor, at its own pace or as fast as asked."""

from formats.recording import Reader

_MILLIONTHS = 1000000  # of a row: millihertz times milliseconds
_TICKS_MASK = 0x3FFFFFFF  # millisecond ticks wrap at 2^30 on the boards


class Replay:
    """Plays an `.obr` recording through the interface of every driver.

    Args:
        file: the recording, open for reading bytes with `seek`.
        speed: times real time; 0: every read gets what it asks for.
        clock: object with `ticks_ms()`.
        fifo_rows: rows the sensor buffers. When more are due, the oldest are lost and the read
            counts an overrun. 0: none is ever lost. Without meaning at speed 0.

    Attributes:
        n_channels: values in a row.
        rate_mhz: sample rate of the recording in millihertz.
        pace_mhz: rows that come in a second, in thousandths; 0: as many as are asked for.
        fifo_rows: as given.
        overruns: how often rows were lost because the reads came too late.
        gaps: how often time jumped before the rows of the last read. A read ends where a segment
            ends; the next one counts the gap.
        done: the recording is over.

    Raises:
        OnebyteError: the file is not a recording.
    """

    samples_alone = True  # as a sensor with a FIFO

    def __init__(self, file, speed: float, clock, fifo_rows: int = 0):
        self._reader = Reader(file)
        self.n_channels = self._reader.n_channels
        self.rate_mhz = self._reader.rate_mhz
        self.overruns = 0
        self.gaps = 0
        self.done = False
        self._clock = clock
        self.pace_mhz = int(self.rate_mhz * speed)
        self._paced = speed > 0
        self.fifo_rows = fifo_rows
        self._due = 0  # millionths of rows that were sampled and not read
        self._last_ms = -1
        self._jump = False
        self._reader.next_segment()

    def read_into(self, ring, row: int, max_rows: int) -> int:
        """Writes the rows that are due to `ring` from `row` on.

        Args:
            ring: array('h') of whole rows.
            row: first row to write.
            max_rows: room in the ring; it may be written to beyond the rows that count.

        Returns:
            Rows written, 0 when none is due.

        Raises:
            OSError: the file became shorter or cannot be read.
        """
        if self.done or max_rows < 1:
            return 0
        room = memoryview(ring)[row * self.n_channels : (row + max_rows) * self.n_channels]
        if not self._paced:
            return self._play(room, max_rows)
        self._advance()
        due_rows = self._due // _MILLIONTHS
        if self.fifo_rows and due_rows > self.fifo_rows:
            self._lose(room, due_rows - self.fifo_rows)
            due_rows = self.fifo_rows
        n_rows = self._play(room, min(max_rows, due_rows))
        self._due -= n_rows * _MILLIONTHS
        return n_rows

    def restart(self) -> None:
        """Goes on where it was: what would have been seen in a pause is not in a recording."""
        self._last_ms = -1
        self._due = 0

    def _advance(self) -> None:
        now_ms = self._clock.ticks_ms()
        if self._last_ms >= 0:
            self._due += ((now_ms - self._last_ms) & _TICKS_MASK) * self.pace_mhz
        self._last_ms = now_ms

    def _lose(self, room, n_rows: int) -> None:
        self.overruns += 1
        self._due -= n_rows * _MILLIONTHS
        while n_rows and not self.done:
            n_rows -= self._play(room, min(n_rows, len(room) // self.n_channels))

    def _play(self, room, max_rows: int) -> int:
        if max_rows < 1 or self.done:
            return 0
        if self._jump:
            self._jump = False
            self.gaps += 1
        n_rows = self._reader.read_into(room, max_rows)
        if not self._reader.rows_left:
            self._jump = self._reader.next_segment() > 0
            self.done = not self._jump
        return n_rows
