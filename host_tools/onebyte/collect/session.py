"""One session: from a link to a capture, spooled to disk on its way.

The spool of a device is its blocks. That of text is JSON lines: {"t": seconds, "data": what came}
and {"row": number, "label": from there on}.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from formats import sample_block
from onebyte.collect.assembler import Assembler, Duplicate, Gap
from onebyte.collect.capture import Capture, Channel, channels_of, from_assembler
from onebyte.collect.dataset import Dataset
from onebyte.collect.labels import Labeller
from onebyte.collect.links import Link
from onebyte.collect.spool import Spool
from onebyte.collect.stream import Splitter
from onebyte.collect.text_lines import TextRecorder
from onebyte.errors import UserError

__all__ = ["Display", "Interrupted", "Options", "collect_blocks", "collect_text", "replay_text"]

_SILENT_S = 15.0  # a device says who it is every five seconds
_SILENT_ROWS = 3  # of a slow stream of text
_LAST_WORDS_S = 8.0
_SHOWN_S = 5.0  # of the signal: a longer picture is a bar where something moves
_SHOWN_ROWS = 64, 4096  # at least and at most
_SYNC_S = 5.0


class Interrupted(Exception):
    """The user pressed Ctrl-C; all that came is kept.

    Attributes:
        capture: what came, None when that is nothing.
    """

    def __init__(self, capture: Capture | None) -> None:
        super().__init__("interrupted")
        self.capture = capture


class Display(Protocol):
    """Where a session is shown."""

    def begin(self, channels: tuple[Channel, ...]) -> None:
        """Take note of what is measured."""

    def tell(self, line: str) -> None:
        """Show a line for people."""

    def update(self, recent: np.ndarray, state: str, n_samples: int) -> None:
        """Show the signal: (rows, channels), newest last."""

    def keys(self) -> str:
        """Return what was typed since the last call."""


@dataclass
class Options:
    """How a session goes.

    Attributes:
        duration_s: it ends after so many seconds of samples; 0: when something else ends it.
        silent_s: so long a device may say nothing.
        clock: seconds that only grow.
    """

    duration_s: float = 0.0
    silent_s: float = _SILENT_S
    clock: Callable[[], float] = time.monotonic


@dataclass
class _Recent:
    """The newest rows, for a picture."""

    rows: list[np.ndarray] = field(default_factory=list)

    def add(self, part: np.ndarray) -> None:
        self.rows.append(part)
        while sum(map(len, self.rows[1:])) > _SHOWN_ROWS[1]:
            self.rows.pop(0)

    def last(self, n_rows: int) -> np.ndarray:
        return np.concatenate(self.rows)[-n_rows:] if self.rows else np.zeros((0, 1))


def _shown_rows(rate_hz: float) -> int:
    least, most = _SHOWN_ROWS
    return min(max(round(_SHOWN_S * rate_hz), least), most)


class _Session:
    """The state between two reads."""

    def __init__(self, link: Link, spool: Spool, display: Display, labeller: Labeller) -> None:
        self.link, self.spool, self.display, self.labeller = link, spool, display, labeller
        self.splitter, self.assembler, self.recent = Splitter(), Assembler(), _Recent()
        self.told_gaps = self.told_duplicates = 0
        self.n_watched, self.grew_s = -1, 0.0

    def take(self, data: bytes, dataset: Dataset) -> bool:
        """Take what arrived; return whether a block was among it."""
        blocks = self.splitter.feed(data)
        for block in blocks:
            had_info = bool(self.assembler.info)
            is_new = self.assembler.take(block)
            if self.assembler.info and not had_info:
                self._begin(dataset)
            if is_new:
                self.spool.add(block.content)
                if block.kind == sample_block.SAMPLES and self.assembler.pieces:
                    self.recent.add(self.assembler.pieces[-1].parts[-1])
        self._tell()
        return bool(blocks)

    def _begin(self, dataset: Dataset) -> None:
        # Before the spool has it: what fits nowhere is not kept to be recovered.
        channels = channels_of(self.assembler.info)
        dataset.check_fits(channels, self.stated_hz)
        self.display.begin(channels)

    @property
    def stated_hz(self) -> float:
        """The sensor's rate, 0 before the device has named it."""
        return float(str(self.assembler.info.get("rate_mhz", 0))) / 1000

    def _tell(self) -> None:
        for line in self.splitter.said:
            self.display.tell(f"device: {line}")
        self.splitter.said.clear()
        gaps: list[Gap] = self.assembler.gaps[self.told_gaps :]
        duplicates: list[Duplicate] = self.assembler.duplicates[self.told_duplicates :]
        for item in (*gaps, *duplicates):
            self.display.tell(str(item))
        self.told_gaps += len(gaps)
        self.told_duplicates += len(duplicates)

    def label(self, since_s: float) -> None:
        """Ask for the label of now; `since_s` has passed since the last block came."""
        taken = self.assembler
        if not self.stated_hz:
            return
        # A person means the row that is sampled now; a block comes a quarter of a second late.
        ahead = round(min(since_s, 1.0) * taken.rate_hz) if self.labeller_is_live else 0
        row = taken.next_row + ahead
        keys = self.display.keys()
        newest = taken.marks[-1][0] if taken.marks else 0
        for at, label in self.labeller.step(row, taken.next_row / self.stated_hz, keys):
            # A block may bring fewer rows than the clock promised: the later key counts later.
            newest = max(newest, at)
            taken.marks.append((newest, label))
            self.spool.add(sample_block.pack_mark(newest, label))

    def watch(self, now_s: float, silent_s: float) -> None:
        """Say once that the device is there and its sensor brings nothing."""
        if self.assembler.n_samples != self.n_watched:
            self.n_watched, self.grew_s = self.assembler.n_samples, now_s
        rate_hz = self.assembler.rate_hz
        if rate_hz and now_s - self.grew_s > silent_s + 2 / rate_hz:
            self.display.tell(
                f"no sample has come for {now_s - self.grew_s:.0f} s: the board lives, does its "
                "sensor?"
            )
            self.grew_s = float("inf")

    @property
    def labeller_is_live(self) -> bool:
        """Whether the labels come from somebody's fingers."""
        return type(self.labeller).__name__ == "Keys"

    def finish(self, session: str) -> Capture:
        """Return what came."""
        self.splitter.finish()
        return from_assembler(self.assembler, session, self.splitter.damaged)


