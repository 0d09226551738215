"""A trial: looks at the release that runs, and ends in a confirmation or a revert."""

from formats import errors
from ota import slots
from ota.health import HEALTHY, PENDING, Health
from ota.pace import elapsed_ms

tell = print  # to the console, where `onebyte deploy` listens; a test that lives long is quiet


class Trial:
    """The one trial that a start, or a swap of the model, may be.

    Args:
        standing: Standing.
        limits: `ota.pace.Limits`.
        now_ms: millisecond ticks of its begin; None: with the first look.

    Attributes:
        is_healthy: the last look found nothing wrong or missing.
    """

    def __init__(self, standing, limits, now_ms=None):
        self._at = standing
        self._limits = limits
        self._health = None
        self._judged_ms = 0
        self._is_acknowledged = False
        self.is_healthy = False
        if now_ms is not None:
            self._begin(now_ms)

    def _begin(self, now_ms: int) -> None:
        self._health = Health(self._at.found, self._limits, now_ms)
        self._judged_ms = now_ms

    def acknowledge(self, seq: int, record: int) -> None:
        """Learn what the server has acknowledged: only this very trial counts."""
        at = self._at.record
        is_trial = self._at.node.phase == slots.TRIAL
        if is_trial and (seq, record) == (at.pending_seq, at.record_seq):
            self._is_acknowledged = True

    def rest_ms(self, now_ms: int) -> int:
        """Return how long it is until the next look."""
        if self._health is None:
            return 0
        return max(0, self._limits.judge_ms - elapsed_ms(now_ms, self._judged_ms))

    def is_due(self, now_ms: int) -> bool:
        """Return whether it is time for a look."""
        if self._health is None:
            self._begin(now_ms)
        return elapsed_ms(now_ms, self._judged_ms) >= self._limits.judge_ms

    def step(self, facts, now_ms: int) -> str:
        """Look once; return the action of a trial that ends, else "".

        Args:
            facts: `ota.health.Facts`.
            now_ms: millisecond ticks.

        Raises:
            OSError: the record could not be written; the next look tries again.
        """
        self._judged_ms = now_ms
        verdict = self._health.judge(facts)
        if verdict == HEALTHY and not self.is_healthy:
            self._tell("is healthy")
        self.is_healthy = verdict == HEALTHY
        if verdict == HEALTHY and self._is_acknowledged:
            self._confirm(slots.SERVER_ACK, self._at.record.pending_seq)
            return ""
        if verdict == HEALTHY and self._health.may_confirm_offline(facts):
            self._confirm(slots.OFFLINE, None)
            return ""
        if verdict in (HEALTHY, PENDING):
            verdict = self._health.overdue(facts, now_ms)
        if not verdict:
            return ""
        self._tell("failed: %s(%d)" % (errors.name(verdict), verdict))
        return self._at.event(slots.HEALTH_FAILED, verdict)

    def _confirm(self, event: str, seq) -> None:
        self._at.event(event, seq)
        self._tell("is confirmed")

    def _tell(self, what: str) -> None:
        tell("onebyte update: release %d %s" % (self._at.found.manifest_seq, what))
