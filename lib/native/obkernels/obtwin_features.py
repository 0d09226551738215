"""The feature program in Python: the bit-exact twin of lib/native/kernels/program.c.

It serves where no native module exists, and as the second opinion of the tests. It is clear rather
than fast: a window costs milliseconds on a PC.
"""

from array import array

import obtwin_signal as signal
import obtwin_streams as streams_of
from obtwin_math import log2_scaled, share_q15
from obtwin_scaling import Scaled
from obtwin_spectrum import Spectrum
from obtwin_stats import Stats

_MAGNITUDE = 64
_DIFF = 65
_QUANTILE = 13
_AUTOCORR_LAG = 18
_AUTOCORR_PEAK = 19
_FIRST_SPECTRAL = 20
_BAND_ENERGY = 20
_BAND_SHARE = 21
_CENTROID = 22
_PEAK_BIN = 23
_GOERTZEL = 24
_CUSTOM = 26
_MOMENTS_BYTES = 32


def work_bytes(n_channels: int, window: int, streams, program, fft_log2: int) -> int:
    """Return the work memory that the native kernels need, so that both ask for the same."""
    n_streams = n_channels + len(streams)
    stream_bytes = (2 * window + 7) & ~7
    size = n_streams * _MOMENTS_BYTES + ((2 * n_streams * window + 7) & ~7)
    if fft_log2:
        size += (((1 << fft_log2) // 2 + 1) * 4 + 7) & ~7
    sorts = correlates = False
    for feature in program:
        sorts = sorts or feature[0] == _QUANTILE
        correlates = correlates or feature[0] in (_AUTOCORR_LAG, _AUTOCORR_PEAK)
    return size + sorts * stream_bytes + correlates * stream_bytes


class Features:
    """Computes the features of one window after another.

    Args:
        n_channels: Channels of a row of the ring.
        window: Samples of a window.
        streams: A valid program's derived streams, (op, a, b, c) each.
        program: Its features, (op, stream, arg0, arg1, arg2) each.
        fft_log2: Logarithm of the FFT's length, 0 without.
        fft_window: 0 rectangular, 1 Hann.

    Attributes:
        spectrum: What computes power spectra; another one may take its place.
    """

    def __init__(
        self, n_channels: int, window: int, streams, program, fft_log2: int, fft_window: int
    ) -> None:
        n_streams = n_channels + len(streams)
        self.window = window
        self._derived = list(streams)
        self._program = list(program)
        self._x = [array("h", bytes(2 * window)) for _ in range(n_streams)]
        self._channels = self._x[:n_channels]
        self._groups = [self._x[base : base + 3] for base in range(n_streams)]
        self._stats = stats = Stats(self._x)
        self._scaled = Scaled(window)
        self.spectrum = Spectrum(window, fft_log2, fft_window == 1)
        self._spectrum_stream = -1
        self._goertzel = [
            signal.Goertzel(entry[2], window) if entry[0] == _GOERTZEL else None
            for entry in self._program
        ]
        self._plain = (
            None,
            stats.mean,
            stats.std,
            stats.rms,
            stats.min,
            stats.max,
            stats.p2p,
            stats.mad,
            stats.zero_crossings,
            stats.mean_crossings,
            self._skewness,
            self._kurtosis,
            stats.crest,
            stats.quantile,
            stats.energy,
            stats.share,
            stats.correlation,
            stats.tilt,
            self._autocorr_lag,
            self._autocorr_peak,
        )

    def into(self, ring, is_bytes: bool, rows: int, start_row: int, features) -> None:
        """Compute the features, array('h'), of the window at a row of the ring.

        Args:
            ring: rows x n_channels int16, row after row.
            is_bytes: The ring's elements are bytes, two a sample, low byte first.
            rows: Rows of the ring, at least a window.
            start_row: First row of the window, which wraps.
            features: Takes the result.
        """
        streams_of.deinterleave(ring, is_bytes, rows, start_row, self._channels)
        self._stats.reset()
        self._spectrum_stream = -1
        for i in range(len(self._derived)):
            self._derive(self._derived[i], len(self._channels) + i)
        for i in range(len(self._program)):
            entry = self._program[i]
            op = entry[0]
            if op < _FIRST_SPECTRAL:
                features[i] = self._plain[op](entry[1], entry[2], entry[3])
            elif op == _GOERTZEL:
                features[i] = self._power_at(entry[1], self._goertzel[i])
            elif op != _CUSTOM:
                features[i] = self._spectral(op, entry[1], entry[2], entry[3])

    def _derive(self, entry, stream: int) -> None:
        x = self._x
        a, b = entry[1], entry[2]
        if entry[0] == _MAGNITUDE:
            streams_of.magnitude(x[a], x[b], x[entry[3]], x[stream])
        elif entry[0] == _DIFF:
            streams_of.diff(x[a], x[stream])
        else:
            stats = self._stats
            streams_of.project(
                self._groups[a], stats.mean(b), stats.mean(b + 1), stats.mean(b + 2), x[stream]
            )

    def _skewness(self, stream: int, _0: int, _1: int) -> int:
        return signal.skewness(self._scaled.z) if self._scale_shape(stream) else 0

    def _kurtosis(self, stream: int, _0: int, _1: int) -> int:
        return signal.kurtosis(self._scaled.z) if self._scale_shape(stream) else 0

    def _scale_shape(self, stream: int) -> bool:
        stats = self._stats
        stats.sum(stream)
        if stats.v[stream] == 0:
            return False
        shift = signal.shape_shift(stats.v[stream], stats.n)
        self._scaled.scale(self._x[stream], stats.s1[stream], shift, 2047)
        return True

    def _scale_to(self, stream: int, size: int) -> bool:
        stats = self._stats
        stats.sum(stream)
        return self._scaled.scale_to(
            size, self._x[stream], stats.s1[stream], stats.low[stream], stats.high[stream]
        )

    def _autocorr_lag(self, stream: int, low: int, high: int) -> int:
        is_constant = not self._scale_to(stream, signal.autocorr_bits(self._stats.n))
        return low if is_constant else signal.best_lag(self._scaled.z, low, high)

    def _autocorr_peak(self, stream: int, low: int, high: int) -> int:
        lag = self._autocorr_lag(stream, low, high)
        return signal.autocorr_share(self._scaled.z, lag)

    def _power_at(self, stream: int, goertzel) -> int:
        if not self._scale_to(stream, goertzel.bits):
            return 0
        return goertzel.power(self._scaled.z, self._scaled.shift)

    def _spectral(self, op: int, stream: int, low: int, high: int) -> int:
        spectrum = self.spectrum
        if self._spectrum_stream != stream:
            self._spectrum_stream = stream
            if self._scale_to(stream, 14):
                spectrum.compute(self._scaled.z, self._scaled.shift)
            else:
                spectrum.clear()
        if op == _BAND_ENERGY:
            return log2_scaled(spectrum.band(low, high), spectrum.exponent)
        if op == _BAND_SHARE:
            return share_q15(spectrum.band(low, high), spectrum.total)
        if op == _CENTROID:
            return spectrum.centroid()
        if op == _PEAK_BIN:
            return spectrum.peak_bin
        return share_q15(spectrum.peak, spectrum.total)
