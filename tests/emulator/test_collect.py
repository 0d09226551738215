"""The recorder in the image: the emulated IMU's samples over USB and on flash."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from collected import RATE_HZ, numbered

from onebyte.collect import board_link, fetch
from onebyte.collect.assembler import Assembler
from onebyte.collect.dataset import Dataset, Session
from onebyte.collect.stream import Splitter
from onebyte.crossbuild import firmware
from onebyte.emulator import littlefs
from onebyte.emulator.machine import EmulatorError, Machine
from onebyte.errors import UserError

FIRST_ROW = 2  # the gyroscope starts two rows after the accelerometer
CONFIG = {
    "tenant": "home",
    "device": "imu",
    "broker_host": "-",
    "sensor": "lsm6dsox",
    "sensor_rate_mhz": RATE_HZ * 1000,
    "safe_boot_ms": 0,
}


class MachineRepl:
    """What collect uses of a board's raw REPL, over the emulator itself: no wall clock in it."""

    device = "emulated"
    transport = None

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.codes: list[str] = []

    def exec(self, code: str, timeout_s: float = 60.0) -> str:
        self.codes.append(code)
        return self._machine.exec(code, timeout_s)


@contextmanager
def board(
    built: firmware.Firmware, folder: Path, rows: np.ndarray, config: dict[str, Any] = CONFIG
) -> Iterator[Machine]:
    path = folder / "rows.i16"
    path.write_bytes(rows.tobytes())
    files = {"config.json": json.dumps(config).encode()} if config else {}
    chip = {"chip": "lsm6dsox", "rows": str(path)}
    with Machine(built.uf2, littlefs.make_image(files), devices=[chip]) as machine:
        yield machine


class Stream:
    """A program of the recorder's that runs, and what came of it."""

    def __init__(self, machine: Machine, code: str) -> None:
        self.machine, self.splitter, self.assembler = machine, Splitter(), Assembler()
        machine.start(code)

    def run_ms(self, duration_ms: float) -> None:
        self._take(self.machine.run_ms(duration_ms).encode())

    def _take(self, data: bytes) -> None:
        for block in self.splitter.feed(data):
            self.assembler.take(block)

    def stall_ms(self, duration_ms: int) -> None:
        self.machine.stall_serial(True)
        self.run_ms(duration_ms)
        self.machine.stall_serial(False)

    def check(self, rows: np.ndarray) -> None:
        for piece in self.assembler.pieces:
            first = FIRST_ROW + piece.first_row
            assert (piece.values == rows[first : first + piece.n_rows]).all()


def test_a_host_that_stalls_loses_nothing_for_ten_seconds(
    pico_ppp: firmware.Firmware, tmp_path: Path
) -> None:
    rows = numbered(60 * RATE_HZ)
    with board(pico_ppp, tmp_path, rows) as machine:
        machine.boot()
        stream = Stream(machine, board_link.stream_code({}))
        stream.run_ms(1000)
        for stall_ms in (700, 2000, 10000):
            stream.stall_ms(stall_ms)
            stream.run_ms(1500)
        got = stream.assembler
        assert (got.gaps, got.duplicates, stream.splitter.damaged) == ([], [], 0)
        assert got.n_samples == pytest.approx(17.2 * RATE_HZ, abs=130)
        stream.stall_ms(18000)
        stream.run_ms(2500)
        machine.write_line("")
        stream.run_ms(1000)
        assert got.end is not None
    stream.check(rows)
    (gap,) = got.gaps
    assert (gap.cause, gap.is_exact, gap.lost) == ("buffer", True, got.end[1])
    first, second = got.pieces
    assert gap.row == second.first_row == first.n_rows + gap.lost
    assert stream.splitter.damaged == 0
    assert got.measured_hz() == pytest.approx(RATE_HZ, rel=0.01)


def test_a_board_without_the_recorder_gets_it_into_its_ram(
    pico_ppp: firmware.Firmware, tmp_path: Path
) -> None:
    rows = numbered(12 * RATE_HZ)
    with board(pico_ppp, tmp_path, rows, {}) as machine:
        machine.boot()
        repl = MachineRepl(machine)
        assert not board_link.prepare(repl)
        machine.exec("import sys\nsys.path[:] = []\nsys.modules.clear()")
        assert board_link.prepare(repl)
        settings = {key: CONFIG[key] for key in ("sensor", "sensor_rate_mhz")}
        code = board_link.stream_code(settings, 0, board_link.pins_of("pico_ppp"))
        found = machine.exec("import app.recorder\nprint(app.recorder.__file__)")
        assert found.strip() == "/recorder/app/recorder.mpy"
        stream = Stream(machine, code)
        stream.run_ms(3000)
    stream.check(rows)
    assert stream.assembler.n_samples > 2 * RATE_HZ and stream.assembler.gaps == []


