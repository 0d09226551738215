"""Whether decisions are what their models say: every byte, over restarts and changes of model.

A node that starts anew plays its recording from the beginning, and one that changes its model
without a restart goes on somewhere in it. So the bytes of a start are cut into runs, each of one
model from one row on, and the host computes the same run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from formats import model as model_format
from formats import result
from onebyte.training import evaluate
from onebyte.training.datasets import Dataset

__all__ = ["Explained", "Host", "Run", "explain"]

_LEAST_RUN = 8  # bytes that have to fit before a start of a run is believed
_REACH_ROWS = 600  # so far behind the last window a new model may begin


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
        self.models = models
        self.parsed = [model_format.parse(file) for file in models]
        self._rows = np.concatenate([one.samples for one in dataset.recordings])
        lengths = [len(one.samples) for one in dataset.recordings]
        self._ends = np.cumsum(lengths)
        self._truth = [one.class_id for one in dataset.recordings]

    def decide(self, model: int, row: int, n_rows: int) -> list[tuple[int, int, int, int]]:
        """Return (byte, class id or -1, truth, first row of the window) of each window.

        Args:
            model: index.
            row: where the model begins.
            n_rows: how many rows it sees at most.
        """
        end = min(row + n_rows, len(self._rows))
        lengths, at = [], row
        for stop in self._ends:
            if at < stop and at < end:
                lengths.append(min(int(stop), end) - at)
                at += lengths[-1]
        file, parsed = self.models[model], self.parsed[model]
        rows = np.ascontiguousarray(self._rows[row:end])
        found = []
        for one in evaluate.predict_recording(file, rows, lengths):
            start = row + one.start
            segment = int(np.searchsorted(self._ends, start, side="right"))
            class_id = result.parse(parsed.encoding, one.byte)[0]
            found.append((one.byte, class_id, self._truth[segment], start))
        return found


def explain(said: Sequence[int], host: Host) -> Explained:
    """Return the runs that the bytes of one start consist of.

    Args:
        said: the bytes by their sequence number.
        host: what computes the same.
    """
    runs: list[Run] = []
    at = wrong = row = 0
    window = max(model.window for model in host.parsed)
    while at < len(said):
        reach = 1 if at == 0 else _REACH_ROWS
        best = _longest(said[at:], host, row, reach)
        if best is None:
            wrong += 1
            at += 1
            row += host.parsed[0].hop
            continue
        model, found = best
        runs.append(Run(model, at, tuple((class_id, truth) for _, class_id, truth, _ in found)))
        at += len(found)
        # The next run sees none of the windows that were judged, but may share their rows.
        row = found[-1][3] + min(window, host.parsed[model].hop)
    return Explained(tuple(runs), wrong)


def _longest(
    said: Sequence[int], host: Host, row: int, reach: int
) -> tuple[int, list[tuple[int, int, int, int]]] | None:
    """Return the model and its windows that explain the most of what was said, from one row on."""
    best: tuple[int, list[tuple[int, int, int, int]]] | None = None
    for model, parsed in enumerate(host.parsed):
        short = parsed.window + (_LEAST_RUN - 1) * parsed.hop
        for start in range(row, row + reach):
            first = host.decide(model, start, short)
            if not first or not _fits(said, first):
                continue
            whole = host.decide(model, start, parsed.window + len(said) * parsed.hop + short)
            n_same = _n_same(said, whole)
            if best is None or n_same > len(best[1]):
                best = model, whole[:n_same]
            if n_same == len(said):
                return best
    return best


def _fits(said: Sequence[int], found: list[tuple[int, int, int, int]]) -> bool:
    n_looked_at = min(len(said), _LEAST_RUN, len(found))
    return _n_same(said[:n_looked_at], found) == n_looked_at


def _n_same(said: Sequence[int], found: list[tuple[int, int, int, int]]) -> int:
    count = 0
    for byte, (expected, *_) in zip(said, found, strict=False):
        if byte != expected:
            break
        count += 1
    return count
