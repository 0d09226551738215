"""Statistics of the streams in Python: the twin of lib/native/kernels/stats.c and groups.c."""

from obtwin_math import bits, isqrt, log2_q8, quotient, sat16, share_q15
from obtwin_streams import length_of


class Stats:
    """Sums and statistics of the streams of one window after another.

    The methods that compute a feature take the stream and the feature's arguments.

    Attributes:
        x: The streams, one array('h') each.
        n: Samples of a window.
        s1, v, low, high: Of each stream: sum, n^2 times the variance, smallest, largest sample;
            there after `sum(stream)`.
    """

    def __init__(self, x) -> None:
        n_streams = len(x)
        self.x = x
        self.n = len(x[0])
        self.s1, self._s2, self.v = [0] * n_streams, [0] * n_streams, [0] * n_streams
        self.low, self.high, self._mean = [0] * n_streams, [0] * n_streams, [0] * n_streams
        self._is_summed = bytearray(n_streams)
        self._sorted = [0] * self.n
        self._sorted_stream = -1

    def reset(self) -> None:
        """Forget the sums: the streams have new samples."""
        for stream in range(len(self.x)):
            self._is_summed[stream] = 0
        self._sorted_stream = -1

    def sum(self, stream: int) -> None:
        """Compute the sums of a stream, once a window."""
        if self._is_summed[stream]:
            return
        x = self.x[stream]
        s1 = s2 = 0
        low = high = x[0]
        for value in x:
            s1 += value
            s2 += value * value
            if value < low:
                low = value
            elif value > high:
                high = value
        self.s1[stream] = s1
        self._s2[stream] = s2
        self.low[stream] = low
        self.high[stream] = high
        self._mean[stream] = quotient(s1, self.n)
        self.v[stream] = self.n * s2 - s1 * s1
        self._is_summed[stream] = 1

    def mean(self, stream: int, _0: int = 0, _1: int = 0) -> int:
        self.sum(stream)
        return self._mean[stream]

    def std(self, stream: int, _0: int = 0, _1: int = 0) -> int:
        self.sum(stream)
        return sat16(isqrt(self.v[stream]) // self.n)

    def rms(self, stream: int, _0: int = 0, _1: int = 0) -> int:
        self.sum(stream)
        return sat16(isqrt(self._s2[stream] // self.n))

    def min(self, stream: int, _0: int = 0, _1: int = 0) -> int:
        self.sum(stream)
        return self.low[stream]

    def max(self, stream: int, _0: int = 0, _1: int = 0) -> int:
        self.sum(stream)
        return self.high[stream]

    def p2p(self, stream: int, _0: int = 0, _1: int = 0) -> int:
        self.sum(stream)
        return (self.high[stream] - self.low[stream]) >> 1

    def mad(self, stream: int, _0: int = 0, _1: int = 0) -> int:
        x = self.x[stream]
        total = 0
        for i in range(1, self.n):
            total += abs(x[i] - x[i - 1])
        return (total // (self.n - 1)) >> 1

    def _crossings(self, x, level: int) -> int:
        count = 0
        for i in range(1, self.n):
            if (x[i] < level) != (x[i - 1] < level):
                count += 1
        return count

    def zero_crossings(self, stream: int, _0: int = 0, _1: int = 0) -> int:
        return self._crossings(self.x[stream], 0)

    def mean_crossings(self, stream: int, _0: int = 0, _1: int = 0) -> int:
        self.sum(stream)
        return self._crossings(self.x[stream], self._mean[stream])

    def crest(self, stream: int, _0: int = 0, _1: int = 0) -> int:
        std = self.std(stream)
        mean = self._mean[stream]
        largest = max(self.high[stream] - mean, mean - self.low[stream])
        return sat16(256 * largest // std) if std else 0

    def quantile(self, stream: int, q: int, _1: int) -> int:
        if self._sorted_stream != stream:
            x = self.x[stream]
            for i in range(self.n):
                self._sorted[i] = x[i]
            self._sorted.sort()
            self._sorted_stream = stream
        return self._sorted[(q * (self.n - 1) + 128) >> 8]

    def energy(self, stream: int, _0: int = 0, _1: int = 0) -> int:
        self.sum(stream)
        return log2_q8(self.v[stream])

    def share(self, stream: int, base: int, count: int) -> int:
        total = 0
        for j in range(base, base + count):
            self.sum(j)
            total += self.v[j]
        return share_q15(self.v[stream], total)

    def correlation(self, stream: int, other: int, _1: int) -> int:
        self.sum(stream)
        self.sum(other)
        x, y = self.x[stream], self.x[other]
        total = 0
        for i in range(self.n):
            total += x[i] * y[i]
        covariance = self.n * total - self.s1[stream] * self.s1[other]
        return correlation(covariance, self.v[stream], self.v[other])

    def tilt(self, stream: int, base: int, _1: int) -> int:
        for j in range(base, base + 3):
            self.sum(j)
        mean = self._mean
        length = length_of(mean[base], mean[base + 1], mean[base + 2])
        return quotient(32767 * mean[stream], length) if length else 0


def correlation(covariance: int, vx: int, vy: int) -> int:
    """Return covariance / sqrt(vx * vy) in Q15; 0 when either is 0."""
    if vx == 0 or vy == 0:
        return 0
    ex = (bits(vx) - 31) & ~1
    ey = (bits(vy) - 31) & ~1
    den = isqrt(shifted(vx, ex)) * isqrt(shifted(vy, ey)) >> 15
    num = min(den, shifted(abs(covariance), (ex + ey) // 2 + 15))
    value = num * 32767 // den
    return -value if covariance < 0 else value


def shifted(v: int, down: int) -> int:
    """Return v * 2^-down, floored."""
    return v >> down if down >= 0 else v << -down
