"""Finds sensors that are silent, stuck or saturated. They become fault bytes, never classes."""

from formats import result

# Millisecond ticks wrap at 2^30 on the boards; their distance is right modulo that.
_TICKS_MASK = 0x3FFFFFFF


class SensorWatch:
    """Judges a source by when its samples come and what each window holds.

    Args:
        n_channels: values in a row.
        window: rows in a window.
        silent_ms: no sample for longer than this is a fault.
        saturated_permille: a window is saturated when more than this share of the samples of
            any one channel lies at or beyond a limit; 1000 never.
        low: lowest good sample is `low + 1`.
        high: highest good sample is `high - 1`.
    """

    def __init__(
        self,
        n_channels: int,
        window: int,
        silent_ms: int,
        saturated_permille: int = 100,
        low: int = -32768,
        high: int = 32767,
    ):
        self._n_channels = n_channels
        self._window = window
        self._silent_ms = silent_ms
        self._limit = saturated_permille * window
        self._low = low
        self._high = high
        self._heard_ms = -1

    def silent(self, n_rows: int, now_ms: int) -> bool:
        """Takes the rows that just came (0 for none).

        Returns:
            True once for each `silent_ms` without a sample.
        """
        if n_rows or self._heard_ms < 0:
            self._heard_ms = now_ms
            return False
        if (now_ms - self._heard_ms) & _TICKS_MASK <= self._silent_ms:
            return False
        self._heard_ms = now_ms
        return True

    def restart(self) -> None:
        """Forgets when the source was last heard, as after a pause in which nobody listened."""
        self._heard_ms = -1

    def window_fault(self, ring, start_row: int) -> int:
        """Returns the reason why the window at `start_row` cannot be trusted, or -1."""
        if self._is_stuck(ring, start_row):
            return result.SENSOR_STUCK
        # One native pass over the ring spares the slow count for nearly every window.
        if (max(ring) >= self._high or min(ring) <= self._low) and self._is_saturated(
            ring, start_row
        ):
            return result.SENSOR_SATURATED
        return -1

    def _is_stuck(self, ring, start_row: int) -> bool:
        first = start_row * self._n_channels
        end = len(ring)
        at = first
        for _ in range(1, self._window):
            at += self._n_channels
            if at == end:
                at = 0
            for channel in range(self._n_channels):
                if ring[at + channel] != ring[first + channel]:
                    return False
        return True

    def _is_saturated(self, ring, start_row: int) -> bool:
        end = len(ring)
        for channel in range(self._n_channels):
            at = start_row * self._n_channels + channel
            count = 0
            for _ in range(self._window):
                sample = ring[at]
                if sample >= self._high or sample <= self._low:
                    count += 1
                at += self._n_channels
                if at >= end:
                    at -= end
            if count * 1000 > self._limit:
                return True
        return False
