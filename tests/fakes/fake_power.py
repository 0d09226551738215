"""What a chip can do about its power, in a time that only the test lets pass."""

from check import Random


class DeepSleep(BaseException):
    """The chip sleeps: the program is over, and boots anew later."""


class WatchdogReset(BaseException):
    """Nobody fed the watchdog."""


class Chip:
    """The `power` of a board; see `boards/chip_rp2040.py`.

    Attributes:
        naps: durations of the light sleeps.
        longest_unfed_ms: the longest time so far without food, while the watchdog runs.
        supply: what `supply_mv` returns.
    """

    can_light_sleep = True
    can_deep_sleep = True

    def __init__(self, clock, cause="power_on"):
        self._clock = clock
        self._cause = cause
        self.naps = []
        self.supply = -1
        self.timeout_ms = 0
        self.longest_unfed_ms = 0
        self.timer_feeds = False
        self._fed_ms = 0

    def reset_cause(self):
        """Why the chip started."""
        return self._cause

    def light_sleep_ms(self, duration_ms):
        """Time passes; as on real chips, the watchdog is fed in between."""
        self.feed()
        self.naps.append(duration_ms)
        self._clock.now += duration_ms
        self._fed_ms = self._clock.now

    def deep_sleep_ms(self, duration_ms):
        """The program ends."""
        raise DeepSleep(duration_ms)

    def start_watchdog(self, timeout_ms):
        """From now on somebody has to feed."""
        self.timeout_ms = timeout_ms
        self._fed_ms = self._clock.now

    def feed(self):
        """All is well."""
        self.look()
        self._fed_ms = self._clock.now

    def feed_for_ms(self, duration_ms):
        """A timer feeds."""
        self.feed()
        self.timer_feeds = duration_ms != 0

    def look(self):
        """Raise WatchdogReset if the chip had reset by now."""
        if self.timeout_ms and not self.timer_feeds:
            unfed_ms = self._clock.now - self._fed_ms
            self.longest_unfed_ms = max(self.longest_unfed_ms, unfed_ms)
            if unfed_ms >= self.timeout_ms:
                raise WatchdogReset(unfed_ms)

    def supply_mv(self):
        """The supply voltage."""
        return self.supply


class Memory:
    """The `retained` of a board.

    Attributes:
        content: what it holds; a test may change it.
        cuts_after: power fails in the next write after so many bytes; -1: it does not.
    """

    def __init__(self, max_bytes, content=b""):
        self.max_bytes = max_bytes
        self.content = content
        self.cuts_after = -1
        self.fails = False
        self.writes = 0

    def read(self):
        """Return what it holds."""
        return self.content

    def write(self, content):
        """Keep the content."""
        if self.fails:
            raise OSError(5)
        assert len(content) <= self.max_bytes
        self.writes += 1
        if self.cuts_after >= 0:
            n = min(self.cuts_after, len(content))
            self.content = bytes(content[:n]) + bytes(self.content[n:])
            raise DeepSleep(-1)
        self.content = bytes(content)


class LiveSource:
    """A sensor with a FIFO that fills as time passes, whoever sleeps; see `Source`."""

    samples_alone = True

    def __init__(self, clock, n_channels, rate_mhz, fifo_rows=256, seed=1):
        self.n_channels = n_channels
        self.rate_mhz = rate_mhz
        self.fifo_rows = fifo_rows
        self.overruns = 0
        self.gaps = 0
        self.starts = 1
        self.sleeps = False
        self.hangs_ms = 0
        self.is_silent = False
        self._clock = clock
        self._random = Random(seed)
        self._spread = 1000
        self._from_ms = clock.now
        self._read_rows = 0

    def read_into(self, ring, row, max_rows):
        """As every driver."""
        assert not self.sleeps, "read while it was asked to sleep"
        self._clock.now += self.hangs_ms
        if self.is_silent:
            return 0
        due = (self._clock.now - self._from_ms) * self.rate_mhz // 1000000 - self._read_rows
        if due > self.fifo_rows:
            self.overruns += 1
            self._read_rows += due
            return 0
        n_rows = min(due, max_rows)
        for i in range(n_rows * self.n_channels):
            ring[row * self.n_channels + i] = self._random.below(self._spread) - self._spread // 2
        self._read_rows += n_rows
        return n_rows

    def change(self, spread):
        """Move as another class does."""
        self._spread = spread

    def restart(self):
        """Begin anew after a pause."""
        self.sleeps = False
        self.starts += 1
        self._from_ms = self._clock.now
        self._read_rows = 0

    def power_down(self):
        """Stop."""
        self.sleeps = True
