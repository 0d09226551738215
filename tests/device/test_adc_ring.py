"""The analog source and the ring that a timer fills, against the numbers of its samples.

The loop may block for as many rows as the board gives the ring: 650 rows bear 2 s at 300 Hz.
"""

from array import array

import micropython
from check import Random, raises_kind
from fifo_checks import GUARD
from i2c_chips import Time

from app.config import Config
from app.sensing import Sensing
from drivers.adc_ring import AdcRing
from formats import result


class _World:
    """An ADC whose n-th reading is 13 * n, a timer, and the ring between them."""

    def __init__(self, rate_hz=300, n_rows=650):
        self.time = Time()
        self.n = 0
        self.source = AdcRing(self.read_u16, self.time.ticks_us, rate_hz, n_rows)
        self.tick = self.source.tick
        self.period_us = 1000000 // rate_hz
        self.ring = array("h", bytes(2 * 60))

    def read_u16(self):
        value = 13 * self.n & 0xFFFF
        self.n += 1
        return value

    def run(self, n_ticks):
        """Ticks at their time."""
        for _ in range(n_ticks):
            self.time.us += self.period_us
            self.tick(None)

    def read(self, max_rows=50):
        """Return what came, having looked that nothing is written around it."""
        for i in range(60):
            self.ring[i] = GUARD
        n_rows = self.source.read_into(self.ring, 1, max_rows)
        assert self.ring[0] == GUARD and set(self.ring[1 + max_rows :]) == {GUARD}
        return list(self.ring[1 : 1 + n_rows])


def _expected(first, count):
    return [(13 * n & 0xFFFF) - 32768 for n in range(first, first + count)]


def test_every_sample_comes_once_and_in_order():
    random = Random(3)
    world = _World(n_rows=40)
    found = []
    for _ in range(300):
        world.run(random.below(14))
        found += world.read(random.between(1, 30))
        if random.below(4) == 0:
            found += world.read() + world.read()
    assert len(found) > 1500
    assert found == _expected(0, len(found))
    assert (world.source.overruns, world.source.gaps) == (0, 0)


def test_the_ring_holds_what_it_says():
    world = _World(n_rows=40)
    world.run(40)
    assert world.read() == _expected(0, 40)
    assert world.source.overruns == 0


def test_a_full_ring_is_an_overrun_and_starts_anew():
    for more in (1, 2, 500):
        world = _World(n_rows=40)
        world.run(40 + more)
        assert world.read() == []
        assert world.source.overruns == 1
        world.run(10)
        assert world.read() == _expected(40 + more, 10)
        assert (world.source.overruns, world.source.gaps) == (1, 0)


def test_volts():
    assert _World().source.lsb_nano == (50354,)  # 3.3 V / 65536
    source = AdcRing(lambda: 65535, Time().ticks_us, 10, 5, 1.1)
    assert source.lsb_nano == (16784,)
    source.tick()
    ring = array("h", bytes(2))
    assert source.read_into(ring, 0, 1) == 1
    assert ring[0] == 32767, "the upper rail is what counts as saturated"


def test_rates():
    for rate_hz, rate_mhz in ((300, 300000), (0.1, 100), (0.01, 10), (10000, 10000000)):
        assert AdcRing(None, None, rate_hz, 5).rate_mhz == rate_mhz
    for rate_hz, n_rows in ((0, 5), (-1, 5), (10001, 5), (10, 0)):
        raises_kind(ValueError, AdcRing, None, None, rate_hz, n_rows)


def test_ticks_that_come_late_or_in_a_hurry_are_a_gap():
    for late_us in (4 * 3333, 400000):
        for catches_up in (False, True):
            world = _World()
            world.run(20)
            world.time.us += late_us
            if catches_up:
                for _ in range(5):
                    world.time.us += 20
                    world.tick(None)
            else:
                world.tick(None)
            assert world.read() == [], "rows across the gap"
            assert (world.source.overruns, world.source.gaps) == (0, 1)
            first = world.n
            world.run(10)
            if catches_up:
                assert world.source.gaps == 1
            found = world.read()
            assert found == _expected(first, 10)
            assert world.source.gaps == 1


def test_jitter_is_no_gap():
    random = Random(5)
    world = _World()
    for i in range(1, 400):
        world.time.us = i * 3333 + random.below(1600)
        world.tick(None)
    assert world.read() == _expected(0, 50)
    assert world.source.gaps == 0


