"""Recordings with labels: fetched public sets and the user's own folder, as int16 samples.

A fetched set comes from a package of the index by name, is checked by SHA-256 before anything in
it is parsed, and stays in the cache; nothing of it is ever committed.
"""

import io
import pickle
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onebyte import download
from onebyte.errors import UserError
from onebyte.training import folder
from onebyte.training.recipe import Recipe

__all__ = [
    "Dataset",
    "Recording",
    "Windows",
    "cut_windows",
    "load",
    "natural",
    "parse_npy",
    "parse_ts",
    "to_counts",
]


@dataclass(frozen=True)
class Recording:
    """One uninterrupted recording of one class; `split` is "train", "test" or ""."""

    name: str
    samples: np.ndarray  # int16 (rows, n_channels)
    class_id: int
    group: str
    split: str = ""


@dataclass
class Dataset:
    """All recordings; `notes` says what was left out or clipped, for the model card."""

    rate_mhz: int
    recordings: list[Recording]
    notes: list[str] = field(default_factory=list)

    @property
    def groups(self) -> list[str]:
        """Names of the groups (subjects), numbers in numeric order."""
        return sorted({recording.group for recording in self.recordings}, key=natural)

    @property
    def n_rows(self) -> int:
        return sum(len(recording.samples) for recording in self.recordings)


@dataclass(frozen=True)
class Windows:
    """Windows of all recordings, in order; every array has one entry a window."""

    samples: np.ndarray  # int16 (n, window, n_channels)
    class_ids: np.ndarray
    groups: np.ndarray  # str
    recordings: np.ndarray  # index into Dataset.recordings
    splits: np.ndarray  # str

    def __len__(self) -> int:
        return len(self.class_ids)


@dataclass(frozen=True)
class RawRecording:
    """A recording in physical units, before scaling."""

    name: str
    values: np.ndarray  # float (rows, n_channels) in the recipe's channel order
    label: str
    group: str
    split: str = ""


def load(recipe: Recipe) -> Dataset:
    """Return the recipe's recordings, scaled to counts.

    Raises:
        UserError: the data are missing, have another hash, or do not fit the recipe.
    """
    notes: list[str] = []
    raw = _LOADERS[recipe.source.kind](recipe, notes)
    if not raw:
        raise UserError(f"{recipe.path.name}: the dataset holds no recording")
    class_ids = {label: i for i, label in enumerate(recipe.labels)}
    lsb = np.array([channel.lsb for channel in recipe.channels])
    recordings = []
    n_clipped = 0
    for item in raw:
        if item.label not in class_ids:
            raise UserError(
                f"{item.name}: label {item.label!r} is not in [labels] of "
                f"{recipe.path.name}; add it there"
            )
        samples, clipped = to_counts(item.values, lsb, recipe.auto_range)
        n_clipped += clipped
        recordings.append(
            Recording(item.name, samples, class_ids[item.label], item.group, item.split)
        )
    found = Counter(recording.class_id for recording in recordings)
    for label, class_id in class_ids.items():
        if not found[class_id]:
            raise UserError(f"[labels] names {label!r}, which no recording has")
    dataset = Dataset(recipe.rate_mhz, recordings, notes)
    total = dataset.n_rows * len(recipe.channels)
    notes.append(f"{n_clipped} of {total} values were beyond the int16 range and clipped")
    return dataset


def natural(name: str) -> tuple[int, str]:
    """Return a sort key that puts numbers in numeric order, before other names."""
    return (int(name), "") if name.isdigit() else (2**62, name)


def to_counts(values: np.ndarray, lsb: np.ndarray, auto_range: bool) -> tuple[np.ndarray, int]:
    """Return int16 counts and how many were clipped; `auto_range` fills the range instead."""
    if auto_range:
        largest = np.abs(values).max(axis=0)
        lsb = np.where(largest > 0, largest / 32767, 1.0)
    counts = np.rint(values / lsb)
    clipped = int(((counts < -32768) | (counts > 32767)).sum())
    return np.clip(counts, -32768, 32767).astype(np.int16), clipped


