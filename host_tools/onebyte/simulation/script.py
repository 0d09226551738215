"""What a simulated node plays, and what it has to say about it: the host's own predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from formats import model as model_format
from onebyte.errors import UserError
from onebyte.training import custom, evaluate, export
from onebyte.training.datasets import Dataset, Recording

__all__ = ["Script", "accuracy", "cut", "excerpt", "make_script", "make_stream"]


@dataclass(frozen=True)
class Script:
    """A recording and, for each of its windows in order, the expected byte and the truth.

    Attributes:
        recording: a `.obr` file; of `make_stream` its rows alone, little-endian int16.
        duration_s: its length in real time.
        expected: result bytes, one a window.
        truth: class ids, one a window.
        segment_starts: indices of the windows that begin a segment.
        custom: the custom.py of the model; empty when its recipe has none.
    """

    recording: bytes
    duration_s: float
    expected: tuple[int, ...]
    truth: tuple[int, ...]
    segment_starts: tuple[int, ...]
    custom: bytes = b""


def make_script(
    model_file: bytes, dataset: Dataset, code: custom.CustomCode | None = None
) -> Script:
    """Return the script of a node with this model that plays all recordings of `dataset`.

    Args:
        model_file: the model.
        dataset: what is played.
        code: the recipe's `custom`.

    Raises:
        UserError: the recordings have other channels or another rate than the model.
        OnebyteError: the model is refused.
    """
    model = model_format.parse(model_file)
    _check_fits(model, dataset)
    truth: list[int] = []
    expected: list[int] = []
    starts = []
    for recording in dataset.recordings:
        rows = np.ascontiguousarray(recording.samples)
        results = evaluate.predict_recording(model_file, rows, [len(rows)], code)
        said = [result.byte for result in results]
        if said:
            starts.append(len(expected))
        expected += said
        truth += [recording.class_id] * len(said)
    if not expected:
        raise UserError("every recording is shorter than one window")
    (group,) = {recording.group for recording in dataset.recordings}
    content, lengths, _ = export.recording(dataset, group)
    duration_s = sum(lengths) * 1000 / dataset.rate_mhz
    return Script(
        content,
        duration_s,
        tuple(expected),
        tuple(truth),
        tuple(starts),
        code.content if code else b"",
    )


def make_stream(
    model_file: bytes, dataset: Dataset, code: custom.CustomCode | None = None
) -> Script:
    """Return the script of a sensor chip that measures all recordings without a pause between.

    A chip knows no segments, so a window may begin in one recording and end in the next, as it
    happens to a wearer who changes what he does. Its truth is that of its last row.

    Args:
        model_file: the model.
        dataset: what is measured.
        code: the recipe's `custom`.

    Raises:
        UserError: the recordings have other channels or another rate than the model.
        OnebyteError: the model is refused.
    """
    model = model_format.parse(model_file)
    _check_fits(model, dataset)
    rows = np.concatenate([recording.samples for recording in dataset.recordings])
    truth = np.concatenate([np.full(len(one.samples), one.class_id) for one in dataset.recordings])
    results = evaluate.predict_recording(model_file, np.ascontiguousarray(rows), [len(rows)], code)
    if not results:
        raise UserError("the recording is shorter than one window")
    return Script(
        rows.astype("<i2").tobytes(),
        len(rows) * 1000 / dataset.rate_mhz,
        tuple(result.byte for result in results),
        tuple(int(truth[result.start + model.window - 1]) for result in results),
        (0,),
        code.content if code else b"",
    )


def excerpt(dataset: Dataset, group: str, seconds: float) -> Dataset:
    """Return `seconds` of a group's recordings: of each class the first, from its beginning."""
    mine = [recording for recording in dataset.recordings if recording.group == group]
    if not mine:
        raise UserError(f"no recording of {group!r}; there are {', '.join(dataset.groups)}")
    firsts = list({recording.class_id: recording for recording in reversed(mine)}.values())
    n_rows = int(seconds * dataset.rate_mhz / 1000)
    pieces: list[Recording] = []
    for i, recording in enumerate(firsts):
        # What a short recording lacks is shared by those after it.
        piece = recording.samples[: n_rows // (len(firsts) - i)]
        n_rows -= len(piece)
        if len(piece):
            pieces.append(_piece(recording, piece))
    return Dataset(dataset.rate_mhz, pieces)


def cut(
    dataset: Dataset, group: str, start_s: float = 0.0, seconds: float | None = None
) -> Dataset:
    """Return `seconds` of a group's recordings from `start_s` on, beginning anew at their end.

    All of them with None. Pieces of less than a second are left out.
    """
    mine = [recording for recording in dataset.recordings if recording.group == group]
    if not mine:
        raise UserError(f"no recording of {group!r}; there are {', '.join(dataset.groups)}")
    rate_hz = dataset.rate_mhz / 1000
    n_rows = sum(len(recording.samples) for recording in mine)
    skip = int(start_s * rate_hz) % n_rows
    left = n_rows if seconds is None else min(int(seconds * rate_hz), n_rows)
    pieces: list[Recording] = []
    for recording in [*mine, *mine]:
        piece = recording.samples[skip : skip + left]
        skip = max(0, skip - len(recording.samples))
        if len(piece) >= rate_hz:
            pieces.append(_piece(recording, piece))
        left -= len(piece)
        if left <= 0:
            break
    return Dataset(dataset.rate_mhz, pieces)


def _check_fits(model: model_format.Model, dataset: Dataset) -> None:
    n_channels = dataset.recordings[0].samples.shape[1]
    if n_channels != model.n_channels or dataset.rate_mhz != model.rate_mhz:
        raise UserError("the recordings have other channels or another rate than the model")


def _piece(recording: Recording, samples: np.ndarray) -> Recording:
    return Recording(recording.name, samples, recording.class_id, recording.group, recording.split)


def accuracy(truth: Sequence[int], decided: Sequence[int | None]) -> float:
    """Return the share of windows whose decided class is the true one; undecided is wrong."""
    return sum(a == b for a, b in zip(truth, decided, strict=True)) / len(truth)
