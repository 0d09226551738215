"""A picture of a recording: what was true, what the device decided, how sure it was."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

_NO_CLASS_COLOR = (0.88, 0.88, 0.88, 1.0)
_FAULT_COLOR = (0.15, 0.15, 0.15, 1.0)
_N_LEVELS = 8
# Marks without a colour of their own: every colour already names a class.
_NOVEL_MARK: dict[str, Any] = {
    "linestyle": "",
    "marker": "v",
    "markersize": 4.5,
    "markerfacecolor": "none",
    "markeredgecolor": "black",
    "markeredgewidth": 0.7,
}
_FAULT_MARK: dict[str, Any] = {"linestyle": "", "marker": "x", "markersize": 5, "color": "black"}


class TimelinePoint(NamedTuple):
    """One window: the true class and the parsed result byte of its decision.

    `class_id` is -1 without a class, and then `reason` says why (0 undecided, above a fault).
    """

    truth: int
    class_id: int
    level: int
    novel: bool
    reason: int


@dataclass(frozen=True)
class Timeline:
    """What the picture shows, one point for each window, in order.

    Attributes:
        title: line over the picture.
        labels: name of each class.
        hop_s: seconds between two windows.
        points: the windows.
        segment_starts: indices of the windows before which time is not continuous.
        has_levels: False for encoding B, which has no confidence and no novelty.
    """

    title: str
    labels: Sequence[str]
    hop_s: float
    points: Sequence[TimelinePoint]
    segment_starts: Sequence[int] = ()
    has_levels: bool = True

    @property
    def unit(self) -> tuple[str, float]:
        """Name and seconds of the unit of the time axis."""
        return ("minutes", 60.0) if len(self.points) * self.hop_s > 180 else ("seconds", 1.0)

    @property
    def hop(self) -> float:
        """Distance of two windows in units of the time axis."""
        return self.hop_s / self.unit[1]


def write_timeline(path: Path, timeline: Timeline) -> None:
    """Write the picture as PNG: truth band, decision band, errors, confidence and novelty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(13.0, 4.6 if timeline.has_levels else 3.0), layout="constrained")
        figure.suptitle(timeline.title, fontsize=11)
        ratios = [1.0, 1.0, 0.35] + ([2.0] if timeline.has_levels else [])
        rows = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)
        axes: list[Axes] = list(rows[:, 0])
        colors = _class_colors(len(timeline.labels))
        _draw_band(axes[0], "truth", [p.truth for p in timeline.points], timeline, colors)
        _draw_band(axes[1], "decided", _band_values(timeline), timeline, colors)
        _draw_errors(axes[2], timeline)
        if timeline.has_levels:
            _draw_confidence(axes[3], timeline)
        axes[-1].set_xlabel(f"{timeline.unit[0]} of recording")
        axes[-1].set_xlim(0, len(timeline.points) * timeline.hop)
        figure.legend(
            handles=_legend(timeline, colors), loc="outside lower center", ncols=6, frameon=False
        )
        figure.savefig(path, dpi=110)


def _class_colors(n_classes: int) -> np.ndarray:
    """One RGBA row per class: a qualitative map while it lasts, then a continuous one."""
    for name in ("tab10", "tab20"):
        colormap = mpl.colormaps[name]
        if n_classes <= colormap.N:
            return np.array(colormap(np.arange(n_classes)))
    return np.array(mpl.colormaps["turbo"](np.linspace(0.03, 0.97, n_classes)))


def _band_values(timeline: Timeline) -> list[int]:
    """Class id, n_classes for undecided, n_classes + 1 for a fault."""
    n_classes = len(timeline.labels)
    return [
        p.class_id if p.class_id >= 0 else n_classes + (1 if p.reason > 0 else 0)
        for p in timeline.points
    ]


def _draw_band(
    axes: Axes, name: str, values: Sequence[int], timeline: Timeline, colors: np.ndarray
) -> None:
    n_classes = len(timeline.labels)
    colormap = ListedColormap([*colors, _NO_CLASS_COLOR, _FAULT_COLOR])
    axes.imshow(
        np.array([values]),
        aspect="auto",
        interpolation="nearest",
        cmap=colormap,
        vmin=-0.5,
        vmax=n_classes + 1.5,
        extent=(0, len(values) * timeline.hop, 0, 1),
    )
    for start in timeline.segment_starts:
        axes.axvline(start * timeline.hop, color="white", linewidth=1.2)
    _name_row(axes, name)


def _draw_errors(axes: Axes, timeline: Timeline) -> None:
    """Black wherever another class than the true one was decided."""
    wrong = [p.class_id >= 0 and p.class_id != p.truth for p in timeline.points]
    axes.imshow(
        np.array([wrong], dtype=int),
        aspect="auto",
        interpolation="nearest",
        cmap=ListedColormap([(0.95, 0.95, 0.95), (0.0, 0.0, 0.0)]),
        vmin=0,
        vmax=1,
        extent=(0, len(wrong) * timeline.hop, 0, 1),
    )
    _name_row(axes, "wrong class")


def _draw_confidence(axes: Axes, timeline: Timeline) -> None:
    points = timeline.points
    at = (np.arange(len(points)) + 0.5) * timeline.hop
    levels = np.array([p.level if p.class_id >= 0 else np.nan for p in points], dtype=float)
    for start, end in _spans(timeline):
        axes.step(at[start:end], levels[start:end], where="mid", color="0.35", linewidth=0.9)
    novel = np.array([p.novel for p in points], dtype=bool)
    axes.plot(at[novel], np.full(novel.sum(), _N_LEVELS - 0.3), **_NOVEL_MARK)
    fault = np.array([p.class_id < 0 and p.reason > 0 for p in points], dtype=bool)
    axes.plot(at[fault], np.full(fault.sum(), -0.4), **_FAULT_MARK)
    axes.set_ylim(-0.8, _N_LEVELS + 0.1)
    axes.set_yticks(range(0, _N_LEVELS, 1))
    axes.set_ylabel("confidence level")
    axes.grid(axis="y", linewidth=0.4, alpha=0.5)


def _spans(timeline: Timeline) -> list[tuple[int, int]]:
    bounds = sorted({0, *timeline.segment_starts, len(timeline.points)})
    return list(itertools.pairwise(bounds))


def _name_row(axes: Axes, name: str) -> None:
    axes.set_yticks([])
    axes.set_ylabel(name, rotation=0, ha="right", va="center")
    for side in ("left", "top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(bottom=False)


def _legend(timeline: Timeline, colors: np.ndarray) -> list[Artist]:
    used = {p.truth for p in timeline.points} | {p.class_id for p in timeline.points}
    handles: list[Artist] = [
        Patch(color=tuple(colors[i]), label=label)
        for i, label in enumerate(timeline.labels)
        if i in used
    ]
    handles.append(Patch(color=_NO_CLASS_COLOR, label="undecided"))
    if any(p.class_id < 0 and p.reason > 0 for p in timeline.points):
        handles.append(Line2D([], [], label="fault (black band)", **_FAULT_MARK))
    if any(p.novel for p in timeline.points):
        handles.append(Line2D([], [], label="novel input", **_NOVEL_MARK))
    return handles
