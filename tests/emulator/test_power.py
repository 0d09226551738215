"""Sleep, watchdog and retained memory of the real firmware on an emulated RP2040."""

import json
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from formats import record, retained
from onebyte.crossbuild import firmware
from onebyte.emulator import littlefs
from onebyte.emulator.machine import EmulatorError, Machine

ROOT = Path(__file__).resolve().parents[2]
STORAGE = 0x100000
POWER = "import board, machine\np = board.make_power()\nr = board.make_retained()\n"
CONFIG = {
    "tenant": "lab",
    "device": "n1",
    "broker_host": "10.0.0.1",
    "sensor": "mpu6050",
    "sensor_range_g": 8,
    "policy": "all",
    "sleep": "deep",
    "wake_interval_s": 30,
    "awake_budget_ms": 6000,
    "outbox_flush_s": 86400,
    "safe_boot_ms": 500,
}


@pytest.fixture
def machine(pico_ppp: firmware.Firmware) -> Iterator[Machine]:
    with Machine(pico_ppp.uf2) as started:
        started.boot()
        yield started


def run_until_reset(machine: Machine, code: str, timeout_s: float) -> None:
    """Run code that ends in a reset, until the prompt of the next start."""
    resets = machine.resets
    with pytest.raises(EmulatorError):
        machine.exec(code, timeout_s)
    assert machine.resets == resets + 1
    machine.boot()


def test_a_deep_sleep_lasts_and_keeps_its_mark(machine: Machine) -> None:
    assert machine.exec(POWER + "print(p.reset_cause())") == "power_on\n"
    before = machine.emulated_ms
    run_until_reset(machine, POWER + "r.write(bytes(range(12)))\np.deep_sleep_ms(30000)", 31)
    assert machine.emulated_ms - before > 29_900
    seen = machine.exec(POWER + "print(p.reset_cause(), r.read() == bytes(range(12)))")
    assert seen == "deep_sleep True\n"
    run_until_reset(machine, POWER + "p.reset_cause()\nmachine.reset()", 0.5)
    assert machine.exec(POWER + "print(p.reset_cause())") == "reset\n"


def test_a_light_sleep_outlives_interrupts_and_watchdog(machine: Machine) -> None:
    code = POWER + "import time\np.start_watchdog(8000)\nt = time.ticks_ms()\n"
    code += "p.light_sleep_ms(20000)\nprint(time.ticks_diff(time.ticks_ms(), t))"
    assert 20_000 <= int(machine.exec(code, 60)) < 20_100
    assert machine.resets == 0


def test_the_watchdog_bites_and_says_so(machine: Machine) -> None:
    feed = "import time\np.reset_cause()\np.start_watchdog(1000)\np.feed_for_ms(3000)\n"
    feed += "time.sleep_ms(3000)\nprint(1)"
    assert machine.exec(POWER + feed, 5) == "1\n"
    run_until_reset(machine, "time.sleep_ms(4000)", 3)
    assert machine.exec(POWER + "print(p.reset_cause())") == "watchdog\n"


def test_a_node_sleeps_without_its_network_and_keeps_its_records(
    pico_ppp: firmware.Firmware, tmp_path: Path
) -> None:
    dice = random.Random(5)
    rows = tmp_path / "rows.bin"
    rows.write_bytes(
        b"".join(
            struct.pack("<6h", *(dice.randint(-4000, 4000) for _ in range(6))) for _ in range(9000)
        )
    )
    model = (ROOT / "models" / "exercise" / "model.obm").read_bytes()
    files = {"config.json": json.dumps(CONFIG).encode(), "model.obm": model}
    devices = [{"chip": "mpu6050", "rows": str(rows)}]
    with Machine(pico_ppp.uf2, littlefs.make_image(files), devices=devices) as machine:
        machine.run_ms(135_000)
        assert machine.resets == 4, "a deep sleep every 30 s"
        flash = machine.flash()
    kept = retained.parse(littlefs.read_image(flash[STORAGE:])["q/state"])
    entries = [record.parse(kept.records, at) for at in range(0, len(kept.records), 16)]
    assert [(entry[0], entry[3]) for entry in entries] == [(1, seq) for seq in range(len(entries))]
    assert kept.epoch == 1 and kept.next_seq == len(entries) == 5
    assert kept.counters[retained.COUNTERS.index("wakes")] == 4
    assert kept.link_failures >= 1, "nobody answers on the serial line"
    assert 140 <= kept.uptime_s <= 152, "at the wake to come"
    assert sum(kept.charge_uah[:2]) * 1000 + sum(kept.charge_rest[:2]) > 0


def test_a_bad_main_py_can_be_stopped(pico_ppp: firmware.Firmware) -> None:
    bad = b"import micropython\nmicropython.kbd_intr(-1)\nwhile True:\n    print('mine')\n"
    with Machine(pico_ppp.uf2, littlefs.make_image({"main.py": bad})) as machine:
        machine.read_until("stops the start")
        machine.boot()
        assert machine.exec("print(6 * 7)") == "42\n"
    with Machine(pico_ppp.uf2, littlefs.make_image({"main.py": bad})) as machine:
        machine.read_until("mine")  # later it is too late, so the test is one
        with pytest.raises(EmulatorError):
            machine.boot(0.5)
