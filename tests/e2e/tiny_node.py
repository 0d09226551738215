"""firmware/main.py as a process in a folder: one threshold as its model, a ramp as its sensor."""

import json
import os
import subprocess
from array import array
from pathlib import Path

from formats import model_pack, recording
from onebyte import toolchain
from onebyte.simulation import device

WINDOW, HOP, ROWS = 8, 4, 400
RATE_MHZ = 1000000
TIMEOUT_S = 240


def fill(folder: Path) -> Path:
    """Put a model and a recording into a folder; return it."""
    model = {
        "channels": [("x", 0, 1)],
        "window": WINDOW,
        "hop": HOP,
        "rate_mhz": RATE_MHZ,
        "program": [(1, 0, 0, 0, 0)],
        "trees": [[(0, 50), 0, 1]],
        "labels": ["low", "high"],
        "k": 1,
        "n": 1,
        "min_confidence": 0,
        "novelty_threshold": 65535,
        "levels": bytes(7),
    }
    (folder / "model.obm").write_bytes(model_pack.pack(model))
    record(folder, array("h", [i % 100 for i in range(ROWS)]))
    return folder


def record(folder: Path, samples: array) -> None:
    """Write the recording that the node plays."""
    with open(folder / "recording.obr", "wb") as file:
        recording.write(file, 1, RATE_MHZ, [samples])


def popen(folder: Path, **changes: object) -> subprocess.Popen[str]:
    """Start the node of a folder; there is no broker. A Ctrl-C on its standard input ends it."""
    values = {
        "tenant": "lab",
        "device": "n1",
        "broker_host": "127.0.0.1",
        "broker_port": 9,
        "model_path": str(folder / "model.obm"),
        "replay_path": str(folder / "recording.obr"),
        "replay_speed": 0,
        "outbox_path": str(folder / "q"),
        "drain_s": 0,
        **changes,
    }
    path = folder / "config.json"
    path.write_text(json.dumps(values))
    return subprocess.Popen(
        [device.find_micropython(), toolchain.ROOT / "firmware" / "main.py", path],
        env={
            **os.environ,
            "MICROPYPATH": ":".join(map(str, device.import_roots())),
            "ONEBYTE_KEYS": "1",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(folder: Path, **changes: object) -> tuple[int, str]:
    """Run the node of a folder to its end; return exit status and output."""
    with popen(folder, **changes) as process:
        output, _ = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, output
