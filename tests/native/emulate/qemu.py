"""Run native modules in QEMU's user mode, or inside MicroPython's unix port for this machine."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, NamedTuple

import cases

from onebyte import toolchain
from onebyte.crossbuild import mpyfile, natmods
from onebyte.errors import UserError

HERE = Path(__file__).parent
BUILD = toolchain.ROOT / "build" / "emulate"
TIMEOUT_S = 600

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
        sys_write: Linux's number of the system call by which it answers.
    """

    emulator: tuple[str, ...]
    flags: str
    sys_write: int


TARGETS = {
    "armv6m": Target(("qemu-arm", "-cpu", "arm1136"), "-mthumb -mcpu=cortex-m0", 4),
    "armv7emsp": Target(
        ("qemu-arm", "-cpu", "cortex-a7"),
        "-mthumb -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard",
        4,
    ),
    "rv32imc": Target(
        ("qemu-riscv32",),
        "-march=rv32imac_zifencei -mabi=ilp32 -mno-relax -specs=picolibc.specs",
        64,
    ),
    "xtensawin": Target(("qemu-xtensa", "-cpu", "de233_fpu"), "-mlongcalls", 13),
}


def build_runner(arch: str, module: str = natmods.MODULE) -> Path:
    """Compile the program that stands in for MicroPython around a module and return it."""
    sources = sorted(HERE.glob("*.c"))
    if module == natmods.MODULE:
        return compile_program(arch, BUILD / arch, sources)
    sources.remove(HERE / "main.c")
    sources.append(HERE / module / "main.c")
    return compile_program(arch, BUILD / module / arch, sources, module=module)


def compile_program(
    arch: str,
    program: Path,
    sources: Iterable[Path],
    more_flags: Iterable[str] = (),
    module: str = natmods.MODULE,
) -> Path:
    """Compile a program for QEMU's user mode; the native module must be built already.

    Raises:
        UserError: no compiler, or it refuses a source.
    """
    settings = natmods.make_settings(arch)
    compiler = f"{settings['CROSS']}gcc" if settings else natmods.ARCHS[arch].compiler
    config = natmods.folder_of(arch, module) / f"{module}.config.h"
    flags = f"{CFLAGS} {TARGETS[arch].flags} {settings.get('CFLAGS_EXTRA', '')}".split()
    flags += [f"-I{toolchain.micropython_source()}", f"-I{HERE}", f"-T{HERE / 'link.ld'}"]
    flags += [f"-DMP_CONFIGFILE=<{config}>", f"-DEMULATED_ARCH={mpyfile.ARCH_NUMBERS[arch]}"]
    flags += ["-DMICROPY_FLOAT_IMPL=MICROPY_FLOAT_IMPL_NONE", *more_flags]
    program.parent.mkdir(parents=True, exist_ok=True)
    # Another process may execute the program at this moment, or be about to.
    part = program.with_name(f".{program.name}.{os.getpid()}.part")
    command = [compiler, *flags, "-o", str(part), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"{compiler} refused the emulated program: {done.stderr}")
    part.replace(program)
    return program


def command_for(arch: str, mpy: Path, module: str = natmods.MODULE) -> list[str]:
    """Return the command that reads jobs and writes results."""
    if arch == "x64":
        beside = Path(sys.executable).with_name("micropython")
        interpreter = str(beside) if beside.is_file() else shutil.which("micropython")
        if interpreter is None:
            raise UserError("x64 needs MicroPython's unix port, which make venv installs")
        script = HERE / ("unix_port.py" if module == natmods.MODULE else f"{module}/unix_port.py")
        return [interpreter, str(script), str(mpy.parent)]
    emulator = TARGETS[arch].emulator
    if shutil.which(emulator[0]) is None:
        raise UserError(f"{arch} needs {emulator[0]}: on Debian install qemu-user")
    return [*emulator, str(build_runner(arch, module))]


def write_module(file: IO[bytes], mpy: Path) -> None:
    """Write what every request begins with."""
    data = mpy.read_bytes()
    file.write(len(data).to_bytes(4, "little") + data)


def write_requests(file: IO[bytes], mpy: Path, jobs: Iterable[cases.Job]) -> None:
    """Write the module and the jobs in main.c's protocol."""
    write_module(file, mpy)
    for job in jobs:
        file.write(job.request())
    file.write(bytes(4))


def run_jobs(command: list[str], mpy: Path, jobs: list[cases.Job]) -> bytes:
    """Return what the module answers to all jobs, one after the other."""
    with tempfile.TemporaryFile() as requests:
        write_requests(requests, mpy, jobs)
        return answers_to(command, requests)


def answers_to(command: list[str], requests: IO[bytes]) -> bytes:
    """Return what the command answers to a file of requests."""
    requests.seek(0)
    done = subprocess.run(
        command, stdin=requests, capture_output=True, check=False, timeout=TIMEOUT_S
    )
    if done.returncode != 0:
        # What it answered until then still counts.
        print(f"{command[0]} ended with status {done.returncode}: {done.stderr.decode()[-500:]}")
    return done.stdout
