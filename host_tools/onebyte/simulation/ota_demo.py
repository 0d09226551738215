"""Updates of a running node: good releases and bad ones, while every decision is counted.

A real broker, the firmware on the unix port with slots in a folder, and a host that publishes,
acknowledges and counts.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from formats import errors, topics
from onebyte import toolchain
from onebyte.receiver.link import BrokerSettings, Link, Message
from onebyte.receiver.monitor import SUBSCRIBED, Decision, Device, Monitor
from onebyte.receiver.reconcile import Reconciler
from onebyte.simulation import demo, ota_releases
from onebyte.simulation.broker import Broker
from onebyte.simulation.demo import Scene
from onebyte.simulation.device import NodeOptions
from onebyte.simulation.explain import Explained, Host, explain
from onebyte.simulation.ota_releases import Step, Vendor
from onebyte.simulation.script import cut
from onebyte.simulation.supervised import UPDATE_FOLDER, SupervisedNode
from onebyte.training import datasets
from onebyte.training import recipe as recipes
from onebyte.training.datasets import Dataset
from onebyte.updates import publish
from onebyte.updates.rollout import CONFIRMED, REFUSED, REVERTED, Course, Rollout

__all__ = ["Outcome", "Play", "Show", "lines", "models_line", "perform", "prepare"]

TENANT, DEVICE = "demo", "watch"
TRIAL_S = 15
_STEP_S = 240.0  # longer than any step takes, on a slow machine, too
_LEAST_DECISIONS = 20  # between two releases
_POLL_S = 0.05
_WAIT_S = 1.5  # for decisions of an earlier start

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Show:
    """What is played.

    Attributes:
        scene: the recording and the better model.
        dataset: the recordings of the scene, in its order.
        models: the model that the node begins with, and the better one.
        speed: times real time.
    """

    scene: Scene
    dataset: Dataset
    models: tuple[bytes, bytes]
    speed: int


@dataclass(frozen=True)
class Outcome:
    """What became of one step."""

    step: Step
    outcome: str
    reason: int
    took_s: float

    @property
    def is_right(self) -> bool:
        """Whether it ended as it had to."""
        reasons = self.step.reasons or (0,)
        return self.outcome == self.step.outcome and self.reason in reasons


@dataclass
class Play:
    """All that happened.

    Attributes:
        outcomes: of the steps, in order.
        decisions: epoch -> seq -> byte, each counted once.
        explained: epoch -> what the host says to its bytes.
        made: epoch -> how many decisions the node says it has made, where it could say so.
        queued: decisions that still lay on the node's flash at the end.
        n_restarts, n_hangs, n_crashes: of the node.
        times_s: when each decision was made, or arrived where it came as a byte alone.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    decisions: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    explained: dict[int, Explained] = field(default_factory=dict)
    made: dict[int, int] = field(default_factory=dict)
    queued: int = 0
    n_restarts: int = 0
    n_hangs: int = 0
    n_crashes: int = 0
    times_s: list[float] = field(default_factory=list)

    @property
    def received(self) -> int:
        """Decisions that arrived."""
        return sum(map(len, self.decisions.values()))

    @property
    def lost(self) -> int:
        """Decisions that were made and did not arrive, by the numbers that they carry."""
        lost = 0
        epochs = self.decisions.keys() | self.made.keys()
        for epoch in epochs:
            seen = self.decisions.get(epoch, {})
            n_made = max(self.made.get(epoch, 0), max(seen, default=-1) + 1)
            # The newest may lie on the flash, and one of them may have arrived all the same.
            n_due = n_made - self.queued if epoch == max(epochs) else n_made
            lost += sum(seq not in seen for seq in range(n_due))
        return lost

    @property
    def wrong(self) -> int:
        """Decisions whose byte no model of the course gives there."""
        return sum(one.wrong for one in self.explained.values())

    def count(self, outcome: str) -> int:
        """Return how many releases ended so."""
        return sum(one.outcome == outcome for one in self.outcomes)

    @property
    def is_right(self) -> bool:
        """Whether every verdict was the right one, and nothing was lost or wrong."""
        is_whole = self.lost == 0 and self.wrong == 0 and self.received > 0
        return is_whole and all(one.is_right for one in self.outcomes)

    @property
    def longest_pause_s(self) -> float:
        """Longest time without a decision."""
        times_s = sorted(self.times_s)
        return max((b - a for a, b in pairwise(times_s)), default=0.0)

    def accuracy(self, model: int) -> tuple[int, int]:
        """Return (right, all) of the decisions that one of the two models has made."""
        runs = [run for one in self.explained.values() for run in one.runs if run.model == model]
        return sum(run.n_right for run in runs), sum(len(run.results) for run in runs)

    def summary(self) -> str:
        """Return the last line."""
        return (
            f"updates={len(self.outcomes)} confirmed={self.count(CONFIRMED)} "
            f"reverted={self.count(REVERTED)} refused={self.count(REFUSED)} "
            f"results_lost={self.lost}"
        )


