"""Captures into the folder that `onebyte train` reads: recordings, card, and a first recipe.

<folder>/data/<subject>/<label>_<session>_<number>.npz    or .parquet
<folder>/unlabelled/<subject>/...     rows that nobody gave a label: kept, not trained on
<folder>/dataset.json, DATASET.md     what it is
<folder>/recipe.toml                  made once; yours as soon as you change it
"""

import hashlib
import io
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from onebyte.collect import card, starter
from onebyte.collect.capture import Capture, Channel
from onebyte.collect.labels import spans
from onebyte.collect.spool import write_whole
from onebyte.errors import UserError

__all__ = ["FORMATS", "Dataset", "Session"]

FORMATS = ("npz", "parquet")
_CARD = "dataset.json"
_PIECES = 3  # of the only recording of a label, so that one can be left out


@dataclass(frozen=True)
class Session:
    """What people say of a session.

    Attributes:
        subject: who or what was measured.
        license: of the recordings.
        settle_s: after a change of the label so long belongs to none.
        format: "npz" or "parquet".
        host: what the host knows of the device, for the card.
    """

    subject: str
    license: str
    settle_s: float
    format: str = "npz"
    host: str = ""


@dataclass(frozen=True)
class _Recording:
    label: str
    first_row: int
    values: np.ndarray  # float32, in units (rows, channels)


class Dataset:
    """A folder of recordings, there or not yet.

    Args:
        folder: its path.

    Raises:
        UserError: it holds a card that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._content = self._read()

    def _read(self) -> dict[str, Any]:
        path = self.folder / _CARD
        if path.exists():
            try:
                content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                assert content["format"] == 1 and content["channels"]
                return content
            except (OSError, ValueError, AssertionError, KeyError, TypeError) as error:
                raise UserError(f"{path} is no card of ours: {error}") from error
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"{self.folder} is a file")
        return {}

    def check_fits(self, channels: tuple[Channel, ...], rate_hz: float) -> None:
        """Raise UserError when this folder holds recordings of other channels or another rate."""
        if not self._content:
            return
        have = [(c["name"], c["unit"], c["lsb"]) for c in self._content["channels"]]
        want = [(c.name, c.unit, c.lsb) for c in channels]
        fits = [a[:2] for a in have] == [b[:2] for b in want] and all(
            math.isclose(a[2], b[2], rel_tol=1e-6) for a, b in zip(have, want, strict=True)
        )
        if not fits or not math.isclose(self._content["rate_hz"], rate_hz, rel_tol=1e-6):
            raise UserError(
                f"{self.folder} holds {_words(have)} at {self._content['rate_hz']:g} Hz, this is "
                f"{_words(want)} at {rate_hz:g} Hz; take another folder"
            )

    def add(self, capture: Capture, session: Session) -> list[Path]:
        """Store a capture; the same one again replaces itself. Return the files of recordings.

        Raises:
            UserError: it does not fit the folder, or the disk is full or fails.
        """
        self._content = self._read()  # another board's session may have been stored meanwhile
        self.check_fits(capture.channels, capture.rate_hz)
        recordings = list(_cut(capture, round(session.settle_s * capture.rate_hz)))
        known = Counter(
            one["label"]
            for other in self._content.get("sessions", [])
            for one in other["files"]
            if other["session"] != capture.session
        )
        files = [
            self._write(capture, session, number, recording)
            for number, recording in enumerate(_split_single(recordings, known), 1)
        ]
        self._describe(capture, session, files)
        paths = [self.folder / one["path"] for one in files]
        for top in ("data", "unlabelled"):
            for path in self.folder.glob(f"{top}/*/*_{capture.session}_*"):
                if path not in paths:  # it was cut otherwise the last time
                    path.unlink()
        return paths

    def _write(
        self, capture: Capture, session: Session, number: int, recording: _Recording
    ) -> dict[str, Any]:
        top = "data" if recording.label else "unlabelled"
        label = recording.label or "unlabelled"
        name = f"{label}_{capture.session}_{number:02}.{session.format}"
        path = Path(top) / session.subject / name
        columns = {
            channel.name: np.ascontiguousarray(recording.values[:, i])
            for i, channel in enumerate(capture.channels)
        }
        content = _pack(columns, recording.first_row, session.format)
        write_whole(self.folder / path, content)
        return {
            "path": path.as_posix(),
            "label": recording.label,
            "first_sample": recording.first_row,
            "samples": len(recording.values),
            "sha256": hashlib.sha256(content).hexdigest(),
        }

    def _describe(self, capture: Capture, session: Session, files: list[dict[str, Any]]) -> None:
        others = [
            one for one in self._content.get("sessions", []) if one["session"] != capture.session
        ]
        self._content |= {
            "format": 1,
            "name": self._content.get("name", starter.name_of(self.folder)),
            "channels": [vars(channel) for channel in capture.channels],
            "rate_hz": capture.rate_hz,
            "sessions": [*others, _session(capture, session, files)],
        }
        self._write_recipe()
        text = json.dumps(self._content, indent=1, ensure_ascii=False) + "\n"
        write_whole(self.folder / _CARD, text.encode())
        write_whole(self.folder / "DATASET.md", card.write(self._content).encode())

    def _write_recipe(self) -> None:
        path = self.folder / "recipe.toml"
        ours = self._content.get("recipe_sha256")
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() != ours:
            return  # somebody's own
        text = starter.recipe(self._content)
        if text:
            write_whole(path, text.encode())
            self._content["recipe_sha256"] = hashlib.sha256(text.encode()).hexdigest()

    def segments(self) -> set[str]:
        """Return the SHA-256 of all files from boards' flash whose recordings are here."""
        return {
            digest
            for session in self._content.get("sessions", [])
            if all((self.folder / one["path"]).exists() for one in session["files"])
            for digest in session["device"].get("segments", [])
        }

    def lsb(self) -> dict[str, float]:
        """Return what one count of each channel means, where that is settled."""
        return {one["name"]: one["lsb"] for one in self._content.get("channels", [])}

    @property
    def has_recipe(self) -> bool:
        """Whether there is one to train with."""
        return (self.folder / "recipe.toml").exists()


