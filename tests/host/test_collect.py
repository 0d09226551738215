"""What collect makes of blocks, labels and keys, without a device."""

import os
import pty
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from made_blocks import INFO, assembled, block, samples

from formats import sample_block
from onebyte.collect import labels, starter
from onebyte.collect.assembler import Assembler
from onebyte.collect.capture import Capture, Channel, channels_of, from_blocks
from onebyte.collect.dataset import Dataset, Session
from onebyte.collect.keyboard import Keyboard
from onebyte.collect.labels import Span, spans
from onebyte.collect.plot import braille
from onebyte.collect.stream import Block, Splitter, blocks_of
from onebyte.collect.text_lines import TextRecorder, parse_channels
from onebyte.errors import UserError


def found(assembler: Assembler) -> list[tuple[int, int, bool, str]]:
    return [(gap.row, gap.lost, gap.is_exact, gap.cause) for gap in assembler.gaps]


def test_blocks_in_order_are_one_piece() -> None:
    got = assembled(*(samples(i, 10 * i) for i in range(20)))
    assert got.n_samples == 200 and found(got) == [] and len(got.pieces) == 1
    assert got.measured_hz() == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("behind", "gap"),
    [
        (samples(2, 20), (20, 10, True, "link")),
        (samples(1, 25), (25, 15, True, "buffer")),
        (samples(1, 10, losses=(1, 0, 0), time_us=700000), (10, 50, False, "overrun")),
        (samples(1, 10, losses=(0, 1, 0), time_us=400000), (10, 20, False, "jump")),
        (samples(1, 10, losses=(0, 0, 1), time_us=300000), (10, 10, False, "bus")),
    ],
)
def test_a_gap_has_its_place_its_length_and_its_cause(
    behind: Block, gap: tuple[int, int, bool, str]
) -> None:
    got = assembled(samples(0, 0), behind)
    assert found(got) == [gap]
    assert [piece.first_row for piece in got.pieces] == [0, gap[0]]
    assert str(got.gaps[0]).startswith(f"gap before sample {gap[0]} at ")


def test_a_counter_of_losses_that_wraps_is_one_more_loss() -> None:
    got = assembled(
        samples(0, 0, losses=(0, 0xFFFF, 0)),
        samples(1, 10, losses=(0, 0xFFFF, 0)),
        samples(2, 20, losses=(0, 0, 0), time_us=400000),
    )
    assert found(got) == [(20, 10, False, "jump")]


def test_a_first_block_that_is_missing_is_a_gap() -> None:
    assert found(assembled(samples(3, 30))) == [(30, 30, True, "link")]


def test_what_comes_twice_is_left_out() -> None:
    got = assembled(samples(0, 0), samples(1, 10), samples(0, 0), samples(1, 10), samples(2, 20))
    assert [(one.row, one.rows) for one in got.duplicates] == [(0, 10), (10, 10)]
    assert (got.n_samples, found(got)) == (30, [])


def test_a_device_that_began_anew_is_a_gap_and_no_duplicate() -> None:
    got = assembled(
        samples(0, 0), samples(1, 10), samples(0, 0, time_us=90000), samples(1, 10, time_us=200000)
    )
    assert found(got) == [(20, 0, False, "restart")]
    assert got.n_samples == 40 and [piece.first_row for piece in got.pieces] == [0, 20]


def test_blocks_before_the_first_info_are_kept() -> None:
    assembler = Assembler()
    for one in (samples(0, 0), samples(1, 10), block(sample_block.INFO, 0, INFO), samples(2, 20)):
        assert assembler.take(one)
    assert assembler.n_samples == 30 and assembler.gaps == []


def test_what_is_missing_at_the_end_is_a_gap() -> None:
    end = sample_block.pack_end(3, 45, 0, (0, 0, 0), sample_block.ASKED)
    got = assembled(samples(0, 0), samples(1, 10), block(sample_block.END, 3, end[12:-4]))
    assert found(got) == [(45, 25, True, "link")]


