"""`onebyte collect` against the recorder on MicroPython's unix port."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from collected import MOVEMENTS, RATE_HZ, movement, numbered, write_obr
from command_line import assert_refused, onebyte

from formats import sample_block
from onebyte.collect import replay, session
from onebyte.collect.capture import Capture, Channel
from onebyte.collect.dataset import Dataset
from onebyte.collect.labels import Fixed
from onebyte.collect.links import PIPE_BYTES, ProcessLink
from onebyte.collect.spool import Spool
from onebyte.collect.stream import Splitter


class Quiet:
    """A display for nobody."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, channels: tuple[Channel, ...]) -> None:
        assert len(channels) == 6

    def tell(self, line: str) -> None:
        self.lines.append(line)

    def update(self, recent: np.ndarray, state: str, n_samples: int) -> None:
        assert n_samples >= 0

    def keys(self) -> str:
        return ""


class Tampered:
    """A link whose bytes a test changes or holds back.

    Args:
        link: the real one.
        change: takes what arrived and returns what is passed on.
        pause: called before each read.
    """

    def __init__(
        self,
        link: ProcessLink,
        change: Callable[[bytes], bytes] = lambda data: data,
        pause: Callable[[], object] = lambda: None,
    ) -> None:
        self._link, self._change, self._pause = link, change, pause

    @property
    def is_over(self) -> bool:
        return self._link.is_over

    def read(self) -> bytes:
        self._pause()
        return self._change(self._link.read())

    def stop(self) -> None:
        self._link.stop()

    def close(self) -> None:
        self._link.close()


def capture(
    folder: Path, recording: Path, speed: int, pipe_bytes: int = PIPE_BYTES, **tamper: Any
) -> tuple[Capture, Quiet]:
    """Collect a recording through a tampered link."""
    display = Quiet()
    with (
        replay.open_replay(recording, speed, pipe_bytes) as link,
        Spool(folder / "set", "one") as spool,
    ):
        if "stalls_device" in tamper:
            tamper["pause"] = tamper.pop("stalls_device")(link.pid)
        people = (display, Fixed("label"))
        tampered = Tampered(link, **tamper)
        got = session.collect_blocks(
            tampered, spool, Dataset(folder / "set"), people, session.Options()
        )
    return got, display


def check_rows(got: Capture, rows: np.ndarray) -> list[tuple[int, int]]:
    """Check each row that is there by its number; return (first, end) of the pieces."""
    for piece in got.pieces:
        end = piece.first_row + piece.n_rows
        assert (piece.values == rows[piece.first_row : end]).all()
    return [(piece.first_row, piece.first_row + piece.n_rows) for piece in got.pieces]


def test_every_sample_arrives_once(tmp_path: Path) -> None:
    rows = numbered(60 * RATE_HZ)
    got, display = capture(tmp_path, write_obr(tmp_path / "r.obr", rows), 40)
    assert check_rows(got, rows) == [(0, len(rows))]
    assert got.summary().startswith(f"collect samples={len(rows)} gaps=0 duplicates=0 lost=0")
    assert got.measured_hz == pytest.approx(RATE_HZ, rel=0.05)
    assert (got.ended, display.lines) == ("the source is over", [])


class Stalls:
    """Stops reading from time to time; the pipe is full meanwhile, and the device waits.

    Attributes:
        stalled: how often.
        longest_s: longest time between two reads: this machine may stall, too.
    """

    def __init__(self, every_s: float, pause_s: float) -> None:
        self._every_s, self._pause_s = every_s, pause_s
        self._last_s = time.monotonic()
        self._next_s = self._last_s + every_s
        self.stalled = 0
        self.longest_s = 0.0

    def __call__(self) -> None:
        if time.monotonic() >= self._next_s:
            self.stalled += 1
            time.sleep(self._pause_s)
            self._next_s = time.monotonic() + self._every_s
        now_s = time.monotonic()
        self.longest_s = max(self.longest_s, now_s - self._last_s)
        self._last_s = now_s


def capture_with_stalls(
    folder: Path, recording: Path, speed: int, stalls: tuple[float, float, float]
) -> tuple[Capture, Quiet, Stalls]:
    """Collect with pauses over a pipe that holds little; anew where the machine itself stalled.

    Args:
        stalls: as of Stalls, and how long the longest may be.
    """
    for attempt in range(10):
        made = Stalls(*stalls[:2])
        got, display = capture(folder / str(attempt), recording, speed, 4096, pause=made)
        if made.longest_s < stalls[2]:
            break
    return got, display, made


