"""The whole node on an emulated Pico without a network: its decisions are lines on the console.

The sensor is an emulated MPU-6050 that misbehaves in every way that a real one does.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from formats import messages, record, result, serial_line
from onebyte.crossbuild import firmware
from onebyte.emulator import littlefs
from onebyte.emulator.machine import Machine
from onebyte.errors import UserError
from onebyte.simulation.broker import Broker

MODEL = Path(__file__).parents[2] / "models" / "exercise" / "model.obm"
CONFIG = {
    "tenant": "lab",
    "device": "pico",
    "broker_host": "nowhere",
    "policy": "all",
    "sensor": "mpu6050",
    "safe_boot_ms": 0,
    "silent_ms": 2000,
}
CLOCK_HZ = 125_000_000
SENSOR_ERROR = result.pack_fault(result.A, result.SENSOR_ERROR)
MODEL_INVALID = result.pack_fault(result.A, result.MODEL_INVALID)


class Node:
    """A Pico with its files and its sensor; collects what the console says.

    Args:
        image: the firmware.
        files: on its filesystem, besides or instead of configuration and model.
        sensor: knobs of the emulated chip.
        ppp: the modem, on the board that has one.
        config: changes of the configuration.
    """

    def __init__(
        self,
        image: firmware.Firmware,
        rows: Path,
        sensor: dict[str, Any] | None = None,
        files: dict[str, bytes] | None = None,
        ppp: dict[str, Any] | None = None,
        **config: Any,
    ) -> None:
        content = {"config.json": json.dumps({**CONFIG, **config}).encode()}
        content["model.obm"] = MODEL.read_bytes()
        content.update(files or {})
        chip = {"chip": "mpu6050", "rows": str(rows), **(sensor or {})}
        filesystem = littlefs.make_image({name: data for name, data in content.items() if data})
        more = {} if ppp is None else {"ppp": ppp}
        self.machine = Machine(image.uf2, filesystem, devices=[chip], **more)
        self.messages: list[str] = []
        self.metas: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.results: list[int] = []
        self._rest = b""

    def __enter__(self) -> "Node":
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.close()

    def run_s(self, duration_s: float) -> None:
        """Let time go by and read what was printed, strictly."""
        self.take(self.machine.run_ms(duration_s * 1000))

    def take(self, text: str) -> None:
        """Sort the lines; a half one waits for its end."""
        *lines, self._rest = (self._rest + text.encode()).split(b"\n")
        for line in lines:
            if not line.startswith(b"ob1 "):
                self.messages.append(line.decode().strip())
                continue
            kind, payload = serial_line.parse(line + b"\n")
            if kind == serial_line.META:
                self.metas.append(messages.parse_meta(payload))
            elif kind == serial_line.STATUS:
                self.statuses.append(messages.parse_status(payload))
            else:
                _, byte, _, seq, _, _ = record.parse(payload)
                assert seq == len(self.results), "a line is missing"
                self.results.append(byte)

    def stop(self) -> dict[str, Any]:
        """Type Ctrl-C; return the counters."""
        self.take(self.machine.boot())
        (summary,) = (line for line in self.messages if line.startswith("{"))
        counters: dict[str, Any] = json.loads(summary)
        return counters


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes of something that moves on six channels."""
    noise = np.random.default_rng(1)
    t = np.arange(6000) / 50
    waves = [4000 * np.sin(2 * np.pi * (0.5 + i * 0.3) * t + i) for i in range(6)]
    samples = np.stack(waves, 1) + noise.normal(0, 300, (len(t), 6))
    path = tmp_path_factory.mktemp("rows") / "rows.i16"
    path.write_bytes(samples.astype("<i2").tobytes())
    return path


def test_decides_every_second_and_sleeps_in_between(pico_foreign, rows) -> None:
    with Node(pico_foreign, rows) as node:
        node.run_s(4)
        before = node.machine.cycles
        node.run_s(10)
        busy = (node.machine.cycles - before) / (10 * CLOCK_HZ)
        counters = node.stop()
        assert node.machine.exec("print(6 * 7)") == "42\n"
    assert len(node.metas) == 1 and node.metas[0]["window_ms"] == 2000
    assert node.statuses[0]["online"] and node.statuses[0]["flash_errors"] == 0
    assert 11 <= len(node.results) <= 14 and not set(node.results) & {SENSOR_ERROR, MODEL_INVALID}
    assert counters["windows"] == counters["next_seq"] == len(node.results)
    assert (counters["overruns"], counters["queued"], counters["dropped"]) == (0, 0, 0)
    assert counters["kernels"] == "obkernels"
    assert busy < 0.05, f"{100 * busy:.1f} % of the time at 50 Hz"