def test_what_is_missing_at_the_end_is_counted_from_a_new_begin() -> None:
    end = sample_block.pack_end(1, 15, 0, (0, 0, 0), sample_block.ASKED)
    behind = (samples(0, 0, time_us=90000), block(sample_block.END, 1, end[12:-4]))
    got = assembled(samples(0, 0), samples(1, 10), *behind)
    assert found(got) == [(20, 0, False, "restart"), (35, 5, True, "buffer")]


def test_a_block_that_goes_back_contradicts_the_recording() -> None:
    got = assembled(samples(0, 0), samples(1, 10), samples(2, 15), samples(3, 20))
    assert (got.refused, got.n_samples) == (1, 30)
    assert found(got) == [(20, 0, True, "link")]


def test_the_rate_is_that_of_the_rows_though_blocks_differ_in_length() -> None:
    at = [0, *np.cumsum([7, 31, 1, 13] * 10).tolist()]
    got = assembled(*(samples(i, a, b - a) for i, (a, b) in enumerate(pairwise(at))))
    assert got.measured_hz() == pytest.approx(100.0, rel=1e-9)


def test_a_block_of_other_channels_is_refused() -> None:
    other = sample_block.pack_samples(0, 0, (0, 0), (0, 0, 0), (2, bytes(8)))
    got = assembled(Block(sample_block.SAMPLES, 0, other[12:-4], other))
    assert (got.refused, got.n_samples) == (1, 0)


def test_a_splitter_finds_blocks_in_whatever_surrounds_them() -> None:
    lines = [sample_block.pack_line(samples(i, 10 * i).content) for i in range(4)]
    torn = lines[1][:70]
    stream = (
        b"onebyte boot\r\n" + lines[0][:-1] + b"\r\n" + torn + lines[2] + b"\xff\x00\n" + lines[3]
    )
    for size in (1, 7, 64, 5000):
        splitter = Splitter()
        got = [
            one
            for at in range(0, len(stream), size)
            for one in splitter.feed(stream[at : at + size])
        ]
        assert [one.counter for one in got] == [0, 2, 3]
        assert splitter.damaged == 1
        assert splitter.said == ["onebyte boot", "\ufffd?"]
    splitter = Splitter()
    assert splitter.feed(b"x" * 100000) == [] and len(splitter._pending) < 4096
    assert len(splitter.feed(b"\n" + lines[0] + lines[0][:60])) == 1
    splitter.finish()
    assert splitter.damaged == 1
    longer = sample_block.pack_line(samples(0, 0).content + b"1234")
    assert (splitter.feed(longer), splitter.damaged) == ([], 2)


def test_a_file_of_blocks_ends_where_one_is_torn() -> None:
    content = b"".join(samples(i, 10 * i).content for i in range(3))
    blocks, rest = blocks_of(content + content[:20])
    assert ([one.counter for one in blocks], rest) == ([0, 1, 2], 20)


def test_channels_say_what_the_driver_says() -> None:
    info = {"n_channels": 3, "sensor": "lis3dh", "lsb_nano": ["1", "2", "3"]}
    assert channels_of(info)[1] == Channel("ay", "g", 2e-9)
    assert channels_of({"n_channels": 1, "sensor": "adc"})[0] == Channel("value", "counts", 1.0)
    six = channels_of({"n_channels": 6, "lsb_nano": ["1"] * 6})
    assert [(one.name, one.unit) for one in six] == [
        *(("ax", "g"), ("ay", "g"), ("az", "g")),
        *(("wx", "rad/s"), ("wy", "rad/s"), ("wz", "rad/s")),
    ]
    for wrong in ({}, {"n_channels": 0}, {"n_channels": 2, "lsb_nano": ["1"]}):
        with pytest.raises(UserError, match="INFO"):
            channels_of(wrong)


def test_spans_leave_out_the_time_to_settle() -> None:
    marks = [(0, "a"), (100, "b"), (104, ""), (200, "c")]
    assert spans(marks, 0, 300, 10) == [
        Span(0, 100, "a"),
        Span(100, 210, ""),
        Span(210, 300, "c"),
    ]
    assert spans(marks, 50, 90, 10) == [Span(50, 90, "a")]
    assert spans([], 5, 9, 10) == [Span(5, 9, "")]


