"""firmware/main.py as a process on the unix port: wrong configuration, no broker, kills."""

import json
import random
import subprocess
import time
from array import array
from pathlib import Path

import pytest
import tiny_node
from tiny_node import HOP, ROWS, WINDOW

from formats import record

N_KILLS = 8
KEPT = {"policy": "all", "outbox_records": 100000}


def popen_node(folder: Path, **changes: object) -> subprocess.Popen[str]:
    return tiny_node.popen(folder, **KEPT, **changes)


def start_node(folder: Path, **changes: object) -> tuple[int, str]:
    return tiny_node.run(folder, **KEPT, **changes)


def read_outbox(folder: Path) -> dict[int, list[tuple[int, int]]]:
    """Return (seq, result) of all records on "flash", by epoch; fail if they do not rise."""
    epochs: dict[int, list[tuple[int, int]]] = {}
    last = (0, 0)
    for path in sorted((folder / "q").glob("*.q")):
        content = path.read_bytes()
        for offset in range(0, len(content), record.RECORD_BYTES):
            epoch, result, _, seq, _, _ = record.parse(content, offset)
            assert last < (epoch, seq)
            last = (epoch, seq)
            epochs.setdefault(epoch, []).append((seq, result))
    return epochs


def saved_bytes(folder: Path) -> int:
    """Return how many bytes of records are on "flash"."""
    return sum(path.stat().st_size for path in (folder / "q").glob("*.q"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_node.fill(tmp_path)


def test_without_a_broker_everything_is_kept_for_the_next_boot(folder):
    n_windows = (ROWS - WINDOW) // HOP + 1
    for boot in (1, 2):
        status, output = start_node(folder)
        assert status == 0, output
        counters = json.loads(output.splitlines()[-1])
        assert counters["epoch"] == boot
        assert counters["windows"] == counters["next_seq"] == n_windows
        assert counters["queued"] == boot * n_windows
        assert (counters["dropped"], counters["flash_errors"]) == (0, 0)


def test_a_model_that_is_not_there_is_told(folder):
    (folder / "model.obm").unlink()
    status, output = start_node(folder)
    assert status == 0, output
    assert "model.obm refused: TOO_SHORT(1): no file" in output.splitlines()[0]


def test_what_goes_wrong_while_it_runs_is_one_line_each(folder):
    changes = {"outbox_path": "/dev/null/q", "drain_s": 1, "outbox_ram_records": 5}
    status, output = start_node(folder, **changes)
    assert status == 0, output
    *lines, last = output.splitlines()
    assert sorted(lines) == [
        "onebyte node: broker 127.0.0.1:9: [Errno 111] ECONNREFUSED",
        "onebyte node: the flash fails or is full; records wait in RAM meanwhile",
    ]
    report = json.loads(last)
    assert report["flash_errors"] > 0 and report["uplink_error"] == "[Errno 111] ECONNREFUSED"
    assert report["queued"] == 5 and report["dropped"] == report["next_seq"] - 5


def test_kills_at_any_moment_lose_nothing_that_was_saved(folder):
    chance = random.Random(5)
    tiny_node.record(folder, array("h", [chance.randrange(100) for _ in range(20000)]))
    survivors: dict[int, list[tuple[int, int]]] = {}
    for i in range(N_KILLS):
        before = saved_bytes(folder)
        with popen_node(folder, replay_speed=3, outbox_ram_records=5) as process:
            # Every second one lives until it has saved something, however slow the machine is.
            deadline = time.monotonic() + tiny_node.TIMEOUT_S
            while i % 2 and saved_bytes(folder) == before and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.6))
            process.kill()
        found = read_outbox(folder)
        for epoch, records in survivors.items():
            assert found[epoch] == records, "a later boot changed an earlier one's records"
        survivors = found
    status, output = start_node(folder)
    assert status == 0, output
    final = read_outbox(folder)
    complete = final[max(final)]
    assert len(final) > N_KILLS // 2, "a boot that saved something has left nothing"
    assert len({result for _, result in complete}) > 1
    for records in final.values():
        assert records == complete[: len(records)], "each boot decides the same from the start"


def test_ctrl_c_on_its_standard_input_saves_all_that_was_made(folder):
    n_rows = 60000  # a minute
    tiny_node.record(folder, array("h", [i % 100 for i in range(n_rows)]))
    with popen_node(folder, replay_speed=1, outbox_ram_records=50) as process:
        deadline = time.monotonic() + tiny_node.TIMEOUT_S
        while not saved_bytes(folder) and time.monotonic() < deadline:
            time.sleep(0.01)
        output, _ = process.communicate("other keys\n\x03", timeout=tiny_node.TIMEOUT_S)
    assert process.returncode == 0, output
    counters = json.loads(output.splitlines()[-1])
    assert counters["next_seq"] < (n_rows - WINDOW) // HOP, "it did not end by itself"
    saved = [seq for seq, _ in read_outbox(folder)[counters["epoch"]]]
    assert saved == list(range(counters["next_seq"])) and counters["dropped"] == 0


def test_a_refused_model_is_told_and_the_node_runs_on(folder):
    (folder / "model.obm").write_bytes(b"nothing")
    status, output = start_node(folder)
    assert status == 0, output
    assert "model.obm refused: TOO_SHORT(1)" in output
    counters = json.loads(output.splitlines()[-1])
    assert (counters["windows"], counters["faults"], counters["queued"]) == (0, 1, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"broker_port": 0}, ("CONFIG_RANGE", "broker_port", "1 to 65535")),
        ({"speed": 3}, ("CONFIG_KEY", "speed")),
        ({"replay_path": ""}, ("CONFIG_MISSING", "replay_path")),
        ({"sensor": "mpu6050"}, ("CONFIG_RANGE", "sensor: replay", "a PC has no sensor")),
        ({"replay_path": "/nowhere.obr"}, ("CONFIG_MISSING", "replay_path /nowhere.obr")),
        (
            {"broker_tls": True, "broker_ca_path": "/nowhere.der"},
            ("CONFIG_MISSING", "broker_ca_path /nowhere.der"),
        ),
        ({"broker_tls": True, "broker_ca_path": "/dev/null"}, ("TLS_CA", "/dev/null")),
    ],
)
def test_wrong_configuration_is_one_line_and_status_2(folder, changes, words):
    status, output = start_node(folder, **changes)
    assert status == 2
    lines = output.splitlines()
    assert len(lines) == 1
    assert all(word in lines[0] for word in words), lines
