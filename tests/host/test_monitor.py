"""The monitor: labels from the meta message, numbers from the reconciler, notes for the rest."""

import io
import json
import re

import pytest
from rich.console import Console

from formats import batch, messages, result, topics
from onebyte.receiver.display import JsonLines, LiveTable, PlainLines, confidence_bar, plain_line
from onebyte.receiver.link import Message
from onebyte.receiver.monitor import Decision, Monitor, Note

NOW_S = 1_790_000_000.0
LABELS = ["idle", "running", "zum Prüfen"]
META = {
    "encoding": "A",
    "labels": LABELS,
    "model": "0123456789abcdef",
    "name": "pump 1",
    "window_ms": 2000,
    "hop_ms": 1000,
}
STATUS = {
    "epoch": 3,
    "next_seq": 7,
    "queued": 0,
    "dropped": 0,
    "windows": 7,
    "faults": 0,
    "connects": 1,
    "uptime_s": 10,
    "heap_free": 100000,
    "time_quality": 2,
    "flash_errors": 0,
}


def message(kind, payload, *, device="p1", at_s=NOW_S, connection=1):
    return Message(f"ob/plant/{device}/{kind}", payload, False, False, at_s, connection)


def meta(**changes):
    return message("meta", messages.pack_meta({**META, **changes}))


def anchor(seq=0, **options):
    return message("b", batch.pack_anchor(3, seq), **options)


def live(byte, **options):
    return message("r", bytes([byte]), **options)


def take(monitor, *received):
    return [item for one in received for item in monitor.take(one)]


def test_decision_of_a_live_byte():
    byte = result.pack_class(result.A, 1, 6, True)
    (decision,) = take(Monitor(), meta(), anchor(7), live(byte))
    assert decision == Decision(
        "plant", "p1", 3, 7, byte, NOW_S, None, "running", class_id=1, level=6, novel=True
    )
    assert decision.as_json() == {
        "tenant": "plant",
        "device": "p1",
        "epoch": 3,
        "seq": 7,
        "time": "2026-09-21T14:13:20+00:00",
        "uptime_s": None,
        "time_quality": None,
        "byte": byte,
        "label": "running",
        "class_id": 1,
        "level": 6,
        "novel": True,
        "fault": None,
    }


def test_time_since_boot_is_no_date():
    payload = batch.pack([(3, 0x51, 0, 0, 12, 500)])
    (decision,) = take(Monitor(), meta(), message("b", payload))
    assert (decision.time_text, decision.as_json()["time"]) == ("boot+12.5s", None)
    assert decision.as_json()["uptime_s"] == 12.5


@pytest.mark.parametrize(
    ("reason", "label", "fault"),
    [(result.UNDECIDED, "undecided", None), (result.SENSOR_STUCK, "sensor_stuck", "sensor_stuck")],
)
def test_no_class_says_why(reason, label, fault):
    monitor = Monitor()
    (decision,) = take(monitor, meta(), anchor(), live(result.pack_fault(result.A, reason)))
    assert (decision.class_id, decision.label, decision.fault) == (None, label, fault)
    assert monitor.devices["plant", "p1"].n_faults == (fault is not None)


def test_encoding_b_has_no_level():
    labels = [f"class {i}" for i in range(20)]
    (decision,) = take(Monitor(), meta(encoding="B", labels=labels), anchor(), live(19))
    assert (decision.label, decision.level, decision.novel) == ("class 19", None, None)


@pytest.mark.parametrize("byte", [3, 14, 0x8F])
def test_byte_that_the_meta_message_does_not_cover_is_shown_as_a_number(byte):
    (decision,) = take(Monitor(), meta(), anchor(), live(byte))
    assert (decision.label, decision.class_id) == (f"byte {byte}", None)


def test_decisions_wait_for_the_meta_message_in_order():
    monitor = Monitor()
    assert take(monitor, anchor(), live(0), live(1)) == []
    assert monitor.tick(NOW_S + 2.9) == []
    assert [d.label for d in take(monitor, meta())] == ["idle", "running"]


