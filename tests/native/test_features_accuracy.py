"""The integer features against float definitions, with the tolerance of each.

A tolerance is in units of the feature's last place unless it says relative.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from feature_programs import fft_log2_for, section

from onebyte import kernels

WINDOWS = (8, 50, 100, 128, 250, 256, 777, 1024)


def signals(n: int) -> Iterator[np.ndarray]:
    """Yield int16 streams of every kind and amplitude that sensors deliver."""
    rng = np.random.default_rng(n)
    t = np.arange(n)
    for size in (0.7, 3, 40, 300, 4000, 9000):
        frequency = rng.uniform(0.01, 0.49)
        sine = 3 * size * np.sin(2 * np.pi * frequency * t + 1)
        floats = [
            rng.normal(0, size, n),
            rng.normal(rng.uniform(-20000, 20000), size, n),
            rng.laplace(0, size, n),
            rng.exponential(size, n),
            sine + rng.uniform(-5000, 5000),
            sine + rng.normal(0, size / 10, n),
            3 * size * (t * frequency % 1 - 0.5),
        ]
        for x in floats:
            x16 = np.clip(np.rint(x), -32768, 32767).astype(np.int16)
            if x16.min() != x16.max():
                yield x16


def cases() -> Iterator[tuple[int, np.ndarray]]:
    for n in WINDOWS:
        for x in signals(n):
            yield n, x


def compute(x: np.ndarray, *program: tuple, hann: int = 0) -> list[int]:
    """Return features of one stream, or of several given as columns."""
    columns = x[:, None] if x.ndim == 1 else x
    entries = [(*entry, 0, 0, 0, 0)[:5] for entry in program]
    data = section([], entries, fft_log2_for(len(x)), hann)
    return kernels.features(data, columns[None])[0].tolist()


def log2_q8(power: float) -> float:
    """Return the logarithm as the kernels define it: straight lines between powers of two."""
    if power < 1:
        return 0.0
    exponent = np.floor(np.log2(power))
    return float(256 * (exponent + power / 2**exponent - 1))


def test_statistics():
    for n, x in cases():
        exact = x.astype(float)
        got = compute(x, *((op, 0) for op in range(1, 10)))
        std, step = exact.std(), np.abs(np.diff(exact)).mean()
        expected = [exact.mean(), std, np.sqrt((exact**2).mean()), x.min(), x.max()]
        expected += [(exact.max() - exact.min()) / 2, step / 2]
        for value, reference in zip(got[:7], expected, strict=True):
            assert abs(value - reference) <= 1, n
        mean = int(exact.mean())
        assert got[7] == np.count_nonzero(np.diff(x < 0))
        assert got[8] == np.count_nonzero(np.diff(x < mean))


def test_quantiles_are_exact():
    for n, x in cases():
        levels = (0, 1, 64, 100, 128, 192, 255, 256)
        expected = [np.sort(x)[round(q * (n - 1) / 256 + 1e-9)] for q in levels]
        assert compute(x, *((13, 0, q) for q in levels)) == expected


def test_shape():
    """Skewness within 8 + 4 %, kurtosis within 1.5 % of the float moments."""
    for n, x in cases():
        d = x - x.mean()
        variance = (d**2).mean()
        skewness = 256 * (d**3).mean() / variance**1.5
        kurtosis = 256 * (d**4).mean() / variance**2
        got = compute(x, (10, 0), (11, 0))
        assert abs(got[0] - skewness) < 8 + 0.04 * abs(skewness), n
        assert abs(got[1] - kurtosis) < 1 + 0.015 * kurtosis, n


def test_crest():
    """Within what the truncation of mean and std allows."""
    for n, x in cases():
        std = x.astype(float).std()
        if std >= 20:
            crest = 256 * np.abs(x - x.mean()).max() / std
            assert compute(x, (12, 0))[0] == pytest.approx(crest, rel=1.5 / std, abs=1.5), n


def test_energy():
    for n, x in cases():
        power = n**2 * x.astype(float).var()
        assert abs(compute(x, (14, 0))[0] - log2_q8(power)) <= 1


@pytest.mark.parametrize("n", WINDOWS)
def test_groups(n):
    """Shares and correlation within 5 of 32767; tilt within the truncation of the means."""
    rng = np.random.default_rng(n)
    for size in (2, 50, 1000, 10000):
        common = rng.normal(0, size, n)
        gains = rng.uniform(-1, 1, 4)
        x = common[:, None] * gains + rng.normal(0, size / 3, (n, 4)) + rng.uniform(-9e3, 9e3, 4)
        x = np.clip(x, -32768, 32767).astype(np.int16)
        program = [(15, 1, 0, 4), (16, 0, 1), (16, 2, 3), (16, 3, 3), (17, 1, 0)]
        share, first, second, itself, tilt = compute(x, *program)
        exact = x.astype(float)
        variances = exact.var(axis=0)
        assert abs(share - 32767 * variances[1] / variances.sum()) < 5
        for value, (a, b) in ((first, (0, 1)), (second, (2, 3))):
            correlation = np.corrcoef(exact[:, a], exact[:, b])[0, 1]
            assert abs(value - 32767 * correlation) < 5
        assert itself == 32767
        means = exact.mean(axis=0)[:3]
        length = np.linalg.norm(means)
        assert abs(tilt - 32767 * means[1] / length) < 2 + 3 * 32767 / length


def test_autocorrelation():
    """The lag's r(k) is within 1e-4 of the best, the peak within 12 of 32767."""
    for n, x in cases():
        low, high = max(1, n // 20), n // 2
        lag, peak = compute(x, (18, 0, low, high), (19, 0, low, high))
        d = x - x.mean()
        shares = np.correlate(d, d, "full")[n - 1 :] / (d @ d)
        best = shares[low : high + 1].max()
        assert low <= lag <= high
        assert shares[lag] >= best - 1e-4
        assert abs(peak - 32767 * best) < 12


@pytest.mark.parametrize("hann", [0, 1])
def test_spectral_features(hann):
    """Shares within 8 of 32767, energies within 8 (3 %), the centroid within 1/16 bin."""
    for n, x in cases():
        half = 1 << fft_log2_for(n) >> 1
        program = [(20, 0, 0, half), (20, 0, 1, half // 4), (21, 0, 1, half // 4)]
        got = compute(x, *program, (22, 0), (23, 0), (25, 0), hann=hann)
        weights = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n) if hann else np.ones(n)
        power = np.abs(np.fft.rfft((x - x.mean()) * weights, 2 * half)) ** 2
        total, band = power[1:].sum(), power[1 : half // 4 + 1].sum()
        assert abs(got[0] - log2_q8(power.sum())) < 8
        if band > total / 1000:
            assert abs(got[1] - log2_q8(band)) < 8
        assert abs(got[2] - 32767 * band / total) < 8
        assert abs(got[3] - 32 * (power[1:] @ np.arange(1, half + 1)) / total) < 2
        assert power[got[4]] >= power[1:].max() * 0.999
        assert abs(got[5] - 32767 * power[1:].max() / total) < 8


def test_goertzel_is_the_fourier_sum():
    """Within 12 (4.7 %) where the frequency holds over 1 % of the power, over all frequencies."""
    rng = np.random.default_rng(0)
    n_strong = 0
    for n, x in cases():
        d = x - x.mean()
        n_fft = 1 << fft_log2_for(n)
        strongest = int(np.argmax(np.abs(np.fft.rfft(d, n_fft))[1:-1]) + 1) * (65536 // n_fft)
        for frequency in (strongest, *rng.integers(1, 32768, 4).tolist()):
            turn = 2j * np.pi * frequency / 65536 * np.arange(n)
            power = np.abs(d @ np.exp(-turn)) ** 2
            if power > (d @ d) * n / 100:
                n_strong += 1
                assert abs(compute(x, (24, 0, frequency))[0] - log2_q8(power)) < 12
    assert n_strong > 300


def test_goertzel_of_pure_tones():
    """Within 3 (1.2 %) at every octave of the frequency range, windows of 64..1024."""
    for n in (64, 256, 1024):
        for frequency in (65536 // n * 2, 1024, 2048, 8192, 16000, 16384, 17000, 24576, 31000):
            tone = 12000 * np.sin(2 * np.pi * frequency / 65536 * np.arange(n) + 0.3)
            x = np.rint(tone).astype(np.int16)
            turn = 2j * np.pi * frequency / 65536 * np.arange(n)
            power = np.abs((x - x.mean()) @ np.exp(-turn)) ** 2
            assert abs(compute(x, (24, 0, frequency))[0] - log2_q8(power)) < 3


@pytest.mark.parametrize(("log2", "least_db"), [(5, 68), (7, 64), (8, 61), (9, 58)])
def test_fft_signal_to_noise(log2, least_db):
    rng = np.random.default_rng(log2)
    n = 1 << log2
    turn = 2 * np.pi * 0.1234 * np.arange(n)
    tone = np.rint(16000 * np.stack([np.cos(turn), np.sin(turn)], axis=1))
    for points in (tone, rng.integers(-16383, 16384, (n, 2))):
        out, exponent = kernels.fft(points.astype(np.int16))
        exact = np.fft.fft(points[:, 0] + 1j * points[:, 1])
        error = (out[:, 0] + 1j * out[:, 1]) * 2.0**exponent - exact
        assert 10 * np.log10((np.abs(exact) ** 2).sum() / (np.abs(error) ** 2).sum()) > least_db


@pytest.mark.parametrize(("fft_log2", "least_db"), [(8, 68), (10, 66)])
def test_real_spectrum_signal_to_noise(fft_log2, least_db):
    n = 1 << fft_log2
    x = np.random.default_rng(fft_log2).normal(0, 3000, n).astype(np.int16)
    powers, exponent = kernels.power_spectrum(x, fft_log2)
    exact = np.abs(np.fft.rfft(x - x.mean()))
    error = exact - np.sqrt(powers * 2.0**exponent)
    assert 10 * np.log10((exact**2).sum() / (error**2).sum()) > least_db


def test_derived_streams():
    """Magnitude, difference and projection within one count of their halves."""
    rng = np.random.default_rng(3)
    offsets = np.array([9000, -4000, 12000, 0, 0, 0])
    x = (rng.normal(0, 3000, (100, 6)) + offsets).astype(np.int16)
    streams = [(64, 0, 1, 2), (65, 3, 0, 0), (66, 3, 0, 0)]
    program = [(op, stream, 0, 0, 0) for stream in (6, 7, 8) for op in (4, 5, 1)]
    got = kernels.features(section(streams, program), x[None])[0].reshape(3, 3)
    exact = x.astype(float)
    gravity = exact[:, :3].mean(axis=0)
    diff = np.diff(exact[:, 3]) / 2
    expected = [
        np.linalg.norm(exact[:, :3], axis=1) / 2,
        np.concatenate([diff[:1], diff]),
        exact[:, 3:] @ gravity / np.linalg.norm(gravity) / 2,
    ]
    for values, stream in zip(got, expected, strict=True):
        assert np.abs(values - [stream.min(), stream.max(), stream.mean()]).max() < 2