FAST = """
from app import record_stream
from app.recorder import Recorder
import gc
class Fast:
    n_channels, rate_mhz, fifo_rows, overruns, gaps = 6, 3000000, 0, 0, 0
    def read_into(self, ring, row, n_rows):
        return min(n_rows, 42)
recorder = Recorder(Fast())
gc.collect()
before = gc.mem_alloc()
record_stream.run_on_console(recorder, b'{"n_channels":6,"rate_mhz":3000000}', 42000)
gc.collect()
print(recorder.counter, "heap", gc.mem_alloc() - before)
"""


def test_how_fast_it_can_be_and_that_the_heap_does_not_grow(
    pico_ppp: firmware.Firmware, tmp_path: Path
) -> None:
    with Machine(pico_ppp.uf2) as machine:
        machine.boot()
        start_ms = machine.emulated_ms
        said = machine.exec(FAST, 120.0)
        seconds = (machine.emulated_ms - start_ms) / 1000
    blocks, _, grown = said.splitlines()[-1].split()
    rate = int(blocks) * 504 / seconds
    print(f"collect throughput {rate:.0f} bytes of samples a second")
    assert rate > 30000
    assert abs(int(grown)) < 1000


def start_to_flash(machine: Machine, plan: dict[str, Any]) -> None:
    machine.boot()
    fetch.start_recording(MachineRepl(machine), plan)
    machine.reset()


PLAN = {"v": 1, "label": "walking", "subject": "anna", "license": "CC0", "quota_kib": 64}


def test_a_recording_on_flash_survives_a_power_cut_and_is_fetched(
    pico_ppp: firmware.Firmware, tmp_path: Path
) -> None:
    rows = numbered(90 * RATE_HZ)
    dataset = Dataset(tmp_path / "set")
    with board(pico_ppp, tmp_path, rows) as machine:
        start_to_flash(machine, PLAN)
        machine.run_ms(12000)
        machine.cut_power(5)
        for _ in range(20):
            machine.run_ms(500)
            if machine.is_dead:
                break
        assert machine.is_dead
        cut_ms = machine.emulated_ms
        machine.power_on()
        machine.run_ms(9000)
        repl = MachineRepl(machine)
        broken = Interrupting(repl, after=14)
        with pytest.raises(UserError, match="pulled"):
            fetch.fetch(broken, dataset)
        repl.codes.clear()
        runs = fetch.fetch(repl, dataset)
        fetched = [code for code in repl.codes if "b2a_base64" in code]
        assert 0 < len(fetched) < sum(len(run.content) for run in runs) / 1536
        captures = [fetch.add(dataset, run, Session("someone", "", 0.0))[0] for run in runs]
        for run in runs:
            fetch.remove(repl, run)
        assert machine.exec("import os; print(os.listdir('rec'))").strip() == "[]"
        assert fetch.fetch(repl, dataset) == []
    check_flash_runs(captures, rows, cut_ms)
    files = sorted((tmp_path / "set" / "data" / "anna").glob("walking_flash-*.npz"))
    assert len(files) == 4  # the first run, alone then, in thirds


class Interrupting(MachineRepl):
    """A cable that is pulled after so many calls."""

    def __init__(self, repl: MachineRepl, after: int) -> None:
        super().__init__(repl._machine)
        self._after = after

    def exec(self, code: str, timeout_s: float = 60.0) -> str:
        self._after -= 1
        if not self._after:
            raise UserError("the cable was pulled")
        return super().exec(code, timeout_s)


def check_flash_runs(captures: list[Any], rows: np.ndarray, cut_ms: float) -> None:
    """The first run lacks at most a portion before the cut, the second nothing."""
    first, second = captures
    for got in captures:
        (piece,) = got.pieces
        assert got.gaps == [] and piece.first_row == 0
        start = np.flatnonzero((rows == piece.values[0]).all(axis=1))[0]
        assert (piece.values == rows[start : start + piece.n_rows]).all()
    assert first.ended == "without the device's last word"
    assert second.ended == "stopped by the host"
    portion_s = 3584 / 12 / RATE_HZ
    assert first.n_samples / RATE_HZ > 12.0 - portion_s - 1.5
    assert second.n_samples / RATE_HZ > 9.0 - 1.5
    assert [got.marks for got in captures] == [[(0, "walking")]] * 2


def test_a_board_with_a_plan_says_so_and_a_node_comes_back(
    pico_ppp: firmware.Firmware, tmp_path: Path
) -> None:
    with board(pico_ppp, tmp_path, numbered(30 * RATE_HZ)) as machine:
        start_to_flash(machine, PLAN | {"duration_s": 3, "sensor_range_g": 99})
        with pytest.raises(EmulatorError):
            machine.read_until("no such text", 5)
        assert machine.exec("import os; print(os.listdir('rec'))").strip() == "['plan']"
        machine.leave_raw_repl()
        start_to_flash(machine, PLAN | {"duration_s": 3})
        assert "onebyte record: run 1" in machine.read_until("reason 2", 20)
        assert "plan" not in machine.exec("import os; print(os.listdir('rec'))")
