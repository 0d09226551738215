"""Power spectrum in Python: the twin of lib/native/kernels/fft.c and spectrum.c."""

from obtwin_math import QUARTER_SINE, bits, sin_q15

_HALVE_AT = 8192


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
        self._reverse_bits()
        span = 1
        halvings = 0
        if bits(n) & 1 == 0:  # an odd power of two
            halvings = 1 if self._size() >= _HALVE_AT else 0
            self._pass_of_pairs(halvings)
            span = 2
        while span < n:
            size = self._size()
            down = 2 if size >= _HALVE_AT else 1 if size >= _HALVE_AT // 2 else 0
            halvings += down
            for k in range(span):
                p = k
                while p < n:
                    self._butterfly(p, span, k * 256 // span, down + 2)
                    p += 4 * span
            span *= 4
        return halvings

    def _size(self) -> int:
        """Return the or of the sizes of all components."""
        size = 0
        for i in range(len(self.re)):
            re, im = self.re[i], self.im[i]
            size |= (re if re >= 0 else ~re) | (im if im >= 0 else ~im)
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

    def _pass_of_pairs(self, down: int) -> None:
        re, im = self.re, self.im
        for i in range(0, len(re), 2):
            ar = re[i] + down
            ai = im[i] + down
            br = re[i + 1]
            bi = im[i + 1]
            re[i] = (ar + br) >> down
            im[i] = (ai + bi) >> down
            re[i + 1] = (ar - br) >> down
            im[i + 1] = (ai - bi) >> down

    def _multiply(self, p: int, angle: int) -> None:
        """Multiply a point by 4 * exp(-j * angle / 1024 turns), floored."""
        sine = QUARTER_SINE[angle & 255]
        cosine = QUARTER_SINE[256 - (angle & 255)]
        if angle >= 512:
            sine = -sine
            cosine = -cosine
        elif angle >= 256:
            re = sine
            sine = cosine
            cosine = -re
        re = self.re[p]
        im = self.im[p]
        self.re[p] = (re * cosine + im * sine) >> 13
        self.im[p] = (im * cosine - re * sine) >> 13

    def _butterfly(self, p: int, span: int, angle: int, down: int) -> None:
        """Combine the points p, p + span, p + 2 * span, p + 3 * span."""
        re, im = self.re, self.im
        q = p + span
        r = q + span
        s = r + span
        self._multiply(r, angle)
        self._multiply(q, 2 * angle)
        self._multiply(s, 3 * angle)
        half = 1 << down >> 1
        ar = 4 * re[p] + half
        ai = 4 * im[p] + half
        ur = ar + re[q]
        ui = ai + im[q]
        vr = ar - re[q]
        vi = ai - im[q]
        tr = re[r] + re[s]
        ti = im[r] + im[s]
        wr = re[r] - re[s]
        wi = im[r] - im[s]
        re[p] = (ur + tr) >> down
        im[p] = (ui + ti) >> down
        re[r] = (ur - tr) >> down
        im[r] = (ui - ti) >> down
        re[q] = (vr + wi) >> down
        im[q] = (vi - wr) >> down
        re[s] = (vr - wi) >> down
        im[s] = (vi + wr) >> down


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
