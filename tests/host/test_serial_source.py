"""Decisions from a serial line: the same decisions as over MQTT, and what is damaged is said."""

import itertools
import json
import os
import time
from collections.abc import Callable

import pytest
from command_line import assert_refused, onebyte
from serial_boards import Line, leaving, running

from formats import messages, record, result, serial_line
from onebyte.receiver.monitor import Decision, Monitor, Note
from onebyte.receiver.serial_source import SerialSource

META = {
    "encoding": "A",
    "labels": ["idle", "running"],
    "model": "0123456789abcdef",
    "name": "pump",
    "window_ms": 2000,
    "hop_ms": 1000,
}
STATUS = dict.fromkeys(messages.STATUS_KEYS, 0) | {"epoch": 3}
INTRODUCTION = [
    serial_line.pack(serial_line.META, messages.pack_meta(META)),
    serial_line.pack(serial_line.STATUS, messages.pack_status(STATUS)),
]


def record_line(seq: int, class_id: int = 1) -> bytes:
    payload = bytearray(record.RECORD_BYTES)
    byte = result.pack_class(result.A, class_id, 5, False)
    record.pack_into(payload, 0, 3, byte, 0, seq, 100 + seq, 0)
    return serial_line.pack(serial_line.RECORD, payload)


def text_of(*lines: bytes, end: bytes = b"\r\n") -> bytes:
    return b"".join(line + end for line in lines)


def follow(text: bytes, piece_bytes: int) -> tuple[list[Decision | Note], list[str]]:
    """Read a text in pieces of this size; return what the monitor gave, and the notes."""
    pieces = [text[at : at + piece_bytes] for at in range(0, len(text), piece_bytes)]
    source = SerialSource(lambda: pieces.pop(0) if pieces else b"", "home", "desk", lambda: 9.0)
    monitor = Monitor(gap_wait_s=0.0)
    items: list[Decision | Note] = []
    while pieces:
        for message in source.messages(0.0):
            items += monitor.take(message)
        items += monitor.tick(9.0)
    return items, source.notes()


@pytest.mark.parametrize("piece_bytes", [1, 7, 64, 10**6])
def test_every_record_is_one_decision(piece_bytes: int) -> None:
    noise = [b"onebyte boot: power_on", b"MicroPython v1.25.0", b""]
    records = [record_line(seq, seq % 2) for seq in range(20)]
    items, notes = follow(text_of(*noise, *INTRODUCTION, *records), piece_bytes)
    decisions = [item for item in items if isinstance(item, Decision)]
    assert [(one.epoch, one.seq) for one in decisions] == [(3, seq) for seq in range(20)]
    assert [one.label for one in decisions[:2]] == ["idle", "running"]
    assert {(one.tenant, one.device) for one in decisions} == {("home", "desk")}
    assert notes == ["onebyte boot: power_on"]


def test_damaged_line_is_a_gap_that_is_said_at_once() -> None:
    lines = [record_line(seq) for seq in range(5)]
    lines[2] = lines[2].replace(b" r ", b" r0", 1)
    items, notes = follow(text_of(*INTRODUCTION, *lines), 1000)
    assert [item.seq for item in items if isinstance(item, Decision)] == [0, 1, 3, 4]
    assert "lost: epoch 3, 2 to 2" in [item.text for item in items if isinstance(item, Note)]
    assert len(notes) == 1 and notes[0].startswith("a damaged line: LINE_")


def test_who_comes_in_the_middle_of_a_line_starts_with_the_next() -> None:
    text = text_of(record_line(4))[9:] + text_of(*INTRODUCTION, record_line(5))
    items, notes = follow(text, 1000)
    assert [item.seq for item in items if isinstance(item, Decision)] == [5]
    assert notes == []


def test_endless_line_is_let_go() -> None:
    text = b"x" * 100_000 + b"\n" + text_of(*INTRODUCTION, record_line(0))
    items, notes = follow(text, 1000)
    assert len([item for item in items if isinstance(item, Decision)]) == 1 and notes == []


def test_line_without_an_end_takes_no_memory() -> None:
    source = SerialSource(lambda: b"x" * 1000, "home", "desk")
    for _ in range(50):
        assert list(source.messages(0.0)) == []
        assert len(source._rest) <= serial_line.MAX_BYTES


def test_node_that_says_too_little_in_its_time_is_exit_code_1() -> None:
    with running(Line(), lambda line: time.sleep(0.02)) as line:
        got = onebyte("monitor", "--serial", line.path, "--count", 1, "--timeout", 0.2)
        assert got == (1, "", "")
        assert onebyte("monitor", "--serial", line.path, "--timeout", 0.2) == (0, "", "")


def speak() -> Callable[[Line], None]:
    """Return the step of a node that decides, and introduces itself now and then."""
    seq = itertools.count()

    def step(line: Line) -> None:
        assert line.read(0.0) == b"", "the node was written to"
        number = next(seq)
        if number % 5 == 0:
            os.write(line.master, text_of(b"onebyte node: sensor: gone", *INTRODUCTION))
        if number % 6 != 3:  # nobody can ask for it again, so nothing may wait for it
            os.write(line.master, text_of(record_line(number)))
        time.sleep(0.02)

    return step


def test_command_shows_them_and_writes_nothing() -> None:
    with running(Line(), speak()) as line:
        options = ("--serial", line.path, "--count", 8, "--timeout", 20)
        code, out, err = onebyte("monitor", *options, "--json")
        assert code == 0 and "serial/port: online" in err  # notes leave stdout to the decisions
        found = [row for row in map(json.loads, out.splitlines()) if "seq" in row]
        numbers = [row["seq"] for row in found]
        said = [number for number in range(numbers[0], numbers[0] + 20) if number % 6 != 3]
        assert numbers == said[:8]
        assert {(row["label"], row["device"]) for row in found} == {("running", "port")}
        code, out, err = onebyte("monitor", *options, "--tenant", "home", "--device", "desk")
    assert (code, err) == (0, "")
    assert "home/desk" in out and "onebyte node: sensor: gone" in out


def test_command_says_what_is_missing_or_gone() -> None:
    assert_refused(onebyte("monitor", "--serial", "/dev/none", "--home-assistant"), "--broker")
    assert_refused(onebyte("monitor", "--serial", "/dev/none"), "no port /dev/none")
    with running(Line(), leaving(b"onebyte node: well\n")) as line:
        code, _, err = onebyte("monitor", "--serial", line.path, "--timeout", 20)
    assert code == 2 and "unplugged" in err
