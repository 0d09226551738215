"""The real drivers over the real machine.I2C, against chips whose FIFO fills in emulated time."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onebyte.crossbuild import firmware
from onebyte.emulator.machine import DeviceError, EmulatorError, Machine

N_ROWS = 3000

# chip -> how the driver is made, its rate in Hz, channels, first row that a whole row can be.
DRIVERS = {
    "mpu6050": ("drivers.mpu6050", "MPU6050(i2c, 50, (8, 2000))", 50, 6, 0),
    "lis3dh": ("drivers.lis3dh", "LIS3DH(i2c, 50, 4)", 50, 3, 0),
    "lsm6dsox": ("drivers.lsm6dsox", "LSM6DSOX(i2c, 104, (8, 2000))", 104, 6, 2),
}

# Rows are known by their first value, so that the device need not print them all.
PROGRAM = """
from machine import I2C, Pin
from array import array
import time
from {module} import *
i2c = I2C(0, scl=Pin(5), sda=Pin(4), freq=400_000)
source = {make}
ring = array("h", bytes(64 * 2 * source.n_channels))
seen = []
def read(duration_ms):
    start = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), start) < duration_ms:
        n_rows = source.read_into(ring, 0, 64)
        seen.extend(ring[: n_rows * source.n_channels])
        if not n_rows:
            time.sleep_ms(5)
"""
TELL = "print(seen, source.overruns, source.gaps, sep=';')"


def recording(channels: int) -> Any:
    rows = np.random.default_rng(3).integers(-2048, 2048, (N_ROWS, channels)) * 16
    rows[:, 0] = (np.arange(N_ROWS) - N_ROWS // 2) * 16  # a row's number
    return rows.astype("<i2")


@contextmanager
def board(
    built: firmware.Firmware, folder: Path, chip: str, **knobs: Any
) -> Iterator[tuple[Machine, Any]]:
    """A board with a chip that measures a recording, at its prompt, the driver not yet made."""
    rows = recording(DRIVERS[chip][3])
    path = folder / "rows.i16"
    path.write_bytes(rows.tobytes())
    device = {"chip": chip, "rows": str(path)} | knobs
    with Machine(built.uf2, devices=[device]) as machine:
        machine.boot()
        yield machine, rows


def program(chip: str) -> str:
    module, make, *_ = DRIVERS[chip]
    return PROGRAM.format(module=module, make=make)


def seen_rows(text: str, rows: Any) -> tuple[list[int], int, int]:
    """Return the numbers of the rows that the device saw, whole and unchanged; overruns, gaps."""
    values, overruns, gaps = text.strip().split(";")
    got = np.array(json.loads(values)).reshape(-1, rows.shape[1])
    numbers = (got[:, 0] // 16 + N_ROWS // 2).tolist()
    assert (rows[numbers] == got).all()
    return numbers, int(overruns), int(gaps)


@pytest.mark.parametrize("chip", DRIVERS)
@pytest.mark.parametrize("rate_error", [0.0, 0.04, -0.04])
def test_rows_are_those_of_the_recording(
    pico_ppp: firmware.Firmware, tmp_path: Path, chip: str, rate_error: float
) -> None:
    _, _, rate_hz, _, first = DRIVERS[chip]
    with board(pico_ppp, tmp_path, chip, rate_error=rate_error) as (machine, rows):
        text = machine.exec(program(chip) + "read(4000)\n" + TELL)
    numbers, overruns, gaps = seen_rows(text, rows)
    assert numbers == list(range(first, first + len(numbers)))
    assert (overruns, gaps) == (0, 0)
    assert len(numbers) == pytest.approx(4 * rate_hz * (1 + rate_error) - first, abs=3)


@pytest.mark.parametrize("chip", ["lsm6dsox", "mpu6050"])
def test_nothing_is_lost_while_the_network_blocks(
    pico_ppp: firmware.Firmware, tmp_path: Path, chip: str
) -> None:
    blocked_ms = 2000 if chip == "lsm6dsox" else 1600
    code = f"read(1000)\ntime.sleep_ms({blocked_ms})\nread(1000)\n"
    with board(pico_ppp, tmp_path, chip) as (machine, rows):
        text = machine.exec(program(chip) + code + TELL)
    numbers, overruns, gaps = seen_rows(text, rows)
    steps = np.diff(numbers)
    duplicates = int((steps <= 0).sum())
    n_gaps = gaps + int((steps > 1).sum())
    print(f"sampling {chip} rows={len(numbers)} gaps={n_gaps} duplicates={duplicates}")
    assert (n_gaps, duplicates, overruns) == (0, 0, 0)
    rate_hz, first = DRIVERS[chip][2], DRIVERS[chip][4]
    expected = (2 + blocked_ms / 1000) * rate_hz - first
    assert len(numbers) == pytest.approx(expected, abs=4)


JUDGE = """
import json
from app.sensing import Sensing, IDLE
class Part:
    pass