def test_online_it_sleeps_in_between_and_survives_a_modem_that_hangs_up(pico_ppp, rows) -> None:
    with (
        Broker() as broker,
        Node(
            pico_ppp,
            rows,
            ppp={"redirects": {"10.0.0.1:1883": broker.port}, "factor": 0.01},
            broker_host="10.0.0.1",
            reconnect_max_s=2,
        ) as node,
    ):
        node.run_s(4)
        before = node.machine.cycles
        node.run_s(10)
        busy = (node.machine.cycles - before) / (10 * CLOCK_HZ)
        node.machine.outage("hangup", 3000)
        node.run_s(40)
        counters = node.stop()
    assert "onebyte node: network: the peer has gone" in node.messages
    assert "onebyte node: network: works again" in node.messages
    assert counters["connects"] == 2 and counters["link_error"] == ""
    assert counters["windows"] == counters["next_seq"] >= 50
    assert (counters["queued"], counters["dropped"], counters["overruns"]) == (0, 0, 0)
    # 4.9 %; for the board the broker answers at once, however busy the PC is.
    assert busy < 0.055, f"{100 * busy:.1f} % of the time at 50 Hz, online"


# Knobs of the chip; how often, at least, it is an error; whether it decides again at the end.
FAULTS = {
    "another chip": ({"who_am_i": 0x71}, 3, False, "WHO_AM_I is 0x71, expected 0x68"),
    "absent": ({"absent": True}, 3, False, "EIO"),
    "plugged in later": ({"unplugged_ms": 0, "plugged_ms": 5000}, 2, True, "EIO"),
    "unplugged meanwhile": ({"unplugged_ms": 5000, "plugged_ms": 8000}, 1, True, "EIO"),
    "data line held": ({"holds_sda_ms": 5000}, 1, True, "sensor: "),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_sensor_that_fails_is_reported_by_its_byte(name: str, pico_foreign, rows) -> None:
    knobs, n_errors, recovers, words = FAULTS[name]
    with Node(pico_foreign, rows, knobs) as node:
        node.run_s(14)
        counters = node.stop()
    n_found = node.results.count(SENSOR_ERROR)
    assert n_found >= n_errors, node.results
    assert any(words in line for line in node.messages), node.messages
    assert (node.results[-1] != SENSOR_ERROR) == recovers, node.results
    assert (counters["source_error"] == "") == recovers
    assert counters["faults"] == n_found
    if recovers:
        assert "onebyte node: sensor: works again" in node.messages
        assert counters["windows"] >= 3


def test_a_full_filesystem_costs_no_decision(pico_foreign, rows) -> None:
    # What is left is less than the outbox wants for its epoch.
    room = littlefs.STORAGE_BYTES - MODEL.stat().st_size
    for n_blocks in range(4, 40):
        try:
            with Node(pico_foreign, rows, files={"filler": bytes(room - n_blocks * 4096)}) as node:
                node.run_s(12)
                counters = node.stop()
            break
        except UserError:
            continue  # the file system needs some room for itself
    assert counters["flash_errors"] > 0
    assert any("the flash fails or is full" in line for line in node.messages), node.messages
    assert counters["windows"] == len(node.results) >= 8


@pytest.mark.parametrize(
    ("model", "reason"), [(b"", "TOO_SHORT"), (MODEL.read_bytes()[:-1] + b"x", "CRC")]
)
def test_a_model_that_is_refused_is_a_fault(model, reason, pico_foreign, rows) -> None:
    with Node(pico_foreign, rows, files={"model.obm": model}) as node:
        node.run_s(5)
        counters = node.stop()
    assert node.results == [MODEL_INVALID]
    # The line at the start may be gone: nobody listens yet while the port is new.
    assert counters["model_error"].startswith(reason)
    assert counters["faults"] == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "CONFIG_MISSING(80): no file config.json"),
        (b"{", "CONFIG_SYNTAX(81)"),
        (json.dumps({**CONFIG, "sensor_rate_mhz": 52000}).encode(), "rate_hz=52: not one of 10"),
        (json.dumps({**CONFIG, "sensor": "lis2"}).encode(), "sensor: replay, lis3dh"),
    ],
)
def test_a_wrong_configuration_is_one_line_and_leaves_the_prompt(
    content, words, pico_foreign, rows
) -> None:
    with Node(pico_foreign, rows, files={"config.json": content}) as node:
        node.take(node.machine.read_until(">>> ", 10))
        assert node.machine.exec("print(6 * 7)") == "42\n"
    lines = [line for line in node.messages if line.startswith("onebyte node: ")]
    assert len(lines) == 1 and words in lines[0], node.messages
