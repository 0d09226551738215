"""Power spectrum by ulab's FFT, in floats: much faster than the twin's, with nearly its bits.

docs/SPEC.md, "Spectrum by ulab", says how near. A firmware without ulab can import this module but
not use it: `is_available` is False there. Unlike the twin it allocates at every window.
"""

from array import array

from obtwin_math import log2_scaled, share_q15, sin_q15

from formats import errors

try:
    from ulab import numpy as np  # type: ignore[import-not-found]
except ImportError:
    np = None

# How far a spectrum may be from the exact one.
SHARE_LIMIT = 12  # of each bin, in 1/32767 of the power of all bins
TOTAL_LIMIT = 4  # of the power of bins 1 and up, in 1/256 of an octave


def is_available() -> bool:
    """Return whether the firmware has ulab with its FFT."""
    return np is not None and hasattr(np, "fft")


class UlabSpectrum:
    """The spectrum of one stream after another: the interface of obtwin_spectrum.Spectrum.

    Args:
        window: Samples of a window.
        fft_log2: Logarithm of the FFT's length.
        is_hann: Whether to weigh the samples by a Hann window.

    Attributes:
        n_bins: N/2.
        total: Power of bins 1..N/2.
        peak, peak_bin: The largest of them, and the lowest bin with it.
        exponent: The true power is power * 2^exponent.
    """

    def __init__(self, window: int, fft_log2: int, is_hann: bool) -> None:
        size = 1 << fft_log2
        self.n_bins = size >> 1
        self._window = window
        self._padded = np.zeros(size)
        self._weights = np.array(_hann(window) if is_hann else [1.0] * window)
        self._numbers = np.array(range(1, self.n_bins + 1))
        self.clear()

    def clear(self) -> None:
        """Become the spectrum of a constant stream."""
        self._power = np.zeros(self.n_bins + 1)
        self._sum_up(0)

    def compute(self, z, shift: int) -> None:
        """Become the spectrum of samples z, array('h') of 14 bits, scaled by 2^shift."""
        self._padded[: self._window] = np.frombuffer(z, dtype=np.int16) * self._weights
        found = np.fft.fft(self._padded)
        # ulab is built to return a pair of arrays, or one complex array as numpy does.
        re, im = found if isinstance(found, tuple) else (np.real(found), np.imag(found))
        re = re[: self.n_bins + 1]
        im = im[: self.n_bins + 1]
        self._power = re * re + im * im
        self._sum_up(-2 * shift)

    def _sum_up(self, exponent: int) -> None:
        upper = self._power[1:]
        self.exponent = exponent
        self.total = int(np.sum(upper) + 0.5)
        self.peak = min(int(np.max(upper) + 0.5), self.total)
        self.peak_bin = int(np.argmax(upper)) + 1

    def band(self, low: int, high: int) -> int:
        """Return the power of bins low..high."""
        power = int(np.sum(self._power[low : high + 1]) + 0.5)
        # A sum in another order may round above the whole.
        return min(power, self.total) if low else power

    def centroid(self) -> int:
        """Return the power-weighted mean bin, Q5."""
        if self.total == 0:
            return 0
        upper = self._power[1:]
        return int(32 * (np.sum(upper * self._numbers) / np.sum(upper)))


def _hann(window: int) -> list:
    step = 0xFFFFFFFF // window
    weights = [1.0] * window
    for i in range(window // 2 + 1):
        phase = (step * i + 32768) >> 16
        weights[i] = weights[-i] = ((32769 - sin_q15(phase + 16384)) >> 1) / 32768
    return weights


class Proof:
    """Computes every spectrum exactly and by ulab, and refuses what differs too much.

    It has the interface of a spectrum, and the exact one's values.

    Args:
        exact: obtwin_spectrum.Spectrum.
        fast: UlabSpectrum of the same sizes.
    """

    def __init__(self, exact, fast) -> None:
        self._exact = exact
        self._fast = fast
        self.band = exact.band
        self.centroid = exact.centroid
        self._take()

    def _take(self) -> None:
        exact = self._exact
        self.total, self.peak = exact.total, exact.peak
        self.peak_bin, self.exponent = exact.peak_bin, exact.exponent

    def clear(self) -> None:
        """Become the spectrum of a constant stream."""
        self._exact.clear()
        self._take()

    def compute(self, z, shift: int) -> None:
        """Become the exact spectrum of samples z.

        Raises:
            OnebyteError: GOLDEN_MISMATCH: ulab's is another one.
        """
        same = array("h", z)  # the exact one weighs in place
        self._exact.compute(z, shift)
        self._fast.compute(same, shift)
        self._take()
        share, total = differences(self._exact, self._fast)
        if share > SHARE_LIMIT or total > TOTAL_LIMIT:
            raise errors.OnebyteError(
                errors.GOLDEN_MISMATCH,
                "ulab: share of a bin off by %d, total by %d" % (share, total),
            )


def differences(exact, fast) -> tuple:
    """Return the largest difference of a bin's share, and that of the total power.

    Args:
        exact: obtwin_spectrum.Spectrum.
        fast: UlabSpectrum of the same samples.
    """
    whole, other = exact.total + exact.band(0, 0), fast.total + fast.band(0, 0)
    worst = 0
    for k in range(exact.n_bins + 1):
        one = share_q15(exact.band(k, k), whole)
        worst = max(worst, abs(one - share_q15(fast.band(k, k), other)))
    total = log2_scaled(exact.total, exact.exponent) - log2_scaled(fast.total, fast.exponent)
    return worst, abs(total)
