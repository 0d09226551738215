"""Execute the native modules of every chip on this machine and compare with the host's results.

    python tests/native/emulate/run.py [--arch ARCH]... [--calls N] [--planted]

The .mpy files are those of `onebyte build natmods`. x64 runs inside MicroPython's unix port, the
others in QEMU's user mode. The last line of each architecture is `native ARCH calls=N
identical=N`; the exit status is 1 when a result differs. With --planted one kernel has a small
error on the chips, and a run that finds none is the failure.
"""

import argparse
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests" / "both"), str(ROOT / "tests" / "fakes")]

import cases  # noqa: E402
import qemu  # noqa: E402

from onebyte import kernels  # noqa: E402
from onebyte.crossbuild import natmods  # noqa: E402
from onebyte.errors import UserError  # noqa: E402

DEFAULT_CALLS = 3000

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


def run_arch(arch: str, jobs: list[cases.Job], planted: bool) -> bool:
    """Build and execute one architecture; return whether every answer is identical."""
    natmods.build_all([arch])
    mpy = natmods.DIST / arch / f"{natmods.MODULE}.mpy"
    if planted:
        place = qemu.BUILD / "planted" / arch
        settings = {"KERNELS": str(planted_kernels()), "BUILD": str(place)}
        mpy = natmods.build(arch, settings).path
    answers = qemu.run_jobs(qemu.command_for(arch, mpy), mpy, jobs)
    n_calls, n_identical = compare(answers, jobs)
    print(f"native {arch} calls={n_calls} identical={n_identical}", flush=True)
    return n_calls == n_identical


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", action="append", choices=["x64", *qemu.TARGETS])
    parser.add_argument("--calls", type=int, default=DEFAULT_CALLS, help="windows, and vectors")
    parser.add_argument("--planted", action="store_true", help="plant an error that must be found")
    arguments = parser.parse_args()
    jobs = cases.make_jobs(arguments.calls)
    # x64 is a PC, not a chip: the planted error leaves it alone.
    archs = arguments.arch or (qemu.TARGETS if arguments.planted else natmods.ARCHS)
    try:
        same = [run_arch(arch, jobs, arguments.planted) for arch in archs]
    except UserError as error:
        sys.exit(f"run.py: {error}")
    if arguments.planted:
        print("planted error NOT found" if any(same) else "planted error found")
    sys.exit(any(same) if arguments.planted else not all(same))


if __name__ == "__main__":
    main()
