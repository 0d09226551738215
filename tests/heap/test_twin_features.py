"""The features' twin allocates nothing where small integers hold 63 bits."""

from array import array

from check import heap_lock
from feature_programs import CASE_CRCS, case, crc_of
from obtwin_features import Features


def test_features_do_not_allocate():
    lock, unlock = heap_lock()
    for seed in (1, 2, 3, 4, 5, 6):
        n_channels, window, streams, program, fft_log2, fft_window, samples = case(seed)
        twin = Features(n_channels, window, streams, program, fft_log2, fft_window)
        features = array("h", bytes(2 * len(program)))
        lock()
        try:
            twin.into(samples, False, window, 0, features)
        finally:
            unlock()
        assert crc_of(features) == CASE_CRCS[seed - 1]
