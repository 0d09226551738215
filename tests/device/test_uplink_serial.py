"""The console as a way out: every record is a line, whatever else happens."""

import fake_board

from app.outbox import Outbox
from app.uplink_serial import SerialUplink
from formats import record, serial_line


class Console:
    """Collects lines."""

    def __init__(self, status_ms=60000):
        self.lines = []
        self.outbox = Outbox(fake_board.new_filesystem(), "/q", 500, 32, 16)
        self.uplink = SerialUplink(
            self.lines.append, self.outbox, b'{"m":1}', lambda: b'{"s":1}', status_ms
        )
        self.now = 5

    def said(self):
        """Return and forget (kind, payload) of what was written."""
        parsed = [serial_line.parse(line) for line in self.lines]
        self.lines.clear()
        return parsed


def test_introduces_itself_then_writes_every_record_once():
    console = Console()
    console.uplink.step(5)
    assert console.said() == [("m", b'{"m":1}'), ("s", b'{"s":1}')]
    assert console.uplink.connects == 1
    for i in range(20):
        console.outbox.append(i, 0, 100 + i, 7)
    assert console.uplink.rest_ms(5) == 0
    for _ in range(3):
        console.uplink.step(5)
    records = [record.parse(payload) for kind, payload in console.said() if kind == "r"]
    assert records == [(1, i, 0, i, 100 + i, 7) for i in range(20)]
    assert console.outbox.queued() == 0
    assert 0 < console.uplink.rest_ms(5) <= 1000
    console.uplink.step(5)
    assert console.said() == []


def test_introduction_comes_again_for_who_listens_late():
    console = Console(status_ms=1000)
    console.uplink.step(5)
    console.said()
    for now_ms in (500, 1004):
        console.uplink.step(now_ms)
        assert console.said() == []
    console.uplink.step(1005)
    assert console.said() == [("m", b'{"m":1}'), ("s", b'{"s":1}')]
    assert not console.uplink.wait(1000), "nothing arrives on this way"


def test_after_close_it_introduces_itself_again():
    console = Console()
    console.uplink.step(5)
    console.said()
    console.uplink.close()
    console.uplink.step(6)
    assert [kind for kind, _ in console.said()] == ["m", "s"]


def test_lines_end_with_one_lf():
    console = Console()
    console.outbox.append(1, 0, 0, 0)
    console.uplink.step(5)
    console.uplink.step(5)
    assert len(console.lines) == 3
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in console.lines)
