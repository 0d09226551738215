"""A board, or a computer, that is slow for a moment: the link waits, and stays in step."""

import time
from typing import Any

import pytest
from repl_board import ReplBoard
from serial_boards import Line

from onebyte.boards import transport
from onebyte.boards.link import open_board
from onebyte.boards.transport import Patience

CTRL_A = b"\x01"
LATER_S = 0.5


class LateBoard(ReplBoard):
    """Takes nothing until it was asked twice; takes the second question long after the first."""

    def __init__(self, **board: Any) -> None:
        super().__init__(**board)
        self.held: bytes | None = b""
        self.rest = b""
        self.rest_at = 0.0

    def _step(self, line: Line) -> None:
        super()._step(line)
        if self.rest and time.monotonic() > self.rest_at:
            rest, self.rest = self.rest, b""
            super()._to_board(rest)

    def _to_board(self, data: bytes) -> None:
        if self.held is None:
            self.rest += data  # in its order
            return
        self.held += data
        if self.held.count(CTRL_A) > 1:
            first, found, self.rest = self.held.partition(CTRL_A)
            self.held, self.rest_at = None, time.monotonic() + LATER_S
            super()._to_board(first + found)


def test_late_answers_to_earlier_questions_are_not_taken_for_later_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "_STOP_S", 2.0)
    with LateBoard() as fake, open_board(fake.path) as board:
        assert [board.exec(f"print({number})") for number in range(5)] == [
            f"{number}\n" for number in range(5)
        ]
        board.write_file("/f", b"content")
        assert board.read_file("/f") == b"content"


def test_computer_that_stood_still_has_not_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: seconds)
    patience, endless = Patience(3.0), Patience(None)
    seconds += 3600  # the lid was closed
    assert not patience.is_over()
    for _ in range(5):
        assert not patience.is_over()
        seconds += 0.45
    assert not patience.is_over()
    seconds += 0.45
    assert patience.is_over() and not endless.is_over()
    patience.renew()
    assert not patience.is_over()
