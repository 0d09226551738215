"""Lines of numbers as boards and programs print them: what is a row, what is a gap."""

import os
from pathlib import Path

import pytest

from onebyte.collect.capture import Capture, Channel
from onebyte.collect.links import FileLink
from onebyte.collect.text_lines import TextRecorder, parse_channels
from onebyte.errors import UserError

RATE_HZ = 50.0


def recorded(text: str, channels: str = "", counter: str = "") -> TextRecorder:
    """Return a recorder that took lines at the rate that is stated."""
    recorder = TextRecorder(RATE_HZ, parse_channels(channels) if channels else (), counter)
    for i, line in enumerate(text.splitlines(keepends=True)):
        recorder.feed(line.encode(), i / RATE_HZ)
    return recorder


def captured(text: str, channels: str = "", counter: str = "") -> Capture:
    return recorded(text, channels, counter).capture("s", [], {})


def gaps(capture: Capture) -> list[tuple[int, int, bool, str]]:
    return [(gap.row, gap.lost, gap.is_exact, gap.cause) for gap in capture.gaps]


def counted(*numbers: int) -> str:
    return "n,a\n" + "".join(f"{n},{i % 90}\n" for i, n in enumerate(numbers))


@pytest.mark.parametrize(
    ("text", "channels", "rows"),
    [
        ("\ufeffax,ay\r\n1,2\r\n3,4\r\n", "", [[1, 2], [3, 4]]),  # as spreadsheets write
        ('"AX";"AY"\n1.5;-2e-1\n', "", [[1.5, -0.2]]),
        ("ay\tax\n1\t2\n", "ax,ay", [[2, 1]]),
        ("t,ax,ay\n9,1,2\n", "ax,ay", [[1, 2]]),
        ("1 2\n 3  4 \n", "a,b", [[1, 2], [3, 4]]),
        ("1,2\n", "a,b", [[1, 2]]),
        ("a,b\n1,2\na,b\n3,4\n", "", [[1, 2], [3, 4]]),  # the board began anew
        ("nan,nan\n1,2\n", "a,b", [[1, 2]]),
    ],
)
def test_what_is_a_row(text: str, channels: str, rows: list[list[float]]) -> None:
    assert recorded(text, channels).rows == rows


@pytest.mark.parametrize(
    "line", ["0,5;0,25", "1", "1,2,3", "1,", "1,two", "nan,2", "1,inf", "1,1e39", "1,,", "--,2"]
)
def test_what_is_none(line: str) -> None:
    got = recorded(f"1,2\n{line}\n3,4\n", "a,b")
    assert (got.rows, got.skipped, got.said) == ([[1, 2], [3, 4]], 1, [line])


def test_names_alone_are_channels_and_nan_is_no_name() -> None:
    assert recorded("nan,inf\nax,ay\n1,2\n").rows == [[1, 2]]
    with pytest.raises(UserError, match="twice"):
        recorded("a,a\n1,2\n")
    with pytest.raises(UserError, match="at most 16"):
        recorded(",".join(f"c{i}" for i in range(17)) + "\n")


def test_a_row_without_its_value_is_a_gap() -> None:
    got = captured("1,2\n3,nan\n-inf,3\n5,6\nhello 7 b\n7,8\n1,2,9.9.9\n9,1\n,\n", "a,b")
    assert gaps(got) == [(1, 2, False, "link"), (3, 1, False, "link")]
    assert [(piece.first_row, piece.n_rows) for piece in got.pieces] == [(0, 1), (1, 2), (3, 1)]
    assert (got.n_samples, got.damaged) == (4, 5)
    assert gaps(captured("nan,1\n1,2\n3,4\n3,nan\n", "a,b")) == []  # none lies between rows


def test_a_row_without_its_value_is_counted_once_where_lines_are_counted() -> None:
    assert gaps(captured("n,a\n1,1\n2,nan\n3,3\n", "", "n")) == [(1, 1, True, "link")]


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_a_counter_that_wraps_loses_nothing(bits: int) -> None:
    top = 1 << bits
    got = captured(counted(*range(top - 20, top), *range(40)), "", "n")
    assert (got.gaps, got.duplicates, got.n_samples) == ([], [], 60)
    assert [channel.name for channel in got.channels] == ["a"]


def test_a_counter_that_falls_back_is_a_board_that_began_anew() -> None:
    got = captured(counted(*range(300, 340), *range(1, 30)), "", "n")
    assert gaps(got) == [(40, 0, False, "restart")] and got.n_samples == 69
    got = captured(counted(*range(300, 340), 7), "", "n")
    assert gaps(got) == [(40, 0, False, "restart")] and got.n_samples == 41


def test_a_damaged_number_costs_its_line_alone() -> None:
    got = captured(counted(*range(300, 320), 32, *range(321, 340)), "", "n")
    assert gaps(got) == [(21, 1, True, "link")]
    assert (len(got.duplicates), got.n_samples) == (1, 39)
    got = captured(counted(*range(300, 320), 93200, *range(321, 340)), "", "n")
    assert [gap.row for gap in got.gaps] == [20, 21] and got.n_samples == 40


def test_lines_that_come_twice_are_left_out() -> None:
    lines = "1,5\n2,6\n3,7\n2,6\n3,7\n4,8\n4,8\n5,9\n"
    got = captured("n,a\n" + lines, "", "n")
    assert [one.row for one in got.duplicates] == [3, 4, 6]
    assert (got.gaps, got.n_samples) == ([], 5)


def test_the_last_line_of_a_file_needs_no_end(tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    path.write_text("a,b\n1,2\n3,4")
    recorder = TextRecorder(RATE_HZ)
    with path.open("rb") as file:
        link = FileLink(file)
        while not link.is_over:
            recorder.feed(link.read(), 0.0)
    assert recorder.rows == [[1, 2], [3, 4]]


def test_a_pipe_without_data_is_not_over() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as file:
        link = FileLink(file)
        assert link.read() == b"" and not link.is_over
        os.close(writer)
        assert link.read() == b"\n" and link.is_over


def test_what_a_count_means_is_stated_known_or_from_the_largest() -> None:
    recorder = recorded("1,2,-40000\n", "a:g:0.001,b,c:Pa")
    assert recorder.capture("s", [], {"a": 9.0, "b": 0.5}).channels == (
        Channel("a", "g", 0.001),
        Channel("b", "counts", 0.5),
        Channel("c", "Pa", pytest.approx(40000 * 1.25 / 32767, rel=0.01)),
    )
