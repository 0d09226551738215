"""The user's own recordings: a folder of CSV, NPZ and Parquet files.

A CSV file has a header that names the channels; a NPZ file holds one array a channel. Label, group
(the subject, machine or house that must not be in training and test at once) and recording come
from columns or arrays of those names, or from the path by a pattern with named groups, such as
`(?P<group>[^/]+)/(?P<label>[a-z]+)_.*`. Rows of one file that follow one another with the same
label, group and recording are one recording.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onebyte.errors import UserError
from onebyte.training.recipe import DatasetSource

__all__ = ["FolderRecording", "read"]


@dataclass(frozen=True)
class FolderRecording:
    """One recording of a file, in the units of the file."""

    name: str
    values: np.ndarray  # float (rows, n_channels)
    label: str
    group: str


def read(root: Path, channels: list[str], source: DatasetSource) -> list[FolderRecording]:
    """Read every `.csv`, `.npz` and `.parquet` file below `root`.

    Raises:
        UserError: no file, a missing column, or a row that is not numbers; it names file and line.
    """
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in _READERS)
    if not paths:
        raise UserError(f"there is no .csv or .npz or .parquet file in {root}")
    pattern = _pattern(source.pattern)
    recordings = []
    for path in paths:
        relative = path.relative_to(root).as_posix()
        from_path = _from_path(pattern, relative)
        columns = {
            "label": source.label_column,
            "group": source.group_column,
            "recording": source.recording_column,
        }
        for key, column in columns.items():
            if key in from_path and column:
                raise UserError(
                    f"[dataset] gives the {key} by pattern and by {key}_column; remove one"
                )
        reader = _READERS[path.suffix.lower()]
        wanted = [column for column in columns.values() if column]
        values, texts = reader(path, channels, wanted)
        keys = [
            texts[columns[key]] if columns[key] else [from_path.get(key, "")] * len(values)
            for key in columns
        ]
        recordings += _split(relative, values, list(zip(*keys, strict=True)))
    return recordings


def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise UserError(f"[dataset] pattern = {text!r}: {error}") from error


def _from_path(pattern: re.Pattern[str] | None, relative: str) -> dict[str, str]:
    if pattern is None:
        return {}
    match = pattern.fullmatch(relative)
    if match is None:
        raise UserError(f"{relative} does not match [dataset] pattern")
    return {key: value for key, value in match.groupdict().items() if value is not None}


def _read_csv(
    path: Path, channels: list[str], wanted: list[str]
) -> tuple[np.ndarray, dict[str, list[str]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, strict=True)
        try:
            header = [name.strip() for name in next(rows)]
        except (StopIteration, csv.Error, UnicodeDecodeError) as error:
            raise UserError(f"{path}, line 1: there is no header with channel names") from error
        for name in (*channels, *wanted):
            if name not in header:
                raise UserError(
                    f"{path}, line 1: there is no column {name!r}; columns: {', '.join(header)}"
                )
        at = [header.index(name) for name in channels]
        values: list[list[float]] = []
        texts: dict[str, list[str]] = {name: [] for name in wanted}
        try:
            for row in rows:
                if not row:
                    continue
                if len(row) != len(header):
                    raise ValueError(f"{len(row)} fields, the header has {len(header)}")
                numbers = [float(row[i]) for i in at]
                if not np.isfinite(numbers).all():
                    raise ValueError("a value is not finite")
                values.append(numbers)
                for name in wanted:
                    texts[name].append(row[header.index(name)].strip())
        except (ValueError, csv.Error) as error:
            raise UserError(f"{path}, line {rows.line_num}: {error}") from error
    return np.array(values).reshape(-1, len(channels)), texts


def _read_npz(
    path: Path, channels: list[str], wanted: list[str]
) -> tuple[np.ndarray, dict[str, list[str]]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            data = {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path}: {error}") from error
    return _from_arrays(path, data, channels, wanted)


def _read_parquet(
    path: Path, channels: list[str], wanted: list[str]
) -> tuple[np.ndarray, dict[str, list[str]]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"{path} needs pyarrow: pip install 'onebyte[parquet]'") from error
    try:
        table = parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: {error}") from error
    data = {name: table[name].to_numpy() for name in table.column_names}
    return _from_arrays(path, data, channels, wanted)


def _from_arrays(
    path: Path, data: dict[str, np.ndarray], channels: list[str], wanted: list[str]
) -> tuple[np.ndarray, dict[str, list[str]]]:
    for name in (*channels, *wanted):
        if name not in data:
            raise UserError(f"{path}: there is no array {name!r}; arrays: {', '.join(data)}")
    length = len(np.atleast_1d(data[channels[0]]))
    for name in channels:
        array = data[name]
        if array.shape != (length,) or array.dtype.kind not in "iuf":
            raise UserError(f"{path}: array {name!r} must be {length} numbers")
        if not np.isfinite(array).all():
            raise UserError(f"{path}: array {name!r} holds a value that is not finite")
    texts = {}
    for name in wanted:
        if data[name].shape not in ((), (length,)):
            raise UserError(f"{path}: array {name!r} must hold one value or {length}")
        texts[name] = [str(value) for value in np.broadcast_to(data[name], (length,))]
    return np.stack([data[name] for name in channels], axis=1).astype(float), texts


def _split(name: str, values: np.ndarray, keys: list[tuple[str, ...]]) -> list[FolderRecording]:
    """Cut where the key (label, group, recording) changes."""
    recordings = []
    start = 0
    for end in range(1, len(keys) + 1):
        if end == len(keys) or keys[end] != keys[start]:
            label, group, _ = keys[start]
            recordings.append(
                FolderRecording(f"{name} row {start}", values[start:end], label, group or name)
            )
            start = end
    return recordings


_READERS = {".csv": _read_csv, ".npz": _read_npz, ".parquet": _read_parquet}
