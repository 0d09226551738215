"""Follows nodes through a release and acknowledges their trials. Pure: messages in, answers out.

The host's connection, a fleet's server and the demonstration all use it: whoever receives the
messages on /u hands them to `Rollout.take` and publishes the acknowledgement that comes back. A
node confirms a release only after that, so a rollout that nobody follows is reverted by its nodes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from formats import errors, topics, update_messages
from formats.errors import OnebyteError

__all__ = ["CONFIRMED", "OUTCOMES", "Answer", "Course", "Rollout"]

# How a release can end on a node.
CONFIRMED = "confirmed"
REVERTED = "reverted"  # it was tried and failed
REFUSED = "refused"  # it was never tried
SUPERSEDED = "superseded"  # a later one runs, or was tried after it
WAITING = "waiting"  # not over
OUTCOMES = (CONFIRMED, REVERTED, REFUSED, SUPERSEDED, WAITING)

_STEPS = 4  # progress of a download is told in quarters
_WORDS = {
    "verify": "checks what it has fetched",
    "armed": "is about to try it",
    "trial": "tries it",
}


@dataclass
class Course:
    """What is known of one node.

    Attributes:
        tenant, device: Its names.
        outcome: One of OUTCOMES.
        reason: Why it was reverted or refused, a reason code; 0 otherwise.
        report: The newest message of its /u, None before the first.
        n_acks: How often its trial was acknowledged.
        is_ahead: It had a later release before this one was offered.
    """

    tenant: str
    device: str
    outcome: str = WAITING
    reason: int = 0
    report: dict[str, Any] | None = None
    n_acks: int = 0
    is_ahead: bool = False
    _told: tuple[object, ...] = field(default=(), repr=False)

    @property
    def is_over(self) -> bool:
        """Whether the release has ended on this node."""
        return self.outcome != WAITING

    def text(self) -> str:
        """Say in words where it is."""
        if self.is_over:
            why = f": {errors.name(self.reason)}({self.reason})" if self.reason else ""
            return self.outcome + why
        if self.report is None:
            return "has not said anything about updates yet"
        phase, total = self.report["phase"], self.report["total_bytes"]
        if phase == "fetch" and total:
            return f"fetches it, {100 * self.report['done_bytes'] // total} % of {total} bytes"
        return str(_WORDS.get(phase, "fetches it" if phase == "fetch" else "has not begun"))


@dataclass(frozen=True)
class Answer:
    """What came of one message.

    Attributes:
        course: Of the node, None when it is none of the rollout.
        is_news: Whether somebody who watches should be told.
        ack: (topic, payload) to publish with QoS 1, not retained; None for nothing.
    """

    course: Course | None = None
    is_news: bool = False
    ack: tuple[str, bytes] | None = None


class Rollout:
    """One release on its way to some nodes.

    Args:
        seq: Its manifest_seq.
        nodes: (tenant, device) of each.
        asked_before: Those that were offered the very same before: what they have said of it is
            their answer, for a node judges an offer once.
    """

    def __init__(
        self,
        seq: int,
        nodes: Iterable[tuple[str, str]],
        asked_before: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.seq = seq
        self._asked_before = frozenset(asked_before)
        self.courses = {node: Course(*node) for node in nodes}

    @property
    def is_over(self) -> bool:
        """Whether the release has ended on every node."""
        return all(course.is_over for course in self.courses.values())

    def counts(self) -> dict[str, int]:
        """Return how many nodes have each outcome."""
        listed = [course.outcome for course in self.courses.values()]
        return {outcome: listed.count(outcome) for outcome in OUTCOMES}

    def take(self, topic: str, payload: bytes, is_retained: bool = False) -> Answer:
        """Judge one message.

        Args:
            topic: Where it came.
            payload: Its bytes.
            is_retained: Whether the broker had kept it: what it says may be long ago.
        """
        try:
            tenant, device, kind = topics.parse(topic)
            course = self.courses.get((tenant, device))
            if kind != topics.REPORT or course is None or not payload:
                return Answer()
            report = update_messages.parse_report(payload)
        except OnebyteError:
            # Not of a node of ours, or of another version: others decide what to do about it.
            return Answer()
        if not course.is_over:
            was_asked = (tenant, device) in self._asked_before
            if course.report is None and not was_asked:
                course.is_ahead = _newest_seq(report) > self.seq
            outcome, course.reason = self._judge(report, is_retained and not was_asked)
            # A node that is ahead from the beginning has its reason to refuse, and says it.
            course.outcome = WAITING if course.is_ahead and outcome == SUPERSEDED else outcome
        course.report = report
        ack = None
        if report["phase"] == "trial" and report["pending_seq"] == self.seq:
            course.n_acks += 1
            ack = (
                topics.pack(tenant, device, topics.ACK),
                update_messages.pack_ack(self.seq, report["record"]),
            )
        return Answer(course, self._is_news(course), ack)

    def _judge(self, report: dict[str, Any], is_old: bool) -> tuple[str, int]:
        if report["pending_seq"] == self.seq:
            return WAITING, 0
        if report["installed_seq"] == self.seq:
            return CONFIRMED, 0
        if report["bad_seq"] == self.seq:
            return REVERTED, report["reason"]
        # A refusal is not for ever: it has to be of this offer.
        if report["refused_seq"] == self.seq and not is_old:
            return REFUSED, report["refused"]
        if _newest_seq(report) > self.seq:
            return SUPERSEDED, 0
        return WAITING, 0

    @staticmethod
    def _is_news(course: Course) -> bool:
        report = course.report or {}
        quarter = 0
        if report["phase"] == "fetch" and report["total_bytes"]:
            quarter = _STEPS * report["done_bytes"] // report["total_bytes"]
        phase = "" if course.is_over else report["phase"]
        now = (course.outcome, course.reason, phase, quarter)
        is_news = now != course._told
        course._told = now
        return is_news


def _newest_seq(report: dict[str, Any]) -> int:
    return int(max(report["installed_seq"], report["bad_seq"], report["pending_seq"]))