config = Part()
config.silent_ms, config.saturated_permille = 60_000, 1000
config.sample_low, config.sample_high = -32768, 32767
config.policy, config.heartbeat_s = "all", 60
info = Part()
info.n_channels, info.window, info.hop = source.n_channels, 50, 25
info.n_features, info.n_classes, info.encoding = 1, 2, 0
info.k, info.n, info.min_confidence, info.novelty_threshold, info.levels = 1, 1, 0, 0, ()
windows = []
class Model:
    def features_into(self, ring, start, features):
        first = [ring[(start + i) % 75 * info.n_channels] for i in range(50)]
        windows.append((first[0], first[-1], all(b - a == 16 for a, b in zip(first, first[1:]))))
    def predict_into(self, features, result):
        pass
sensing = Sensing(config, source, info, Model())
published = []
def judge(duration_ms):
    start = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), start) < duration_ms:
        byte = sensing.step(time.ticks_ms())
        if byte >= 0:
            published.append(byte)
        elif byte == IDLE:
            time.sleep_ms(5)
"""


@pytest.mark.parametrize("chip", DRIVERS)
def test_a_longer_block_is_an_overrun_that_no_window_spans(
    pico_ppp: firmware.Firmware, tmp_path: Path, chip: str
) -> None:
    code = """
judge(2000)
before = len(windows)
time.sleep_ms(3000)
judge(2500)
from formats import result
overrun = result.pack_fault(0, result.SENSOR_OVERRUN)
told = [before, source.overruns, source.gaps, sensing.faults, published.count(overrun)]
print(json.dumps([told, windows]))
"""
    with board(pico_ppp, tmp_path, chip) as (machine, _):
        counts, seen = json.loads(machine.exec(program(chip) + JUDGE + code))
    before, *told = counts
    assert told == [1, 0, 1, 1]
    assert 1 <= before < len(seen)
    assert all(is_joined for _, _, is_joined in seen)
    lost = (seen[before][0] - seen[before - 1][1]) // 16
    assert lost > DRIVERS[chip][2] * 0.5  # rows that the FIFO could not hold


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ({"chip": "bmp280"}, "no such chip: bmp280"),
        ({"chip": "lis3dh", "odd": 1}, "no option odd"),
    ],
)
def test_a_device_that_there_is_not_is_named(
    pico_ppp: firmware.Firmware, device: dict[str, Any], reason: str
) -> None:
    with pytest.raises(EmulatorError, match=reason):
        Machine(pico_ppp.uf2, devices=[device])


@pytest.mark.parametrize("chip", DRIVERS)
def test_absent_and_other_chips_are_named(
    pico_ppp: firmware.Firmware, tmp_path: Path, chip: str
) -> None:
    make = "try:\n    {}\nexcept OSError as error:\n    print(error)\n"
    module, call, *_ = DRIVERS[chip]
    start = PROGRAM.format(module=module, make="None").partition("ring =")[0]
    with board(pico_ppp, tmp_path, chip, absent=True) as (machine, _):
        assert "EIO" in machine.exec(start + make.format(call))
        machine.set_device(0, absent=False, who_am_i=0x12)
        said = machine.exec(start + make.format(call))
    assert "WHO_AM_I is 0x12, expected 0x" in said


@pytest.mark.parametrize("chip", DRIVERS)
def test_unplugging_is_an_error_and_plugging_in_a_gap(
    pico_ppp: firmware.Firmware, tmp_path: Path, chip: str
) -> None:
    with board(pico_ppp, tmp_path, chip) as (machine, rows):
        machine.exec(program(chip) + "read(1000)")
        away_ms = machine.emulated_ms + 500
        machine.set_device(0, unplugged_ms=away_ms, plugged_ms=away_ms + 1500)
        with pytest.raises(DeviceError, match=r"OSError: \[Errno 5\] EIO"):
            machine.exec("read(1000)")
        with pytest.raises(DeviceError, match=r"OSError: \[Errno 5\] EIO"):
            machine.exec("read(10)")
        machine.run_ms(2000)
        text = machine.exec("read(1000)\n" + TELL)
    numbers, overruns, gaps = seen_rows(text, rows)
    assert (overruns, gaps) == (0, 1)
    steps = np.diff(numbers)
    assert (steps > 0).all() and (steps > 1).sum() == 1


@pytest.mark.parametrize("chip", DRIVERS)
def test_a_held_data_line_is_freed_by_nine_pulses(
    pico_ppp: firmware.Firmware, tmp_path: Path, chip: str
) -> None:
    recover = """
def recover():
    global i2c, pulses
    clock = Pin(5, Pin.OPEN_DRAIN, value=1)
    for pulses in range(1, 10):
        clock(0)
        time.sleep_us(5)
        clock(1)
        time.sleep_us(5)
    source._bus = I2C(0, scl=Pin(5), sda=Pin(4), freq=400_000)
source._recover = recover
"""
    with board(pico_ppp, tmp_path, chip) as (machine, rows):
        machine.exec(program(chip) + "read(500)")
        machine.set_device(0, holds_sda_ms=machine.emulated_ms + 200)
        with pytest.raises(DeviceError, match="ETIMEDOUT"):
            machine.exec("read(1000)")
        text = machine.exec(
            recover
            + "try:\n    read(1000)\nexcept OSError as error:\n    pass\nread(500)\n"
            + TELL
        )
    numbers, overruns, gaps = seen_rows(text, rows)
    assert (overruns, gaps) == (0, 1)
    assert (np.diff(numbers) > 1).sum() == 1
