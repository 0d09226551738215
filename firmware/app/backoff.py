"""Growing random pauses: a fleet whose network comes back must not return in step."""

import time

_MAX_DOUBLINGS = 16


class Backoff:
    """When to try again. Full jitter: any pause up to a ceiling that doubles.

    Args:
        base_ms: longest pause after the first failure.
        cap_ms: longest pause after any.
        randint: random.randint, or a test's.
    """

    def __init__(self, base_ms: int, cap_ms: int, randint):
        self._base_ms = base_ms
        self._cap_ms = cap_ms
        self._randint = randint
        self.reset()

    def reset(self) -> None:
        """The last attempt succeeded: the next failure is a first one, and no pause is due."""
        self._attempt = 0
        self._until = None

    def failed(self, now_ms) -> None:
        """Begins a pause."""
        ceiling = min(self._cap_ms, self._base_ms << self._attempt)
        self._attempt = min(self._attempt + 1, _MAX_DOUBLINGS)
        self.pause(now_ms, self._randint(0, ceiling))

    def pause(self, now_ms, pause_ms) -> None:
        """Begins a pause of exactly so long; the next failure counts as it would have."""
        self._until = time.ticks_add(now_ms, pause_ms)

    def left_ms(self, now_ms) -> int:
        """Returns how long to wait until the next attempt, 0 when it is due."""
        if self._until is None:
            return 0
        return max(0, time.ticks_diff(self._until, now_ms))