def test_keys_switch_and_unknown_ones_are_shown() -> None:
    one = labels.Keys(labels.parse_keys("walking=w,resting=r"))
    assert one.step(10, 0.1, "w") == [(10, "walking")]
    assert one.step(20, 0.2, "x ") == [(20, "")]
    one.step(30, 0.3, "x")
    assert "no label has the key 'x'" in one.state and not one.is_done
    one.step(40, 0.4, "q")
    assert one.is_done


def test_a_schedule_counts_down_and_ends() -> None:
    said: list[str] = []
    one = labels.Schedule(labels.parse_schedule("a:2,b:2"), said.append)
    marks = []
    for row in range(0, 500, 25):
        marks += one.step(row, row / 100, "")
    assert marks == [(0, "a"), (200, "b"), (400, "")]
    assert one.is_done
    assert said[0] == "now: a, 2 s" and "  b in 1 ..." in said and "  the end in 2 ..." in said


def test_a_terminal_gives_single_keys_and_is_as_before() -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "r") as stream, Keyboard(stream) as keyboard:
        assert keyboard.typed() == ""
        os.write(leader, b"wr")
        assert keyboard.typed() == "wr"
    os.close(leader)


def test_late_lines_that_never_catch_up_are_a_gap() -> None:
    for is_gap in (True, False):
        recorder = TextRecorder(50.0, parse_channels("a:V:0.001"))
        for i in range(400):
            late_s = 0.8 if i >= 200 and (is_gap or i < 220) else 0.0
            recorder.feed(f"{i % 7}\n".encode(), i / 50 + late_s)
        got = recorder.capture("s", [], {})
        expected = [(200, 40, False, "jump")] if is_gap else []
        assert [(g.row, g.lost, g.is_exact, g.cause) for g in got.gaps] == expected
        assert got.n_samples == 400


def test_a_rate_that_is_wrong_is_said() -> None:
    recorder = TextRecorder(50.0, parse_channels("a"))
    for i in range(300):
        recorder.feed(b"1\n", i / 40)
    assert "40.00 Hz, stated is 50 Hz (-20.0%)" in recorder.capture("s", [], {}).rate_warning()


