"""Streams brought to a known number of bits: the twin of lib/native/kernels/scaling.c."""

from array import array

from obtwin_math import bits


class Scaled:
    """z = (x - mean) * 2^shift of one stream after another.

    Attributes:
        z: The scaled samples, array('h'); all 0 for a constant stream.
        shift: The exponent of their scale.
    """

    def __init__(self, window: int) -> None:
        self.z = array("h", bytes(2 * window))
        self.shift = 0

    def scale(self, x, s1: int, shift: int, limit: int) -> None:
        """Fill z from samples x with the sum s1; no abs(z) is above limit."""
        z = self.z
        n = len(z)
        self.shift = shift
        mean = s1 // n
        if shift >= 0:
            fraction = (((s1 - mean * n) << shift) + n // 2) // n
            for i in range(n):
                value = ((x[i] - mean) << shift) - fraction
                z[i] = limit if value > limit else -limit if value < -limit else value
        else:
            half = 1 << (-shift - 1)
            for i in range(n):
                value = (x[i] - mean + half) >> -shift
                z[i] = limit if value > limit else -limit if value < -limit else value

    def scale_to(self, size: int, x, s1: int, low: int, high: int) -> bool:
        """Fill z with values of `size` bits from samples between low and high.

        Returns:
            False for a constant stream.
        """
        if low == high:
            for i in range(len(self.z)):
                self.z[i] = 0
            self.shift = 0
            return False
        mean = s1 // len(self.z)
        self.scale(x, s1, size - bits(max(high - mean, mean - low + 1)), (1 << size) - 1)
        return True
