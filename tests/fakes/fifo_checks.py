"""What every driver of a chip with a FIFO must do, on a fake chip whose samples are numbered."""

from array import array

import micropython
from check import Random, raises_kind
from i2c_chips import Bus, Time

GUARD = 12345
ENODEV = 19
EIO = 5


class Case:
    """A driver on a fake chip.

    Args:
        make: function of (bus, rate_hz, **more) that returns the driver.
        chip_kind: class of the fake chip.
        rate_hz: of this case.
        longest_rows: how many rows the loop may leave in the chip.
    """

    def __init__(self, make, chip_kind, address, rate_hz, longest_rows):
        self.make = make
        self.chip_kind = chip_kind
        self.address = address
        self.rate_hz = rate_hz
        self.longest_rows = longest_rows

    def new(self, recovers=True):
        """Return a stage with everything new."""
        return Stage(self, recovers)


class Stage:
    """A driver, its bus, chip and time, and a reader that checks what comes."""

    def __init__(self, case, recovers):
        self.case = case
        self.time = Time()
        self.bus = Bus(self.time)
        self.chip = case.chip_kind(self.time)
        self.bus.chips[case.address] = self.chip
        recover = self.bus.recover if recovers else None
        self.source = case.make(self.bus, case.rate_hz, recover=recover)
        self.period_us = self.chip.period_us()
        self.ring = array("h", bytes(2 * 40 * self.source.n_channels))
        self.rows = []  # of the last read

    def read(self, max_rows=38):
        """Read once; return how many rows came. Nothing is written outside of the room."""
        n = self.source.n_channels
        for i in range(len(self.ring)):
            self.ring[i] = GUARD
        n_rows = self.source.read_into(self.ring, 1, max_rows)
        assert 0 <= n_rows <= max_rows
        assert set(self.ring[:n]) == {GUARD}, "written before the room"
        assert set(self.ring[(1 + max_rows) * n :]) <= {GUARD}, "written behind the room"
        self.rows = [tuple(self.ring[(1 + i) * n : (2 + i) * n]) for i in range(n_rows)]
        return n_rows

    def drain(self):
        """Read until nothing waits; return all rows."""
        rows = []
        while self.read():
            rows += self.rows
        return rows

    def wait_rows(self, n_rows):
        """Let the time of so many rows pass."""
        self.time.us += n_rows * self.period_us

    def settle(self):
        """Read away what a start brings; some sensors of a chip start later."""
        for _ in range(20):
            self.wait_rows(1)
            self.drain()

    def counts(self):
        """Return (overruns, gaps)."""
        return self.source.overruns, self.source.gaps


def check_rows(chip, rows, n=None):
    """Fail unless the rows are samples n, n + 1, ... of the chip; return the next number."""
    if not rows:
        return n
    if n is None:
        n = chip.number(rows[0][0])
    for row in rows:
        expected = tuple([chip.count(n, channel) for channel in range(chip.n_channels)])
        assert row == expected, "sample %d is %r, not %r" % (n, row, expected)
        n += 1
    return n


def refuses_another_chip(case):
    """WHO_AM_I is looked at before anything else; the text names both values."""
    time = Time()
    bus = Bus(time)
    error = raises_kind(OSError, case.make, bus, case.rate_hz)
    assert error.errno == EIO
    chip = case.chip_kind(time)
    bus.chips[case.address] = chip
    for register in chip.read_only:
        if chip.registers[register]:
            chip.registers[register] = 0x55
    error = raises_kind(OSError, case.make, bus, case.rate_hz)
    assert error.errno == ENODEV, error
    assert "0x55" in error.args[1] and "expected 0x" in error.args[1], error.args


def may_come_later(case, kind):
    """With `must_answer` False the driver is made without its chip, and starts it when it comes.

    Args:
        case: Case.
        kind: class of the driver.
    """
    kind.must_answer = False
    try:
        stage = case.new()
        del stage.bus.chips[case.address]
        stage.source = source = case.make(stage.bus, case.rate_hz, recover=stage.bus.recover)
    finally:
        kind.must_answer = True
    assert stage.bus.recoveries == 0
    for _ in range(3):
        assert raises_kind(OSError, stage.read).errno == EIO
    assert stage.bus.recoveries == 3
    assert source.gaps == 0
    stage.bus.chips[case.address] = stage.chip
    assert stage.read() == 0
    assert stage.counts() == (0, 1)
    stage.period_us = stage.chip.period_us()
    stage.settle()
    n = stage.chip.n
    stage.wait_rows(9)
    rows = stage.drain()
    assert len(rows) == 9
    check_rows(stage.chip, rows, n)


def refuses_a_chip_that_keeps_nothing(case, register):
    """A setting that cannot be read back is an error, not a silent sensor."""
    time = Time()
    bus = Bus(time)
    chip = case.chip_kind(time)
    chip.read_only += (register,)
    bus.chips[case.address] = chip
    error = raises_kind(OSError, case.make, bus, case.rate_hz)
    assert error.errno == EIO and "0x%02x" % register in error.args[1], error.args


