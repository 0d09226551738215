"""The replay driver against the rows of its recording."""

import io
from array import array

from check import raises
from fake_net import Clock

from drivers.replay import Replay
from formats import errors, recording


def _recording(rate_mhz, *segments, n_channels=2):
    file = io.BytesIO()
    rows = []
    for n_rows in segments:
        first = 100 * (len(rows) + 1)
        rows.append(array("h", [first + i for i in range(n_rows * n_channels)]))
    recording.write(file, n_channels, rate_mhz, rows)
    file.seek(0)
    return file, [list(samples) for samples in rows]


def _play(replay, max_rows, tick=None):
    """All segments as lists of samples, told apart by the driver's gaps."""
    ring = array("h", bytes(2 * replay.n_channels * (max_rows + 1)))
    segments = [[]]
    gaps = 0
    while not replay.done:
        if tick:
            tick()
        n_rows = replay.read_into(ring, 1, max_rows)
        assert 0 <= n_rows <= max_rows
        if replay.gaps != gaps:
            gaps += 1
            assert replay.gaps == gaps
            segments.append([])
        n = replay.n_channels
        segments[-1] += list(ring[n : n + n_rows * n])
        assert list(ring[:n]) == [0] * n, "written outside of its room"
    assert replay.read_into(ring, 1, max_rows) == 0
    return segments


def test_as_fast_as_asked_plays_everything():
    for max_rows in (1, 3, 5, 100):
        file, expected = _recording(50000, 5, 1, 12)
        replay = Replay(file, 0, Clock())
        assert (replay.n_channels, replay.rate_mhz) == (2, 50000)
        assert _play(replay, max_rows) == expected
        assert (replay.gaps, replay.overruns) == (2, 0)


def test_paced_by_the_clock():
    for speed in (1, 2, 0.5):
        file, _ = _recording(50000, 1000)
        clock = Clock()
        replay = Replay(file, speed, clock)
        ring = array("h", bytes(4000))
        assert replay.read_into(ring, 0, 1000) == 0
        played = 0
        for _ in range(70):
            clock.now += 7
            played += replay.read_into(ring, 0, 1000)
            assert played == int(clock.now * 50 * speed) // 1000


def test_paced_plays_everything_without_a_fifo():
    file, expected = _recording(50000, 30, 4, 12)
    clock = Clock()

    def tick():
        clock.now += 333

    replay = Replay(file, 1, clock)
    assert _play(replay, 5, tick) == expected
    assert replay.overruns == 0


def test_a_full_fifo_loses_the_oldest_rows_and_counts():
    file, expected = _recording(1000000, 100)
    clock = Clock()
    replay = Replay(file, 1, clock, 8)
    ring = array("h", bytes(400))
    replay.read_into(ring, 0, 100)
    clock.now += 8
    assert replay.read_into(ring, 0, 100) == 8
    assert replay.overruns == 0
    clock.now += 20
    assert replay.read_into(ring, 0, 5) == 5
    assert replay.overruns == 1
    assert list(ring[:10]) == expected[0][40:50]
    assert replay.read_into(ring, 0, 100) == 3
    assert list(ring[:6]) == expected[0][50:56]
    clock.now += 2000
    assert replay.read_into(ring, 0, 100) == 0
    assert (replay.overruns, replay.done) == (2, True)


def test_ticks_may_wrap():
    file, _ = _recording(1000000, 100)
    clock = Clock()
    clock.now = (1 << 30) - 5
    replay = Replay(file, 1, clock)
    ring = array("h", bytes(400))
    replay.read_into(ring, 0, 100)
    clock.now = 3
    assert replay.read_into(ring, 0, 100) == 8


def test_refuses_what_is_no_recording():
    raises(errors.RECORDING_MAGIC, Replay, io.BytesIO(b"x" * 40), 0, Clock())
