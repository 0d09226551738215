"""A locked console: no Ctrl-C, and one line for whoever tries. A process: Ctrl-C as a byte."""

import os
import sys

import micropython
from check import raises_kind

from app import config as configuration
from app import console

_GOOD = {"tenant": "lab", "device": "node-1", "broker_host": "broker.example"}


class _Input:
    """A poll object and a stdin in one, with keys that wait."""

    def __init__(self, keys):
        self.keys = keys

    def poll(self, timeout_ms):
        assert timeout_ms == 0
        return [1] if self.keys else []

    def read(self, n):
        key, self.keys = self.keys[:n], self.keys[n:]
        return key


class _Enough(Exception):
    pass


def _console(is_process=False, **values):
    values.update(_GOOD)
    taken = []
    own = micropython.kbd_intr
    console.micropython = _Interrupts(taken)
    try:
        made = console.Console(configuration.Config(values), is_process)
    finally:
        console.micropython = micropython
    assert own is micropython.kbd_intr
    return made, taken


class _Interrupts:
    def __init__(self, taken):
        self.kbd_intr = taken.append


def _said(made, keys):
    """Returns how often the locked console answered while these keys were typed."""
    lines = []
    made._poll = _Input(keys)
    stdin = console.sys
    console.sys = made._poll
    made._poll.stdin = made._poll
    console.print = lambda *words: lines.append(words[0])
    try:
        made.look()
    finally:
        console.sys = stdin
        del console.print
    assert made._poll.keys == ""
    return lines


def test_open_console_leaves_ctrl_c_alone():
    for made, taken in (_console(), _console(True, console="locked")):
        assert (made.is_locked, taken) == (False, [])
        made.look()
        made.end(None)


def test_locked_console_takes_ctrl_c_and_says_so():
    made, taken = _console(console="locked", safe_boot_ms=1500)
    assert (made.is_locked, taken) == (True, [-1])
    assert _said(made, "") == []
    assert _said(made, "abc\r\n") == []
    (line,) = _said(made, "\r\x03\r\x01")
    assert line.startswith("onebyte boot: locked") and "within 1500 ms after a reset" in line
    assert sys.stdin is not made._poll


def test_process_ends_with_ctrl_c_only_where_it_was_asked_to_listen():
    for is_asked in (False, True):
        console.os = _Environment("ONEBYTE_KEYS" if is_asked else "ONEBYTE_CONFIG")
        try:
            made, taken = _console(True, console="locked")
        finally:
            console.os = os
        assert (made.is_locked, taken, made._poll is not None) == (False, [], is_asked)
    assert _said(made, "abc\r\n") == []
    raises_kind(KeyboardInterrupt, _said, made, "ab\x03c")
    assert made._poll is not None


class _Environment:
    def __init__(self, name):
        self._name = name

    def getenv(self, name):
        return "1" if name == self._name else None


class _Ended(_Input):
    """The other end of the pipe was closed."""

    n_looks = 0

    def poll(self, timeout_ms):
        self.n_looks += 1
        return [1]


def test_process_whose_standard_input_ends_runs_on_and_reads_it_no_more():
    made, _ = _console(True)
    made._poll = ended = _Ended("")
    ended.stdin = ended
    stdin, console.sys = console.sys, ended
    try:
        made.look()
        made.look()
    finally:
        console.sys = stdin
    assert ended.n_looks == 1


class _Endless(_Input):
    """Somebody types faster than anybody reads."""

    def poll(self, timeout_ms):
        self.keys = "x"
        return [1]

    def read(self, n):
        self.n_read = getattr(self, "n_read", 0) + 1
        assert self.n_read < 1000, "the node stands still"
        return _Input.read(self, n)


def test_locked_console_goes_on_whatever_is_typed():
    made, _ = _console(console="locked")
    made._poll = _Endless("")
    made._poll.stdin = made._poll
    stdin, console.sys = console.sys, made._poll
    try:
        made.look()
    finally:
        console.sys = stdin
    assert made._poll.n_read < 1000


def test_locked_node_that_ends_never_shows_the_prompt():
    made, _ = _console(console="locked")
    made._poll = _Input("")
    pauses = []

    def sleep_ms(duration_ms):
        pauses.append(duration_ms)
        if len(pauses) == 50:
            raise _Enough

    raises_kind(_Enough, made.end, sleep_ms)
    assert len(pauses) == 50 and min(pauses) > 0
