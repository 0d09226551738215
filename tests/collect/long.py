"""Records minutes of the emulated IMU over the emulated USB port, with a host that stalls.

    python tests/collect/long.py [minutes]

Every sample is compared with what the IMU measured. One stall in five is longer than the board's
buffer: it has to show as a gap with its place and length. Exit status 1 if anything is not as it
should be.
"""

import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "fakes"))

from collected import RATE_HZ, numbered  # noqa: E402

from onebyte.collect import board_link  # noqa: E402
from onebyte.collect.assembler import Assembler  # noqa: E402
from onebyte.collect.capture import Capture, from_assembler  # noqa: E402
from onebyte.collect.stream import Splitter  # noqa: E402
from onebyte.emulator import littlefs  # noqa: E402
from onebyte.emulator.machine import Machine  # noqa: E402

FIRMWARE = ROOT / "dist" / "firmware" / "pico_ppp.uf2"
FIRST_ROW = 2  # the gyroscope starts two rows after the accelerometer
SHORT_MS, LONG_MS = 9000, 16000  # a board holds 13 s
EVERY_MS = 60000
CONFIG = {
    "tenant": "home",
    "device": "imu",
    "broker_host": "-",
    "sensor": "lsm6dsox",
    "sensor_rate_mhz": RATE_HZ * 1000,
}


def record(machine: Machine, minutes: float) -> tuple[Capture, int]:
    """Return what came, and how many stalls were longer than the buffer."""
    machine.boot()
    machine.start(board_link.stream_code({}))
    splitter, assembler = Splitter(), Assembler()
    long_stalls = stalls = 0

    def run(duration_ms: float) -> None:
        for block in splitter.feed(machine.run_ms(duration_ms).encode()):
            assembler.take(block)

    end_ms = machine.emulated_ms + minutes * 60000
    while machine.emulated_ms < end_ms - EVERY_MS / 2:
        stalls += 1
        is_long = stalls % 5 == 3
        long_stalls += is_long
        run(EVERY_MS / 2)
        machine.stall_serial(True)
        run(LONG_MS if is_long else SHORT_MS)
        machine.stall_serial(False)
        run(EVERY_MS / 2 - (LONG_MS if is_long else SHORT_MS))
        print(f"{machine.emulated_ms / 60000:5.1f} min, {assembler.n_samples} samples", flush=True)
    machine.write_line("")
    run(3000)
    splitter.finish()
    return from_assembler(assembler, "long", splitter.damaged), long_stalls


def main(arguments: list[str]) -> int:
    """Return the exit status."""
    minutes = float(arguments[0]) if arguments else 30.0
    rows = numbered(round((minutes * 60 + 60) * RATE_HZ))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.i16"
        path.write_bytes(rows.tobytes())
        files = littlefs.make_image({"config.json": json.dumps(CONFIG).encode()})
        chip = {"chip": "lsm6dsox", "rows": str(path)}
        with Machine(FIRMWARE, files, devices=[chip]) as machine:
            got, long_stalls = record(machine, minutes)
    problems = []
    for piece in got.pieces:
        first = FIRST_ROW + piece.first_row
        if not (piece.values == rows[first : first + piece.n_rows]).all():
            problems.append(f"the samples from {piece.first_row} on are others")
    ends = [piece.first_row + piece.n_rows for piece in got.pieces]
    expected = [
        (piece.first_row, piece.first_row - end)
        for end, piece in zip(ends, got.pieces[1:], strict=False)
    ]
    if [(gap.row, gap.lost) for gap in got.gaps] != expected or len(expected) != long_stalls:
        problems.append(f"gaps {[str(gap) for gap in got.gaps]}, missing {expected}")
    if got.damaged or got.duplicates or got.ended != "stopped by the host":
        problems.append(f"damaged or incomplete: {got.ended}")
    if got.n_samples + sum(gap.lost for gap in got.gaps) < minutes * 60 * RATE_HZ * 0.99:
        problems.append("too few samples")
    for item in (*got.gaps, *problems):
        print(item)
    print(f"stalls longer than the buffer: {long_stalls}")
    print(got.summary())
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
