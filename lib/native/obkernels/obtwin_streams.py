"""Channels and derived streams in Python: the twin of lib/native/kernels/streams.c."""

from obtwin_math import isqrt, quotient, sat16


def deinterleave(ring, is_bytes: bool, rows: int, start_row: int, out) -> None:
    """Copy the window that starts at a row of the ring and wraps into one array a channel.

    Args:
        ring: rows x len(out) int16, row after row.
        is_bytes: The ring's elements are bytes, two a sample, low byte first.
        rows: Rows of the ring, at least a window.
        start_row: First row of the window.
        out: One array('h') of a window for every channel.
    """
    n_channels = len(out)
    for channel in range(n_channels):
        x = out[channel]
        row = start_row
        for i in range(len(x)):
            at = row * n_channels + channel
            if is_bytes:
                value = ring[2 * at] | ring[2 * at + 1] << 8
                x[i] = (value ^ 0x8000) - 0x8000
            else:
                x[i] = ring[at]
            row += 1
            if row == rows:
                row = 0


def magnitude(a, b, c, out) -> None:
    """Half the length of the vectors (a, b, c)."""
    for i in range(len(out)):
        out[i] = isqrt(a[i] * a[i] + b[i] * b[i] + c[i] * c[i]) >> 1


def diff(a, out) -> None:
    """Half the step from the sample before; the first repeats the second."""
    for i in range(1, len(out)):
        out[i] = (a[i] - a[i - 1]) >> 1
    out[0] = out[1]


def length_of(x: int, y: int, z: int) -> int:
    """Return the length of a vector."""
    return isqrt(x * x + y * y + z * z)


def project(group, x: int, y: int, z: int, out) -> None:
    """Half the component of a group's vectors along (x, y, z); 0 without a direction.

    Args:
        group: Its three streams.
        x, y, z: The direction.
        out: Takes the result.
    """
    a, b, c = group
    length = length_of(x, y, z)
    if length:
        x = quotient(16384 * x, length)
        y = quotient(16384 * y, length)
        z = quotient(16384 * z, length)
    for i in range(len(out)):
        out[i] = sat16((a[i] * x + b[i] * y + c[i] * z) >> 15)
