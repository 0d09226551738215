"""Execute the native modules of every chip on this machine and compare with the host's results.

    python tests/native/emulate/run.py [--arch ARCH]... [--calls N] [--planted]

The .mpy files are those of `onebyte build natmods`. x64 runs inside MicroPython's unix port, the
others in QEMU's user mode. The last line of each architecture is `native ARCH calls=N
identical=N`; the exit status is 1 when a result differs. With --planted one kernel has a small
error on the chips, and a run that finds none is the failure.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests" / "both"), str(ROOT / "tests" / "fakes")]

import cases  # noqa: E402

from onebyte import kernels, toolchain  # noqa: E402
from onebyte.crossbuild import mpyfile, natmods  # noqa: E402
from onebyte.errors import UserError  # noqa: E402

HERE = Path(__file__).parent
BUILD = ROOT / "build" / "emulate"
TIMEOUT_S = 600
DEFAULT_CALLS = 3000

CFLAGS = "-std=gnu99 -O2 -Wall -Wextra -Werror -Wno-unused-parameter -ffreestanding -fno-builtin"
CFLAGS += " -fno-tree-loop-distribute-patterns -fno-asynchronous-unwind-tables -fno-pic"
CFLAGS += " -nostdlib -static -DNO_QSTR -DMICROPY_ENABLE_DYNRUNTIME"


class Target(NamedTuple):
    """How the code of an architecture is executed here.

    Attributes:
        emulator: QEMU's program and the core that it emulates. The Cortex-M cores of QEMU 7.2 do
            not start in user mode. ARM1136 is ARMv6 and knows no Thumb-2, so ARMv6-M's code has
            to do with Thumb-1; Cortex-A7 has all that a Cortex-M4 computes with. de233_fpu lacks
            two instructions of the ESP32-S3, see trap.c.
        flags: The compiler's flags for the program around the module.
    """

    emulator: tuple[str, ...]
    flags: str


TARGETS = {
    "armv6m": Target(("qemu-arm", "-cpu", "arm1136"), "-mthumb -mcpu=cortex-m0"),
    "armv7emsp": Target(
        ("qemu-arm", "-cpu", "cortex-a7"),
        "-mthumb -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard",
    ),
    "rv32imc": Target(
        ("qemu-riscv32",),
        "-march=rv32imac_zifencei -mabi=ilp32 -mno-relax -specs=picolibc.specs",
    ),
    "xtensawin": Target(("qemu-xtensa", "-cpu", "de233_fpu"), "-mlongcalls"),
}

# Takes the rounding out of Goertzel's recursion, on the chips only.
PLANTED_FILE = "goertzel.c"
PLANTED_LINE = "k.half = k.down == 0 ? 0 : 1 << (k.down - 1);"
PLANTED = "#if defined(__arm__) || defined(__xtensa__) || defined(__riscv)\nk.half = 0;\n#else\n"
PLANTED += f"{PLANTED_LINE}\n#endif\n"


def build_runner(arch: str) -> Path:
    """Compile the program that stands in for MicroPython and return it."""
    settings = natmods.make_settings(arch)
    compiler = f"{settings['CROSS']}gcc" if settings else natmods.ARCHS[arch].compiler
    source = toolchain.micropython_source()
    config = ROOT / "build" / "natmod" / arch / f"{natmods.MODULE}.config.h"
    flags = f"{CFLAGS} {TARGETS[arch].flags} {settings.get('CFLAGS_EXTRA', '')}".split()
    flags += [f"-I{source}", f"-DMP_CONFIGFILE=<{config}>", f"-T{HERE / 'link.ld'}"]
    flags += [f"-DEMULATED_ARCH={mpyfile.ARCH_NUMBERS[arch]}"]
    flags += ["-DMICROPY_FLOAT_IMPL=MICROPY_FLOAT_IMPL_NONE"]
    program = BUILD / arch
    BUILD.mkdir(parents=True, exist_ok=True)
    command = [compiler, *flags, "-o", str(program), *map(str, sorted(HERE.glob("*.c")))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"{compiler} refused the emulated program: {done.stderr}")
    return program


def command_for(arch: str, mpy: Path) -> list[str]:
    """Return the command that reads jobs and writes results."""
    if arch == "x64":
        beside = Path(sys.executable).with_name("micropython")
        interpreter = str(beside) if beside.is_file() else shutil.which("micropython")
        if interpreter is None:
            raise UserError("x64 needs MicroPython's unix port, which make venv installs")
        return [interpreter, str(HERE / "unix_port.py"), str(mpy.parent)]
    emulator = TARGETS[arch].emulator
    if shutil.which(emulator[0]) is None:
        raise UserError(f"{arch} needs {emulator[0]}: on Debian install qemu-user")
    return [*emulator, str(build_runner(arch))]


def run_jobs(command: list[str], mpy: Path, jobs: list[cases.Job]) -> bytes:
    """Return what the module answers to all jobs, one after the other."""
    with tempfile.TemporaryFile() as requests:
        data = mpy.read_bytes()
        requests.write(len(data).to_bytes(4, "little") + data)
        for job in jobs:
            requests.write(job.request())
        requests.write(bytes(4))
        requests.seek(0)
        done = subprocess.run(
            command, stdin=requests, capture_output=True, check=False, timeout=TIMEOUT_S
        )
    if done.returncode != 0:
        # What it answered until then still counts.
        print(f"{command[0]} ended with status {done.returncode}: {done.stderr.decode()[-500:]}")
    return done.stdout


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
    folder = BUILD / "planted" / "kernels"
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
        place = BUILD / "planted" / arch
        settings = {"KERNELS": str(planted_kernels()), "BUILD": str(place)}
        mpy = natmods.build(arch, settings).path
    answers = run_jobs(command_for(arch, mpy), mpy, jobs)
    n_calls, n_identical = compare(answers, jobs)
    print(f"native {arch} calls={n_calls} identical={n_identical}", flush=True)
    return n_calls == n_identical


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", action="append", choices=["x64", *TARGETS])
    parser.add_argument("--calls", type=int, default=DEFAULT_CALLS, help="windows, and vectors")
    parser.add_argument("--planted", action="store_true", help="plant an error that must be found")
    arguments = parser.parse_args()
    jobs = cases.make_jobs(arguments.calls)
    # x64 is a PC, not a chip: the planted error leaves it alone.
    archs = arguments.arch or (TARGETS if arguments.planted else natmods.ARCHS)
    try:
        same = [run_arch(arch, jobs, arguments.planted) for arch in archs]
    except UserError as error:
        sys.exit(f"run.py: {error}")
    if arguments.planted:
        print("planted error NOT found" if any(same) else "planted error found")
    sys.exit(any(same) if arguments.planted else not all(same))


if __name__ == "__main__":
    main()
