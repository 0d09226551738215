"""Ring of sample rows that hands out overlapping windows."""

from array import array


class Window:
    """Rows go in as they are sampled, windows come out every `hop` rows.

    A source writes up to `room()` rows into `ring` from row `row` on and says so with `wrote()`.
    `ready()` then hands out each complete window once, oldest first. The rows of a window keep
    their values until the next `wrote()`, so drain `ready()` before reading the source again.

    Args:
        n_channels: values in a row, 1-16.
        window: rows in a window.
        hop: rows between the starts of two windows, 1-`window`.
        ring_rows: rows in the ring, at least (and by default) `window + hop`.

    Attributes:
        ring: `array('h')` of `ring_rows * n_channels` samples, row after row.
        row: the row that is written next.
    """

    def __init__(self, n_channels: int, window: int, hop: int, ring_rows: int | None = None):
        rows = window + hop if ring_rows is None else ring_rows
        if not 1 <= n_channels <= 16 or not 1 <= hop <= window or rows < window + hop:
            raise ValueError("channels, window, hop or ring_rows out of range")
        self.n_channels = n_channels
        self.window = window
        self.hop = hop
        self.rows = rows
        self.ring = array("h", bytes(2 * rows * n_channels))
        self.row = 0
        self._held = 0  # rows before `row` that a coming window still needs

    def room(self) -> int:
        """Returns how many rows may be written from `row` on without wrapping."""
        free = self.rows - self._held
        to_end = self.rows - self.row
        return min(to_end, free)

    def wrote(self, n_rows: int) -> None:
        """Takes note of `n_rows` (at most `room()`) new rows."""
        if not 0 <= n_rows <= self.room():
            raise ValueError("more rows than room")
        self._held += n_rows
        self.row += n_rows
        if self.row == self.rows:
            self.row = 0

    def ready(self) -> int:
        """Returns the first row of the next complete window, or -1. It may wrap in the ring."""
        if self._held < self.window:
            return -1
        start = self.row - self._held
        self._held -= self.hop
        return start if start >= 0 else start + self.rows

    def missing(self) -> int:
        """Returns how many rows the next window still lacks, 0 when it is complete."""
        return max(0, self.window - self._held)

    def is_drained(self) -> bool:
        """Returns whether no complete window is left to hand out."""
        return self._held < self.window

    def reset(self) -> None:
        """Forgets the rows so far: time is not continuous here. `row` stays where it is."""
        self._held = 0