def frees_the_bus_at_the_start(case):
    """A controller that was reset within a transfer finds the data line held low."""
    time = Time()
    bus = Bus(time)
    chip = case.chip_kind(time)
    bus.chips[case.address] = chip
    bus.is_held = True
    raises_kind(OSError, case.make, bus, case.rate_hz)
    case.make(bus, case.rate_hz, recover=bus.recover)
    assert bus.recoveries == 1


def keeps_the_rate(case, rates_hz):
    """As many rows come in 8 s as the rate in millihertz says."""
    for rate_hz in rates_hz:
        stage = Case(case.make, case.chip_kind, case.address, rate_hz, 0).new()
        assert stage.source.rate_mhz == int(rate_hz * 1000)
        stage.settle()
        end_us = stage.time.us + 8000000
        n_rows = 0
        while stage.time.us < end_us:
            stage.time.us += 20000
            n_rows += len(stage.drain())
        assert abs(n_rows - 8 * rate_hz) <= 1 + rate_hz // 25, (rate_hz, n_rows)
        assert stage.counts() == (0, 0)


def keeps_the_units(make, case, physical, full_scale):
    """A known acceleration or rotation comes out as counts times lsb, and the range is used."""
    stage = case.new()
    source = make(stage.bus)
    stage.chip.physical = physical
    ring = array("h", bytes(2 * 32 * source.n_channels))
    for _ in range(20):
        stage.time.us += stage.chip.period_us()
        n_rows = source.read_into(ring, 0, 32)
    assert n_rows
    for channel in range(source.n_channels):
        lsb = source.lsb_nano[channel]
        found = ring[channel] * lsb
        # One step of the sensor, 16 counts of a left-justified one, and the rounding of lsb.
        assert abs(found - physical[channel]) <= 16 * lsb + abs(physical[channel]) // 10000, (
            channel,
            found,
            physical,
        )
        reach = 32768 * lsb
        assert full_scale[channel] * 95 <= reach * 100 <= full_scale[channel] * 160, channel


