"""firmware/main.py as a process on the unix port: configuration errors, and no broker at all."""

import json
import os
import shutil
import subprocess
import sys
from array import array
from pathlib import Path

import pytest

from formats import model_pack, recording

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("lib", "firmware", "boards/unix", "build/device/lib", "build/natmod/x64")
TIMEOUT_S = 60
WINDOW, HOP, ROWS = 8, 4, 400


def micropython() -> str:
    """Return the unix port, or skip; in CI a missing tool is a failure."""
    beside = Path(sys.executable).with_name("micropython")
    program = str(beside) if beside.is_file() else shutil.which("micropython")
    if not program:
        reason = "no micropython beside python or on PATH"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return program


def start_node(folder: Path, **changes: object) -> subprocess.CompletedProcess[str]:
    """Run the node to its end with its files in `folder`."""
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
        "drain_s": 0,
    }
    values.update(changes)
    path = folder / "config.json"
    path.write_text(json.dumps(values))
    roots = [str(ROOT / name) for name in (*FOLDERS, "lib/native/obkernels")]
    return subprocess.run(
        [micropython(), str(ROOT / "firmware/main.py"), str(path)],
        env={**os.environ, "MICROPYPATH": ":".join([*roots, ".frozen"])},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


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
        done = start_node(folder)
        assert done.returncode == 0, done.stderr
        counters = json.loads(done.stdout.splitlines()[-1])
        assert counters["epoch"] == boot
        assert counters["windows"] == counters["next_seq"] == n_windows
        assert counters["queued"] == boot * n_windows
        assert (counters["dropped"], counters["flash_errors"]) == (0, 0)


def test_a_refused_model_is_told_and_the_node_runs_on(folder):
    (folder / "model.obm").write_bytes(b"nothing")
    done = start_node(folder)
    assert done.returncode == 0, done.stderr
    assert "model refused: TOO_SHORT(1)" in done.stdout
    counters = json.loads(done.stdout.splitlines()[-1])
    assert (counters["windows"], counters["faults"], counters["queued"]) == (0, 1, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"broker_port": 0}, ("CONFIG_RANGE", "broker_port", "1 to 65535")),
        ({"speed": 3}, ("CONFIG_KEY", "speed")),
        ({"replay_path": ""}, ("CONFIG_MISSING", "replay_path")),
        ({"replay_path": "/nowhere.obr"}, ("CONFIG_MISSING", "replay_path")),
        ({"broker_tls": True, "broker_ca_path": "/nowhere.der"}, ("2",)),
    ],
)
def test_wrong_configuration_is_one_line_and_status_2(folder, changes, words):
    done = start_node(folder, **changes)
    assert done.returncode == 2
    lines = (done.stdout + done.stderr).splitlines()
    assert len(lines) == 1
    assert all(word in lines[0] for word in words), lines
