"""Any board that prints numbers: lines of text to rows, with the host's time.

A line is numbers between commas, semicolons, tabs or spaces; a line of names comes first, or the
user names the channels. What is neither is shown and left out. The clock is the host's, so a gap
shows as lines that come later than they should, and never catch up, or as a line of numbers that
is no row; with a counter in the lines it is exact.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from formats.model import UNITS
from onebyte.collect.assembler import Duplicate, Gap, Piece
from onebyte.collect.capture import Capture, Channel
from onebyte.errors import UserError

__all__ = ["TextRecorder", "parse_channels"]

_SEPARATOR = re.compile(r"[,;\t ]+")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,9}")
_MAX_LINE_BYTES = 4096
_MAX_CHANNELS = 16
_FULL_SCALE = 32767
_HEADROOM = 1.25
_LATE_S = 0.25  # a later line is a gap if the next ones are late as well
_LATE_ROWS = 3
_WRAPS = (1 << 8, 1 << 16, 1 << 32)  # where a device's counter begins again
_REPEATED_ROWS = 16  # a line that comes twice comes again within so many
_LARGEST = 3.4e38  # of a float32
_LOOK_ROWS, _LOOK_S = 20, 2.0  # who catches up does so within this


def parse_channels(text: str) -> tuple[Channel, ...]:
    """Return the channels of `ax:g,ay:g:0.000244`: name, unit and what one count means.

    The last one may be absent (0 here): it then comes from the largest value.

    Raises:
        UserError: not of this form.
    """
    channels: list[Channel] = []
    for part in text.split(","):
        name, *more = part.strip().split(":")
        unit = more[0] if more else "counts"
        try:
            lsb = float(more[1]) if len(more) > 1 else 0.0
        except ValueError:
            lsb = -1.0
        if not _NAME.fullmatch(name) or len(more) > 2 or not 0 <= lsb <= 4:
            raise UserError(f"--channels: {part.strip()!r} is not name:unit:lsb")
        if name in [channel.name for channel in channels]:
            raise UserError(f"--channels: {name!r} stands there twice")
        if unit not in UNITS:
            raise UserError(f"--channels: unit {unit!r}; there are {', '.join(UNITS)}")
        channels.append(Channel(name, unit, lsb))
    if len(channels) > _MAX_CHANNELS:
        raise UserError(f"--channels: at most {_MAX_CHANNELS}")
    return tuple(channels)


@dataclass
class TextRecorder:
    """Takes lines.

    Attributes:
        rate_hz: as the user states it.
        channels: empty until a line of names came, if the user gave none.
        counter: name of the column that counts the lines, or empty.
        skipped: lines that were no row.
        said: those lines, for people; who shows them empties it.
    """

    rate_hz: float
    channels: tuple[Channel, ...] = ()
    counter: str = ""
    skipped: int = 0
    said: list[str] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    holes: list[int] = field(default_factory=list)  # rows before which a damaged one came
    _pending: bytes = b""
    _columns: list[str] = field(default_factory=list)

    @property
    def is_ready(self) -> bool:
        """Whether the channels are known."""
        return bool(self.channels)

    def feed(self, data: bytes, now_s: float) -> int:
        """Take what arrived at a time; return the rows that it brought."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        self._pending = self._pending[-_MAX_LINE_BYTES:]
        before = len(self.rows)
        for line in lines:
            text = line.decode("utf-8", "replace").strip("\ufeff \t\r\v\f\x00")
            if text:
                self._take(text, now_s)
        return len(self.rows) - before

    def _take(self, text: str, now_s: float) -> None:
        parts = _SEPARATOR.split(text)
        if self._is_header(text, parts):
            self._columns = [part.strip('"').lower() for part in parts]
            if not self.channels:
                mine = [name for name in self._columns if name != self.counter]
                self.channels = parse_channels(",".join(mine))
            return
        columns = self._columns
        if not columns and self.channels:
            columns = [*([self.counter] if self.counter else []), *self._names()]
        if len(parts) != len(columns) or not columns or not all(map(_is_number, parts)):
            self.skipped += 1
            self.said.append(text[:200])
            if columns and 2 * sum(map(_is_numeric, parts)) > len(parts):
                self.holes.append(len(self.rows))
            return
        values = dict(zip(columns, map(float, parts), strict=True))
        if self.counter:
            self.counts.append(int(values[self.counter]))
        self.rows.append([values[name] for name in self._names()])
        self.times.append(now_s)

    def _names(self) -> list[str]:
        return [channel.name for channel in self.channels]

    def _is_header(self, text: str, parts: list[str]) -> bool:
        """Return whether a line names the columns, all that are wanted among them."""
        names = [part.strip('"').lower() for part in parts]
        if self.rows or self._columns or not re.search("[,;\t]", text):
            return False
        wanted = {*self._names(), *([self.counter] if self.counter else [])}
        are_names = all(_NAME.fullmatch(name) and not _is_numeric(name) for name in names)
        return are_names and wanted <= set(names)

    def capture(
        self, session: str, marks: list[tuple[int, str]], lsb: dict[str, float]
    ) -> Capture:
        """Return what came.

        Args:
            session: its name.
            marks: (row, label).
            lsb: of channels that the data set has already.

        Raises:
            UserError: no row came.
        """
        if not self.rows:
            raise UserError("no line of numbers came")
        values = np.array(self.rows, dtype=np.float32)
        times = np.array(self.times) - self.times[0]
        gaps, duplicates, keep = self._find(times)
        numbers = np.flatnonzero(keep)
        cuts = [gap.row for gap in gaps]
        pieces = []
        for part in np.split(numbers, np.searchsorted(numbers, cuts)):
            if len(part):
                reads = [(int(part[0]), times[part[0]]), (int(part[-1]), times[part[-1]])]
                pieces.append(Piece(int(part[0]), [values[part]], reads))
        channels = tuple(
            Channel(c.name, c.unit, c.lsb or lsb.get(c.name) or _lsb(values[:, i]))
            for i, c in enumerate(self.channels)
        )
        return Capture(
            session,
            channels,
            self.rate_hz,
            _measure(times),
            pieces,
            marks,
            gaps,
            duplicates,
            self.skipped,
            {"sensor": "text"},
            "the stream ended",
            is_counts=False,
        )

    def _find(self, times: np.ndarray) -> tuple[list[Gap], list[Duplicate], np.ndarray]:
        keep = np.ones(len(times), dtype=bool)
        if not self.counter:
            damaged = [
                Gap(row, float(times[row]), n, False, "link")
                for row, n in Counter(self.holes).items()
                if 0 < row < len(times)
            ]
            by_row = {gap.row: gap for gap in (*damaged, *_late(times, self.rate_hz))}
            return [by_row[row] for row in sorted(by_row)], [], keep
        gaps, duplicates = [], []
        last = self.counts[0] - 1
        for row, count in enumerate(self.counts):
            time_s = float(times[row])
            wraps = count == 0 and last + 1 in _WRAPS
            if count <= last and not wraps:
                if not self._began_anew(row):
                    duplicates.append(Duplicate(row, time_s, 1))
                    keep[row] = False
                    continue
                gaps.append(Gap(row, time_s, 0, False, "restart"))
            elif count > last + 1:
                gaps.append(Gap(row, time_s, count - last - 1, True, "link"))
            last = count
        return gaps, duplicates, keep

    def _began_anew(self, row: int) -> bool:
        """Return whether a count that fell back goes on from there and is no line come twice."""
        count = self.counts[row]
        is_again = any(
            self.counts[i] == count and self.rows[i] == self.rows[row]
            for i in range(max(0, row - _REPEATED_ROWS), row)
        )
        return not is_again and self.counts[row + 1 : row + 2] in ([], [count + 1])


