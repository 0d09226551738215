"""Plays scripts on nodes against a real broker, every byte of theirs checked."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from formats import topics
from onebyte.receiver.link import Link
from onebyte.receiver.monitor import Decision, Monitor, Note
from onebyte.simulation.script import Script

__all__ = ["Part", "Player", "play", "summary"]

_FIRST_EPOCH = 1
_POLL_S = 0.05
_START_S = 60.0
_SLOWEST_WINDOW_S = 1.0  # without the native module, on a busy machine


class Player(Protocol):
    """A device that plays a script: a process of the unix port, or an emulated board."""

    @property
    def name(self) -> str:
        """Its device name in the topics."""

    @property
    def speed(self) -> float:
        """How much faster than real time it plays, at least; 0 as fast as it can."""

    @property
    def folder(self) -> Path:
        """Where it keeps its files."""

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""

    def start(self) -> None:
        """Boot."""

    def stop(self) -> None:
        """End it. May be called twice."""

    def report(self) -> dict[str, Any]:
        """Return the counters that it told at its end; raises UserError when it failed."""


@dataclass
class Part:
    """A node with its script, and what became of its decisions.

    Attributes:
        decisions: what arrived and was expected, by sequence number, whether right or wrong.
        wrong: decisions with another byte than the host computed, or not expected at all.
        report: what the node said at its end; empty when it had to be stopped.
    """

    node: Player
    script: Script
    decisions: dict[int, Decision] = field(default_factory=dict)
    wrong: int = 0
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def windows(self) -> int:
        """Decisions that the node has to make."""
        return len(self.script.expected)

    @property
    def published(self) -> int:
        """Decisions that the broker confirmed to the node, as the node says."""
        return int(self.report.get("next_seq", 0)) - int(self.report.get("queued", 0))

    @property
    def received(self) -> int:
        """Expected decisions that arrived, each counted once."""
        return len(self.decisions)

    @property
    def lost(self) -> int:
        """Expected decisions that did not arrive."""
        return self.windows - self.received

    def take(self, decision: Decision) -> None:
        """Check one decision against the script."""
        expected = self.script.expected
        if decision.epoch != _FIRST_EPOCH or decision.seq >= len(expected):
            self.wrong += 1
            return
        self.decisions[decision.seq] = decision
        self.wrong += decision.byte != expected[decision.seq]


def play(
    parts: Sequence[Part],
    link: Link,
    monitor: Monitor,
    show: Callable[[Decision | Note], None] = lambda item: None,
) -> float:
    """Start the nodes, take what they send until all of them have ended; return the seconds.

    A node that does not end in time is stopped, and what is missing of it counts as lost.

    Args:
        parts: the nodes, with different device names.
        link: open and subscribed to the topics of all devices.
        monitor: a new one.
        show: called with each decision and note.

    Raises:
        UserError: a node failed.
    """
    by_name = {part.node.name: part for part in parts}

    def take(items: Sequence[Decision | Note]) -> None:
        for item in items:
            if item.device in by_name and isinstance(item, Decision):
                by_name[item.device].take(item)
            show(item)

    started_s = time.monotonic()
    deadline_s = started_s + max(map(_patience_s, parts))
    try:
        for part in parts:
            part.node.start()
        is_over = False
        while not is_over and time.monotonic() < deadline_s:
            is_over = not any(part.node.is_running for part in parts)
            for message in link.messages(_POLL_S):
                take(monitor.take(message))
            take(monitor.tick(time.time()))
            _ask(link, monitor)
        for message in link.settle() if any(part.lost for part in parts) else ():
            take(monitor.take(message))
        seconds = time.monotonic() - started_s
        for part in parts:
            if not part.node.is_running:
                part.report = part.node.report()
    finally:
        for part in parts:
            part.node.stop()
    take(monitor.finish())
    return seconds


def _ask(link: Link, monitor: Monitor) -> None:
    """Ask devices for what a broker has lost that was killed or that we had left."""
    for device, command in monitor.commands(time.time()):
        link.publish(topics.pack(device.tenant, device.name, topics.COMMAND), command)


def summary(parts: Sequence[Part]) -> str:
    """Return `windows=.. published=.. received=.. lost=.. wrong=..` of all nodes together."""
    names = ("windows", "published", "received", "lost", "wrong")
    return " ".join(f"{name}={sum(getattr(part, name) for part in parts)}" for name in names)


def _patience_s(part: Part) -> float:
    speed = part.node.speed
    playing_s = part.script.duration_s / speed if speed else 0.0
    return _START_S + playing_s + _SLOWEST_WINDOW_S * part.windows
