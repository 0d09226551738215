"""The incoming signal: as dots of braille in a terminal, as a PNG file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from onebyte.collect.capture import Capture
from onebyte.errors import UserError

__all__ = ["braille", "write_png"]

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BLANK = 0x2800
_MOST_POINTS = 4000


def braille(values: Sequence[float] | np.ndarray, width: int, height: int) -> list[str]:
    """Return lines of text with the curve of the values, oldest left.

    Args:
        values: one channel.
        width, height: in characters; a character has 2 x 4 dots.
    """
    cells = np.full((height, width), 0, dtype=int)
    points = np.asarray(values, dtype=float)
    if len(points):
        columns = np.array_split(points, min(2 * width, len(points)))
        low, high = points.min(), points.max()
        scale = (4 * height - 1) / (high - low) if high > low else 0.0
        for x, part in enumerate(columns):
            top = round((high - part.max()) * scale) if scale else 2 * height
            bottom = round((high - part.min()) * scale) if scale else 2 * height
            for y in range(top, bottom + 1):
                cells[y // 4, x // 2] |= _DOTS[y % 4][x % 2]
    return ["".join(chr(_BLANK + int(cell)) for cell in row) for row in cells]


def write_png(capture: Capture, path: Path) -> None:
    """Draw all channels over time, gaps and labels marked.

    Raises:
        UserError: the file cannot be written.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    n = len(capture.channels)
    figure = Figure(figsize=(12, 1.2 + 1.4 * n), layout="constrained")
    axes = np.atleast_1d(figure.subplots(n, 1, sharex=True))
    rate_hz = capture.rate_hz or 1.0
    for i, channel in enumerate(capture.channels):
        scale = channel.lsb if capture.is_counts else 1.0
        for piece in capture.pieces:
            values = piece.values[:, i] * scale
            step = max(1, len(values) // _MOST_POINTS)
            times = (piece.first_row + np.arange(len(values))) / rate_hz
            axes[i].plot(times[::step], values[::step], linewidth=0.6, color="tab:blue")
        for gap in capture.gaps:
            axes[i].axvline(gap.row / rate_hz, color="red", linewidth=0.8)
        axes[i].set_ylabel(f"{channel.name} / {channel.unit}")
    colors = colormaps["tab10"]
    names = sorted({label for _, label in capture.marks if label})
    for row, label in capture.marks:
        axes[0].axvline(row / rate_hz, color="grey", linestyle=":", linewidth=0.8)
        if label:
            color = colors(names.index(label) % 10)
            axes[0].annotate(
                label,
                (row / rate_hz, 1.02),
                xycoords=("data", "axes fraction"),
                fontsize=8,
                color=color,
            )
    axes[-1].set_xlabel("seconds")
    try:
        figure.savefig(path, dpi=100)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot write {path}: {error}") from error
