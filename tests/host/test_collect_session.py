"""A session between a device that a script plays and a person whose keys a script presses."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from made_blocks import INFO, samples

from formats import sample_block
from onebyte.collect import labels, session
from onebyte.collect.capture import Capture, Channel, from_content
from onebyte.collect.dataset import Dataset, Session
from onebyte.collect.labels import Fixed, Keys, Labeller, Schedule
from onebyte.collect.links import SerialLink
from onebyte.collect.spool import Spool
from onebyte.collect.store import TextFormat
from onebyte.collect.text_lines import parse_channels
from onebyte.errors import UserError

INFO_LINE = sample_block.pack_line(sample_block.pack(sample_block.INFO, 0, INFO))


def line(counter: int, row: int, n_rows: int = 10, **changes: object) -> bytes:
    return sample_block.pack_line(samples(counter, row, n_rows, **changes).content)


def end_line(counter: int, rows: int, reason: int = sample_block.ASKED) -> bytes:
    return sample_block.pack_line(sample_block.pack_end(counter, rows, 0, (0, 0, 0), reason))


class Script:
    """A link, its clock and its person.

    Args:
        steps: (seconds that pass, what then arrives, keys that are pressed then); an exception
            is raised.
        farewell: what arrives when it was told to stop.
    """

    def __init__(self, *steps: tuple[float, object, str], farewell: Sequence[bytes] = ()) -> None:
        self.steps = list(steps)
        self.farewell = list(farewell)
        self.now_s = 1000.0
        self.typed = ""
        self.stops = 0
        self.lines: list[str] = []
        self.channels: tuple[Channel, ...] = ()
        self.shown = np.zeros((0, 1))

    @property
    def is_over(self) -> bool:
        return not self.steps

    def clock(self) -> float:
        return self.now_s

    def read(self) -> bytes:
        passed_s, data, typed = self.steps.pop(0)
        self.now_s += passed_s
        self.typed += typed
        if isinstance(data, BaseException):
            raise data
        assert isinstance(data, bytes)
        return data

    def stop(self) -> None:
        self.stops += 1
        self.steps = [(0.1, data, "") for data in self.farewell]

    def close(self) -> None:
        pass

    def begin(self, channels: tuple[Channel, ...]) -> None:
        self.channels = channels

    def tell(self, line: str) -> None:
        self.lines.append(line)

    def update(self, recent: np.ndarray, state: str, n_samples: int) -> None:
        assert len(recent) <= n_samples
        self.shown = recent

    def keys(self) -> str:
        typed, self.typed = self.typed, ""
        return typed


def collect(
    folder: Path, script: Script, labeller: Labeller, duration_s: float = 0.0
) -> tuple[Capture, Capture]:
    """Return what a session brought, and what is in its spool."""
    options = session.Options(duration_s, 15.0, script.clock)
    with Spool(folder, "one") as spool:
        got = session.collect_blocks(script, spool, Dataset(folder), (script, labeller), options)
    return got, from_content(spool.path.read_bytes(), "one")


def keys() -> Keys:
    return Keys(labels.parse_keys("walking=w,resting=r"))


def test_the_picture_has_the_last_seconds_alone(tmp_path: Path) -> None:
    blocks = [line(i, 100 * i, 100) for i in range(7)]
    script = Script((0.0, INFO_LINE, ""), *((1.0, block, "") for block in blocks), (0.1, b"", ""))
    live, _ = collect(tmp_path, script, Fixed("walking"))
    assert live.n_samples == 700
    assert np.array_equal(script.shown, live.pieces[0].values[-500:]), "5 s at 100 Hz"


def test_a_key_means_the_row_of_its_moment(tmp_path: Path) -> None:
    script = Script(
        (0.0, INFO_LINE + line(0, 0), "w"),
        (0.25, b"", "r"),  # 25 rows on, though no block has come
        (0.05, line(1, 10, 30), ""),
        (3.0, b"", "w"),  # nobody knows how far a silent device is: a second at most
        (0.0, line(2, 40, 100), "q"),
        farewell=[line(3, 140), end_line(4, 150)],
    )
    live, spooled = collect(tmp_path, script, keys())
    assert live.marks == [(10, "walking"), (35, "resting"), (140, "walking")]
    assert spooled.marks == live.marks
    assert (script.stops, live.n_samples, live.ended) == (1, 150, "stopped by the host")
    assert [channel.name for channel in script.channels] == ["ax"]


def test_the_later_of_two_keys_counts_later_though_the_device_is_slow(tmp_path: Path) -> None:
    script = Script(
        (0.0, INFO_LINE + line(0, 0), ""),
        (0.9, b"", "w"),  # row 100
        (0.1, line(1, 10, 20), "r"),  # only row 30
        (0.1, line(2, 30, 200), ""),
        (0.0, end_line(3, 230), ""),
    )
    live, spooled = collect(tmp_path, script, keys())
    assert live.marks == spooled.marks == [(100, "walking"), (100, "resting")]
    files = Dataset(tmp_path).add(live, Session("anna", "", 0.0))
    rows = [np.load(path)["ax"] for path in files if path.name.startswith("resting")]
    assert sum(map(len, rows)) == 130 and rows[0][0] == pytest.approx(0.1)


def test_a_schedule_goes_by_samples_and_not_by_the_clock(tmp_path: Path) -> None:
    script = Script(
        (0.0, INFO_LINE + line(0, 0, 190), ""),
        (0.9, b"", ""),
        (0.1, line(1, 250, 100), ""),  # rows that are lost count as well
        (0.1, line(1, 250, 100) + INFO_LINE, ""),
        (0.1, line(2, 350, 50), ""),
        (0.1, end_line(3, 400), ""),
    )
    live, spooled = collect(tmp_path, script, Schedule([("a", 2.0), ("b", 3.0)], None))
    assert live.marks == spooled.marks == [(0, "a"), (200, "b")]
    assert len(live.duplicates) == 1 and spooled.duplicates == []
    assert (tmp_path / ".collect" / "one.spool").read_bytes().count(INFO) == 1


def test_a_key_behind_a_gap_means_its_row(tmp_path: Path) -> None:
    script = Script((0.0, INFO_LINE + line(0, 0) + line(1, 60), "w"), (0.1, end_line(2, 70), ""))
    assert collect(tmp_path, script, keys())[0].marks == [(70, "walking")]


def test_two_keys_at_once_and_one_that_is_held(tmp_path: Path) -> None:
    script = Script(
        (0.0, INFO_LINE + line(0, 0), "wr"),
        (0.0, line(1, 10), "rrr"),
        (0.0, line(2, 20), " "),
        (0.0, end_line(3, 30), ""),
    )
    live, _ = collect(tmp_path, script, keys())
    assert live.marks == [(10, "walking"), (10, "resting"), (30, "")]


def test_a_schedule_goes_on_through_what_the_device_still_held(tmp_path: Path) -> None:
    script = Script(
        (0.0, INFO_LINE + line(0, 0, 100), ""),
        (0.0, KeyboardInterrupt(), ""),
        farewell=[line(1, 100, 150), line(2, 250, 100), end_line(3, 350)],
    )
    schedule = Schedule([("a", 2.0), ("b", 1.0)], None)
    with pytest.raises(session.Interrupted) as caught:
        collect(tmp_path, script, schedule)
    got = caught.value.capture
    assert got is not None and script.stops == 1
    assert got.marks == [(0, "a"), (200, "b"), (300, "")]
    assert got.n_samples == 350


def test_a_duration_ends_it_at_its_sample(tmp_path: Path) -> None:
    steps = [(0.1, line(i, 10 * i), "") for i in range(1, 30)]
    script = Script(
        (0.0, INFO_LINE + line(0, 0), ""), *steps, farewell=[line(20, 200), end_line(21, 210)]
    )
    live, _ = collect(tmp_path, script, Fixed("a"), 2.0)
    assert (script.stops, live.n_samples, live.gaps, live.duplicates) == (1, 210, [], [])


def test_what_came_reaches_the_disk_while_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = []
    script = Script(
        (0.0, INFO_LINE, ""),
        *[(1.0, line(i, 10 * i), "") for i in range(18)],
        (0.0, end_line(18, 180), ""),
    )
    monkeypatch.setattr(Spool, "sync", lambda spool: reached.append(script.now_s - 1000))
    collect(tmp_path, script, Fixed("a"))
    assert reached == [6.0, 12.0, 18.0]


def test_what_fits_not_leaves_nothing_behind(tmp_path: Path) -> None:
    script = Script((0.0, INFO_LINE + line(0, 0), ""), (0.0, end_line(1, 10), ""))
    live, _ = collect(tmp_path / "a", script, Fixed("a"))
    Dataset(tmp_path / "b").add(live, Session("anna", "", 0.0))
    for other in (
        INFO.replace(b"100000", b"50000"),
        INFO.replace(b"1000000", b"2000000"),
        INFO.replace(b'"lsb_nano":["1000000"]', b'"lsb_nano":[]'),
    ):
        info = sample_block.pack_line(sample_block.pack(sample_block.INFO, 0, other))
        script = Script((0.0, info + line(0, 0), ""))
        with pytest.raises(UserError, match="take another folder"):
            collect(tmp_path / "b", script, Fixed("a"))
        spool = tmp_path / "b" / ".collect" / "one.spool"
        assert spool.read_bytes() == b""
        spool.unlink()


def test_a_device_that_says_nothing_ends_it_and_what_came_is_kept(tmp_path: Path) -> None:
    script = Script((0.0, INFO_LINE + line(0, 0), ""), *[(5.0, b"boot\n", "")] * 9)
    with pytest.raises(UserError, match="said nothing for 15 s"):
        collect(tmp_path, script, Fixed("a"))
    kept = from_content((tmp_path / ".collect" / "one.spool").read_bytes(), "one")
    assert (kept.n_samples, kept.marks) == (10, [(0, "a")])
    assert kept.ended == "without the device's last word"


def test_a_sensor_that_brings_nothing_is_said_once(tmp_path: Path) -> None:
    script = Script(
        (0.0, INFO_LINE + line(0, 0), ""),
        *[(5.0, INFO_LINE, "")] * 9,
        (5.0, line(1, 10, losses=(0, 0, 80), time_us=50_000_000), ""),
        *[(5.0, INFO_LINE, "")] * 2,
        (0.1, end_line(2, 20), ""),
    )
    live, _ = collect(tmp_path, script, Fixed("a"))
    silent, gap = script.lines
    assert silent.startswith("no sample has come for 20 s") and "(bus)" in gap
    assert live.gaps[0].lost == 4980


def test_a_device_that_names_no_rate_is_refused_in_a_line(tmp_path: Path) -> None:
    for info in (b'{"v":1}', b'{"n_channels":7,"lsb_nano":["1","1","1","1","1","1","1"]}'):
        block = sample_block.pack_line(sample_block.pack(sample_block.INFO, 0, info))
        with pytest.raises(UserError, match="INFO"):
            collect(tmp_path / info.decode()[1:4], Script((0.0, block, "")), Fixed("a"))


class Port:
    """A serial port that gives what it got at once."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.is_closed = False

    @property
    def in_waiting(self) -> int:
        return len(self.pieces[0]) if self.pieces else 0

    def read(self, n_bytes: int) -> bytes:
        if not self.pieces:
            raise OSError("gone")
        return self.pieces.pop(0)

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(
    ("pieces", "rows"),
    [
        ((b"345,2\n6", b",7\n8,9\n"), [[6.0, 7.0], [8.0, 9.0]]),
        ((b"3", b"45", b",2\n6,7\n"), [[6.0, 7.0]]),
        ((b"a,b\n1,2\n3,4\n",), [[1.0, 2.0], [3.0, 4.0]]),
    ],
)
def test_half_a_line_is_no_row(tmp_path: Path, pieces: tuple, rows: list) -> None:
    link = SerialLink(lambda device: Port(*pieces), "port")
    text = TextFormat(50.0, parse_channels("a,b"), "")
    recorder = text.recorder()
    with Spool(tmp_path, "one") as spool, pytest.raises(UserError, match="unplugged"):
        people = (Script(), Fixed("a"))
        session.collect_text(link, recorder, spool, people, session.Options())
    assert recorder.rows == rows and link.is_over
    again = text.recorder()
    assert session.replay_text(spool.path.read_bytes(), again) == [(0, "a")]
    assert (again.rows, again.times) == (recorder.rows, recorder.times)
    torn = spool.path.read_bytes()[:-5]
    session.replay_text(torn, text.recorder())


