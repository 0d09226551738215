"""A ring that a timer fills at the sample rate, for sensors without a FIFO of their own."""

from array import array

from micropython import const

_TICKS_MASK = const(0x3FFFFFFF)  # ticks wrap at 2^30 on the boards


class TimerRing:
    """The source interface over a timer's callback; a driver says with `_sample()` what to store.

    A board makes a bound method once and hands it to a timer of exactly this rate:

        source = AdcRing(adc.read_u16, time.ticks_us, 300)
        Timer(freq=300, mode=Timer.PERIODIC, hard=True, callback=source.tick)

    `tick` allocates nothing and writes one cell. It also looks at the clock: while a board writes
    its flash, interrupts may wait, and what comes then is late or comes in a hurry. Such a tick is
    counted as a gap and the rows so far are dropped.

    Args:
        ticks_us: function without arguments, microseconds that wrap at 2^30.
        rate_hz: samples a second, 0.01-10000.
        n_rows: rows that the ring holds; the loop may leave it alone for n_rows / rate_hz.

    Attributes:
        fifo_rows: `n_rows`.
        overruns: how often the ring was full.
        gaps: how often a tick came too early or too late.

    Raises:
        ValueError: the rate or the number of rows is out of range.
    """

    n_channels = 1
    samples_alone = False  # the timer of a processor that sleeps does not tick

    def __init__(self, ticks_us, rate_hz: float, n_rows: int):
        if not 0.01 <= rate_hz <= 10000 or n_rows < 1:
            raise ValueError("rate_hz or n_rows out of range")
        self.rate_mhz = int(rate_hz * 1000 + 0.5)
        self.fifo_rows = n_rows
        self.overruns = 0
        self.gaps = 0
        self._ticks_us = ticks_us
        self._shortest_us = 500000000 // self.rate_mhz
        self._longest_us = 3 * self._shortest_us
        self._cells = array("h", bytes(2 * (n_rows + 1)))
        self._head = 0  # written by the callback only
        self._tail = 0  # written by the reader only
        self._last_us = -1
        self._was_full = False
        self._was_late = False

    def tick(self, _timer=None) -> None:
        """Stores one sample; the timer's callback, good for an interrupt."""
        now_us = self._ticks_us()
        if self._last_us >= 0:
            passed_us = (now_us - self._last_us) & _TICKS_MASK
            if not self._shortest_us <= passed_us <= self._longest_us:
                self._was_late = True
        self._last_us = now_us
        self._cells[self._head] = self._sample()
        head = self._head + 1
        if head == len(self._cells):
            head = 0
        if head == self._tail:
            self._was_full = True  # this sample is lost: the next one takes its cell
        else:
            self._head = head

    def read_into(self, ring, row: int, max_rows: int) -> int:
        """Writes the samples that wait to `ring` from `row` on; allocates nothing.

        Args:
            ring: array('h') of whole rows.
            row: first row to write.
            max_rows: room in the ring.

        Returns:
            Rows written, 0 when none waits.
        """
        if self._was_late:
            self._was_late = False  # before the ring is emptied: a late tick in between counts
            self._tail = self._head
            self.gaps += 1
        if self._was_full:
            # The callback leaves the head where it is until the tail has moved.
            self._tail = self._head
            self._was_full = False
            self.overruns += 1
        cells = self._cells
        head = self._head
        tail = self._tail
        n_rows = 0
        while tail != head and n_rows < max_rows:
            ring[row + n_rows] = cells[tail]
            n_rows += 1
            tail += 1
            if tail == len(cells):
                tail = 0
        self._tail = tail
        return n_rows

    def restart(self) -> None:
        """Forgets what gathered in a pause; no fault, no gap."""
        self._last_us = -1
        self._tail = self._head
        self._was_full = False
        self._was_late = False

    def _sample(self) -> int:
        """Returns what is stored, -32768 to 32767; called in the interrupt."""
        raise NotImplementedError
