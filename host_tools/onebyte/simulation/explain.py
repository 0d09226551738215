"""Whether decisions are what their models say: every byte, over restarts and changes of model.

A node that starts anew plays its recording from the beginning, and one that changes its model
without a restart goes on somewhere in it. So the bytes of a start are cut into runs, each of one
model from one row on, and the host computes the same run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from formats import model as model_format
from formats import result
from onebyte import kernels
from onebyte.training import custom
from onebyte.training.datasets import Dataset
from pipeline.decision import Decision

__all__ = ["Explained", "Host", "Run", "Window", "explain"]

_LEAST_RUN = 8  # bytes that have to fit before a start of a run is believed
_REACH_ROWS = 600  # so far behind the last window a new model may begin
_SHARED = 20  # windows of which two models may say the same
_BATCH = 2048  # windows at once


class Window(NamedTuple):
    """What a model decides on one window; `class_id` is -1 without a class."""

    byte: int
    class_id: int
    truth: int
    row: int


@dataclass(frozen=True)
class Run:
    """Decisions in a row that one model has made.

    Attributes:
        model: index of the model.
        first: index of its first decision in the start.
        results: class ids that were decided, -1 for none, and the true ones.
    """

    model: int
    first: int
    results: tuple[tuple[int, int], ...]

    @property
    def n_right(self) -> int:
        """How often the decided class is the true one."""
        return sum(decided == truth for decided, truth in self.results)


@dataclass(frozen=True)
class Explained:
    """What became of the bytes of one start.

    Attributes:
        runs: in their order.
        wrong: bytes that no model explains.
    """

    runs: tuple[Run, ...]
    wrong: int


class Host:
    """Computes what models decide on a dataset, from any row on.

    Args:
        models: the model files.
        dataset: the recordings that the node plays, in their order.
    """

    def __init__(self, models: Sequence[bytes], dataset: Dataset) -> None:
        self.parsed = [model_format.parse(file) for file in models]
        self.n_rows = sum(len(one.samples) for one in dataset.recordings)
        self._truth: list[int] = []
        self._ends: list[int] = []
        for one in dataset.recordings:
            self._truth += [one.class_id] * len(one.samples)
            self._ends += [len(self._truth)] * len(one.samples)
        rows = np.concatenate([one.samples for one in dataset.recordings])
        self._said = [self._predict(file, rows) for file in models]

    def _predict(self, file: bytes, rows: np.ndarray) -> list[tuple[int, int, int]]:
        """Return (class id, confidence, novelty) of the window that begins at each row."""
        kernel_model = kernels.KernelModel(file)
        every = np.lib.stride_tricks.sliding_window_view(rows, kernel_model.window, axis=0)
        found: list[tuple[int, int, int]] = []
        for at in range(0, len(every), _BATCH):
            windows = np.ascontiguousarray(every[at : at + _BATCH].swapaxes(1, 2))
            for one in kernel_model.predict(custom.features_of(kernel_model, windows, None)):
                found.append((int(one["class_id"]), int(one["confidence"]), int(one["novelty"])))
        return found

    def windows(self, model: int, row: int) -> Iterator[Window]:
        """Yield what a model says that begins at a row; each recording begins afresh.

        Args:
            model: index.
            row: where it begins.
        """
        parsed, said = self.parsed[model], self._said[model]
        decision = Decision(
            parsed.encoding,
            parsed.k,
            parsed.n,
            parsed.min_confidence,
            parsed.novelty_threshold,
            parsed.levels,
        )
        while row < self.n_rows:
            if row + parsed.window > self._ends[row]:
                row = self._ends[row]
                decision.reset()
                continue
            byte = decision.step(*said[row])
            class_id = result.parse(parsed.encoding, byte)[0]
            yield Window(byte, class_id, self._truth[row], row)
            row += parsed.hop


def explain(said: Sequence[int], host: Host) -> Explained:
    """Return the runs that the bytes of one start consist of.

    Args:
        said: the bytes by their sequence number.
        host: what computes the same.
    """
    runs: list[Run] = []
    at = wrong = row = 0
    found = _longest(said, host, range(1))
    while at < len(said):
        if found is None:
            wrong += 1
            at += 1
            row += host.parsed[0].hop
            found = _longest(said[at:], host, range(row, row + _REACH_ROWS))
            continue
        keep, following = _continued(said[at:], host, found)
        windows = found.windows[:keep]
        runs.append(Run(found.model, at, tuple((one.class_id, one.truth) for one in windows)))
        at += keep
        row = windows[-1].row + host.parsed[found.model].hop
        found = following
    return Explained(tuple(runs), wrong)


class _Match(NamedTuple):
    """Windows of one model whose bytes are those that were said."""

    model: int
    windows: list[Window]


def _continued(said: Sequence[int], host: Host, found: _Match) -> tuple[int, _Match | None]:
    """Return how many windows of a match to keep, and the match that goes on from there.

    The model that came next may have begun before the bytes tell: for a while both say the same.
    """
    count = len(found.windows)
    best: tuple[int, _Match | None] = count, None
    most = count
    for keep in range(count, max(0, count - _SHARED), -1):
        if most == len(said):
            break
        row = found.windows[keep - 1].row + host.parsed[found.model].hop
        following = _longest(said[keep:], host, range(row, row + _REACH_ROWS))
        if following is not None and keep + len(following.windows) > most:
            most = keep + len(following.windows)
            best = keep, following
    return best


def _longest(said: Sequence[int], host: Host, starts: range) -> _Match | None:
    """Return the model that explains the most of what was said, from one of the rows on."""
    best: _Match | None = None
    n_least = min(_LEAST_RUN, len(said))
    for model in range(len(host.parsed)):
        for start in starts:
            found = _same(said, host.windows(model, start))
            if len(found) >= max(n_least, 1) and (best is None or len(found) > len(best.windows)):
                best = _Match(model, found)
                if len(found) == len(said):
                    return best
    return best


def _same(said: Sequence[int], windows: Iterator[Window]) -> list[Window]:
    found = []
    for byte, one in zip(said, windows, strict=False):
        if byte != one.byte:
            break
        found.append(one)
    return found
