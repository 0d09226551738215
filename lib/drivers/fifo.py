"""What the drivers of chips with a FIFO share: bursts, overruns, gaps, and coming back.

A driver of one chip derives from `FifoChip` and knows its registers. Here stands when the FIFO is
read, when it is restarted, and what is counted:

    rows wait              burst of up to BURST_ROWS whole rows, at most once a read
    FIFO overflowed        `overruns` + 1, FIFO restarted
    rows do not join       set up again, `gaps` + 1
    transfer failed        `recover()`, OSError; the next read sets the chip up again, `gaps` + 1
    chip was reset         seen while the FIFO is empty, set up again, `gaps` + 1

A chip that lost its settings delivers nothing, so an empty FIFO is the time to look at them. What
is read after any of these is continuous in itself.
"""

from errno import EIO, ENODEV

from micropython import const

BURST_ROWS = const(32)

OVERRUN = const(-1)  # samples were overwritten
TORN = const(-2)  # the rows do not follow on each other

_LOOK_EVERY = const(16)  # empty reads in a row; also at the first one


class FifoChip:
    """The source interface over a chip's FIFO.

    Args:
        bus: object with `readfrom_mem_into(address, register, buffer)` and
            `writeto_mem(address, register, buffer)`, as `machine.I2C`.
        address: of the chip on the bus.
        setup: pairs of register and value, written in this order. The first is one that a reset
            of the chip changes.
        row_bytes: bytes of a row in the FIFO.
        recover: called after a failed transfer, for example to free a bus whose data line is held
            low by nine clock pulses; None: nothing is done.

    Attributes:
        samples_alone: rows gather while the processor sleeps.
        must_answer: False in a class whose chip may be absent when the driver is made: the first
            read that finds it starts it, and those before raise.
        overruns: how often samples were lost because the reads came too late.
        gaps: how often time jumped before the rows of the next read that returns some.

    Raises:
        OSError: no answer, another chip (ENODEV), or one that does not keep its settings (EIO).
    """

    samples_alone = True
    must_answer = True

    # What a driver sets.
    name = ""
    n_channels = 0
    rate_mhz = 0
    fifo_rows = 0  # how many rows may wait
    _who_register = 0
    _who_value = 0
    _data_register = 0  # where a burst starts
    _fifo_on = (0, 0)  # register and value while the FIFO fills
    _power_down: tuple = ()  # pairs of register and value that stop the sampling

    def __init__(self, bus, address: int, setup, row_bytes: int, recover=None):
        self.overruns = 0
        self.gaps = 0
        self._bus = bus
        self._address = address
        self._setup = setup
        self._recover = recover
        self._byte = bytearray(1)
        self._buffer = bytearray(row_bytes * BURST_ROWS)
        view = memoryview(self._buffer)
        self._bursts = [view[: row_bytes * n_rows] for n_rows in range(BURST_ROWS + 1)]
        self._empty_reads = 0
        self._looked_at = 0
        self._must_start = not self.must_answer
        if self._must_start:
            return
        try:
            self._start()
        except OSError:
            # A controller that was reset within a transfer finds the bus still held.
            if recover is None:
                raise
            recover()
            self._start()

    def read_into(self, ring, row: int, max_rows: int) -> int:
        """Writes the rows that wait to `ring` from `row` on; allocates nothing.

        Args:
            ring: array('h') of whole rows.
            row: first row to write.
            max_rows: room in the ring.

        Returns:
            Rows written, 0 when none waits.

        Raises:
            OSError: the bus failed or the chip answers wrongly. The next read starts it again.
        """
        if max_rows < 1:
            return 0
        try:
            return self._read_rows(ring, row * self.n_channels, max_rows)
        except OSError:
            self._must_start = True
            if self._recover is not None:
                self._recover()
            raise

    def restart(self) -> None:
        """Begins anew after a pause: what gathered in it is forgotten, no fault, no gap.

        When that fails, the next read sets the chip up again and counts a gap.
        """
        try:
            self._start()
            self._must_start = False
        except OSError:
            self._must_start = True

    def power_down(self) -> None:
        """Stops the sampling, to save power until `restart`.

        Raises:
            OSError: the bus failed.
        """
        for register, value in self._power_down:
            self._write(register, value)

    def _read_rows(self, ring, at: int, max_rows: int) -> int:
        if self._must_start:
            return self._start_again()
        n_rows = self._waiting()
        if n_rows == 0:
            return self._look_after()
        if n_rows > 0:
            self._empty_reads = 0
            burst = self._bursts[min(n_rows, max_rows, BURST_ROWS)]
            self._bus.readfrom_mem_into(self._address, self._data_register, burst)
            n_rows = self._decode_into(ring, at, len(burst))
            if n_rows >= 0:
                return n_rows
        if n_rows == TORN:
            return self._start_again()
        self.overruns += 1
        self._restart_fifo()
        return 0

    def _look_after(self) -> int:
        """Compares a setting with what was written: the first one, and the others in turn."""
        if self._empty_reads == 0:
            self._looked_at = (self._looked_at + 1) % (len(self._setup) + 1)
            if not (self._is_kept(0) and self._is_kept(self._looked_at)):
                self._must_start = True
                return self._start_again()
        self._empty_reads = (self._empty_reads + 1) % _LOOK_EVERY
        return 0

    def _start_again(self) -> int:
        self._start()
        self._must_start = False
        self.gaps += 1
        return 0

    def _start(self) -> None:
        found = self._read(self._who_register)
        if found != self._who_value:
            text = "%s: WHO_AM_I is 0x%02x, expected 0x%02x" % (self.name, found, self._who_value)
            raise OSError(ENODEV, text)
        self._reset_chip()
        for register, value in self._setup:
            self._write(register, value)
        self._restart_fifo()
        for i in range(len(self._setup) + 1):
            if not self._is_kept(i):
                register = self._setting(i)[0]
                raise OSError(EIO, "%s: register 0x%02x keeps no value" % (self.name, register))
        self._empty_reads = 0

    def _is_kept(self, i: int) -> bool:
        setting = self._setting(i)
        return self._read(setting[0]) == setting[1]

    def _setting(self, i: int):
        return self._setup[i] if i < len(self._setup) else self._fifo_on

    def _read(self, register: int) -> int:
        self._bus.readfrom_mem_into(self._address, register, self._byte)
        return self._byte[0]

    def _write(self, register: int, value: int) -> None:
        self._byte[0] = value
        self._bus.writeto_mem(self._address, register, self._byte)

    def _reset_chip(self) -> None:
        """Brings the chip to its defaults, where it has a quick way."""

    def _restart_fifo(self) -> None:
        """Empties the FIFO and lets it fill from a whole row on."""
        raise NotImplementedError

    def _waiting(self) -> int:
        """Returns the rows in the FIFO, OVERRUN or TORN."""
        raise NotImplementedError

    def _decode_into(self, ring, at: int, n_bytes: int) -> int:
        """Writes the rows of the buffer to `ring` from value `at` on.

        Returns:
            Rows written, OVERRUN or TORN.
        """
        raise NotImplementedError


def choose(what: str, value, table):
    """Returns the entry of `table` whose first field is `value`.

    Raises:
        ValueError: there is none; the text names those that there are.
    """
    for entry in table:
        if entry[0] == value:
            return entry
    allowed = ", ".join([str(entry[0]) for entry in table])
    raise ValueError("%s=%s: not one of %s" % (what, value, allowed))
