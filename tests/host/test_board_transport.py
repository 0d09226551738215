"""The raw REPL's transport over a scripted wire, and what a board's word on itself becomes."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import serial
from mpremote.transport import TransportError

from onebyte.boards import transport
from onebyte.boards.facts import MIN_VERSION, Facts, parse_facts
from onebyte.boards.transport import RAW_REPL, Silent, Transport, Wire
from onebyte.errors import UserError


class ScriptedWire:
    """Gives these pieces one after the other; `answer` may add some when something is written."""

    def __init__(self, *pieces: bytes, answer: Callable[[bytes], list[bytes]] | None = None):
        self.pieces = list(pieces)
        self._answer = answer or (lambda _: [])

    def read_some(self) -> bytes:
        if not self.pieces:
            time.sleep(0.01)
        return self.pieces.pop(0) if self.pieces else b""

    def read(self, size: int) -> bytes:
        return self.read_some()[:size]

    def put_back(self, data: bytes) -> None:
        self.pieces[:0] = [data] if data else []

    def write(self, data: bytes) -> None:
        self.pieces += self._answer(data)


def over(wire: ScriptedWire) -> Transport:
    made = Transport.__new__(Transport)
    made.device_name, made.serial, made.in_raw_repl = "/dev/board", wire, False
    made._is_owed = False
    return made


@pytest.mark.parametrize("pieces", [(b"out\x04>rest",), (b"ou", b"t\x04", b">re", b"st")])
def test_end_is_found_wherever_the_pieces_break(pieces: tuple[bytes, ...]) -> None:
    board = over(ScriptedWire(*pieces))
    assert board.read_until(1, b"\x04>", 0.2) == b"out\x04>"
    assert b"".join(board.serial.pieces) == b"rest"
    board = over(ScriptedWire(*pieces))
    seen: list[bytes] = []
    assert board.read_until(1, b"\x04>", 0.2, seen.append).endswith(b"\x04>")
    assert b"".join(seen) == b"out\x04>"
    assert b"".join(board.serial.pieces) == b"rest"


def test_who_talks_all_the_time_is_not_listened_to_for_ever() -> None:
    class Chatter(ScriptedWire):
        def read_some(self) -> bytes:
            time.sleep(0.01)
            return self.pieces.pop()

    heard = over(Chatter(*[b"noise"] * 300)).read_until(1, b"never", 5, None, 0.2)
    assert heard.startswith(b"noise")


def test_prompt_that_comes_late_and_twice_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "_STOP_S", 0.2)
    asked: list[bytes] = []

    def answer(data: bytes) -> list[bytes]:
        asked.append(data)
        if data.startswith(b"print("):
            return [b"OK" + data[7 : data.index(b"',")], b"\x04\x04>"]
        is_second = asked.count(b"\r\x01") == 2 and data == b"\r\x01"
        return [b"onebyte node: bye\r\n" + RAW_REPL, RAW_REPL] if is_second else []

    board = over(ScriptedWire(answer=answer))
    board.enter_raw_repl()
    *keys, question = asked
    assert board.in_raw_repl and keys == [b"\r\x03", b"\r\x01"] * 2
    assert question.startswith(b"print('in step ")
    assert board.serial.pieces == [b">"], "the next answer would be misread"


@pytest.mark.parametrize("header", [b"", b"\x80", b"\0\0"])
def test_raw_paste_without_a_window_is_an_error_of_the_line(header: bytes) -> None:
    with pytest.raises(TransportError, match="no window"):
        over(ScriptedWire(header)).raw_paste_write(b"print(1)")


def test_board_that_takes_no_bytes_hangs_and_is_not_unplugged() -> None:
    class Full:
        def write(self, data: bytes) -> None:
            raise serial.SerialTimeoutException("Write timeout")

    wire = Wire.__new__(Wire)
    wire.device, wire._port = "/dev/board", Full()
    with pytest.raises(Silent, match="takes no bytes: the board hangs; press RESET"):
        wire.write(b"x")


SAID: dict[str, Any] = {
    **{"name": "micropython", "version": [1, 26, 1], "platform": "rp2", "machine": "a Pico"},
    "mpy": 4870,
}


@pytest.mark.parametrize(
    ("number", "arch"),
    # As chips print them: sys.implementation._mpy.
    [(2822, "x64"), (4870, "armv6m"), (7942, "armv7emsp"), (10758, "xtensawin"), (774, "")],
)
def test_number_of_the_mpy_files_is_taken_apart(number: int, arch: str) -> None:
    facts = parse_facts(json.dumps({**SAID, "mpy": number}))
    assert (facts.mpy, facts.arch) == ((6, number >> 8 & 3), arch)


@pytest.mark.parametrize(
    "text",
    ["", "x", "[1]", "{}", json.dumps({**SAID, "mpy": "a"}), json.dumps({**SAID, "mpy": 99999})],
)
def test_answer_that_is_no_facts_is_one_line(text: str) -> None:
    with pytest.raises(UserError, match="the board's answer is damaged"):
        parse_facts(text)


def test_oldest_interpreter_that_counts() -> None:
    def of(*version: int) -> Facts:
        return parse_facts(json.dumps({**SAID, "version": version}))

    of(*MIN_VERSION).check("/dev/board")
    of(2, 0, 0).check("/dev/board")
    with pytest.raises(UserError, match="too old"):
        of(MIN_VERSION[0], MIN_VERSION[1] - 1, 9).check("/dev/board")


def test_what_is_put_back_comes_first() -> None:
    wire = Wire.__new__(Wire)
    wire._buffer = bytearray(b"rest")
    wire.put_back(b"first, ")
    assert wire.read_some() == b"first, rest"
