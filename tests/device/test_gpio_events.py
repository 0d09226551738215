"""Counts of a pin's edges and its level, interval by interval, also while the loop blocks."""

from array import array

import micropython
from check import Random, raises_kind
from i2c_chips import Time

from drivers.gpio_events import EventCounts, PinLevel

_PERIOD_US = 100000  # 10 Hz


def _read_all(source):
    ring = array("h", bytes(2 * 100))
    found = []
    while True:
        n_rows = source.read_into(ring, 0, 100)
        if not n_rows:
            return found
        found += list(ring[:n_rows])


def test_counts_of_each_interval():
    random = Random(11)
    time = Time()
    source = EventCounts(time.ticks_us, 10, 50)
    assert (source.n_channels, source.rate_mhz, source.lsb_nano) == (1, 10000, (1000000000,))
    expected = []
    found = []
    for turn in range(400):
        n_edges = random.below(5) if random.below(3) else 0
        for _ in range(n_edges):
            source.edge(None)
        expected.append(n_edges)
        time.us += _PERIOD_US
        source.tick(None)
        if turn % 40 == 39:  # the loop blocks for 4 s
            found += _read_all(source)
    assert found == expected
    assert sum(found) > 300
    assert (source.overruns, source.gaps) == (0, 0)


def test_no_event_is_lost_between_two_intervals():
    time = Time()
    source = EventCounts(time.ticks_us, 10, 50)
    source.tick()
    source.edge()
    time.us += _PERIOD_US
    source.tick()
    time.us += _PERIOD_US
    source.tick()
    assert _read_all(source) == [0, 1, 0]


def test_a_storm_of_edges_stays_in_range():
    source = EventCounts(Time().ticks_us, 10, 50)
    for _ in range(40000):
        source.edge()
    source.tick()
    assert _read_all(source) == [32767]


def test_level_of_either_polarity():
    time = Time()
    pin = [0]
    for active in (1, 0):
        source = PinLevel(lambda: pin[0], time.ticks_us, 10, 50, active)
        assert source.rate_mhz == 10000
        expected = []
        for i in range(30):
            pin[0] = 1 if i % 7 < 3 else 0
            expected.append(1 if pin[0] == active else 0)
            time.us += _PERIOD_US
            source.tick()
        assert _read_all(source) == expected


def test_a_full_ring_is_an_overrun():
    time = Time()
    source = EventCounts(time.ticks_us, 10, 20)
    for _ in range(21):
        source.edge()
        time.us += _PERIOD_US
        source.tick()
    assert _read_all(source) == []
    assert source.overruns == 1
    time.us += _PERIOD_US
    source.tick()
    assert _read_all(source) == [0]


def test_refuses_rates():
    raises_kind(ValueError, EventCounts, None, 0, 5)
    raises_kind(ValueError, PinLevel, None, None, 20000, 5)


def test_neither_edge_nor_tick_nor_read_allocates():
    time = Time()
    source = EventCounts(time.ticks_us, 10, 20)
    level = PinLevel(_one, time.ticks_us, 10, 20)
    edge, tick, level_tick = source.edge, source.tick, level.tick
    ring = array("h", bytes(40))
    n_rows = 0
    micropython.heap_lock()
    try:
        for _ in range(100):
            edge(None)
            time.us += _PERIOD_US
            tick(None)
            level_tick(None)
            n_rows += source.read_into(ring, 0, 20) + level.read_into(ring, 0, 20)
    finally:
        micropython.heap_unlock()
    assert n_rows == 200


def _one():
    return 1
