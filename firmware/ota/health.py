"""Whether a release on trial is healthy. Pure: the app hands in what it knows of itself."""

from formats import errors
from ota.pace import elapsed_ms

HEALTHY = 0
PENDING = -1

_LOW_HEAP_LOOKS = 3  # a look may fall into a moment with much in flight


class Facts:
    """What the app knows of itself.

    Attributes:
        model_reason: why the model was refused, its golden vectors included; 0 it was not.
        sensor_ok: samples come.
        windows: judged in this trial.
        heap_free: bytes, after a collection.
        latency_us: longest from window to decision.
        uptime_s: since the start that no sleep interrupts: deep sleep counts, a restart ends it.
    """

    def __init__(self) -> None:
        self.model_reason = 0
        self.sensor_ok = False
        self.windows = 0
        self.heap_free = 0
        self.latency_us = 0
        self.uptime_s = 0


class Health:
    """Judges one trial of one start.

    Args:
        found: `Manifest` of the release on trial.
        limits: `ota.pace.Limits`.
        now_ms: millisecond ticks.
    """

    def __init__(self, found, limits, now_ms: int) -> None:
        self._found = found
        self._limits = limits
        self._began_ms = now_ms
        self._low_heap = 0

    def judge(self, facts) -> int:
        """Return HEALTHY, PENDING, or the reason why the release has failed."""
        found = self._found
        if facts.model_reason:
            return facts.model_reason
        if found.latency_budget_us and facts.latency_us > found.latency_budget_us:
            return errors.TRIAL_LATENCY
        is_low = facts.heap_free < found.heap_floor_bytes
        self._low_heap = self._low_heap + 1 if is_low else 0
        if self._low_heap >= _LOW_HEAP_LOOKS:
            return errors.TRIAL_HEAP
        return PENDING if is_low or self._unmet(facts) else HEALTHY

    def _unmet(self, facts) -> int:
        if not facts.sensor_ok:
            return errors.TRIAL_SENSOR
        return errors.TRIAL_WINDOWS if facts.windows < self._limits.trial_windows else 0

    def overdue(self, facts, now_ms: int) -> int:
        """Return what is still missing when the trial has had its time, 0 before."""
        limit_ms = self._limits.trial_ms
        passed_ms = elapsed_ms(now_ms, self._began_ms)
        if passed_ms < limit_ms:
            return 0
        reason = self._unmet(facts)
        if reason or not self._found.may_confirm_offline:
            return reason or errors.TRIAL_SERVER
        return 0  # its hours end it, or its tries

    def may_confirm_offline(self, facts) -> bool:
        """Return whether it has been healthy for as many hours as the manifest asks for."""
        found = self._found
        return found.may_confirm_offline and facts.uptime_s >= found.offline_h * 3600
