"""Sessions on their way into the data set, those of programs that were killed as well."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onebyte.collect.capture import Capture, Channel, from_content
from onebyte.collect.dataset import Dataset, Session
from onebyte.collect.session import replay_text
from onebyte.collect.spool import Spool, leftovers, write_whole
from onebyte.collect.text_lines import TextRecorder
from onebyte.errors import UserError

__all__ = ["TextFormat", "capture_of", "forget", "keep_about", "recover", "store"]


@dataclass(frozen=True)
class TextFormat:
    """How lines of text are read."""

    rate_hz: float
    channels: tuple[Channel, ...]
    counter: str

    def recorder(self) -> TextRecorder:
        """Return a new one."""
        return TextRecorder(self.rate_hz, self.channels, self.counter)


def _about(spool: Path) -> Path:
    return spool.with_suffix(".json")


def keep_about(spool: Spool, session: Session, text: TextFormat | None = None) -> None:
    """Write beside a spool what is needed to store it later."""
    content = {"session": asdict(session), "text": asdict(text) if text else None}
    write_whole(_about(spool.path), json.dumps(content).encode())


def store(dataset: Dataset, capture: Capture, session: Session, spool: Path) -> list[Path]:
    """Put a capture into the data set, then remove its spool.

    Raises:
        UserError: it does not fit, or the disk is full; the spool stays.
    """
    try:
        files = dataset.add(capture, session)
    except UserError as error:
        raise UserError(
            f"{error}; what came is kept in {spool}: "
            f"put it right, then `onebyte collect {dataset.folder} --recover`"
        ) from error
    forget(spool)
    return files


def forget(spool: Path) -> None:
    """Remove a spool and what stands beside it."""
    spool.unlink(missing_ok=True)
    _about(spool).unlink(missing_ok=True)


def recover(dataset: Dataset) -> Iterator[Capture]:
    """Store what sessions left that ended by force; yield each.

    Raises:
        UserError: one of them cannot be stored.
    """
    for spool in leftovers(dataset.folder):
        about = _read_about(spool)
        capture = capture_of(dataset, spool)
        if about is not None and capture is not None and capture.n_samples:
            store(dataset, capture, about[0], spool)
            yield capture
        elif about is None and spool.stat().st_size:
            raise UserError(f"{_about(spool)} cannot be read, so {spool} is kept as it is")
        else:
            forget(spool)  # killed before the first sample came


def capture_of(dataset: Dataset, spool: Path) -> Capture | None:
    """Return what is in a spool; None when that is nothing."""
    about = _read_about(spool)
    content = spool.read_bytes()
    try:
        if about is None or about[1] is None:
            return from_content(content, spool.stem)
        recorder = about[1].recorder()
        marks = replay_text(content, recorder)
        return recorder.capture(spool.stem, marks, dataset.lsb())
    except UserError:
        return None


def _read_about(spool: Path) -> tuple[Session, TextFormat | None] | None:
    try:
        content: dict[str, Any] = json.loads(_about(spool).read_text(encoding="utf-8"))
        text = content["text"]
        if text:
            channels = tuple(Channel(**one) for one in text["channels"])
            text = TextFormat(text["rate_hz"], channels, text["counter"])
        return Session(**content["session"]), text or None
    except (OSError, ValueError, KeyError, TypeError):
        return None
