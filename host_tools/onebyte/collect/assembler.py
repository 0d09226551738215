"""Blocks to rows: every row once and in order, and where some are missing."""

from dataclasses import dataclass, field

import numpy as np

from formats import flatjson, sample_block
from formats.errors import OnebyteError
from onebyte.collect.stream import Block

__all__ = ["Assembler", "Duplicate", "Gap", "Piece"]

_MILLION = 1_000_000
_LEAST_RATE_ROWS = 50  # below, the rate is not measured
_LEAST_RATE_S = 1.0
_COUNTER_MASK = 0xFFFF


@dataclass(frozen=True)
class Gap:
    """Rows that are missing.

    Attributes:
        row: number of the row before which they are missing.
        time_s: device time of that row since the recording began.
        lost: how many; at a gap of the sensor as many as fit into the time that passed.
        is_exact: whether that number is counted and not computed from the time.
        cause: "link" (blocks that did not arrive whole), "buffer" (the host took too long),
            "overrun", "jump" or "bus" (the driver says so), "restart" (the device began anew).
    """

    row: int
    time_s: float
    lost: int
    is_exact: bool
    cause: str

    def __str__(self) -> str:
        about = "" if self.is_exact else "about "
        return (
            f"gap before sample {self.row} at {self.time_s:.3f} s: {about}{self.lost} samples "
            f"({self.cause})"
        )


@dataclass(frozen=True)
class Duplicate:
    """A block that came again."""

    row: int
    time_s: float
    rows: int

    def __str__(self) -> str:
        return f"duplicate at sample {self.row} at {self.time_s:.3f} s: {self.rows} samples"


@dataclass
class Piece:
    """Rows without a gap between them.

    Attributes:
        first_row: number of the first one.
        parts: int16 or float arrays (rows, n_channels).
        reads: (number of the row after a block, device time in seconds) of each block.
    """

    first_row: int
    parts: list[np.ndarray] = field(default_factory=list)
    reads: list[tuple[int, float]] = field(default_factory=list)

    @property
    def n_rows(self) -> int:
        """How many rows it has."""
        return sum(len(part) for part in self.parts)

    @property
    def values(self) -> np.ndarray:
        """All rows, (rows, n_channels)."""
        return np.concatenate(self.parts)


