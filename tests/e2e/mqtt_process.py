"""Runs tests/fakes/mqtt_probe.py, the device side of the MQTT client's tests, from CPython."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from onebyte.simulation.broker import find_mosquitto

PROBE = Path(__file__).parents[1] / "fakes" / "mqtt_probe.py"
MICROPYTHON = Path(sys.executable).with_name("micropython")
HANG_S = 2.0  # more than three times every deadline of the probe

Report = dict[str, Any]


def probe(client: str, port: int, do: str, hangs: bool = False, **job: Any) -> Report | None:
    """Run one action of the device-side client and return its report; None when it hangs.

    Args:
        client: "plain" or "ours".
        port: the broker's.
        do: see tests/fakes/mqtt_probe.py, which also takes `job`.
        hangs: it is expected to, so do not wait long.
    """
    spec = json.dumps({"client": client, "port": port, "do": do, **job})
    try:
        done = subprocess.run(
            [MICROPYTHON, PROBE],
            input=spec,
            capture_output=True,
            text=True,
            timeout=HANG_S if hangs else 60.0,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    assert done.returncode == 0, done.stderr + done.stdout
    report: Report = json.loads(done.stdout)
    return report


def probe_ours(port: int, do: str, **job: Any) -> Report:
    """Run our client, which never hangs."""
    report = probe("ours", port, do, **job)
    assert report is not None, "our client hangs"
    return report


def need_mosquitto() -> None:
    """Skip the test where no mosquitto is installed; in CI that is a failure."""
    if find_mosquitto() is None:
        reason = "mosquitto is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
