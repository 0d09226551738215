"""Execute the native modules of every chip on this machine and compare with the host's results.

    python tests/native/emulate/run.py [--arch RUN]... [--calls N] [--planted]

The .mpy files are those of `onebyte build natmods`. x64 runs inside MicroPython's unix port,
armv6m inside the real firmware on an emulated RP2040, which imports it from its filesystem, the
others in QEMU's user mode. Two more runs come first: armv6m-image, the kernels compiled into that
firmware, and armv6m-qemu, the .mpy file in QEMU. Every run ends with a line `native RUN calls=N
identical=N`, and the last five lines are those of the five architectures. The exit status is 1
when a result differs. With --planted one kernel has a small error on the chips, and a run that
finds none is the failure.
"""

import argparse
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests" / "both"), str(ROOT / "tests" / "fakes")]

import cases  # noqa: E402
import chip  # noqa: E402
import qemu  # noqa: E402

from onebyte import kernels  # noqa: E402
from onebyte.crossbuild import firmware, natmods  # noqa: E402
from onebyte.errors import UserError  # noqa: E402

DEFAULT_CALLS = 3000
BOARD = "pico_ppp"

# What is executed and of which architecture it is.
IMAGE = "armv6m-image"
RUNS = {IMAGE: "armv6m", "armv6m-qemu": "armv6m", **{arch: arch for arch in natmods.ARCHS}}
# x64 is a PC, not a chip, and the error is planted in the .mpy files, not in the firmware.
PLANTED_RUNS = [run for run in RUNS if run not in ("x64", IMAGE)]

# Takes the rounding out of Goertzel's recursion, on the chips only.
PLANTED_FILE = "goertzel.c"
PLANTED_LINE = "k.half = k.down == 0 ? 0 : 1 << (k.down - 1);"
PLANTED = "#if defined(__arm__) || defined(__xtensa__) || defined(__riscv)\nk.half = 0;\n#else\n"
PLANTED += f"{PLANTED_LINE}\n#endif\n"


def compare(answers: bytes, jobs: list[cases.Job]) -> tuple[int, int]:
    """Return how many calls there were and how many answers are the expected ones bit for bit."""
    n_identical = at = 0
    for job in jobs:
        sizes, *expected = job.expected()
        found = answers[at : at + len(sizes)]
        if found and found != sizes:
            print(f"check and work_bytes: {found.hex()}, expected {sizes.hex()}")
        at += len(sizes)
        for answer in expected:
            n_identical += answers[at : at + len(answer)] == answer
            at += len(answer)
    if at != len(answers):
        print(f"{len(answers)} bytes of answers, expected {at}")
    return sum(job.n_calls for job in jobs), n_identical


def planted_kernels() -> Path:
    """Return a copy of the kernels with the planted error."""
    folder = qemu.BUILD / "planted" / "kernels"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(kernels.KERNELS, folder)
    path = folder / PLANTED_FILE
    text = path.read_text()
    assert text.count(PLANTED_LINE) == 1, "the line to change is gone"
    path.write_text(text.replace(PLANTED_LINE, f"\n{PLANTED}"))
    return folder


def build(arch: str, planted: bool) -> Path:
    """Return the .mpy file of an architecture."""
    natmods.build_all([arch])
    if not planted:
        return natmods.DIST / arch / f"{natmods.MODULE}.mpy"
    place = qemu.BUILD / "planted" / arch
    settings = {"KERNELS": str(planted_kernels()), "BUILD": str(place)}
    return natmods.build(arch, settings).path


def execute(run: str, jobs: list[cases.Job], planted: bool) -> bool:
    """Build and execute; return whether every answer is identical."""
    if run == IMAGE:
        answers = chip.run_jobs(firmware.build(BOARD).uf2, None, jobs)
    else:
        mpy = build(RUNS[run], planted)
        if run == "armv6m":
            answers = chip.run_jobs(firmware.build(BOARD).uf2, mpy, jobs)
        else:
            answers = qemu.run_jobs(qemu.command_for(RUNS[run], mpy), mpy, jobs)
    n_calls, n_identical = compare(answers, jobs)
    print(f"native {run} calls={n_calls} identical={n_identical}", flush=True)
    return n_calls == n_identical


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", action="append", choices=list(RUNS))
    parser.add_argument("--calls", type=int, default=DEFAULT_CALLS, help="windows, and vectors")
    parser.add_argument("--planted", action="store_true", help="plant an error that must be found")
    arguments = parser.parse_args()
    possible = PLANTED_RUNS if arguments.planted else list(RUNS)
    runs = arguments.arch or possible
    if not set(runs) <= set(possible):
        parser.error(f"no error can be planted in {', '.join(sorted(set(runs) - set(possible)))}")
    jobs = cases.make_jobs(arguments.calls)
    try:
        same = [execute(run, jobs, arguments.planted) for run in runs]
    except UserError as error:
        sys.exit(f"run.py: {error}")
    if arguments.planted:
        print("planted error NOT found" if any(same) else "planted error found")
    sys.exit(any(same) if arguments.planted else not all(same))


if __name__ == "__main__":
    main()
