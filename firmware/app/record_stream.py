"""Streams what a recorder keeps over the console, and never waits for who reads it.

A line is written in pieces of a USB packet, each only when the console has room: MicroPython's
waits half a second for a host that does not read and then throws the bytes away.
"""

import select
import sys
import time

import micropython

from formats import sample_block

_PIECE_BYTES = 64
_IDLE_MS = 5  # between two looks at a console without room
_FAREWELL_MS = 3000  # for a host that takes nothing when all is over
_SAY_AGAIN_MS = 5000  # for a host whose first line was damaged, and as a sign of life
_CTRL_C = 3


class Console:
    """The serial console, or a process's standard streams. Any byte from the host says stop.

    Args:
        source, sink: streams that `select.poll` takes.
    """

    def __init__(self, source=None, sink=None):
        self._sink = sink or sys.stdout.buffer
        self._source_poll = select.poll()
        self._source_poll.register(source or sys.stdin, select.POLLIN)
        self._sink_poll = select.poll()
        self._sink_poll.register(sink or sys.stdout, select.POLLOUT)

    def has_room(self) -> bool:
        """Returns whether a piece can be written without waiting."""
        for _ in self._sink_poll.ipoll(0):
            return True
        return False

    def is_stopped(self) -> bool:
        """Returns whether the host said stop, or is gone."""
        for _ in self._source_poll.ipoll(0):
            return True
        return False

    def write(self, piece) -> None:
        """Writes one piece."""
        self._sink.write(piece)


class Sender:
    """Writes lines, a piece at a time.

    Args:
        console: Console.
    """

    def __init__(self, console):
        self._console = console
        self._line = memoryview(b"")
        self._at = 0

    @property
    def is_idle(self) -> bool:
        """Whether the line is written."""
        return self._at >= len(self._line)

    def begin(self, block) -> None:
        """Takes the next block; only when idle."""
        self._line = memoryview(sample_block.pack_line(block))
        self._at = 0

    def step(self) -> bool:
        """Writes a piece if there is room; returns whether it did."""
        if self.is_idle or not self._console.has_room():
            return False
        self._console.write(self._line[self._at : self._at + _PIECE_BYTES])
        self._at += _PIECE_BYTES
        return True


def run(recorder, console, info: bytes, max_rows: int = 0) -> int:
    """Streams until the host says stop, the source is over or `max_rows` are read (0: no end).

    Args:
        recorder: Recorder.
        console: Console.
        info: of `record_setup`.

    Returns:
        Why it ended, as in the last block.
    """
    sender = Sender(console)
    due_ms = time.ticks_ms()
    said_ms = time.ticks_add(due_ms, -_SAY_AGAIN_MS)
    reason = -1
    while reason < 0:
        if time.ticks_diff(time.ticks_ms(), due_ms) >= 0:
            recorder.read(max_rows - recorder.rows if max_rows else sample_block.MAX_ROWS)
            due_ms = time.ticks_add(time.ticks_ms(), recorder.rest_ms())
            reason = _reason(recorder, console, max_rows)
        now_ms = time.ticks_ms()
        if sender.is_idle and time.ticks_diff(now_ms, said_ms) >= _SAY_AGAIN_MS:
            sender.begin(sample_block.pack(sample_block.INFO, 0, info))
            said_ms = now_ms
        elif sender.is_idle and recorder.n_waiting:
            sender.begin(recorder.take())
        if not sender.step():
            left_ms = max(0, time.ticks_diff(due_ms, time.ticks_ms()))
            time.sleep_ms(left_ms if sender.is_idle else min(left_ms, _IDLE_MS))
    _finish(recorder, sender, reason)
    return reason


def _reason(recorder, console, max_rows: int) -> int:
    if console.is_stopped():
        return sample_block.ASKED
    if recorder.is_over:
        return sample_block.SOURCE_OVER
    return sample_block.ROWS_DONE if max_rows and recorder.rows >= max_rows else -1


def _finish(recorder, sender, reason: int) -> None:
    """Writes what waits and the last block, unless nobody takes them."""
    is_last = False
    last_ms = time.ticks_ms()
    while True:
        if sender.is_idle and recorder.n_waiting:
            sender.begin(recorder.take())
        elif sender.is_idle:
            if is_last:
                return
            is_last = True
            sender.begin(recorder.pack_end(reason))
        # The host is asked before it is given up: it may be this program that stood still.
        if sender.step():
            last_ms = time.ticks_ms()
        elif time.ticks_diff(time.ticks_ms(), last_ms) >= _FAREWELL_MS:
            return
        else:
            time.sleep_ms(_IDLE_MS)


def run_on_console(recorder, info: bytes, max_rows: int = 0) -> int:
    """As `run`, on this board's console; Ctrl-C is a byte like any other meanwhile."""
    micropython.kbd_intr(-1)
    try:
        return run(recorder, Console(), info, max_rows)
    finally:
        micropython.kbd_intr(_CTRL_C)