def test_decisions_without_a_meta_message_are_shown_after_a_while():
    monitor = Monitor()
    take(monitor, anchor(), live(0x21))
    (decision,) = monitor.tick(NOW_S + 3.1)
    assert (decision.label, decision.class_id, decision.byte) == ("byte 33", None, 0x21)


def test_online_and_offline_are_told_once():
    online = message("s", messages.pack_status(STATUS))
    offline = message("s", messages.WILL)
    items = take(Monitor(), online, online, offline, offline, online)
    assert [item.text for item in items] == ["online", "offline", "online"]


def test_refused_message_is_a_note_and_the_monitor_goes_on():
    monitor = Monitor()
    notes = take(
        monitor,
        message("meta", b"{}"),
        message("s", b"\xff"),
        message("r", b""),
        message("r", b"ab"),
        message("b", b"\x01"),
    )
    assert all(isinstance(note, Note) for note in notes)
    assert [note.text.split(":")[0] for note in notes] == [
        f"refused a message on /{kind}" for kind in ("meta", "s", "r", "r", "b")
    ]
    assert [d.label for d in take(monitor, meta(), anchor(), live(1))] == ["running"]


@pytest.mark.parametrize("topic", ["ob/plant/p1/x", "ob/PLANT/p1/r", "other", "ob/plant/p1/cmd"])
def test_foreign_topics_are_ignored(topic):
    monitor = Monitor()
    assert monitor.take(Message(topic, b"x", False, False, NOW_S, 1)) == []


def test_cleared_retained_messages_are_ignored():
    monitor = Monitor()
    assert take(monitor, meta(), message("meta", b""), message("s", b"")) == []
    assert monitor.devices["plant", "p1"].meta == META


def test_devices_do_not_mix():
    monitor = Monitor()
    items = take(
        monitor,
        meta(),
        message("meta", messages.pack_meta({**META, "labels": ["a", "b"]}), device="p2"),
        anchor(5),
        anchor(9, device="p2"),
        live(0),
        live(0, device="p2"),
    )
    assert [(d.device, d.seq, d.label) for d in items] == [("p1", 5, "idle"), ("p2", 9, "a")]


def test_new_monitor_asks_for_what_comes_after_the_retained_status():
    monitor = Monitor()
    take(monitor, message("s", messages.pack_status(STATUS)), live(1))
    ((device, command),) = monitor.commands(NOW_S)
    assert (device.tenant, device.name) == ("plant", "p1")
    assert messages.parse_command(command) == {"cmd": "resend", "epoch": 3, "seq": 7}


def test_unanswered_device_is_asked_ever_more_seldom_and_not_while_it_is_offline():
    monitor = Monitor()
    take(monitor, message("s", messages.pack_status(STATUS)))
    asked = [t for t in range(1000) if monitor.commands(NOW_S + t)]
    assert asked == [0, 5, 15, 35, 75, 155, 315, 635, 955]
    take(monitor, message("s", messages.WILL))
    assert monitor.commands(NOW_S + 10_000) == []


def test_own_reconnect_makes_live_bytes_uncertain_until_the_device_answers():
    monitor = Monitor()
    assert len(take(monitor, meta(), anchor(), live(0), live(1))) == 2
    assert monitor.commands(NOW_S) == []
    assert take(monitor, live(2, connection=2)) == []
    ((_, command),) = monitor.commands(NOW_S)
    assert messages.parse_command(command)["seq"] == 2
    # Byte 2 was lost with the connection, byte 3 came without a number.
    answer = batch.pack([(3, 1, 2, 2, 100, 0), (3, 2, 2, 3, 101, 0)])
    assert [d.seq for d in take(monitor, message("b", answer, connection=2))] == [2, 3]
    assert [d.seq for d in take(monitor, live(0, connection=2))] == [4]
    assert monitor.commands(NOW_S) == []


