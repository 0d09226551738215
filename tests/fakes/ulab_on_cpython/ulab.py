"""ulab as a board has it, for CPython: its names, its results' shapes, its 32-bit floats.

It holds what obulab.py and the example in docs/CUSTOM_FEATURES.md use and no more, so that a test
fails when they use more. The FFT is ulab's algorithm: radix 2, the twiddle factors by a recurrence
in 32 bits.
"""

import numpy as _np

_F32 = _np.float32


class _Fft:
    @staticmethod
    def fft(values):
        """Return (re, im) of the transform of a float array whose length is a power of two."""
        n = len(values)
        assert n & (n - 1) == 0 and values.dtype == _F32, "ulab refuses other lengths"
        bits = n.bit_length() - 1
        order = [int(f"{i:0{bits}b}"[::-1], 2) for i in range(n)]
        re, im = values[order].copy(), _np.zeros(n, _F32)
        span = 1
        while span < n:
            _pass(re, im, span)
            span *= 2
        return re, im


def _pass(re, im, span):
    """Combine pairs that are `span` apart."""
    theta = _F32(-_np.pi / span)
    half = _np.sin(_F32(0.5) * theta)
    step_re, step_im = _F32(-2) * half * half, _np.sin(theta)
    w_re, w_im = _F32(1), _F32(0)
    for first in range(span):
        a = slice(first, len(re), 2 * span)
        b = slice(first + span, len(re), 2 * span)
        t_re, t_im = w_re * re[b] - w_im * im[b], w_re * im[b] + w_im * re[b]
        re[b], im[b] = re[a] - t_re, im[a] - t_im
        re[a] += t_re
        im[a] += t_im
        w_re, w_im = (
            w_re * step_re - w_im * step_im + w_re,
            w_im * step_re + w_re * step_im + w_im,
        )


class numpy:
    """The module ulab.numpy."""

    int16 = _np.int16
    fft = _Fft

    @staticmethod
    def array(values):
        """Return a float array."""
        return _np.array(list(values), _F32)

    @staticmethod
    def zeros(n):
        """Return a float array of zeros."""
        return _np.zeros(n, _F32)

    @staticmethod
    def frombuffer(buffer, dtype):
        """Return a view of a buffer."""
        return _np.frombuffer(buffer, dtype)

    @staticmethod
    def sum(values):
        """Return the sum, a float."""
        return float(_np.sum(values, dtype=_F32))

    @staticmethod
    def max(values):
        """Return the largest, a float."""
        return float(_np.max(values))

    @staticmethod
    def median(values):
        """Return the middle value, a float."""
        return float(_F32(_np.median(values)))

    @staticmethod
    def argmax(values):
        """Return the index of the first of the largest."""
        return int(_np.argmax(values))