def perform(
    show: Show, steps: list[Step], vendor: Vendor, place: tuple[Broker, Path], tell: Tell
) -> Play:
    """Run the node through all releases and return what happened.

    Args:
        show: what it plays.
        steps: the releases.
        vendor: made the node's identity.
        place: a started broker, and the node's folder.
        tell: gets lines for people.
    """
    broker, folder = place
    toolchain.unpack_umqtt(toolchain.ROOT / "build")
    more = {
        "update_path": UPDATE_FOLDER,
        "update_trial_s": TRIAL_S,
        "update_pause_s": 1,
        "outbox_flush_s": 1,
    }
    options = NodeOptions(broker.host, broker.port, TENANT, DEVICE, show.speed, more=more)
    script = show.scene.script
    files = (show.models[0], script.recording, script.custom)
    node = SupervisedNode(folder, options, files, vendor.identity())
    settings = BrokerSettings(broker.host, broker.port)
    kinds = (*SUBSCRIBED, topics.REPORT)
    with Link(settings, [topics.pack(TENANT, DEVICE, kind) for kind in kinds]) as link:
        stage = _Stage(node, link, settings, tell)
        node.start()
        try:
            stage.play(steps)
        finally:
            node.stop()
    return stage.finish(Host(show.models, show.dataset))