class Assembler:
    """Takes the blocks of one recording.

    Attributes:
        info: what the device said of it; empty before the first INFO block.
        pieces: rows, cut at each gap.
        gaps, duplicates: what is missing and what came twice.
        marks: (row, label) in the order in which they came.
        end: (rows, dropped, overruns, gaps, failures, reason) of the END block, or None.
        refused: blocks that were whole and contradict the recording.
        n_samples: rows that are here.
        next_row: number of the row that comes next.
        time_s: device time of the last one.
    """

    def __init__(self) -> None:
        self.info: dict[str, object] = {}
        self.pieces: list[Piece] = []
        self.gaps: list[Gap] = []
        self.duplicates: list[Duplicate] = []
        self.marks: list[tuple[int, str]] = []
        self.end: tuple[int, ...] | None = None
        self.refused = 0
        self.n_samples = 0
        self.next_row = 0
        self.time_s = 0.0
        self._base_row = 0  # of a device that began anew
        self._counter = 0
        self._losses = (0, 0, 0)
        self._first: bytes = b""
        self._must_begin = True  # a piece with the next rows
        self._early: list[Block] = []  # that came before the first INFO block

    @property
    def rate_hz(self) -> float:
        """Stated rate of the rows as they come; a replay may be faster than its recording."""
        return float(str(self.info.get("pace_mhz") or self.info.get("rate_mhz") or 0)) / 1000

    def take(self, block: Block) -> bool:
        """Take a block; return whether it brought something new."""
        try:
            if block.kind == sample_block.INFO:
                return self._take_info(block)
            if block.kind == sample_block.MARK:
                self.marks.append(sample_block.parse_mark(block.body))
                return True
            if block.kind == sample_block.END:
                return self._take_end(block)
            return self._take_samples(block)
        except OnebyteError:
            self.refused += 1
            return False

    def measured_hz(self) -> float | None:
        """Return the rate by the device's clock, None where too little came for it."""
        if not self.pieces:
            return None
        reads = max(self.pieces, key=lambda piece: piece.n_rows).reads
        rows, times = np.array(reads, dtype=float).T
        if rows[-1] - rows[0] < _LEAST_RATE_ROWS or times[-1] - times[0] < _LEAST_RATE_S:
            return None
        return float(np.polyfit(times - times[0], rows - rows[0], 1)[0])

    def _take_info(self, block: Block) -> bool:
        if self.info:
            return False
        self.info = flatjson.parse(block.body, sample_block.MAX_BODY_BYTES)
        early, self._early = self._early, []
        for one in early:
            self.take(one)
        return True

    def _take_samples(self, block: Block) -> bool:
        if not self.info:
            self._early.append(block)
            return True
        row, time_us, *losses, n_channels, values = sample_block.parse_samples(block.body)
        rows = np.frombuffer(values, "<i2").reshape(-1, n_channels)
        if n_channels != self.info.get("n_channels"):
            self.refused += 1
            return False
        time_s = time_us / _MILLION
        if self._began_anew(block, row):
            self._base_row = self.next_row
            self._counter, self._losses = 0, (0, 0, 0)
            self._lose(Gap(self.next_row, time_s, 0, False, "restart"))
        elif block.counter < self._counter:
            self.duplicates.append(Duplicate(self._base_row + row, time_s, len(rows)))
            return False
        elif self._base_row + row < self.next_row:
            self.refused += 1
            return False
        if not self._first:
            self._first = block.content
        self._find_gap(block.counter, self._base_row + row, time_s, (tuple(losses), len(rows)))
        self._counter = block.counter + 1
        self._losses = tuple(losses)
        self._append(self._base_row + row, rows, time_s)
        return True

    def _began_anew(self, block: Block, row: int) -> bool:
        is_first = block.counter == 0 and row == 0 and self._counter > 0
        return is_first and block.content != self._first

    def _find_gap(
        self, counter: int, row: int, time_s: float, new: tuple[tuple[int, ...], int]
    ) -> None:
        losses, n_rows = new
        changed = [(b - a) & _COUNTER_MASK for a, b in zip(self._losses, losses, strict=True)]
        if counter > self._counter:
            self._lose(Gap(row, time_s, row - self.next_row, True, "link"))
        elif row != self.next_row:
            self._lose(Gap(row, time_s, row - self.next_row, True, "buffer"))
        elif any(changed) and self.pieces:
            cause = next(
                name
                for name, n in zip(("overrun", "jump", "bus"), changed, strict=True)
                if n or name == "bus"
            )
            passed = round((time_s - self.time_s) * self.rate_hz) - n_rows
            self._lose(Gap(row, time_s, max(0, passed), False, cause))

    def _lose(self, gap: Gap) -> None:
        self.gaps.append(gap)
        self._must_begin = True

    def _append(self, row: int, rows: np.ndarray, time_s: float) -> None:
        if self._must_begin:
            self.pieces.append(Piece(row))
            self._must_begin = False
        self.pieces[-1].parts.append(rows)
        self.n_samples += len(rows)
        self.next_row = row + len(rows)
        self.time_s = time_s
        self.pieces[-1].reads.append((self.next_row, time_s))

    def _take_end(self, block: Block) -> bool:
        if self.end is not None:
            return False
        end = sample_block.parse_end(block.body)
        missing = self._base_row + end[0] - self.next_row
        if missing > 0:
            cause = "link" if block.counter > self._counter else "buffer"
            row = self.next_row + missing
            self.gaps.append(Gap(row, self.time_s, missing, True, cause))
        self.end = end
        return True