def test_a_host_that_stalls_shortly_loses_nothing(tmp_path: Path) -> None:
    rows = numbered(40 * RATE_HZ)
    recording = write_obr(tmp_path / "r.obr", rows)
    # 5 s of samples at this speed: the device holds 13
    got, _, stalls = capture_with_stalls(tmp_path, recording, 5, (1.2, 1.0, 1.6))
    assert stalls.stalled >= 3
    assert check_rows(got, rows) == [(0, len(rows))]
    assert (got.gaps, got.duplicates, got.damaged) == ([], [], 0)


def test_a_pipe_holds_what_comes_while_this_machine_stalls(tmp_path: Path) -> None:
    rows = numbered(80 * RATE_HZ)
    stalls = Stalls(0.2, 1.5)  # 60 s of samples; the device alone holds 13
    got, _ = capture(tmp_path, write_obr(tmp_path / "r.obr", rows), 40, pause=stalls)
    assert stalls.stalled >= 1 and check_rows(got, rows) == [(0, len(rows))]


class DeviceStalls:
    """Lets the device's process stand still twice; its recording is not to go on meanwhile."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._left = [20, 40]  # reads before each

    def __call__(self) -> None:
        if self._left:
            self._left[0] -= 1
            if not self._left[0]:
                self._left.pop(0)
                os.kill(self._pid, signal.SIGSTOP)
                time.sleep(0.8)  # 32 s of samples; the device holds 13
                os.kill(self._pid, signal.SIGCONT)


def test_a_device_process_that_stalls_loses_nothing(tmp_path: Path) -> None:
    rows = numbered(60 * RATE_HZ)
    recording = write_obr(tmp_path / "r.obr", rows)
    got, _ = capture(tmp_path, recording, 40, stalls_device=DeviceStalls)
    assert check_rows(got, rows) == [(0, len(rows))]
    assert got.measured_hz == pytest.approx(RATE_HZ, rel=0.05)


def test_what_a_long_stall_costs_is_reported_where_it_is(tmp_path: Path) -> None:
    rows = numbered(150 * RATE_HZ)
    recording = write_obr(tmp_path / "r.obr", rows)
    # 36 s of samples; after 3 s without a reader the device would keep its end for itself.
    got, display, _ = capture_with_stalls(tmp_path, recording, 40, (1.0, 0.9, 2.5))
    pieces = check_rows(got, rows)
    assert len(pieces) > 1
    missing = [(b[0], b[0] - a[1]) for a, b in pairwise(pieces)]
    if pieces[-1][1] < len(rows):
        missing.append((len(rows), len(rows) - pieces[-1][1]))
    assert [(gap.row, gap.lost) for gap in got.gaps] == missing
    assert all(gap.cause == "buffer" and gap.is_exact for gap in got.gaps)
    assert got.n_samples + sum(gap.lost for gap in got.gaps) == len(rows)
    assert [line for line in display.lines if line.startswith("gap before sample")]


def test_a_gap_of_the_sensor_is_reported_where_it_is(tmp_path: Path) -> None:
    rows = numbered(30 * RATE_HZ)
    at = 1234
    recording = write_obr(tmp_path / "r.obr", rows[:at], rows[at:])
    got, _ = capture(tmp_path, recording, 40)
    assert check_rows(got, rows) == [(0, at), (at, len(rows))]
    ((row, cause, exact),) = [(gap.row, gap.cause, gap.is_exact) for gap in got.gaps]
    assert (row, cause, exact) == (at, "jump", False)


def edit_lines(edit: Callable[[int, bytes], bytes]) -> Callable[[bytes], bytes]:
    """Return a change of the lines of samples, by their number."""
    pending = b""
    count = 0

    def change(data: bytes) -> bytes:
        nonlocal pending, count
        *lines, pending = (pending + data).split(b"\n")
        out = b""
        for line in lines:
            block = Splitter().feed(line + b"\n")
            is_samples = bool(block) and block[0].kind == sample_block.SAMPLES
            out += edit(count if is_samples else -1, line + b"\n")
            count += is_samples
        return out

    return change


def test_damage_on_the_link_is_reported_where_it_is(tmp_path: Path) -> None:
    rows = numbered(40 * RATE_HZ)
    lost, twice, torn = 10, 20, 33
    seen: dict[int, bytes] = {}

    def edit(number: int, line: bytes) -> bytes:
        seen[number] = line
        if number == lost:
            return b"Traceback: something else is printed\r\n"
        if number == twice:
            return line.replace(b"\n", b"\r\n") + line
        return line[:100] + b"\n" if number == torn else line

    got, display = capture(
        tmp_path, write_obr(tmp_path / "r.obr", rows), 40, change=edit_lines(edit)
    )

    def rows_of(number: int) -> tuple[int, int]:
        (block,) = Splitter().feed(seen[number])
        row, *_, n_channels, values = sample_block.parse_samples(block.body)
        return row, len(values) // (2 * n_channels)

    expected = [(sum(rows_of(number)), rows_of(number)[1], "link") for number in (lost, torn)]
    assert [(gap.row, gap.lost, gap.cause) for gap in got.gaps] == expected
    assert [(one.row, one.rows) for one in got.duplicates] == [rows_of(twice)]
    assert got.damaged == 1
    assert any("something else is printed" in line for line in display.lines)
    assert got.n_samples == len(rows) - rows_of(lost)[1] - rows_of(torn)[1]
    check_rows(got, rows)
    cuts = [first for first, _ in check_rows(got, rows)[1:]]
    assert cuts == [gap.row for gap in got.gaps]


def labelled_recording(folder: Path, rounds: int, seconds: float) -> Path:
    parts = [
        movement(label, seconds, 10 * i + j)
        for i in range(rounds)
        for j, label in enumerate(MOVEMENTS)
    ]
    return write_obr(folder / "person.obr", np.concatenate(parts))


@pytest.mark.parametrize("format_name", ["npz", "parquet"])
def test_what_is_collected_trains_as_it_stands(tmp_path: Path, format_name: str) -> None:
    if format_name == "parquet" and os.environ.get("CI") != "true":
        pytest.importorskip("pyarrow", reason="no pyarrow: pip install 'onebyte[parquet]'")
    rounds, seconds = 3, 6
    recording = labelled_recording(tmp_path, rounds, seconds)
    schedule = ",".join(f"{label}:{seconds}" for label in MOVEMENTS)
    out = tmp_path / "motion"
    got = onebyte(
        *("collect", out, "--replay", recording, "--speed", 30, "--schedule", schedule),
        *("--rounds", rounds, "--settle", 0.2, "--format", format_name, "--subject", "anna"),
        *("--license", "CC0-1.0", "--png", tmp_path / "signal.png"),
    )
    assert got[0] == 0, got
    assert re.search(r"^now: walking, 6 s$", got[2], re.MULTILINE)
    assert re.search(r"^  shaking in 3 \.\.\.$", got[2], re.MULTILINE)
    last = got[1].splitlines()[-1]
    assert re.match(
        r"collect samples=\d+ gaps=0 duplicates=0 lost=0 damaged=0 rate_hz=1\d\d", last
    )
    assert (tmp_path / "signal.png").read_bytes().startswith(b"\x89PNG")
    card = json.loads((out / "dataset.json").read_text())
    (one,) = card["sessions"]
    assert (one["subject"], one["license"], one["gaps"]) == ("anna", "CC0-1.0", [])
    by_label = {label: one["labels"][label] for label in MOVEMENTS}
    assert min(by_label.values()) > rounds * (seconds - 0.5) * RATE_HZ * 0.9
    text = (out / "DATASET.md").read_text()
    for word in ("CC0-1.0", "anna", "104 Hz", "MicroPython", "replay"):
        assert word in text
    done = onebyte("train", out, "--jobs", 1)
    assert done[0] == 0, done
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["macro_f1"] > 0.9
    assert len(list((out / "data" / "anna").glob("*"))) == rounds * len(MOVEMENTS)
    assert "Each recording was left out once" in (out / "MODEL.md").read_text()


def run_collect(*argv: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "onebyte.cli", "collect", *map(str, argv)]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_samples(folder: Path, least_bytes: int = 20000) -> Path:
    end = time.monotonic() + 240
    while time.monotonic() < end:
        for spool in folder.glob(".collect/*.spool"):
            if spool.stat().st_size > least_bytes:
                return spool
        time.sleep(0.05)
    raise AssertionError("no samples came")


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_obr(tmp_path_factory.mktemp("long") / "r.obr", numbered(600 * RATE_HZ))


def stored_rows(folder: Path) -> np.ndarray:
    """Return all rows of a data set in the order of their numbers."""
    parts = []
    for path in folder.rglob("*.npz"):
        with np.load(path) as arrays:
            columns = [arrays[f"ch{i}"] for i in range(6)]
            parts.append((int(arrays["first_sample"]), np.stack(columns, 1)))
    return np.concatenate([rows for _, rows in sorted(parts, key=lambda part: part[0])])


def test_ctrl_c_keeps_all_that_came(tmp_path: Path, long_recording: Path) -> None:
    out = tmp_path / "set"
    process = run_collect(out, "--replay", long_recording, "--speed", 20, "--label", "run")
    wait_for_samples(out)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all that it started, too
    said, errors = process.communicate(timeout=240)
    assert process.returncode == 130, errors
    n = int(re.search(r"collect samples=(\d+) gaps=0 duplicates=0", said)[1])
    rows = stored_rows(out)
    assert len(rows) == n > 1000
    assert (rows == numbered(600 * RATE_HZ)[:n]).all()
    assert list((out / ".collect").iterdir()) == []


def test_a_program_that_is_killed_loses_nothing_that_came(
    tmp_path: Path, long_recording: Path
) -> None:
    out = tmp_path / "set"
    process = run_collect(out, "--replay", long_recording, "--speed", 20, "--label", "run")
    spool = wait_for_samples(out)
    process.kill()
    process.communicate(timeout=240)
    least = spool.stat().st_size
    assert not (out / "data").exists()
    code, said, _ = onebyte("collect", out, "--recover")
    assert code == 0 and said.startswith("recovered session ")
    n = int(re.search(r"collect samples=(\d+) gaps=0 duplicates=0", said)[1])
    assert n * 12 > least * 0.8
    rows = stored_rows(out)
    assert (rows == numbered(600 * RATE_HZ)[:n]).all()
    assert onebyte("collect", out, "--recover") == (0, "", "")


def test_a_full_disk_keeps_what_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onebyte.collect import dataset

    recording = write_obr(tmp_path / "r.obr", numbered(20 * RATE_HZ))
    argv = ("collect", tmp_path / "set", "--replay", recording, "--speed", 40, "--label", "run")
    real = dataset.write_whole

    def full(path: Path, content: bytes) -> None:
        raise dataset.UserError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(dataset, "write_whole", full)
    assert_refused(onebyte(*argv), "No space left on device", "--recover", ".spool")
    monkeypatch.setattr(dataset, "write_whole", real)
    code, said, _ = onebyte("collect", tmp_path / "set", "--recover")
    assert code == 0 and f"samples={20 * RATE_HZ} gaps=0" in said
    assert (stored_rows(tmp_path / "set") == numbered(20 * RATE_HZ)).all()


def test_a_disk_that_fills_while_it_records_ends_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long_recording: Path
) -> None:
    real = Spool.add
    taken = 0

    def add(self: Spool, content: bytes) -> None:
        nonlocal taken
        taken += len(content)
        if taken > 20000:
            raise session.UserError("No space left on device; all before is kept")
        real(self, content)

    monkeypatch.setattr(Spool, "add", add)
    argv = ("collect", tmp_path / "s", "--replay", long_recording, "--speed", 40, "--label", "a")
    code, said, errors = onebyte(*argv)
    assert code == 2 and errors.count("onebyte: error: No space left") == 1
    n = int(re.search(r"collect samples=(\d+) gaps=0", said)[1])
    assert (stored_rows(tmp_path / "s") == numbered(600 * RATE_HZ)[:n]).all() and n > 1000


def test_a_folder_with_other_channels_is_left_alone(tmp_path: Path) -> None:
    recording = write_obr(tmp_path / "r.obr", numbered(RATE_HZ))
    argv = ("collect", tmp_path / "set", "--replay", recording, "--label", "a")
    assert onebyte(*argv)[0] == 0
    before = sorted((tmp_path / "set").rglob("*"))
    card = tmp_path / "set" / "dataset.json"
    content = json.loads(card.read_text())
    for change in ({"rate_hz": 50.0}, {"channels": content["channels"][:3]}):
        card.write_text(json.dumps(content | change))
        assert_refused(onebyte(*argv), "take another folder", "104 Hz")
        assert sorted((tmp_path / "set").rglob("*")) == before
    card.write_text("{}")
    assert_refused(onebyte(*argv), "is no card of ours")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--labels", "walking=w,resting=w"), ["again"]),
        (("--labels", "walking"), ["label=key"]),
        (("--labels", "walking=q"), ["other than q"]),
        (("--labels", "walking=w"), ["needs a terminal"]),
        (("--label", "Über"), ["a-z"]),
        (("--schedule", "walking:-1"), ["label:seconds"]),
        (("--schedule", "walking:1", "--label", "a"), ["say one of"]),
        (("--subject", "A/B"), ["--subject"]),
        (("--csv",), ["--rate"]),
        (("--fetch", "--to-flash"), ["say one of"]),
        (("--fetch", "--schedule", "a:1"), ["one label"]),
        (("--to-flash", "--schedule", "a:1"), ["one label"]),
        (("--to-flash", "--labels", "a=x"), ["one label"]),
        (("--fetch", "--label", "a"), ["--to-flash"]),
        (("--license", "a\nb"), ["one line"]),
        (("--license", "x" * 101), ["at most 100"]),
        (("--set", "sensor"), ["KEY=VALUE"]),
        (("--port", "/dev/ttyNOBODY"), ["no port /dev/ttyNOBODY"]),
        (("--board", "toaster"), ["no board 'toaster'", "esp32_s3"]),
        (("--csv", "--rate", "50", "--channels", "a:lightyears"), ["unit 'lightyears'"]),
    ],
)
def test_what_cannot_work_is_one_line(tmp_path: Path, argv: tuple, words: list[str]) -> None:
    got = onebyte("collect", tmp_path / "set", *argv)
    assert_refused(got, *words)
    assert not (tmp_path / "set" / "data").exists()


def test_a_device_that_refuses_says_why(tmp_path: Path) -> None:
    (tmp_path / "bad.obr").write_bytes(b"not a recording")
    got = onebyte("collect", tmp_path / "set", "--replay", tmp_path / "bad.obr")
    assert got[0] == 2 and "onebyte: error: the device failed: onebyte record:" in got[2]
    assert "RECORDING_MAGIC" in got[2]
    assert not (tmp_path / "set" / "data").exists()


def feed_csv(tmp_path: Path, text: str, *argv: object) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "onebyte.cli", "collect", str(tmp_path / "set"), "--csv"]
    done = subprocess.run(
        [*command, *map(str, argv)], input=text, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_lines_of_any_board_become_recordings(tmp_path: Path) -> None:
    values = np.round(np.random.default_rng(1).normal(0, 3, (200, 2)), 3)
    lines = ["n,temp,flow", "hello from the board"]
    lines += [f"{i},{a},{b}" for i, (a, b) in enumerate(values)]
    lines[52:52] = [lines[51]]  # the row with the number 49 comes twice
    del lines[100:103]
    text = "\n".join(lines) + "\n"
    got = feed_csv(tmp_path, text, "--rate", 10, "--counter", "n", "--label", "pump")
    assert got[0] == 0, got
    assert "gap before sample 98" in got[1] and "3 samples (link)" in got[1]
    assert "duplicate at sample 50" in got[1]
    assert "collect samples=197 gaps=1 duplicates=1 lost=3 damaged=1" in got[1]
    parts = [np.load(path) for path in sorted((tmp_path / "set").rglob("*.npz"))]
    got_values = np.concatenate([np.stack([part["temp"], part["flow"]], 1) for part in parts])
    expected = np.delete(values, [97, 98, 99], axis=0)
    assert np.allclose(got_values, expected, atol=1e-6)


def test_lines_without_a_number_are_no_recording(tmp_path: Path) -> None:
    got = feed_csv(tmp_path, "hello\n\x00\xff\n", "--rate", 10, "--channels", "a,b")
    assert_refused((got[0], got[1], got[2].splitlines()[-1] + "\n"), "no line of numbers")


def test_a_picture_that_cannot_be_drawn_costs_no_sample(tmp_path: Path) -> None:
    recording = write_obr(tmp_path / "r.obr", numbered(RATE_HZ))
    argv = ("collect", tmp_path / "set", "--replay", recording, "--speed", 10, "--label", "a")
    code, said, errors = onebyte(*argv, "--png", tmp_path / "nowhere" / "a.png")
    assert code == 2 and "cannot write" in errors and f"samples={RATE_HZ} gaps=0" in said
    assert len(stored_rows(tmp_path / "set")) == RATE_HZ
    card = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert card["sessions"][0]["labels"] == {"a": RATE_HZ} and card["sessions"][0]["settle_s"] == 0


def test_numbers_that_fit_not_are_refused_before_the_first_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def feed(text: str, *argv: object) -> tuple[int, str, str]:
        path = tmp_path / "numbers.csv"
        path.write_text(text)
        with path.open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            fixed = ("--csv", "--channels", "a:V,b:g", "--label", "x", "--rate", 50)
            return onebyte("collect", tmp_path / "set", *fixed, *argv)

    got = feed("1,2\n3,4\n5,-6")
    assert got[0] == 0 and "samples=3 " in got[1], got
    got = feed("1,2\n3,90")
    assert got[0] == 0, got
    for wrong in (("--rate", 51), ("--channels", "a:V,c:g")):
        assert_refused(feed("1,2\n", *wrong), "take another folder")
    assert list((tmp_path / "set" / ".collect").iterdir()) == []
    channels = json.loads((tmp_path / "set" / "dataset.json").read_text())["channels"]
    assert channels[1]["lsb"] == pytest.approx(6 * 1.25 / 32767, rel=0.01)
