"""SensorWatch against the definitions written out."""

from array import array

from formats import result
from pipeline.faults import SensorWatch

_PERIOD = 1 << 30


def _ring(rows, n_channels, value):
    return array("h", [value(r, c) for r in range(rows) for c in range(n_channels)])


def test_silent_fires_once_for_each_interval():
    watch = SensorWatch(1, 8, 1000)
    assert not watch.silent(0, 5), "the first call starts the clock"
    assert not watch.silent(0, 1005)
    assert watch.silent(0, 1006)
    assert not watch.silent(0, 2006)
    assert watch.silent(0, 2007)
    assert not watch.silent(3, 9000)
    assert not watch.silent(0, 10000)
    assert watch.silent(0, 10001)


def test_silent_survives_the_wrap_of_the_ticks():
    watch = SensorWatch(1, 8, 1000)
    watch.silent(1, _PERIOD - 10)
    assert not watch.silent(0, 500)
    assert watch.silent(0, 991)


def test_good_window_has_no_fault():
    watch = SensorWatch(2, 8, 1000)
    ring = _ring(12, 2, lambda r, c: r * 3 + c)
    for start in range(12):
        assert watch.window_fault(ring, start) == -1


def test_stuck_needs_every_channel_of_the_whole_window():
    watch = SensorWatch(3, 8, 1000)
    for start in range(11):
        ring = _ring(11, 3, lambda r, c: 40 + c)
        assert watch.window_fault(ring, start) == result.SENSOR_STUCK
        for row in range(11):
            for channel in range(3):
                ring = _ring(11, 3, lambda r, c: 40 + c)
                ring[row * 3 + channel] += 1
                inside = (row - start) % 11 < 8
                expected = -1 if inside else result.SENSOR_STUCK
                assert watch.window_fault(ring, start) == expected


def test_saturated_counts_the_worst_channel_of_the_window():
    window, rows = 20, 31
    watch = SensorWatch(2, window, 1000, saturated_permille=100)
    for limit in (-32768, 32767):
        for count in range(5):
            for start in (0, 7, 15, 30):
                ring = _ring(rows, 2, lambda r, c: r + c)
                for i in range(count):
                    ring[(start + 3 * i) % rows * 2 + 1] = limit
                # Rows outside the window do not count.
                ring[(start + window) % rows * 2 + 1] = limit
                expected = result.SENSOR_SATURATED if count * 1000 > 100 * window else -1
                assert watch.window_fault(ring, start) == expected


def test_limits_are_configurable():
    watch = SensorWatch(1, 8, 1000, 0, -2048, 2047)
    ring = _ring(8, 1, lambda r, c: 2046 - r)
    assert watch.window_fault(ring, 0) == -1
    ring[3] = 2047
    assert watch.window_fault(ring, 0) == result.SENSOR_SATURATED
    never = SensorWatch(1, 8, 1000, 1000, -2048, 2047)
    ring = _ring(8, 1, lambda r, c: 3000 + r)
    assert never.window_fault(ring, 0) == -1
