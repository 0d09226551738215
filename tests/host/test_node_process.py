"""firmware/main.py as a process on the unix port: wrong configuration, no broker, kills."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from array import array
from pathlib import Path

import pytest

from formats import model_pack, record, recording

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("lib", "firmware", "boards/unix", "build/device/lib", "build/natmod/x64")
TIMEOUT_S = 60
WINDOW, HOP, ROWS = 8, 4, 400
N_KILLS = 8


def micropython() -> str:
    """Return the unix port, or skip; in CI a missing tool is a failure."""
    beside = Path(sys.executable).with_name("micropython")
    program = str(beside) if beside.is_file() else shutil.which("micropython")
    if not program:
        reason = "no micropython beside python or on PATH"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return program


def popen_node(folder: Path, **changes: object) -> subprocess.Popen[str]:
    """Start a node with its files in `folder`."""
    values = {
        "tenant": "lab",
        "device": "n1",
        "broker_host": "127.0.0.1",
        "broker_port": 9,
        "model_path": str(folder / "model.obm"),
        "replay_path": str(folder / "recording.obr"),
        "replay_speed": 0,
        "outbox_path": str(folder / "q"),
        "policy": "all",
        "outbox_records": 100000,
        "drain_s": 0,
    }
    values.update(changes)
    path = folder / "config.json"
    path.write_text(json.dumps(values))
    roots = [str(ROOT / name) for name in (*FOLDERS, "lib/native/obkernels")]
    return subprocess.Popen(
        [micropython(), str(ROOT / "firmware/main.py"), str(path)],
        env={**os.environ, "MICROPYPATH": ":".join([*roots, ".frozen"])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_node(folder: Path, **changes: object) -> tuple[int, str]:
    """Run a node to its end; return exit status and output."""
    with popen_node(folder, **changes) as process:
        output, _ = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, output


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


@pytest.fixture
def folder(tmp_path):
    """A folder with a model and a recording."""
    model = {
        "channels": [("x", 0, 1)],
        "window": WINDOW,
        "hop": HOP,
        "rate_mhz": 1000000,
        "program": [(1, 0, 0, 0, 0)],
        "trees": [[(0, 50), 0, 1]],
        "labels": ["low", "high"],
        "k": 1,
        "n": 1,
        "min_confidence": 0,
        "novelty_threshold": 65535,
        "levels": bytes(7),
    }
    (tmp_path / "model.obm").write_bytes(model_pack.pack(model))
    with open(tmp_path / "recording.obr", "wb") as file:
        recording.write(file, 1, 1000000, [array("h", [i % 100 for i in range(ROWS)])])
    return tmp_path


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
    samples = array("h", [chance.randrange(100) for _ in range(20000)])
    with open(folder / "recording.obr", "wb") as file:
        recording.write(file, 1, 1000000, [samples])
    survivors: dict[int, list[tuple[int, int]]] = {}
    for _ in range(N_KILLS):
        with popen_node(folder, replay_speed=3, outbox_ram_records=5) as process:
            time.sleep(chance.uniform(0.3, 0.9))
            process.kill()
        found = read_outbox(folder)
        for epoch, records in survivors.items():
            assert found[epoch] == records, "a later boot changed an earlier one's records"
        survivors = found
    status, output = start_node(folder)
    assert status == 0, output
    final = read_outbox(folder)
    complete = final[max(final)]
    assert len(final) > N_KILLS // 2
    assert len({result for _, result in complete}) > 1
    for records in final.values():
        assert records == complete[: len(records)], "each boot decides the same from the start"


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