def test_the_clock_may_wrap():
    world = _World()
    world.time.us = (1 << 30) - 20000
    world.run(30)
    assert world.read() == _expected(0, 30)
    assert world.source.gaps == 0


def test_an_interrupt_between_any_two_steps_of_a_read():
    """The timer ticks while the reader copies: at each access to the reader's ring."""

    class Interrupting:
        """A ring whose n-th write is interrupted by ticks."""

        def __init__(self, world, at, n_ticks):
            self.world = world
            self.at = at
            self.n_ticks = n_ticks
            self.values = []

        def __setitem__(self, i, value):
            if len(self.values) == self.at:
                self.world.run(self.n_ticks)
            self.values.append(value)

    for at in range(12):
        for n_ticks in (1, 3, 60):
            world = _World(n_rows=20)
            world.run(10)
            ring = Interrupting(world, at, n_ticks)
            assert world.source.read_into(ring, 0, 50) == 10
            assert ring.values == _expected(0, 10)
            after = world.read()
            if n_ticks < 10 or at >= 10:
                assert after == _expected(10, 0 if at >= 10 else n_ticks)
                assert world.source.overruns == 0
            else:
                assert after == [] and world.source.overruns == 1


def test_neither_tick_nor_read_allocates():
    world = _World()
    tick, time, source, ring = world.tick, world.time, world.source, world.ring
    source._read_u16 = _constant
    tick(None)
    n_rows = 0
    micropython.heap_lock()
    try:
        for i in range(3000):
            time.us += 3333 if i != 1500 else 50000
            tick(None)
            if i % 7 == 0 and not 100 < i < 1200:
                n_rows += source.read_into(ring, 0, 50)
    finally:
        micropython.heap_unlock()
    assert n_rows > 500
    assert (source.overruns, source.gaps) == (1, 1)


def _constant():
    return 40000


class _Info:
    n_channels = 1
    window = 150
    hop = 75
    n_features = 1
    n_classes = 2
    encoding = result.A
    k = n = 1
    min_confidence = 0
    novelty_threshold = 65535
    levels = (1, 2, 3, 4, 5, 6, 7)


class _Eye:
    """Stands in for the kernels' model: every window must hold consecutive samples."""

    def __init__(self):
        self.starts = []

    def features_into(self, ring, start_row, features):
        window = [ring[(start_row + i) % len(ring)] for i in range(150)]
        first = (window[0] + 32768) * 20165 & 0xFFFF  # 13 * 20165 is 1 modulo 65536
        assert window == _expected(first, 150), "window does not hold consecutive samples"
        self.starts.append(first)

    def predict_into(self, features, answer):
        answer[0], answer[1], answer[2] = 0, 255, 0


def _run_sensing(world, block_ms, spoil=None):
    """Run the real Sensing; the timer goes on while the network blocks. Return (eye, faults)."""
    values = {"tenant": "t", "device": "d", "broker_host": "b", "policy": "all"}
    eye = _Eye()
    sensing = Sensing(Config(values), world.source, _Info(), eye)
    faults = []
    for _ in range(5):
        for _ in range(600):
            world.run(1)
            if spoil:
                spoil(world)
            byte = sensing.step(world.time.ticks_ms())
            sensing.step(world.time.ticks_ms())
            if byte >= 0 and result.parse(result.A, byte)[3] >= 0:
                faults.append(result.parse(result.A, byte)[3])
        world.run(block_ms * 300 // 1000)
    return eye, faults


def test_sampling_while_the_network_blocks_for_2_s():
    world = _World()
    eye, faults = _run_sensing(world, 2000)
    assert faults == []
    assert (world.source.overruns, world.source.gaps) == (0, 0)
    assert len(eye.starts) > 60
    assert eye.starts == [75 * i & 0xFFFF for i in range(len(eye.starts))]


def test_a_block_beyond_the_ring_is_an_overrun():
    world = _World()
    eye, faults = _run_sensing(world, 3000)
    assert faults == [result.SENSOR_OVERRUN] * 4
    assert eye.starts


def test_planted_mistakes_are_caught():
    def lose(world):
        if world.n % 97 == 0:
            world.n += 1

    def double(world):
        if world.n % 97 == 0:
            world.n -= 1

    for spoil in (lose, double):
        error = raises_kind(AssertionError, _run_sensing, _World(), 0, spoil)
        assert "consecutive" in str(error)
