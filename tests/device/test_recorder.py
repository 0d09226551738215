"""From a source to lines: every row once, and what is lost is said with its place."""

import io
from array import array

from check import heap_lock, raises_kind

from app import record_stream
from app.recorder import Recorder
from formats import sample_block
from formats.errors import OnebyteError

INFO = b'{"n_channels":2}'


class Source:
    """A driver whose rows count up; each read brings what the script says."""

    n_channels = 2
    rate_mhz = 100000000  # a rest is a millisecond
    fifo_rows = 32
    samples_alone = True

    def __init__(self, script):
        self.script = list(script)
        self.overruns = 0
        self.gaps = 0
        self.next = 0

    @property
    def done(self):
        return not self.script

    def read_into(self, ring, row, max_rows):
        n_rows = self.script.pop(0) if self.script else 0
        if n_rows == "bus":
            raise OSError(5)
        if n_rows == "overrun":
            self.overruns += 1
            self.next += 50
            return 0
        if n_rows == "jump":
            self.gaps += 1
            self.next += 7
            n_rows = 3
        if n_rows > max_rows:
            self.script.insert(0, n_rows - max_rows)
            n_rows = max_rows
        for i in range(n_rows):
            ring[2 * (row + i)] = self.next & 0x7FFF
            ring[2 * (row + i) + 1] = -self.next & 0x7FFF
            self.next += 1
        return n_rows


class Ticks:
    """Microseconds that wrap as on the boards."""

    def __init__(self, start=0):
        self.now = start

    def __call__(self):
        self.now = (self.now + 10000) & 0x3FFFFFFF
        return self.now


def rows_of(block):
    kind, counter, body, end = sample_block.parse(block)
    assert kind == sample_block.SAMPLES and end == len(block)
    row, time_us, overruns, gaps, failures, n_channels, values = sample_block.parse_samples(body)
    assert n_channels == 2
    samples = array("h", values)
    assert all(-samples[i] & 0x7FFF == samples[i + 1] for i in range(0, len(samples), 2))
    firsts = [samples[i] for i in range(0, len(samples), 2)]
    return counter, row, time_us, (overruns, gaps, failures), firsts


def rows_in(blocks):
    return [row for block in blocks for row in block[4]]


def take_all(recorder):
    found = []
    while recorder.n_waiting:
        found.append(rows_of(recorder.take()))
    return found


def test_a_block_is_one_read_with_its_number_and_time():
    recorder = Recorder(Source([5, 0, 12, 300]), Ticks())
    reads = []
    while not recorder.is_over:
        reads.append(recorder.read())
    assert reads == [5, 0, 12] + [128, 128, 44]
    blocks = take_all(recorder)
    assert [block[0] for block in blocks] == [0, 1, 2, 3, 4]
    assert [block[1] for block in blocks] == [0, 5, 17, 145, 273]
    assert [block[2] for block in blocks] == [10000, 30000, 40000, 50000, 60000]
    assert rows_in(blocks) == list(range(317))
    assert recorder.take() == b""
    assert recorder.rows == 317 and recorder.dropped == 0


def test_time_goes_on_where_ticks_wrap():
    recorder = Recorder(Source([1] * 200), Ticks(0x3FFFFFFF - 500000))
    while not recorder.is_over:
        recorder.read()
        if recorder.n_waiting > 100:
            take_all(recorder)
    times = [block[2] for block in take_all(recorder)]
    assert times[-1] == 2000000
    assert all(times[i + 1] - times[i] == 10000 for i in range(len(times) - 1))


def test_time_goes_on_while_nothing_can_be_read():
    ticks = Ticks(0x3FFFFFFF - 1000000)
    recorder = Recorder(Source([1, "bus", "bus", 1, 1]), ticks)
    for pause_us in (0, 500000, 500000, 700000, 7900000):
        ticks.now += pause_us
        recorder.read()
    assert [block[2] for block in take_all(recorder)] == [10000, 1720000, 9630000]


def test_losses_of_the_driver_stand_in_the_block_behind_them():
    recorder = Recorder(Source([4, "overrun", 4, "jump", "bus", 4]), Ticks())
    while not recorder.is_over:
        recorder.read()
    blocks = take_all(recorder)
    assert [block[3] for block in blocks] == [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)]
    assert [block[1] for block in blocks] == [0, 4, 8, 11]
    assert recorder.losses == (1, 1, 1)


def test_what_finds_no_room_is_dropped_and_numbered():
    recorder = Recorder(Source([30] * 40), Ticks(), ring_bytes=4 * 600)
    for _ in range(30):
        recorder.read()
    assert (recorder.rows, recorder.dropped) == (900, 300)
    first = take_all(recorder)
    assert rows_in(first) == list(range(600))
    while not recorder.is_over:
        recorder.read()
    (_, row, _, _, values) = take_all(recorder)[0]
    assert row == 900 and values[0] == 900


def test_too_many_short_blocks_are_dropped_too():
    recorder = Recorder(Source([1] * 200), Ticks())
    while not recorder.is_over:
        recorder.read()
    assert (recorder.rows, recorder.dropped, recorder.n_waiting) == (200, 72, 128)


def test_the_ring_wraps_without_losing_a_row():
    recorder = Recorder(Source([7, 31, 1, 13] * 60), Ticks(), ring_bytes=4 * 130)
    seen = []
    while not recorder.is_over:
        recorder.read()
        if recorder.n_waiting > 5:
            seen += take_all(recorder)
    seen += take_all(recorder)
    assert recorder.dropped == 0
    rows = []
    for block in seen:
        assert block[1] == len(rows)
        rows += block[4]
    assert rows == [i & 0x7FFF for i in range(recorder.rows)]


