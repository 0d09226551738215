"""Collect at a board's serial port: a recording to flash and back, a stream and its end."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import assert_refused, onebyte
from made_blocks import INFO, samples
from repl_board import ReplBoard

from formats import sample_block
from onebyte.boards import link
from onebyte.boards.link import open_board
from onebyte.collect import replay
from onebyte.collect.board_link import BoardLink
from onebyte.errors import UserError

FROZEN = ("app.record_setup", "app.record_plan")
# What a board's own module `board` offers, with the folder that the interpreter has as its flash.
BOARD = b"""
import os
class Files:
    open = staticmethod(open)
    def __getattr__(self, name):
        return getattr(os, name)
def make_files():
    return Files()
"""


def recording(n_blocks: int) -> bytes:
    info = sample_block.pack(sample_block.INFO, 0, INFO[:-1] + b',"label":"run"}')
    return info + b"".join(samples(i, 10 * i).content for i in range(n_blocks))


def test_a_board_gets_its_plan_and_gives_its_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set"
    restarted = []
    restart = link.Board.restart
    monkeypatch.setattr(link.Board, "restart", lambda self: restarted.append(restart(self)))
    with ReplBoard(frozen=FROZEN) as fake:
        port = ("--port", fake.path)
        with open_board(fake.path) as board:
            board.write_file("/board.py", BOARD)
        assert_refused(onebyte("collect", out, *port, "--fetch"), "no recording is on the board")
        argv = ("--to-flash", "--label", "run", "--subject", "anna", "--license", "CC0 ü")
        argv = (*argv, "--quota", 8, "--duration", 0.2, "--set", "sensor=adc")
        code, said, _ = onebyte("collect", out, *port, *argv)
        assert code == 0 and "--fetch" in said and not out.exists()
        assert len(restarted) == 1, "it records from its next start on"
        with open_board(fake.path) as board:
            assert json.loads(board.exec("print(open('/rec/plan').read())")) == {
                "v": 1,
                "label": "run",
                "subject": "anna",
                "license": "CC0 ü",
                "quota_kib": 8,
                "duration_s": 1,
                "sensor": "adc",
            }
            board.write_file("/rec/0001-0000.obs", recording(70))
            board.write_file("/rec/0002-0000.obs", b"")
        code, said, errors = onebyte("collect", out, *port, "--fetch", "--subject", "ben")
        assert code == 0, errors
        assert "collect samples=700 gaps=0 duplicates=0 lost=0 damaged=0" in said
        assert "run 2: the power failed before its first samples" in said
        with open_board(fake.path) as board:
            assert board.exec("import os\nprint(os.listdir('/rec'))").strip() == "[]"
    assert len(list((out / "data" / "ben").glob("run_flash-*-0001_0?.npz"))) == 3


def test_a_board_without_our_files_cannot_record_to_flash(tmp_path: Path) -> None:
    with ReplBoard() as fake:
        got = onebyte("collect", tmp_path / "set", "--port", fake.path, "--to-flash")
        assert_refused(got, "has no recorder of its own: flash an image", "provision --install")


class Wire:
    """A line that brings pieces; afterwards the board is gone."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.written = b""
        self.put = b""

    def read_some(self) -> bytes:
        return self.pieces.pop(0)

    def write(self, data: bytes) -> None:
        self.written += data

    def put_back(self, data: bytes) -> None:
        self.put += data


class Board:
    """What a BoardLink uses of a board."""

    device = "port"

    def __init__(self, wire: Wire) -> None:
        self.transport: Any = self
        self.serial = wire

    def exec_raw_no_follow(self, code: str) -> None:
        self.code = code

    def exec(self, code: str, timeout_s: float = 0.0) -> str:
        raise AssertionError("the program runs")


def read_all(link: BoardLink) -> bytes:
    data = b""
    while not link.is_over:
        data += link.read()
    return data


STREAM = b"obs1 abc\nobs1 def\n"


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_a_stream_ends_where_its_program_ends(size: int) -> None:
    whole = STREAM + b"\x04\x04>"
    wire = Wire(*[whole[at : at + size] for at in range(0, len(whole), size)])
    board = Board(wire)
    link = BoardLink(board, "go()")
    assert read_all(link) == STREAM and board.code == "go()"
    # The prompt is the board's owner's to read, whether it came already or not.
    assert wire.put + b"".join(wire.pieces) == b">"
    link.stop()
    assert wire.written == b""


@pytest.mark.parametrize("size", [1, 3, 9, 100])
def test_a_program_that_fails_says_why(size: int) -> None:
    trace = b"Traceback (most recent call last):\r\n  x\r\nOSError: [Errno 5] EIO\r\n"
    whole = STREAM + b"\x04" + trace + b"\x04>"
    wire = Wire(*[whole[at : at + size] for at in range(0, len(whole), size)])
    with pytest.raises(UserError, match=re.escape("port: the board says: OSError: [Errno 5] EIO")):
        read_all(BoardLink(Board(wire), "go()"))
    assert wire.put + b"".join(wire.pieces) == b">"


def test_a_stream_is_told_to_stop_by_a_key() -> None:
    wire = Wire(STREAM)
    link = BoardLink(Board(wire), "go()")
    link.read()
    link.stop()
    assert wire.written == b"\x03"


def test_a_device_that_brings_no_sample_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = (
        sample_block.pack(sample_block.INFO, 0, INFO),
        sample_block.pack_end(0, 0, 0, (0, 0, 3), sample_block.SOURCE_OVER),
    )
    lines = b"".join(map(sample_block.pack_line, blocks)) + b"\x04\x04>"

    @contextmanager
    def opened(recording: Path, speed: int) -> Iterator[BoardLink]:
        yield BoardLink(Board(Wire(lines)), "go()")

    monkeypatch.setattr(replay, "open_replay", opened)
    (tmp_path / "r.obr").write_bytes(b"")
    got = onebyte("collect", tmp_path / "set", "--replay", tmp_path / "r.obr")
    assert_refused(got, "nothing was recorded")
    assert list((tmp_path / "set" / ".collect").iterdir()) == []
