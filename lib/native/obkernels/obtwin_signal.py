"""Shape, autocorrelation and Goertzel in Python: twin of shape.c, autocorr.c and goertzel.c."""

from obtwin_math import bits, isqrt, log2_scaled, quotient, sat16, share_q15


def shape_shift(v: int, n: int) -> int:
    """Return the shift that brings the standard deviation sqrt(v) / n into 64..128; v > 0."""
    target = 4096 * n * n
    shift = 0
    while v < target:
        v <<= 2
        shift += 1
    while v >= 4 * target:
        v >>= 2
        shift -= 1
    return shift


def skewness(z) -> int:
    """Return the skewness, Q8, of samples scaled by `shape_shift`."""
    squares = cubes = 0
    for value in z:
        squares += value * value
        cubes += value * ((value * value + 32) >> 6)
    m2 = squares * 16 // len(z)
    cube = (m2 >> 3) * isqrt(m2 << 12)
    return sat16(quotient(quotient(cubes, len(z)) * 2048, cube >> 12))


def kurtosis(z) -> int:
    """Return the kurtosis, Q8 (768 for a normal distribution), of samples scaled likewise."""
    squares = fourths = 0
    for value in z:
        square = value * value
        squares += square
        square = (square + 32) >> 6
        fourths += square * square
    m2 = (squares * 16 // len(z)) >> 3
    return sat16((fourths // len(z) << 7) // ((m2 * m2 + 16384) >> 15))


def autocorr_bits(n: int) -> int:
    """Return the bits of z for which every sum of n products stays within 31 bits."""
    return (31 - bits(n - 1)) // 2


def lag_product(z, lag: int) -> int:
    """Return the autocorrelation of z at a lag."""
    product = 0
    for i in range(len(z) - lag):
        product += z[i] * z[i + lag]
    return product


def best_lag(z, low: int, high: int) -> int:
    """Return the lag from low to high with the largest autocorrelation, the lowest of equals."""
    best = lag_product(z, low)
    lag = low
    for i in range(low + 1, high + 1):
        product = lag_product(z, i)
        if product > best:
            best = product
            lag = i
    return lag


def autocorr_share(z, lag: int) -> int:
    """Return the autocorrelation at a lag as Q15 share of that at lag 0."""
    product = lag_product(z, lag)
    share = share_q15(abs(product), lag_product(z, 0))
    return -share if product < 0 else share


class Goertzel:
    """Power at one frequency, in 1/65536 of the sample rate, 1-32767.

    Attributes:
        bits: To what z must be scaled.
    """

    def __init__(self, frequency: int, window: int) -> None:
        self._is_mirrored = frequency > 16384
        if self._is_mirrored:
            frequency = 32768 - frequency
        growth = min(window * (window + 1) // 2, window * (16384 // frequency + 1))
        self.bits = min(14, 28 - bits(growth))
        self._set_feedback(frequency)

    def _set_feedback(self, frequency: int) -> None:
        """Set 2 - 2 * cos(w) = mantissa * 2^-(13 + down)."""
        square = frequency * frequency
        w2 = (square >> 13) * 20213 >> 14
        series = 32768 - w2 * 2 // 90
        for divisor in (56, 30, 12):
            series = 32768 - (w2 * series >> 14) // divisor
        shift = 0
        while square < 1 << 28:
            square <<= 1
            shift += 1
        product = ((square >> 13) * series >> 16) * 20213
        cut = bits(product) - 15
        self._mantissa = product >> cut
        self._down = 14 + shift - cut
        self._half = 1 << self._down >> 1

    def _feed(self, s: int) -> int:
        return ((s * self._mantissa >> 13) + self._half) >> self._down

    def power(self, z, shift: int) -> int:
        """Return log2_q8 of the power in samples z that are scaled by 2^shift."""
        s1 = s2 = 0
        for i in range(len(z)):
            value = -z[i] if self._is_mirrored and i & 1 else z[i]
            s = value + (s1 - self._feed(s1)) + (s1 - s2)
            s2 = s1
            s1 = s
        step = s1 - s2
        power = step * step + self._feed(s1) * s2
        return log2_scaled(power, -2 * shift) if power > 0 else 0
