"""A node, a broker, `onebyte monitor --home-assistant` and Home Assistant itself.

HOMEASSISTANT_PYTHON names an interpreter with the packages homeassistant (2024.11 or newer) and
paho-mqtt. Without it this prints that it skips. Compares every state that Home Assistant took with
the decisions that the monitor showed, and ends with 1 at a difference or a warning.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("e2e", "fakes")]

from small_model import small_model  # noqa: E402

from formats import model, result  # noqa: E402
from onebyte import toolchain  # noqa: E402
from onebyte.receiver.home_assistant import options  # noqa: E402
from onebyte.simulation import demo  # noqa: E402
from onebyte.simulation.broker import Broker, find_mosquitto  # noqa: E402
from onebyte.simulation.device import Node, NodeOptions  # noqa: E402

REAL = Path(__file__).with_name("real.py")
DEVICE = "onebyte/house/ben"
NO_VALUE = ("unknown", "unavailable")
PIPES: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}


def play(python: str, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any], list[str]]:
    """Return the monitor's decisions, Home Assistant's report and the model's labels."""
    toolchain.unpack_umqtt(toolchain.ROOT / "build")
    scene = demo.prepare(small_model())
    count = len(scene.script.expected)
    with Broker("mosquitto") as broker:
        address = broker.address
        command = [sys.executable, "-m", "onebyte.cli", "monitor", "--broker", address, "--json"]
        extra = ["--home-assistant", "--timeout", "180"]
        with (
            subprocess.Popen([python, REAL, str(broker.port)], **PIPES) as home,
            subprocess.Popen([*command, *extra], **PIPES) as monitor,
        ):
            assert home.stdout and home.stdin and monitor.stdout
            try:
                assert home.stdout.readline() == "ready\n", "Home Assistant did not start"
                time.sleep(3)
                options_ = NodeOptions(broker.host, broker.port, "house", "ben", 5)
                recording = scene.script.recording
                node = Node(folder, options_, scene.model_file, recording)
                node.start()
                try:
                    decisions = [json.loads(monitor.stdout.readline()) for _ in range(count)]
                    time.sleep(2)
                    home.stdin.write("\n")
                    home.stdin.close()
                    report = json.loads(home.stdout.readlines()[-1])
                finally:
                    node.stop()
            finally:
                monitor.terminate()
                home.kill()
    return decisions, report, list(model.parse(scene.model_file).labels)


def changes(states: list[str]) -> list[str]:
    """Return states as a history has them: none twice in a row, nothing before the first value."""
    kept = [state for state in states if state != "unavailable"]
    kept = list(itertools.dropwhile(lambda state: state in NO_VALUE, kept))
    return [state for state, _ in itertools.groupby(kept)]


def expected(decisions: list[dict[str, Any]], labels: list[str]) -> dict[str, list[str]]:
    """Return what the entities have to have been, in order."""
    names = options(labels)
    classes = [one["class_id"] for one in decisions]
    levels = [one["level"] for one in decisions]
    novel = [one["novel"] for one in decisions]
    switch = {None: "unknown", True: "on", False: "off"}
    return {
        "decision": ["unknown" if one is None else names[one] for one in classes],
        "level": ["unknown" if one is None else str(one) for one in levels],
        "novelty": [switch[one] for one in novel],
        "fault": [one["fault"] or "none" for one in decisions],
    }


def main() -> int:
    """Run and compare; return the exit status."""
    python = os.environ.get("HOMEASSISTANT_PYTHON")
    if not python:
        print("skip: HOMEASSISTANT_PYTHON names no interpreter with the homeassistant package")
        return 0
    if find_mosquitto() is None:
        print("skip: mosquitto is not installed")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        decisions, report, labels = play(python, Path(folder) / "node")
    wrong = [f"warning: {line}" for line in report["warnings"]]
    for entity, states in expected(decisions, labels).items():
        got = changes(report["history"].get(f"{DEVICE}/{entity}", []))
        if got != changes(states):
            wrong.append(f"{entity}: {got} instead of {changes(states)}")
    online = report["states"].get(f"{DEVICE}/online")
    if online != "on" and not report["history"].get(f"{DEVICE}/online"):
        wrong.append(f"online: {online}")
    for key in ("queued", "dropped", "heap_free", "flash_errors"):
        history = report["history"].get(f"{DEVICE}/{key}", [])
        if not any(state.isdigit() for state in history):
            wrong.append(f"{key}: {history}")
    print("\n".join(wrong), end="\n" if wrong else "")
    n_entities = len(report["states"])
    reasons = sum(one["label"] in result.REASONS for one in decisions)
    print(
        f"home-assistant: decisions={len(decisions)} without_class={reasons} "
        f"entities={n_entities} wrong={len(wrong)}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
