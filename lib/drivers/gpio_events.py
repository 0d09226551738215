"""A pin that says that something happened, such as a PIR motion sensor."""

from drivers.timer_ring import TimerRing


class EventCounts(TimerRing):
    """One channel: how many edges the pin had in each sample interval, at most 32767.

    Args:
        ticks_us: see `TimerRing`; call `tick` from a timer of `rate_hz`.
        rate_hz: intervals a second, 0.01-10000.
        n_rows: intervals that the ring holds.
    """

    lsb_nano = (1000000000,)

    def __init__(self, ticks_us, rate_hz: float, n_rows: int):
        super().__init__(ticks_us, rate_hz, n_rows)
        self._n_edges = 0

    def edge(self, _pin=None) -> None:
        """Counts; the pin's callback, in the same interrupt priority as `tick`."""
        self._n_edges += 1

    def _sample(self) -> int:
        n_edges = self._n_edges
        self._n_edges = 0
        return min(n_edges, 32767)


class PinLevel(TimerRing):
    """One channel: 1 while the pin is active, else 0.

    Args:
        read_pin: function without arguments, as `Pin.value`.
        ticks_us: see `TimerRing`; call `tick` from a timer of `rate_hz`.
        rate_hz: samples a second, 0.01-10000.
        n_rows: samples that the ring holds.
        active: what `read_pin` returns while something happens.
    """

    lsb_nano = (1000000000,)

    def __init__(self, read_pin, ticks_us, rate_hz: float, n_rows: int, active: int = 1):
        super().__init__(ticks_us, rate_hz, n_rows)
        self._read_pin = read_pin
        self._active = active

    def _sample(self) -> int:
        return 1 if self._read_pin() == self._active else 0