def _words(channels: list[tuple[str, str, float]]) -> str:
    return ", ".join(f"{name} ({lsb:.6g} {unit})" for name, unit, lsb in channels)


def _cut(capture: Capture, settle_rows: int) -> Iterator[_Recording]:
    """Yield what has one label and no gap."""
    lsb = np.array([c.lsb for c in capture.channels]) if capture.is_counts else 1.0
    for piece in capture.pieces:
        values = (piece.values * lsb).astype(np.float32)
        end = piece.first_row + len(values)
        for span in spans(capture.marks, piece.first_row, end, settle_rows):
            start = span.start - piece.first_row
            rows = values[start : span.end - piece.first_row]
            yield _Recording(span.label, span.start, rows)


def _split_single(recordings: list[_Recording], known: Counter[str]) -> list[_Recording]:
    """Cut the only recording of a label into thirds: one is left out to test on the others."""
    counts = Counter(one.label for one in recordings) + known
    found = []
    for one in recordings:
        n_parts = _PIECES if one.label and counts[one.label] == 1 else 1
        at = one.first_row
        for part in np.array_split(one.values, min(n_parts, len(one.values))):
            found.append(_Recording(one.label, at, part))
            at += len(part)
    return found


def _pack(columns: dict[str, np.ndarray], first_row: int, format_name: str) -> bytes:
    file = io.BytesIO()
    if format_name == "npz":
        np.savez_compressed(file, **columns, first_sample=np.int64(first_row))  # type: ignore[arg-type]
        return file.getvalue()
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(
            "--format parquet needs pyarrow: pip install 'onebyte[parquet]'"
        ) from error
    parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


def _session(capture: Capture, session: Session, files: list[dict[str, Any]]) -> dict[str, Any]:
    rows: dict[str, int] = defaultdict(int)
    for one in files:
        rows[one["label"] or "unlabelled"] += one["samples"]
    return {
        "session": capture.session,
        "subject": session.subject,
        "license": session.license,
        "onebyte": version("onebyte"),
        "device": capture.source,
        "host": session.host,
        "measured_hz": round(capture.measured_hz, 3) if capture.measured_hz else None,
        "samples": capture.n_samples,
        "labels": dict(rows),
        "settle_s": session.settle_s,
        "gaps": [vars(gap) for gap in capture.gaps],
        "duplicates": [vars(one) for one in capture.duplicates],
        "damaged": capture.damaged,
        "ended": capture.ended,
        "files": files,
    }