def cut_windows(dataset: Dataset, recipe: Recipe) -> Windows:
    """Cut every recording into windows; a recording shorter than one gives none."""
    window, hop = recipe.window, recipe.hop
    parts, owner = [], []
    for index, recording in enumerate(dataset.recordings):
        starts = range(0, len(recording.samples) - window + 1, hop)
        parts += [recording.samples[start : start + window] for start in starts]
        owner += [index] * len(starts)
    if not parts:
        longest = max(len(recording.samples) for recording in dataset.recordings)
        raise UserError(
            f"{recipe.path.name}: window = {window} is longer than the longest "
            f"recording ({longest} samples)"
        )
    owners = [dataset.recordings[index] for index in owner]
    return Windows(
        np.ascontiguousarray(parts, dtype=np.int16),
        np.array([recording.class_id for recording in owners]),
        np.array([recording.group for recording in owners]),
        np.array(owner),
        np.array([recording.split for recording in owners]),
    )


def _fetch(recipe: Recipe) -> dict[str, bytes]:
    source = recipe.source
    archive = download.pypi_file(source.package, source.version, source.file, source.sha256)
    return {
        name: download.extract_member(archive, name, sha256)
        for name, sha256 in source.members.items()
    }


def _load_seglearn(recipe: Recipe, notes: list[str]) -> list[RawRecording]:
    (content,) = _fetch(recipe).values()
    data = parse_npy(content)
    columns = [_column(data["X_labels"], channel.name) for channel in recipe.channels]
    return [
        RawRecording(
            f"recording {i}",
            np.asarray(values)[:, columns],
            str(data["y_labels"][int(data["y"][i])]),
            str(int(data["subject"][i])),
        )
        for i, values in enumerate(data["X"])
    ]


def _column(names: list[str], name: str) -> int:
    if name not in names:
        raise UserError(f"the dataset has no channel {name!r}; it has {', '.join(names)}")
    return list(names).index(name)


def _load_sktime(recipe: Recipe, notes: list[str]) -> list[RawRecording]:
    if len(recipe.channels) != 1:
        raise UserError(f"{recipe.path.name}: a sktime .ts file has one channel")
    series: dict[str, list[tuple[np.ndarray, str]]] = {"train": [], "test": []}
    for name, content in _fetch(recipe).items():
        split = "test" if name.upper().endswith("_TEST.TS") else "train"
        series[split] += parse_ts(content.decode("utf-8-sig"), name)
    tested = {values.tobytes() for values, _ in series["test"]}
    kept = [item for item in series["train"] if item[0].tobytes() not in tested]
    notes.append(
        f"{len(series['train']) - len(kept)} of {len(series['train'])} training series "
        "occur in the test set too and were dropped from training"
    )
    series["train"] = kept
    return [
        RawRecording(f"{split} {i}", values[:, None], label, f"{split} {i}", split)
        for split, items in series.items()
        for i, (values, label) in enumerate(items)
    ]


def parse_ts(text: str, name: str) -> list[tuple[np.ndarray, str]]:
    """Parse a univariate `.ts` file with class labels: values separated by commas, `:label`."""
    series = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line[0] in "#@":
            continue
        values, colon, label = line.strip().rpartition(":")
        try:
            if not colon:
                raise ValueError("no label")
            series.append((np.array([float(value) for value in values.split(",")]), label))
        except ValueError as error:
            raise UserError(f"{name}, line {number}: {error}") from error
    return series


def parse_npy(content: bytes) -> dict[str, Any]:
    """Unpickle a dict of numpy arrays and lists from `.npy` bytes and nothing else.

    A pickle can name any callable; this one may name only what rebuilds numpy arrays.
    """
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        reader = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = reader(stream)
        if shape != () or not dtype.hasobject:
            raise UserError("the .npy file holds no pickled dict")
        array = _ArrayUnpickler(stream).load()
        data = array.item()
    except (ValueError, pickle.UnpicklingError, EOFError) as error:
        raise UserError(f"the .npy file cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise UserError("the .npy file holds no pickled dict")
    return data


class _ArrayUnpickler(pickle.Unpickler):
    _ALLOWED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"refused to load {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _load_folder(recipe: Recipe, notes: list[str]) -> list[RawRecording]:
    names = recipe.channel_names
    found = folder.read(recipe.path.parent / recipe.source.path, names, recipe.source)
    return [RawRecording(item.name, item.values, item.label, item.group) for item in found]


_LOADERS: dict[str, Callable[[Recipe, list[str]], list[RawRecording]]] = {
    "seglearn": _load_seglearn,
    "sktime": _load_sktime,
    "folder": _load_folder,
}
