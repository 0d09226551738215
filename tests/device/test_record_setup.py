"""From a plan to a recording on flash, and what happens where the milliseconds wrap."""

import json
from binascii import hexlify
from hashlib import sha256

from check import raises_kind
from test_record_flash import KIB, filesystem, formatted, free_of, read_back
from test_recorder import Console, Source, Ticks, parse_lines

from app import record_flash, record_plan, record_setup, record_stream
from app.recorder import Recorder
from formats import errors, flatjson, sample_block

WRAP = 1 << 30


class BoardTime:
    """The module `time` of a board, shortly before its milliseconds wrap; sleeping is quick."""

    def __init__(self):
        self.now_ms = WRAP - 300
        self.slept = 0

    def ticks_ms(self):
        return self.now_ms % WRAP

    def ticks_add(self, ticks, delta):
        return (ticks + delta) % WRAP

    def ticks_diff(self, a, b):
        return (a - b + WRAP // 2) % WRAP - WRAP // 2

    def sleep_ms(self, ms):
        assert ms >= 0
        self.now_ms += ms
        self.slept += 1
        assert self.slept < 10000, "it waits for ever"


class Slow(Source):
    """100 rows a second by a board's clock; `rows` of them, without end where that is 0."""

    rate_mhz = 100000

    def __init__(self, clock, rows=0):
        super().__init__([])
        self.clock = clock
        self.begin_ms = clock.now_ms
        self.rows = rows

    @property
    def done(self):
        return bool(self.rows) and self.next >= self.rows

    def read_into(self, ring, row, max_rows):
        due = (self.clock.now_ms - self.begin_ms) // 10 - self.next
        self.script = [min(due, self.rows - self.next) if self.rows else due]
        return super().read_into(ring, row, max_rows)


def with_time(module, clock, call):
    module.time, before = clock, module.time
    try:
        return call()
    finally:
        module.time = before


def test_a_stream_goes_on_where_milliseconds_wrap():
    clock = BoardTime()
    console = Console(bool)
    recorder = Recorder(Slow(clock, 1300), Ticks())
    reason = with_time(
        record_stream, clock, lambda: record_stream.run(recorder, console, b'{"n_channels":2}')
    )
    assert reason == sample_block.SOURCE_OVER and 13000 <= clock.now_ms - WRAP + 300 < 13500
    blocks = [sample_block.parse(block) for block in parse_lines(console)]
    kinds = [kind for kind, _, _, _ in blocks]
    assert kinds.count(sample_block.INFO) == 3  # at once, and every five seconds
    assert sample_block.parse_end(blocks[-1][2])[:2] == (1300, 0)
    # Every 160 ms what half a FIFO holds: it neither hurries nor lets the FIFO run over.
    assert 70 < kinds.count(sample_block.SAMPLES) < 95


def stream_slowly(until_ms):
    """Returns recorder, console and passed milliseconds of a host that takes 64 bytes in 80 ms."""
    clock = BoardTime()
    begin_ms = last_ms = clock.now_ms

    def has_room(look):
        nonlocal last_ms
        if clock.now_ms - last_ms < 80 or clock.now_ms - begin_ms > until_ms:
            return False
        last_ms = clock.now_ms
        return True

    console = Console(has_room)
    recorder = Recorder(Source([30] * 40), Ticks())
    with_time(record_stream, clock, lambda: record_stream.run(recorder, console, b"{}"))
    return recorder, console, clock.now_ms - begin_ms


def test_a_slow_host_gets_all():
    recorder, console, passed_ms = stream_slowly(1000000)
    assert recorder.dropped == 0 and len(parse_lines(console)) == 42
    assert passed_ms > 9000


def test_a_host_that_is_gone_holds_nothing():
    _, _, passed_ms = stream_slowly(5000)
    assert 7900 < passed_ms < 8100


def test_ctrl_c_is_a_byte_while_it_streams_and_ctrl_c_again_behind():
    class Keys:
        set = []

        def kbd_intr(self, key):
            self.set.append(key)

    console = Console(bool)
    names = ("micropython", "Console")
    before = [getattr(record_stream, name) for name in names]
    record_stream.micropython, record_stream.Console = Keys(), lambda: console
    try:
        recorder = Recorder(Source([30] * 9), Ticks())
        assert record_stream.run_on_console(recorder, b"{}", 90) == sample_block.ROWS_DONE
        broken = Recorder(Source([30]), Ticks())
        broken.read = None
        raises_kind(TypeError, record_stream.run_on_console, broken, b"{}")
    finally:
        record_stream.micropython, record_stream.Console = before
    assert Keys.set == [-1, 3, -1, 3] and recorder.rows == 90


def test_a_recording_to_flash_ends_in_time_where_milliseconds_wrap():
    clock = BoardTime()
    files = filesystem(formatted())
    recorder = Recorder(Slow(clock), Ticks())
    sink = record_flash.Sink(files, free_of(files), b'{"n_channels":2}', 0)
    reason = with_time(
        record_flash,
        clock,
        lambda: record_flash.run(recorder, sink, 2000, clock.sleep_ms, clock.ticks_ms),
    )
    assert reason == sample_block.ROWS_DONE and 200 <= recorder.rows <= 220
    ((rows, end),) = read_back(files).values()
    assert (len(rows), end[5]) == (recorder.rows, sample_block.ROWS_DONE)


class Interrupted(Source):
    def read_into(self, ring, row, max_rows):
        if not self.script:
            raise KeyboardInterrupt
        return super().read_into(ring, row, max_rows)


def test_ctrl_c_keeps_what_was_read():
    files = filesystem(formatted())
    recorder = Recorder(Interrupted([30] * 3), Ticks())
    for _ in range(3):
        recorder.read()
    sink = record_flash.Sink(files, free_of(files), b'{"n_channels":2}', 0)
    assert record_flash.run(recorder, sink, sleep_ms=lambda ms: None) == sample_block.ASKED
    assert read_back(files)[1] == (list(range(90)), (90, 0, 0, 0, 0, sample_block.ASKED))


def load(path):
    raise errors.OnebyteError(errors.CONFIG_MISSING)


def record(files, plan, source):
    """Does what a start with a plan does; returns why it ended and the settings."""
    record_plan.write(files, flatjson.pack(plan.items()))
    seen = []

    def make_source(config):
        seen.append(config)
        return source

    record_flash.free_bytes, before = free_of(files), record_flash.free_bytes
    try:
        reason = record_setup.record_to_flash(make_source, load, "config.json", files)
    finally:
        record_flash.free_bytes = before
    return reason, seen[0]


def read_all(files, path):
    file = files.open(path, "rb")
    try:
        return file.read()
    finally:
        file.close()


def test_a_plan_says_what_is_recorded_and_the_host_reads_it():
    files = filesystem(formatted())
    source = Source([30] * 20)
    source.lsb_nano = (244141, 488281)
    source.pace_mhz = 200000000
    plan = {"v": 1, "label": "run", "subject": "ben", "license": "CC0", "quota_kib": 8}
    plan.update({"sensor": "lis3dh", "sensor_range_g": 4})
    reason, config = record(files, plan, source)
    assert reason == sample_block.SOURCE_OVER
    assert (config.sensor, config.sensor_range_g) == ("lis3dh", 4)
    ((_, _, path),) = record_flash.segments(files)
    content = read_all(files, path)
    info = flatjson.parse(sample_block.parse(content)[2], 1024)
    for key, value in (
        ("label", "run"),
        ("subject", "ben"),
        ("license", "CC0"),
        ("sensor", "lis3dh"),
        ("n_channels", 2),
        ("rate_mhz", 100000000),
        ("pace_mhz", 200000000),
        ("lsb_nano", ["244141", "488281"]),
        ("range_g", 4),
    ):
        assert info[key] == value, key
    assert info["range_dps"] != 4 and info["micropython"].startswith("1.")
    assert record_plan.exists(files)  # the next start records, too
    (listed,) = json.loads(record_setup.listing(files))
    assert listed == [path, len(content), hexlify(sha256(content).digest()).decode()]


def test_a_plan_with_a_duration_is_done_once():
    files = filesystem(formatted())
    plan = {"v": 1, "label": "", "quota_kib": 8, "duration_s": 1, "sensor": "adc"}
    source = Source([3] * 500)
    source.rate_mhz = 50000  # rests of 160 ms
    reason, _ = record(files, plan, source)
    assert reason == sample_block.ROWS_DONE
    ((_, _, path),) = record_flash.segments(files)
    end = sample_block.parse(read_all(files, path)[-32:])[2]
    rows, _, _, _, _, reason = sample_block.parse_end(end)
    assert 3 * 4 <= rows <= 3 * 20 and reason == sample_block.ROWS_DONE
    assert not record_plan.exists(files)
    assert record_setup.record_to_flash(None, load, "config.json", files) == -1


def test_a_quota_is_in_kibibytes():
    files = filesystem(formatted(64))
    plan = {"v": 1, "label": "", "quota_kib": 999, "sensor": "adc"}
    record(files, plan, Source([30]))
    # What a segment and its spare need is not there by one KiB; with a smaller unit it would be.
    plan["quota_kib"] = free_of(files)() // KIB - 48 + 1
    assert record(files, plan, Source([30] * 300))[0] == sample_block.QUOTA
    assert record_flash.segments(files) == []
    plan["quota_kib"] -= 4
    assert record(files, plan, Source([30] * 100))[0] == sample_block.SOURCE_OVER
    assert len(record_flash.segments(files)) == 1


def test_a_plan_is_the_old_or_the_new_one_whenever_the_power_fails():
    files = filesystem(formatted())
    opened = []

    class Watched:
        def __getattr__(self, name):
            return getattr(files, name)

        def open(self, path, mode):
            opened.append((path, mode))
            return files.open(path, mode)

    record_plan.write(Watched(), b'{"v":1}')
    assert opened == [(record_plan.PLAN + ".new", "wb")]
    raises_kind(OSError, files.stat, record_plan.PLAN + ".new")


def test_segments_are_listed_oldest_first_and_strangers_left_alone():
    files = filesystem(formatted())
    files.mkdir("rec")
    names = ("0010-0000.obs", "0009-0001.obs", "0009-0000.obs", "plan", "0009-000x.obs", "1.obs")
    for name in names:
        file = files.open("rec/" + name, "wb")
        file.write(name.encode())
        file.close()

    class Unsorted:
        @staticmethod
        def ilistdir(folder):
            return reversed(list(files.ilistdir(folder)))

    for one in (files, Unsorted):
        found = [(run, number) for run, number, _ in record_flash.segments(one)]
        assert found == [(9, 0), (9, 1), (10, 0)]
    assert record_flash.Sink(files, free_of(files), b"{}", 0).run == 11
