"""A recording as it is stored: rows with their channels, labels, gaps, and who made it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from formats import sample_block
from onebyte.collect.assembler import Assembler, Duplicate, Gap, Piece
from onebyte.collect.stream import Block, blocks_of
from onebyte.errors import UserError

__all__ = ["Capture", "Channel", "channels_of", "from_assembler", "from_content"]

_RATE_TOLERANCE = 0.05  # the chips' own oscillators are 3 to 4 % off
_REASONS = {
    sample_block.ASKED: "stopped by the host",
    sample_block.SOURCE_OVER: "the source is over",
    sample_block.ROWS_DONE: "complete",
    sample_block.QUOTA: "the free space of the flash is used up",
    sample_block.FLASH_FAILED: "the flash failed",
}

_MOTION = (
    ("ax", "g"),
    ("ay", "g"),
    ("az", "g"),
    ("wx", "rad/s"),
    ("wy", "rad/s"),
    ("wz", "rad/s"),
)
_COUNT_NANO = 10**9
_FIRST_COUNT = {"pin_events": "events", "pin_level": "level", "adc": "value"}


@dataclass(frozen=True)
class Channel:
    """A column: `lsb` units are one count."""

    name: str
    unit: str
    lsb: float


@dataclass(frozen=True)
class Capture:
    """What a session brought.

    Attributes:
        session: name of the session.
        channels: one a column.
        rate_hz: as stated by the sensor.
        measured_hz: by the device's or the host's clock, None where too little came.
        pieces: rows in counts, cut at each gap; in units where `is_counts` is False.
        marks: (row, label).
        gaps, duplicates: where rows are missing, and what came twice.
        damaged: lines or blocks that could not be read.
        source: what the device said of itself, for the card.
        ended: why it ended, in words.
    """

    session: str
    channels: tuple[Channel, ...]
    rate_hz: float
    measured_hz: float | None
    pieces: Sequence[Piece]
    marks: Sequence[tuple[int, str]]
    gaps: Sequence[Gap] = ()
    duplicates: Sequence[Duplicate] = ()
    damaged: int = 0
    source: dict[str, object] = field(default_factory=dict)
    ended: str = ""
    is_counts: bool = True

    @property
    def n_samples(self) -> int:
        """Rows that are here."""
        return sum(piece.n_rows for piece in self.pieces)

    def summary(self) -> str:
        """Return the line that says how it went."""
        rate = f"{self.measured_hz:.2f}" if self.measured_hz else "unknown"
        lost = sum(gap.lost for gap in self.gaps)
        return (
            f"collect samples={self.n_samples} gaps={len(self.gaps)} "
            f"duplicates={len(self.duplicates)} lost={lost} damaged={self.damaged} rate_hz={rate}"
        )

    def rate_warning(self) -> str:
        """Return a line when the measured rate is not the stated one, else nothing."""
        if not self.measured_hz or not self.rate_hz:
            return ""
        off = self.measured_hz / self.rate_hz - 1
        if abs(off) <= _RATE_TOLERANCE:
            return ""
        return (
            f"the rate is {self.measured_hz:.2f} Hz, stated is {self.rate_hz:g} Hz "
            f"({off:+.1%}): a model needs the true one"
        )


def channels_of(info: dict[str, object]) -> tuple[Channel, ...]:
    """Return the channels that a device's INFO block means.

    Raises:
        UserError: it contradicts itself.
    """
    n_channels = info.get("n_channels")
    lsb = info.get("lsb_nano", [])
    if not isinstance(n_channels, int) or not isinstance(lsb, list):
        raise UserError("the device's INFO block names no channels")
    if not 1 <= n_channels <= sample_block.MAX_CHANNELS or len(lsb) not in (0, n_channels):
        raise UserError(f"the device's INFO block is wrong: {n_channels} channels, {len(lsb)} lsb")
    if not lsb:
        first = _FIRST_COUNT.get(str(info.get("sensor")), "ch0")
        names = [first, *(f"ch{i}" for i in range(1, n_channels))]
        return tuple(Channel(name, "counts", 1.0) for name in names)
    if len(lsb) > len(_MOTION) or not all(text.isdecimal() and int(text) for text in lsb):
        raise UserError("the device's INFO block is wrong: lsb_nano")
    return tuple(
        Channel(name, unit, int(nano) / _COUNT_NANO)
        for (name, unit), nano in zip(_MOTION, lsb, strict=False)
    )


def from_assembler(assembler: Assembler, session: str, damaged: int) -> Capture:
    """Return what an assembler took.

    Raises:
        UserError: nothing came that says what was measured.
    """
    info = assembler.info
    if not info:
        raise UserError("nothing came from the device")
    end = assembler.end
    # A replay that runs faster than its recording is measured against its own pace.
    stated = float(str(info.get("rate_mhz", 0))) / 1000
    pace = assembler.rate_hz
    measured = assembler.measured_hz()
    if measured and pace and stated:
        measured *= stated / pace
    marks = list(assembler.marks)
    if info.get("label") and not marks:
        marks = [(0, str(info["label"]))]
    return Capture(
        session,
        channels_of(info),
        stated,
        measured,
        assembler.pieces,
        marks,
        assembler.gaps,
        assembler.duplicates,
        damaged + assembler.refused,
        dict(info),
        _REASONS[end[5]] if end else "without the device's last word",
    )


def from_content(content: bytes, session: str) -> Capture:
    """Return what a spool or the segments of a run hold, the whole blocks of it.

    Raises:
        UserError: it holds nothing that says what was measured.
    """
    blocks, rest = blocks_of(content)
    return from_blocks(blocks, session, int(rest > 0))


def from_blocks(blocks: Sequence[Block], session: str, damaged: int) -> Capture:
    """As `from_assembler`, of blocks in their order."""
    assembler = Assembler()
    for block in blocks:
        assembler.take(block)
    capture = from_assembler(assembler, session, damaged)
    return replace(capture, marks=sorted(capture.marks, key=lambda mark: mark[0]))