def test_names_at_the_begin_of_a_port_are_taken() -> None:
    link = SerialLink(lambda device: Port(b' "Ax",b\n1,2\n', b"3,4\n"), "port")
    assert link.read() + link.read() == b' "Ax",b\n1,2\n3,4\n'


def test_a_duration_of_text_is_in_rows_and_a_key_in_its_row(tmp_path: Path) -> None:
    script = Script(
        (0.1, b"1\n2\n", "w"), (0.1, b"3\n", "r"), (0.1, b"4\n5\n", ""), (0.1, b"6\n", "")
    )
    recorder = TextFormat(50.0, parse_channels("a"), "").recorder()
    with Spool(tmp_path, "one") as spool:
        options = session.Options(0.1, 15.0, script.clock)
        marks = session.collect_text(script, recorder, spool, (script, keys()), options)
    assert marks == [(2, "walking"), (3, "resting")]
    assert (len(recorder.rows), script.stops) == (5, 1)


def test_ctrl_c_keeps_the_lines_that_came(tmp_path: Path) -> None:
    text = TextFormat(50.0, parse_channels("a"), "")
    script = Script(
        (0.1, b"1\n2\nhello\n", ""), (0.1, b"3\n4", ""), (0.1, KeyboardInterrupt(), "")
    )
    recorder = text.recorder()
    with Spool(tmp_path, "one") as spool:
        people = (script, Fixed("run"))
        with pytest.raises(session.Interrupted):
            session.collect_text(script, recorder, spool, people, session.Options())
    assert script.lines == ["not a row: hello"]
    kept = text.recorder()
    assert session.replay_text(spool.path.read_bytes(), kept) == [(0, "run")]
    assert kept.rows == recorder.rows == [[1.0], [2.0], [3.0]]
    torn = text.recorder()
    assert session.replay_text(spool.path.read_bytes()[:-3], torn) == [(0, "run")]
    assert torn.rows == [[1.0], [2.0]]


def test_lines_that_end_to_come_end_it(tmp_path: Path) -> None:
    script = Script((0.1, b"1\n", ""), *[(5.0, b"", "")] * 9)
    recorder = TextFormat(50.0, parse_channels("a"), "").recorder()
    with Spool(tmp_path, "one") as spool, pytest.raises(UserError, match="has come for 15 s"):
        people = (script, Fixed("a"))
        options = session.Options(0.0, 15.0, script.clock)
        session.collect_text(script, recorder, spool, people, options)
    assert len(script.steps) == 5


def test_a_last_line_that_never_ends_is_damaged(tmp_path: Path) -> None:
    script = Script((0.0, INFO_LINE + line(0, 0) + line(1, 10)[:50], ""))
    live, _ = collect(tmp_path, script, Fixed("a"))
    assert (live.damaged, live.n_samples) == (1, 10)
    assert live.ended == "without the device's last word"