def test_gap_that_is_never_filled_is_told():
    monitor = Monitor()
    take(monitor, meta(), anchor(), live(0), anchor(5), live(1))
    items = monitor.tick(NOW_S + 31)
    assert [plain_line(item)[:40] for item in items if isinstance(item, Note)] == [
        "-- plant/p1: lost: epoch 3, 1 to 4"
    ]
    assert [item.seq for item in items if isinstance(item, Decision)] == [5]


def test_finish_gives_what_waits():
    monitor = Monitor()
    take(monitor, anchor(), live(0), anchor(5), live(1))
    assert [d.seq for d in monitor.finish() if isinstance(d, Decision)] == [0, 5]


def test_confidence_bar():
    assert confidence_bar(None) == ""
    assert {len(confidence_bar(level)) for level in range(8)} == {7}
    assert confidence_bar(3) == "███░░░░"


def test_plain_and_json_lines(capsys):
    decision, *_ = take(Monitor(), meta(), anchor(), live(result.pack_class(0, 2, 3, True)))
    note = Note("plant", "p1", "offline")
    for display in (PlainLines(), JsonLines()):
        with display:
            display.show(decision)
            display.show(note)
    out, err = capsys.readouterr()
    plain, plain_note, as_json = out.splitlines()
    assert plain.split("  ", 1)[1] == (
        "plant/p1          #3.0  zum Prüfen              confidence 3/7  novel"
    )
    assert plain_note == "-- plant/p1: offline"
    assert json.loads(as_json) == decision.as_json()
    assert err == "-- plant/p1: offline\n"


@pytest.mark.parametrize("width", [80, 120])
def test_live_table_shows_a_row_for_each_device(width):
    monitor = Monitor()
    console = Console(width=width, force_terminal=True, record=True, file=io.StringIO())
    with LiveTable(monitor, console) as table:
        for item in take(
            monitor,
            meta(),
            anchor(),
            live(0x51),
            live(result.pack_fault(0, result.SENSOR_ERROR)),
            message("s", messages.WILL, device="p2"),
        ):
            table.show(item)
    text = console.export_text()
    rows = [line.split() for line in text.splitlines()[-6:]]
    p1, p2 = (row for row in rows if "plant/p" in "".join(row) and "--" not in row)
    assert re.fullmatch(r"\d\d:\d\d:\d\d", p1[0])
    assert p1[1:] == ["plant/p1", "sensor_error", "?", "2", "1", "0"]
    assert p2 == ["plant/p2", "waiting", "offline", "0", "0", "0"]
    assert "-- plant/p2: offline" in text


def test_all_kinds_of_topics_are_handled():
    assert set(topics.KINDS) == {"r", "b", "meta", "s", "cmd", "want", "ack", "u"}


def powered(**changes):
    return message("s", messages.pack_status({**STATUS, **changes}))


def texts(notes):
    return [note.text for note in notes if isinstance(note, Note)]


def test_what_a_node_used_is_said_when_it_comes():
    monitor = Monitor()
    charges = {"uah_sleep": 250, "uah_active": 500, "uah_radio": 750, "uah_flash": 0}
    notes = take(monitor, powered(reset="deep_sleep", uptime_s=86400, **charges))
    assert texts(notes) == [
        "online, started by deep sleep, used 1.50 mAh in 24 h by its figures "
        "(radio 50 %, active 33 %, sleep 17 %)"
    ]
    assert texts(take(monitor, powered(reset="deep_sleep", uptime_s=86500, **charges))) == []


def test_a_node_without_figures_is_just_online():
    assert texts(take(Monitor(), powered())) == ["online"]
    assert texts(take(Monitor(), powered(reset="watchdog", supply_mv=3050))) == [
        "online, started by watchdog, supply 3.05 V"
    ]


def test_a_weak_supply_is_said_whenever_it_costs_something():
    monitor = Monitor()
    low = {"supply_mv": 2900, "flash_held": 1}
    said = "supply 2900 mV is too low to write to flash, records stay in RAM"
    assert texts(take(monitor, powered(**low))) == ["online, supply 2.90 V", said]
    assert texts(take(monitor, powered(**low))) == []
    assert texts(take(monitor, powered(supply_mv=2900, flash_held=2))) == [said]
