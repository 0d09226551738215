"""How long a download may take, how often it is tried, and how long the pauses are."""

_TICKS_MASK = 0x3FFFFFFF  # millisecond ticks wrap at 2^30 on the boards
_MAX_DOUBLINGS = 16


class Limits:
    """What bounds downloads and trials; the defaults, for a test or a demo to change.

    Attributes:
        piece_ms: from a request to its answer.
        attempt_ms: a whole attempt, however well it gets on.
        attempts: in vain, of each kind, until the wanted release is given up.
        forget_ms: after so long it is tried again.
        base_ms, cap_ms: pauses between attempts, see `Pace`.
        trial_ms: a trial that is not confirmed by then has failed.
        trial_windows: windows that a healthy trial has judged.
        judge_ms: between two looks at a trial.
        can_swap: a release that brings a model only is tried without a restart.
    """

    def __init__(self) -> None:
        self.piece_ms = 20000
        self.attempt_ms = 1800000
        self.attempts = 5
        self.forget_ms = 86400000
        self.base_ms = 5000
        self.cap_ms = 900000
        self.trial_ms = 900000
        self.trial_windows = 3
        self.judge_ms = 1000
        self.can_swap = False


def elapsed_ms(now_ms: int, since_ms: int) -> int:
    """Return how long ago that was; less than 12 days."""
    return (now_ms - since_ms) & _TICKS_MASK


class Pace:
    """Pauses with full jitter: any length up to a ceiling that doubles with each failure.

    Args:
        limits: Limits.
        randint: random.randint, or a test's.
    """

    def __init__(self, limits, randint) -> None:
        self._limits = limits
        self._randint = randint
        self.reset()

    def reset(self) -> None:
        """Make the next failure a first one; no pause is due."""
        self._failures = 0
        self._pause_ms = self._since_ms = 0

    def failed(self, now_ms: int) -> None:
        """Begin a pause."""
        ceiling = min(self._limits.cap_ms, self._limits.base_ms << self._failures)
        self._failures = min(self._failures + 1, _MAX_DOUBLINGS)
        self._pause_ms = self._randint(0, ceiling)
        self._since_ms = now_ms

    @property
    def is_pausing(self) -> bool:
        """Whether a pause was still on when `left_ms` was last asked."""
        return self._pause_ms > 0

    def left_ms(self, now_ms: int) -> int:
        """Return how long the pause still is, 0 when there is none."""
        if not self._pause_ms:
            return 0
        left = self._pause_ms - elapsed_ms(now_ms, self._since_ms)
        if left <= 0:
            self._pause_ms = 0  # or it would come back when the ticks wrap
            return 0
        return left