def loses_and_doubles_nothing(case):
    """Whatever the pauses and the room, below the longest pause every sample comes once."""
    random = Random(7)
    stage = case.new()
    stage.settle()
    n = None
    for _ in range(200):
        stage.time.us += random.below(stage.period_us * case.longest_rows // 3)
        for _ in range(1 + random.below(6)):
            stage.read(random.between(1, 38))
            n = check_rows(stage.chip, stage.rows, n)
        if random.below(3) == 0:
            n = check_rows(stage.chip, stage.drain(), n)
    assert stage.counts() == (0, 0)


def bears_the_longest_pause(case):
    """Exactly the rows that the docstring promises; with the FIFO's own size more, an overrun."""
    for turn in range(3):
        stage = case.new()
        stage.settle()
        n = stage.chip.n
        stage.time.us += (case.longest_rows - 1) * stage.period_us + turn * 100
        rows = stage.drain()
        assert len(rows) >= case.longest_rows - 1, len(rows)
        check_rows(stage.chip, rows, n)
        assert stage.counts() == (0, 0)


def reports_an_overrun(case, pause_rows):
    """Counted once, nothing old comes, and what follows is continuous and fresh."""
    for more in (0, 1, 7, 1000):
        stage = case.new()
        stage.settle()
        stage.wait_rows(pause_rows + more)
        fresh = stage.chip.n + pause_rows + more
        assert stage.read() == 0
        assert stage.counts() == (1, 0), stage.counts()
        stage.wait_rows(8)
        rows = stage.drain()
        assert len(rows) >= 6
        n = stage.chip.number(rows[0][0])
        assert (n - fresh + 2) % stage.chip.modulus <= 5, (n, fresh)
        for _ in range(20):
            n = check_rows(stage.chip, rows, n)
            stage.wait_rows(5)
            rows = stage.drain()
        assert stage.counts() == (1, 0)


def allocates_nothing(case):
    """Neither with rows nor without, nor at an overrun."""
    stage = case.new()
    stage.settle()
    source, time = stage.source, stage.time
    ring = stage.ring
    pause_us = stage.period_us // 3
    overrun_us = stage.period_us * 2000
    n_rows = 0
    micropython.heap_lock()
    try:
        for i in range(200):
            time.us += pause_us
            n_rows += source.read_into(ring, 0, 5)
            if i == 150:
                time.us += overrun_us
    finally:
        micropython.heap_unlock()
    assert n_rows > 40
    assert source.overruns == 1


def survives_a_failure_at_every_byte(case):
    """The error is passed on once, the hook called once, and then a gap is counted."""
    for holds in (False, True):
        for n_bytes in range(0, 120, 4 if holds else 1):
            stage = case.new()
            stage.settle()
            stage.wait_rows(9)
            stage.bus.holds_after_failure = holds
            stage.bus.bytes_until_failure = n_bytes
            n_failures = 0
            rows = []
            for _ in range(60):
                stage.wait_rows(1)
                try:
                    stage.read()
                except OSError:
                    n_failures += 1
                    rows = []  # the window does not go on here
                if stage.rows and stage.source.gaps == 1:
                    rows += stage.rows
                stage.rows = []
            assert n_failures == 1, (n_bytes, n_failures)
            assert stage.bus.recoveries == 1
            assert stage.counts() == (0, 1), stage.counts()
            assert len(rows) > 20, len(rows)
            check_rows(stage.chip, rows)


def reports_a_bus_that_stays_held(case):
    """Without the hook each read fails; the gap is counted when the bus is free again."""
    stage = case.new(recovers=False)
    stage.settle()
    stage.bus.is_held = True
    for _ in range(5):
        stage.wait_rows(1)
        raises_kind(OSError, stage.read)
    assert stage.counts() == (0, 0)
    stage.bus.is_held = False
    stage.settle()
    assert stage.counts() == (0, 1)
    stage.wait_rows(10)
    assert len(stage.drain()) >= 10


def comes_back_when_plugged_in(case):
    """Unplugged in mid-run every read fails; a chip at its defaults is set up again."""
    stage = case.new()
    stage.settle()
    del stage.bus.chips[case.address]
    for _ in range(4):
        stage.wait_rows(1)
        raises_kind(OSError, stage.read)
    assert stage.bus.recoveries == 4
    stage.chip.reset()
    stage.bus.chips[case.address] = stage.chip
    stage.settle()
    assert stage.counts() == (0, 1)
    stage.wait_rows(10)
    rows = stage.drain()
    assert len(rows) >= 10
    check_rows(stage.chip, rows)


def notices_another_chip_in_mid_run(case):
    """What answers after a failure must be the same kind of chip."""
    stage = case.new()
    stage.settle()
    stage.bus.bytes_until_failure = 0
    raises_kind(OSError, stage.read)
    for register in stage.chip.read_only:
        if stage.chip.registers[register] == stage.source._who_value:
            stage.chip.registers[register] = 0x55
    error = raises_kind(OSError, stage.read)
    assert error.errno == ENODEV
    assert stage.counts() == (0, 0)


def notices_a_reset_of_the_chip(case):
    """A brown-out between any two reads is seen by the empty FIFO, within 17 empty reads."""
    for n_rows in (0, 1, 5):
        for n_empty in (0, 1, 3, 15, 16, 17):
            stage = case.new()
            stage.settle()
            for _ in range(n_empty):
                stage.read()
            stage.wait_rows(n_rows)
            before = bytes(stage.chip.registers)
            stage.chip.reset()
            for _ in range(17):
                assert stage.read() == 0
            assert stage.counts() == (0, 1), stage.counts()
            for register, value in stage.source._setup:
                assert stage.chip.registers[register] == before[register] == value
            stage.settle()
            stage.wait_rows(10)
            check_rows(stage.chip, stage.drain())
            assert stage.counts() == (0, 1)


def notices_a_reset_at_the_first_empty_read(case):
    """A loop that reads rarely has few empty reads: the first one after rows looks."""
    stage = case.new()
    stage.settle()
    for _ in range(3):
        stage.read()
    stage.wait_rows(2)
    assert stage.read() >= 2
    stage.chip.reset()
    stage.read()
    assert stage.counts() == (0, 1), stage.counts()


def notices_every_lost_setting(case):
    """Each single setting that changed is written again, with a gap."""
    source = case.new().source
    for register, value in source._setup + (source._fifo_on,):
        stage = case.new()
        stage.settle()
        stage.chip.registers[register] = value ^ 0x48
        for _ in range(17 * (len(stage.source._setup) + 3)):
            stage.read()
        assert stage.chip.registers[register] == value, "register 0x%02x" % register
        assert stage.source.gaps >= 1


def pauses_without_a_fault(case):
    """After `power_down` nothing is sampled; `restart` begins anew, without overrun or gap."""
    stage = case.new()
    stage.settle()
    counts = stage.counts()
    for duration_rows in (3, 40, 2000):
        stage.source.power_down()
        n = stage.chip.n
        stage.wait_rows(duration_rows)
        stage.chip.run()
        assert stage.chip.n == n, "sampled while it should sleep"
        stage.source.restart()
        stage.settle()
        stage.wait_rows(5)
        assert stage.read() and stage.counts() == counts
        check_rows(stage.chip, stage.rows)
    stage.bus.chips.clear()
    raises_kind(OSError, stage.source.power_down)
    stage.source.restart()
    stage.bus.chips[case.address] = stage.chip
    stage.drain()
    assert stage.source.gaps == counts[1] + 1, "what failed then is made good by the next read"