def _is_number(text: str) -> bool:
    return _is_numeric(text) and abs(float(text)) <= _LARGEST


def _is_numeric(text: str) -> bool:
    """Return whether it is a number, not one or an infinite one among them."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _late(times: np.ndarray, rate_hz: float) -> list[Gap]:
    """Return where lines are late for good: by their best times before and behind."""
    n = len(times)
    lag = times - np.arange(n) / rate_hz
    threshold = max(_LATE_S, _LATE_ROWS / rate_hz)
    look = max(_LOOK_ROWS, round(_LOOK_S * rate_hz))
    jumps = np.flatnonzero(np.diff(times) > threshold) + 1
    gaps = []
    for row in jumps:
        before = lag[max(0, row - look) : row].min()
        late = lag[row : row + look].min() - before
        if late > threshold:
            gaps.append(Gap(int(row), float(times[row]), round(late * rate_hz), False, "jump"))
    return gaps


def _measure(times: np.ndarray) -> float | None:
    if len(times) < 50 or times[-1] < 1.0:
        return None
    return float((len(times) - 1) / times[-1])


def _lsb(values: np.ndarray) -> float:
    """Return what one count means so that the largest value fits, with some room."""
    largest = float(np.abs(values).max())
    return float(f"{max(largest, 1e-3) * _HEADROOM / _FULL_SCALE:.3g}")
