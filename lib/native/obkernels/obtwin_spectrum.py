"""Power spectrum in Python: the twin of lib/native/kernels/fft.c and spectrum.c."""

from obtwin_math import QUARTER_SINE, bits, sin_q15

_HALVE_AT = 8192


def _size(value: int) -> int:
    return value if value >= 0 else ~value


class Fft:
    """Complex FFT of 2^k points in place, k >= 2, block floating point.

    Attributes:
        re, im: The components of the points, lists.
    """

    def __init__(self, n: int) -> None:
        self.re = [0] * n
        self.im = [0] * n

    def transform(self) -> int:
        """Transform the points; the transform is re + j im times 2^(returned)."""
        n = len(self.re)
        size = 0
        for i in range(n):
            size |= _size(self.re[i]) | _size(self.im[i])
        halvings = 2 if size >= _HALVE_AT else 1 if size >= _HALVE_AT // 2 else 0
        self._reverse_bits()
        size = 0
        for i in range(0, n, 4):
            size |= self._first_passes(i, halvings)
        span = 4
        while span < n:
            halve = 1 if size >= _HALVE_AT else 0
            halvings += halve
            size = self._pass(span, 15 + halve)
            span *= 2
        return halvings

    def _pass(self, span: int, down: int) -> int:
        size = 0
        n = len(self.re)
        for k in range(span // 2):
            sine = QUARTER_SINE[k * 512 // span]
            cosine = QUARTER_SINE[256 - k * 512 // span]
            # a range with a step that is no constant would be an object on the heap
            p = k
            while p < n:
                size |= self._butterfly(p, p + span, cosine, sine, down)
                p += span // 2
                size |= self._butterfly(p, p + span, -sine, cosine, down)
                p += 2 * span - span // 2
        return size

    def _reverse_bits(self) -> None:
        re, im = self.re, self.im
        n = len(re)
        j = 0
        for i in range(1, n):
            bit = n >> 1
            while j & bit:
                j ^= bit
                bit >>= 1
            j ^= bit
            if i < j:
                value = re[i]
                re[i] = re[j]
                re[j] = value
                value = im[i]
                im[i] = im[j]
                im[j] = value

    def _first_passes(self, i: int, down: int) -> int:
        """Transform the four points from i on; return the or of their sizes."""
        re, im = self.re, self.im
        half = 1 << down >> 1
        ar = re[i] + re[i + 1] + half
        ai = im[i] + im[i + 1] + half
        br = re[i] - re[i + 1] + half
        bi = im[i] - im[i + 1] + half
        cr = re[i + 2] + re[i + 3]
        ci = im[i + 2] + im[i + 3]
        dr = re[i + 2] - re[i + 3]
        di = im[i + 2] - im[i + 3]
        re[i] = (ar + cr) >> down
        im[i] = (ai + ci) >> down
        re[i + 1] = (br + di) >> down
        im[i + 1] = (bi - dr) >> down
        re[i + 2] = (ar - cr) >> down
        im[i + 2] = (ai - ci) >> down
        re[i + 3] = (br - di) >> down
        im[i + 3] = (bi + dr) >> down
        size = 0
        for k in range(i, i + 4):
            size |= _size(re[k]) | _size(im[k])
        return size

    def _butterfly(self, p: int, q: int, cosine: int, sine: int, down: int) -> int:
        """Combine points p and q; return the or of their sizes."""
        re, im = self.re, self.im
        half = 1 << (down - 1)
        tr = re[q] * cosine + im[q] * sine
        ti = im[q] * cosine - re[q] * sine
        pr = re[p] * 32768 + half
        pi = im[p] * 32768 + half
        re[p] = (pr + tr) >> down
        im[p] = (pi + ti) >> down
        re[q] = (pr - tr) >> down
        im[q] = (pi - ti) >> down
        return _size(re[p]) | _size(im[p]) | _size(re[q]) | _size(im[q])


class Spectrum:
    """The spectrum of one stream after another.

    Attributes:
        power: Powers of bins 0..N/2.
        n_bins: N/2.
        total: Power of bins 1..N/2.
        peak, peak_bin: The largest of them, and the lowest bin with it.
        exponent: The true power is power * 2^exponent.
    """

    def __init__(self, window: int, fft_log2: int, is_hann: bool) -> None:
        self.n_bins = (1 << fft_log2) >> 1
        self.power = [0] * (self.n_bins + 1)
        self._fft = Fft(self.n_bins)
        self._window = window
        self._is_hann = is_hann
        self.total = self.peak = self.exponent = 0
        self.peak_bin = 1

    def clear(self) -> None:
        """Become the spectrum of a constant stream."""
        for k in range(self.n_bins + 1):
            self.power[k] = 0
        self._sum_up(0)

    def compute(self, z, shift: int) -> None:
        """Become the spectrum of samples z, array('h') of 14 bits, scaled by 2^shift.

        Overwrites z with its windowed samples.
        """
        if self._is_hann:
            self._apply_hann(z)
        re, im = self._fft.re, self._fft.im
        for j in range(self.n_bins):
            re[j] = z[2 * j] if 2 * j < self._window else 0
            im[j] = z[2 * j + 1] if 2 * j + 1 < self._window else 0
        halvings = self._fft.transform()
        self._split()
        self._sum_up(2 * (halvings - shift))

    def _apply_hann(self, z) -> None:
        n = self._window
        step = 0xFFFFFFFF // n
        for i in range(n // 2 + 1):
            phase = (step * i + 32768) >> 16
            weight = (32769 - sin_q15(phase + 16384)) >> 1
            z[i] = (z[i] * weight + 16384) >> 15
            if i and n - i != i:
                z[n - i] = (z[n - i] * weight + 16384) >> 15

    def _split(self) -> None:
        """Set the powers of the real spectrum from the complex one."""
        re, im = self._fft.re, self._fft.im
        power, m = self.power, self.n_bins
        power[0] = (re[0] + im[0]) * (re[0] + im[0])
        power[m] = (re[0] - im[0]) * (re[0] - im[0])
        for k in range(1, m // 2 + 1):
            er = re[k] + re[m - k]
            ei = im[k] - im[m - k]
            our = im[k] + im[m - k]
            oui = re[m - k] - re[k]
            sine = QUARTER_SINE[k * 512 // m]
            cosine = QUARTER_SINE[256 - k * 512 // m]
            tr = (cosine * our + sine * oui + 16384) >> 15
            ti = (cosine * oui - sine * our + 16384) >> 15
            ur = (er + tr + 1) >> 1
            ui = (ei + ti + 1) >> 1
            vr = (er - tr + 1) >> 1
            vi = (ei - ti + 1) >> 1
            power[k] = ur * ur + ui * ui
            power[m - k] = vr * vr + vi * vi

    def _sum_up(self, exponent: int) -> None:
        self.exponent = exponent
        self.total = self.band(1, self.n_bins)
        self.peak = 0
        self.peak_bin = 1
        for k in range(1, self.n_bins + 1):
            if self.power[k] > self.peak:
                self.peak = self.power[k]
                self.peak_bin = k

    def band(self, low: int, high: int) -> int:
        """Return the power of bins low..high."""
        total = 0
        for k in range(low, high + 1):
            total += self.power[k]
        return total

    def centroid(self) -> int:
        """Return the power-weighted mean bin, Q5."""
        cut = bits(self.total) - 22
        total = weighted = 0
        for k in range(1, self.n_bins + 1):
            power = self.power[k] >> cut if cut >= 0 else self.power[k] << -cut
            total += power
            weighted += k * power
        return weighted // ((total + 16) >> 5) if total else 0