def capture(session: str, marks: list[tuple[int, str]], n_rows: int = 900) -> Capture:
    got = assembled(*(samples(i, 10 * i) for i in range(n_rows // 10)))
    return Capture(session, channels_of(got.info), 100.0, 100.0, got.pieces, marks)


def test_a_capture_says_all_that_happened() -> None:
    info = INFO.replace(b'"pace_mhz":100000', b'"pace_mhz":200000')
    end = sample_block.pack_end(31, 310, 0, (0, 0, 0), sample_block.QUOTA)
    blocks = [samples(i, 10 * i, time_us=(i + 1) * 50000) for i in range(30)]
    blocks += [samples(30, 300, losses=(1, 0, 0), time_us=1800000), samples(31, 5)]
    got = from_blocks(
        [block(1, 0, info), *blocks, block(sample_block.END, 31, end[12:-4])], "s", 2
    )
    assert got.summary() == (
        "collect samples=310 gaps=1 duplicates=0 lost=50 damaged=3 rate_hz=100.00"
    )
    assert str(got.gaps[0]) == "gap before sample 300 at 1.800 s: about 50 samples (overrun)"
    assert got.ended == "the free space of the flash is used up"


def test_rows_are_in_units_once_and_cut_where_the_label_changes(tmp_path: Path) -> None:
    counts = capture("s1", [(0, "a"), (300, "b"), (600, "a")])
    units = replace(counts, session="s2", is_counts=False)
    for one, scale in ((counts, 0.001), (units, 1.0)):
        folder = Dataset(tmp_path / one.session)
        files = folder.add(one, Session("anna", "", 0.5))
        found = []
        for path in files:
            with np.load(path) as arrays:
                first, values = int(arrays["first_sample"]), arrays["ax"]
            assert np.allclose(values, np.arange(first, first + len(values)) * scale)
            found.append((path.name.split("_")[0], first, len(values)))
        assert sorted(found, key=lambda part: part[1]) == [
            ("a", 0, 300),
            ("unlabelled", 300, 50),
            *(("b", 350, 84), ("b", 434, 83), ("b", 517, 83)),
            ("unlabelled", 600, 50),
            ("a", 650, 250),
        ]


def test_a_recipe_leaves_recordings_out_and_later_subjects(tmp_path: Path) -> None:
    marks = [(0, "a"), (300, "b"), (600, "")]
    folder = Dataset(tmp_path / "My Set")
    folder.add(capture("s1", marks), Session("anna", "", 0.0))
    text = (tmp_path / "My Set" / "recipe.toml").read_text()
    assert 'name = "my-set"' in text and "(?P<group>" not in text
    assert len(list((tmp_path / "My Set" / "data").rglob("*.npz"))) == 6  # thirds of single ones
    folder.add(capture("s2", marks), Session("ben", "", 0.0))
    assert "(?P<group>" in (tmp_path / "My Set" / "recipe.toml").read_text()
    assert len(list((tmp_path / "My Set" / "data" / "ben").glob("*.npz"))) == 2


def test_a_recipe_fits_what_there_is() -> None:
    def recipe(rate_hz: float, *files: tuple[str, str, int]) -> str:
        return starter.recipe(
            {
                "name": "x",
                "rate_hz": rate_hz,
                "channels": [{"name": "a", "unit": "g", "lsb": 1.0}],
                "sessions": [
                    {"subject": subject, "files": [{"label": label, "samples": samples}]}
                    for label, subject, samples in files
                ],
            }
        )

    enough = (("a", "anna", 9000), ("b", "anna", 9000))
    text = recipe(12.5, *enough)
    for line in ("rate_hz = 12.5", "window = 25", "hop = 12", "size = 32", ", lsb = 1.0 }"):
        assert line in text
    assert "window = 8\n" in recipe(12.5, ("a", "anna", 16), ("b", "anna", 9000))
    assert "window = 20\n" in recipe(12.5, ("a", "anna", 40), ("b", "anna", 9000))
    assert "window = 1024\n" in recipe(5000, *enough)
    # One subject more for one label only would leave a class out of the training.
    assert "(?P<group>" not in recipe(50, *enough, ("a", "ben", 9000))
    assert "(?P<group>" in recipe(50, *enough, ("a", "ben", 9000), ("b", "ben", 9000))


def test_a_recipe_that_somebody_changed_stays(tmp_path: Path) -> None:
    folder = Dataset(tmp_path)
    folder.add(capture("s1", [(0, "a"), (300, "b")]), Session("anna", "", 0.0))
    path = tmp_path / "recipe.toml"
    path.write_text(path.read_text() + "# mine\n")
    Dataset(tmp_path).add(capture("s2", [(0, "c")]), Session("anna", "", 0.0))
    assert path.read_text().endswith("# mine\n") and "\nc = " not in path.read_text()


def test_one_label_makes_no_recipe(tmp_path: Path) -> None:
    folder = Dataset(tmp_path)
    folder.add(capture("s1", [(0, "a")]), Session("anna", "", 0.0))
    assert not folder.has_recipe
    assert starter.name_of(Path("/tmp/Ünder_1 x")) == "nder_1-x"


def test_the_same_session_again_replaces_itself(tmp_path: Path) -> None:
    folder = Dataset(tmp_path)
    for _ in range(2):
        files = folder.add(capture("s1", [(0, "a"), (450, "b")]), Session("anna", "", 0.0))
    assert sorted(tmp_path.rglob("*.npz")) == sorted(files)


def test_a_curve_of_braille_has_its_size() -> None:
    lines = braille(np.sin(np.arange(500) / 10), 30, 4)
    assert [len(line) for line in lines] == [30] * 4
    assert len(set("".join(lines))) > 5
    assert braille([], 3, 1) == ["\u2800" * 3] and len(braille([1.0, 1.0], 8, 2)) == 2