def test_reading_allocates_nothing():
    lock, unlock = heap_lock()
    source = Source([30] * 3)
    source.read_into = lambda ring, row, max_rows: min(max_rows, 30)
    recorder = Recorder(source, lambda: 5, ring_bytes=4 * 50)
    lock()
    try:
        for _ in range(6):  # into the ring, around its end, and what finds no room
            recorder.read()
            recorder.rest_ms()
    finally:
        unlock()
    assert recorder.rows == 158 and recorder.dropped == 30


def test_the_rest_is_as_long_as_the_source_can_wait():
    source = Source([0] * 9)
    source.rate_mhz = 100000
    recorder = Recorder(source, Ticks())
    recorder.read()
    assert recorder.rest_ms() == 160  # half of its FIFO at 100 Hz
    source.fifo_rows = 255
    recorder.read()
    assert recorder.rest_ms() == 250
    source.script = ["bus"]
    recorder.read()
    assert recorder.rest_ms() == 500
    source.script = [40]
    recorder.read()
    assert recorder.rest_ms() == 0  # more may wait


class Console:
    """Takes pieces while it has room; asks to stop when the script says so."""

    def __init__(self, room, stop_after=None):
        self.out = io.BytesIO()
        self.looks = 0
        self._room = room
        self._stop_after = stop_after

    def has_room(self):
        self.looks += 1
        return self._room(self.looks)

    def is_stopped(self):
        return self._stop_after is not None and self.looks > self._stop_after

    def write(self, piece):
        assert len(piece) == 64
        self.out.write(piece)

    def lines(self):
        return self.out.getvalue().split(b"\n")


def parse_lines(console):
    blocks = []
    *lines, rest = console.lines()
    assert rest == b""
    for line in lines:
        blocks.append(sample_block.parse_line(line))
    return blocks


def test_a_stream_has_info_samples_and_an_end():
    recorder = Recorder(Source([30] * 5), Ticks())
    console = Console(lambda look: look % 3)
    assert record_stream.run(recorder, console, INFO) == sample_block.SOURCE_OVER
    blocks = parse_lines(console)
    kind, _, body, _ = sample_block.parse(blocks[0])
    assert (kind, body) == (sample_block.INFO, INFO)
    rows = []
    for number, block in enumerate(blocks[1:-1]):
        counter, row, _, _, values = rows_of(block)
        assert (counter, row) == (number, len(rows))
        rows += values
    assert rows == list(range(150))
    kind, counter, body, _ = sample_block.parse(blocks[-1])
    assert (kind, counter) == (sample_block.END, 5)
    assert sample_block.parse_end(body) == (150, 0, 0, 0, 0, sample_block.SOURCE_OVER)


def test_a_stream_ends_when_it_is_told_to_or_has_enough():
    recorder = Recorder(Source([30] * 5000), Ticks())
    assert record_stream.run(recorder, Console(bool, 20), INFO) == sample_block.ASKED
    assert recorder.n_waiting == 0
    recorder = Recorder(Source([30] * 50), Ticks())
    console = Console(bool)
    assert record_stream.run(recorder, console, INFO, 100) == sample_block.ROWS_DONE
    assert recorder.rows == 100
    assert rows_of(parse_lines(console)[-2])[4][-1] == 99


def test_a_console_without_room_costs_rows_and_never_a_torn_line():
    recorder = Recorder(Source([30] * 60), Ticks(), ring_bytes=4 * 200)
    console = Console(lambda look: look < 12 or look > 60)
    record_stream.run(recorder, console, INFO)
    blocks = [rows_of(block) for block in parse_lines(console)[1:-1]]
    assert recorder.dropped > 0
    row = 0
    missing = 0
    for number, block in enumerate(blocks):
        assert block[0] == number
        missing += block[1] - row
        assert block[4] == list(range(block[1], block[1] + len(block[4])))
        row = block[1] + len(block[4])
    assert missing + recorder.rows - row == recorder.dropped
    assert sample_block.parse_end(sample_block.parse(parse_lines(console)[-1])[2])[1] > 0


def test_a_host_that_is_gone_does_not_hold_the_board():
    record_stream._FAREWELL_MS, before = 50, record_stream._FAREWELL_MS
    try:
        recorder = Recorder(Source([30] * 5), Ticks())
        console = Console(lambda look: False)
        assert record_stream.run(recorder, console, INFO) == sample_block.SOURCE_OVER
    finally:
        record_stream._FAREWELL_MS = before
    assert console.out.getvalue() == b""


def test_a_program_that_stood_still_asks_the_host_before_it_gives_up():
    record_stream._FAREWELL_MS, before = 0, record_stream._FAREWELL_MS
    try:
        recorder = Recorder(Source([30] * 5), Ticks())
        console = Console(lambda look: True)
        assert record_stream.run(recorder, console, INFO) == sample_block.SOURCE_OVER
    finally:
        record_stream._FAREWELL_MS = before
    assert sample_block.parse(parse_lines(console)[-1])[0] == sample_block.END


def test_the_info_comes_again():
    record_stream._SAY_AGAIN_MS, before = 3, record_stream._SAY_AGAIN_MS
    try:
        recorder = Recorder(Source([0] * 30), Ticks())
        console = Console(bool)
        record_stream.run(recorder, console, INFO)
    finally:
        record_stream._SAY_AGAIN_MS = before
    kinds = [sample_block.parse(block)[0] for block in parse_lines(console)]
    assert kinds.count(sample_block.INFO) >= 2


def test_noise_on_the_line_is_no_block():
    raises_kind(OnebyteError, sample_block.parse_line, b"Traceback (most recent call last):")
