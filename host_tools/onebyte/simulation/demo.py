"""The whole path on one machine: broker, firmware on the unix port, host; every byte compared."""

import shutil
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from formats import model as model_format
from formats import result
from onebyte import toolchain
from onebyte.errors import UserError
from onebyte.receiver.display import Display, confidence_bar
from onebyte.receiver.link import BrokerSettings, Link
from onebyte.receiver.monitor import SUBSCRIBED, Decision, Monitor, Note
from onebyte.simulation import playback
from onebyte.simulation.broker import Broker
from onebyte.simulation.device import Node, NodeOptions
from onebyte.simulation.script import (
    Script,
    accuracy,
    cut,
    excerpt,
    make_script,
    make_stream,
)
from onebyte.simulation.timeline import Timeline, TimelinePoint, write_timeline
from onebyte.training import datasets
from onebyte.training import recipe as recipes

__all__ = ["Scene", "perform", "prepare", "run_folder"]

_TENANT = "demo"
_DEVICE = "watch"
_N_SHOWN = 10


@dataclass(frozen=True)
class Scene:
    """What is played: a model and a recording of somebody it was not trained on."""

    title: str
    group: str
    model_path: Path
    model_file: bytes
    model: model_format.Model
    script: Script

    @property
    def labels(self) -> list[str]:
        return list(self.model.labels)


def prepare(model_folder: Path, seconds: float | None = None, is_stream: bool = False) -> Scene:
    """Load what the demo of a model plays.

    Args:
        model_folder: folder with recipe.toml and holdout.obm.
        seconds: play only so much of the recording.
        is_stream: for a sensor chip, which measures without a pause; `seconds` are then taken
            from all recordings and not from the first ones.

    Raises:
        UserError: something is missing, or the recipe names nobody to leave out.
        OnebyteError: the model is refused.
    """
    recipe = recipes.load(model_folder)
    group = recipe.demo_group
    if group is None:
        raise UserError(f"{recipe.path} has no group under [demo], so there is no one to play")
    path = model_folder / "holdout.obm"
    try:
        model_file = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; onebyte train makes it") from None
    model = model_format.parse(model_file)
    dataset = datasets.load(recipe)
    title = recipe.title or recipe.name
    if is_stream and seconds is not None:
        mine = excerpt(dataset, group, seconds)
    else:
        mine = cut(dataset, group, seconds=seconds)
    make = make_stream if is_stream else make_script
    script = make(model_file, mine, recipe.custom)
    return Scene(title, group, path, model_file, model, script)


@contextmanager
def run_folder(kept: Path, is_kept: bool) -> Iterator[Path]:
    """Give a run a folder of its own, so that two at a time do not meet; `kept` stays."""
    if is_kept:
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="onebyte-demo-") as name:
        yield Path(name)


class DemoLines(Display):
    """Each decision beside the truth: the last ones on a terminal, plain lines elsewhere."""

    def __init__(self, scene: Scene, console: Console) -> None:
        self._scene = scene
        self._console = console
        self._shown: deque[tuple[Decision, str]] = deque(maxlen=_N_SHOWN)
        self._n_right = 0
        self._n_decisions = 0
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=12)

    def show(self, item: Decision | Note) -> None:
        script = self._scene.script
        if isinstance(item, Note) or item.seq >= len(script.truth):
            return
        truth = self._scene.labels[script.truth[item.seq]]
        self._n_decisions += 1
        self._n_right += item.label == truth
        self._shown.append((item, truth))
        if not self._console.is_terminal:
            mark = "" if item.label == truth else f"  truth: {truth}"
            novel = "  novel" if item.novel else ""
            print(
                f"{item.seq + 1:5}  0x{item.byte:02X}  {item.label:22} "
                f"{confidence_bar(item.level):7}{novel}{mark}".rstrip(),
                flush=True,
            )

    def _render(self) -> Table:
        n_windows = len(self._scene.script.truth)
        share = self._n_right / self._n_decisions if self._n_decisions else 0.0
        table = Table(
            box=None,
            pad_edge=False,
            header_style="bold",
            caption=f"{self._n_decisions} of {n_windows} windows, {share:.0%} right so far",
            caption_justify="left",
        )
        for name in ("window", "byte", "decision", "confidence", "", "truth"):
            table.add_column(name, no_wrap=True, min_width=7)
        for item, truth in list(self._shown):
            color = "green" if item.label == truth else "dim" if item.class_id is None else "red"
            table.add_row(
                str(item.seq + 1),
                f"0x{item.byte:02X}",
                f"[{color}]{escape(item.label)}[/{color}]",
                confidence_bar(item.level),
                "[yellow]novel[/yellow]" if item.novel else "",
                escape(truth),
            )
        return table

    def __enter__(self) -> "DemoLines":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._console.is_terminal:
            self._live.stop()


def perform(
    scene: Scene, broker: Broker, folder: Path, speed: int, display: Display
) -> tuple[playback.Part, float]:
    """Run the node against the broker and return what became of it, and the seconds it took.

    Args:
        scene: what is played.
        broker: a started one.
        folder: where the node lives; what is left there of an earlier run is removed.
        speed: times real time, 0 as fast as the node can.
        display: where decisions go.
    """
    toolchain.unpack_umqtt(toolchain.ROOT / "build")
    shutil.rmtree(folder, ignore_errors=True)
    options = NodeOptions(broker.host, broker.port, _TENANT, _DEVICE, speed)
    script = scene.script
    node = Node(folder, options, scene.model_file, script.recording, script.custom)
    part = playback.Part(node, scene.script)
    topics = [f"ob/{_TENANT}/{_DEVICE}/{kind}" for kind in SUBSCRIBED]
    with Link(BrokerSettings(broker.host, broker.port), topics) as link, display:
        seconds = playback.play([part], link, Monitor(), display.show)
    return part, seconds


def decided(part: playback.Part) -> list[int | None]:
    """Return the class of each window of the script, None where there is none."""
    return [
        part.decisions[seq].class_id if seq in part.decisions else None
        for seq in range(part.windows)
    ]


def score(part: playback.Part) -> float:
    """Return the share of windows whose decided class is the true one; undecided is wrong."""
    return accuracy(part.script.truth, decided(part))


def draw(scene: Scene, part: playback.Part, path: Path) -> None:
    """Write the timeline of what arrived; a window whose decision was lost is undecided."""
    nothing = result.pack_fault(scene.model.encoding, result.UNDECIDED)
    points = []
    for seq, truth in enumerate(scene.script.truth):
        byte = part.decisions[seq].byte if seq in part.decisions else nothing
        points.append(TimelinePoint(truth, *result.parse(scene.model.encoding, byte)))
    timeline = Timeline(
        f"{scene.title}: group {scene.group}, not seen in training; {len(points)} windows, "
        f"accuracy {score(part):.2f}",
        scene.labels,
        scene.model.hop * 1000 / scene.model.rate_mhz,
        points,
        scene.script.segment_starts,
        scene.model.encoding == result.A,
    )
    write_timeline(path, timeline)
