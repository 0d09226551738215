"""The features' twin: the same bits on every runtime as the C kernels.

The C kernels compute CASE_CRCS in tests/native/test_features_twin.py.
"""

from array import array

from feature_programs import CASE_CRCS, case, crc_of
from obtwin_features import Features
from obtwin_math import bits, isqrt, log2_q8, log2_scaled, quotient, share_q15, sin_q15


def twin_of(seed):
    """Return the twin, the ring and room for the features of one case."""
    n_channels, window, streams, program, fft_log2, fft_window, samples = case(seed)
    twin = Features(n_channels, window, streams, program, fft_log2, fft_window)
    return twin, samples, array("h", bytes(2 * len(program)))


def test_features_have_the_bits_of_the_c_kernels():
    assert CASE_CRCS
    for i in range(len(CASE_CRCS)):
        twin, samples, features = twin_of(i + 1)
        twin.into(samples, False, twin.window, 0, features)
        assert crc_of(features) == CASE_CRCS[i], "case %d" % (i + 1)


def test_window_wraps_in_a_longer_ring():
    n_channels, window, streams, program, fft_log2, fft_window, samples = case(1)
    twin = Features(n_channels, window, streams, program, fft_log2, fft_window)
    features = array("h", bytes(2 * len(program)))
    rows = window + 5
    for start_row in (0, 3, 5, 6, window, rows - 1):
        ring = array("h", bytes(2 * rows * n_channels))
        for i in range(len(samples)):
            ring[(start_row * n_channels + i) % len(ring)] = samples[i]
        for is_bytes in (False, True):
            twin.into(bytes(ring) if is_bytes else ring, is_bytes, rows, start_row, features)
            assert crc_of(features) == CASE_CRCS[0], (start_row, is_bytes)


def test_second_window_does_not_remember_the_first():
    twin, samples, features = twin_of(2)
    other = array("h", [i * 7919 % 1000 for i in range(len(samples))])
    twin.into(other, False, twin.window, 0, features)
    twin.into(samples, False, twin.window, 0, features)
    assert crc_of(features) == CASE_CRCS[1]


def test_arithmetic_at_its_limits():
    assert [bits(v) for v in (0, 1, 255, 256, 1 << 50)] == [0, 1, 8, 9, 51]
    assert [isqrt(v) for v in (0, 1, 3, 4, (1 << 50) - 1, 1 << 50)] == [
        0, 1, 1, 2, (1 << 25) - 1, 1 << 25,
    ]  # fmt: skip
    assert [quotient(a, 4) for a in (-5, -4, -3, 3, 4, 5)] == [-1, -1, 0, 0, 1, 1]
    assert [log2_q8(v) for v in (0, 1, 2, 3, 1 << 40)] == [0, 0, 256, 384, 40 * 256]
    assert log2_scaled(1, -1) == 0 and log2_scaled(1, 200) == 32767
    assert share_q15(0, 0) == 0 and share_q15(1 << 52, 1 << 52) == 32767
    assert share_q15(1 << 51, 1 << 52) == 16383
    assert [sin_q15(p) for p in (0, 16384, 32768, 49152, 65536)] == [0, 32768, 0, -32768, 0]


def test_every_op_is_used_by_the_cases():
    ops = {entry[0] for i in range(len(CASE_CRCS)) for entry in case(i + 1)[3]}
    assert ops == set(range(1, 26))
    streams = {entry[0] for i in range(len(CASE_CRCS)) for entry in case(i + 1)[2]}
    assert streams == {64, 65, 66}