class _Stage:
    """The node, the host's connection, and what has been seen so far."""

    def __init__(self, node: SupervisedNode, link: Link, settings: BrokerSettings, tell: Tell):
        self._node = node
        self._link = link
        self._settings = settings
        self._tell = tell
        self._monitor = Monitor()
        # After each start it is not known how the one before ended; the node tells at its end.
        reconciler = Reconciler(wait_s=_WAIT_S)
        self._monitor.devices[TENANT, DEVICE] = Device(TENANT, DEVICE, reconciler)
        self._play = Play()
        self._rollout: Rollout | None = None

    def play(self, steps: list[Step]) -> None:
        """Offer every release, each after some decisions of the one before."""
        for number, step in enumerate(steps, 1):
            self._decide(_LEAST_DECISIONS)
            self._tell(f"{number:2}  release {step.offer.seq}: {step.title}")
            started = time.monotonic()
            course = self._offer(step)
            took_s = time.monotonic() - started
            found = Outcome(step, course.outcome, course.reason, took_s)
            self._play.outcomes.append(found)
            self._tell(f"    {_verdict(found)}")
        self._decide(_LEAST_DECISIONS)
        self._interrupt()

    def finish(self, host: Host) -> Play:
        """Return all that happened, once the node has ended."""
        node, play = self._node, self._play
        summaries = node.summaries()
        play.made = {int(one["epoch"]): int(one["next_seq"]) for one in summaries}
        play.queued = int(summaries[-1]["queued"]) if summaries else 0
        play.n_restarts, play.n_hangs = node.n_restarts, node.n_hangs
        play.n_crashes = node.n_crashes
        for epoch, said in play.decisions.items():
            play.explained[epoch] = explain([said[seq] for seq in sorted(said)], host)
        return play

    def _offer(self, step: Step) -> Course:
        key = (TENANT, DEVICE)
        self._rollout = Rollout(step.offer.seq, [key])
        publish.publish(self._settings, step.offer, [key])
        deadline = time.monotonic() + _STEP_S
        while not self._rollout.is_over and time.monotonic() < deadline:
            self._turn()
        return self._rollout.courses[key]

    def _decide(self, count: int) -> None:
        """Go on until so many further decisions have come."""
        goal = self._play.received + count
        deadline = time.monotonic() + _STEP_S
        while self._play.received < goal and time.monotonic() < deadline:
            self._turn()

    def _interrupt(self) -> None:
        """End the node as Ctrl-C does, and take what still comes."""
        self._node.interrupt()
        for message in self._link.settle():
            self._take_message(message)
        self._take_decisions(self._monitor.finish())

    def _turn(self) -> None:
        why = self._node.watch()
        if why:
            self._tell(f"      ... {why}")
        self._take_messages()

    def _take_messages(self) -> None:
        for message in self._link.messages(_POLL_S):
            self._take_message(message)
        self._take_decisions(self._monitor.tick(time.time()))
        for device, command in self._monitor.commands(time.time()):
            self._link.publish(topics.pack(device.tenant, device.name, topics.COMMAND), command)

    def _take_message(self, message: Message) -> None:
        self._take_report(message)
        self._take_decisions(self._monitor.take(message))

    def _take_report(self, message: Message) -> None:
        if self._rollout is None:
            return
        answer = self._rollout.take(message.topic, message.payload, message.retained)
        if answer.ack is not None:
            self._link.publish(*answer.ack)
        if answer.is_news and answer.course is not None and not answer.course.is_over:
            self._tell(f"      {answer.course.text()}")

    def _take_decisions(self, items: list[Any]) -> None:
        for item in items:
            if isinstance(item, Decision):
                self._play.decisions[item.epoch][item.seq] = item.byte
                self._play.times_s.append(item.time_s)


def _verdict(found: Outcome) -> str:
    why = f": {errors.name(found.reason)}({found.reason})" if found.reason else ""
    mark = "" if found.is_right else f"   NOT AS EXPECTED: {found.step.outcome}"
    return f"{found.outcome}{why}, after {found.took_s:.1f} s{mark}"


def prepare(model_folder: Path, speed: int) -> Show:
    """Load what the demonstration plays.

    Args:
        model_folder: as of `demo.prepare`.
        speed: times real time.

    Raises:
        UserError: something is missing.
        OnebyteError: the model is refused.
    """
    scene = demo.prepare(model_folder)
    recordings = cut(datasets.load(recipes.load(model_folder)), scene.group)
    models = (ota_releases.weaker(scene.model_file), scene.model_file)
    return Show(scene, recordings, models, speed)


def models_line(show: Show) -> str:
    """Say what the two models are worth on the whole recording, as the host computes it."""
    host = Host(show.models, show.dataset)
    shares = []
    for model in range(len(show.models)):
        found = list(host.windows(model, 0))
        n_right = sum(one.class_id == one.truth for one in found)
        shares.append(f"{n_right / len(found):.2f} with {len(show.models[model])} bytes")
    return f"accuracy on the whole recording: {shares[0]}, the better model {shares[1]}"


def lines(play: Play) -> list[str]:
    """Say what happened to the decisions."""
    said = []
    for model, name in enumerate(("first", "better")):
        right, total = play.accuracy(model)
        share = f"{right / total:.0%} right" if total else "none"
        said.append(f"the {name} model: {total} decisions in this run, {share}")
    said.append("each start begins the recording anew")
    said.append(
        f"decisions: {play.received} received, {play.lost} lost, {play.wrong} not what the host "
        f"computes; the longest pause took {play.longest_pause_s:.1f} s"
    )
    said.append(
        f"node: {len(play.decisions)} starts with decisions, {play.n_restarts} restarts asked "
        f"for, {play.n_hangs} by the watchdog, {play.n_crashes} crashes"
    )
    return said
