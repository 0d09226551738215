"""An analog sensor, such as soil moisture or vibration, sampled by a timer."""

from drivers.timer_ring import TimerRing


class AdcRing(TimerRing):
    """One channel in V: -32768 is 0 V, 32767 the top of the range, 0 its middle.

    So a signal at either rail is found as saturated.

    Args:
        read_u16: function without arguments, 0-65535, as `ADC.read_u16`.
        ticks_us: see `TimerRing`; call `tick` from a timer of `rate_hz`.
        rate_hz: samples a second, 0.01-10000.
        n_rows: rows that the ring holds: 2.5 times the rate bears a pause of 2.5 s.
        range_v: what 65535 means.

    Attributes:
        lsb_nano: nano-volts a count; a recipe's `lsb` is this / 1e9.
    """

    def __init__(self, read_u16, ticks_us, rate_hz: float, n_rows: int, range_v: float = 3.3):
        super().__init__(ticks_us, rate_hz, n_rows)
        self.lsb_nano = (int(range_v * 1000000 + 0.5) * 1000 // 65536,)
        self._read_u16 = read_u16

    def _sample(self) -> int:
        return self._read_u16() - 32768