def collect_blocks(
    link: Link, spool: Spool, dataset: Dataset, people: tuple[Display, Labeller], options: Options
) -> Capture:
    """Take blocks until the device ends, the time is over, or somebody says so.

    Raises:
        Interrupted: Ctrl-C; the device was told to end.
        UserError: the device fell silent or away, the data do not fit the folder, or the disk is
            full. What came before is in the spool.
    """
    one = _Session(link, spool, *people)
    session = spool.path.stem
    try:
        _take_all(one, dataset, options)
    except KeyboardInterrupt:
        link.stop()
        _last_words(one, dataset, options)
        raise Interrupted(one.finish(session) if one.assembler.info else None) from None
    return one.finish(session)


def _take_all(one: _Session, dataset: Dataset, options: Options) -> None:
    heard_s = synced_s = options.clock()
    while not one.link.is_over and one.assembler.end is None:
        data = one.link.read()
        now_s = options.clock()
        if data and one.take(data, dataset):
            heard_s = now_s
        elif now_s - heard_s > options.silent_s:
            raise UserError(
                f"the device has said nothing for {options.silent_s:g} s; what came is kept"
            )
        if now_s - synced_s > _SYNC_S:
            one.spool.sync()
            synced_s = now_s
        one.watch(now_s, options.silent_s)
        one.label(now_s - heard_s)
        recent = one.recent.last(_shown_rows(one.assembler.rate_hz))
        one.display.update(recent, one.labeller.state, one.assembler.n_samples)
        if one.labeller.is_done or _is_complete(one, options.duration_s):
            one.link.stop()
            break
    _last_words(one, dataset, options)


def _is_complete(one: _Session, duration_s: float) -> bool:
    rows = duration_s * one.stated_hz
    return bool(rows and one.assembler.next_row >= rows)


def _last_words(one: _Session, dataset: Dataset, options: Options) -> None:
    """Read what the device still has, up to its END block and the end of its program."""
    deadline_s = options.clock() + _LAST_WORDS_S
    while not one.link.is_over and options.clock() < deadline_s:
        one.take(one.link.read(), dataset)
        if not one.labeller.is_done:
            one.label(0.0)  # a schedule goes on through what the device still held


def collect_text(
    link: Link,
    recorder: TextRecorder,
    spool: Spool,
    people: tuple[Display, Labeller],
    options: Options,
) -> list[tuple[int, str]]:
    """Take lines of text until the stream ends, the time is over, or somebody says so.

    Returns:
        (row, label) of each change of the label.

    Raises:
        Interrupted: Ctrl-C; its capture is None.
        UserError: no row comes, or the port went away. What came is in the recorder.
    """
    display, labeller = people
    marks: list[tuple[int, str]] = []
    heard_s = options.clock()
    silent_s = max(options.silent_s, _SILENT_ROWS / recorder.rate_hz)
    try:
        while not link.is_over:
            data = link.read()
            now_s = options.clock()
            if data:
                spool.add(_line(t=now_s, data=data.decode("utf-8", "replace")))
            if recorder.feed(data, now_s):
                heard_s = now_s  # other lines are no progress: a board may talk for ever
            elif now_s - heard_s > silent_s:
                raise UserError(
                    f"no line of numbers has come for {silent_s:g} s: does the board print them?"
                )
            for line in recorder.said:
                display.tell(f"not a row: {line}")
            recorder.said.clear()
            n_rows = len(recorder.rows)
            changes = labeller.step(n_rows, n_rows / recorder.rate_hz, display.keys())
            for row, label in changes:
                spool.add(_line(row=row, label=label))
            marks += changes
            if n_rows:
                display.begin(recorder.channels)
                shown = recorder.rows[-_shown_rows(recorder.rate_hz) :]
                display.update(np.array(shown), labeller.state, n_rows)
            is_complete = options.duration_s and n_rows >= options.duration_s * recorder.rate_hz
            if labeller.is_done or is_complete:
                link.stop()
    except KeyboardInterrupt:
        raise Interrupted(None) from None
    return marks


def _line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def replay_text(content: bytes, recorder: TextRecorder) -> list[tuple[int, str]]:
    """Give a recorder the spool of text; return the marks. A torn last line is left out."""
    marks = []
    for line in content.splitlines():
        try:
            fields = json.loads(line)
        except ValueError:
            break
        if "data" in fields:
            recorder.feed(fields["data"].encode(), float(fields["t"]))
        else:
            marks.append((int(fields["row"]), str(fields["label"])))
    return marks
