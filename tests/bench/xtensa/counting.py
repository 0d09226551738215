"""Count the instructions of a native module's code, call by call, under QEMU."""

import functools
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cases
import qemu
from elftools.elf.elffile import ELFFile

from onebyte import toolchain
from onebyte.crossbuild import natmods
from onebyte.errors import UserError

HERE = Path(__file__).parent
BUILD = toolchain.ROOT / "build" / "bench" / "instructions"


@dataclass(frozen=True)
class Module:
    """A native module and which file each part of its code is from.

    Attributes:
        path: The .mpy file, the same bytes as the shipped one.
        ranges: Begin and end from the start of the code, and the source file's stem.
    """

    path: Path
    ranges: tuple[tuple[int, int, str], ...]


Counts = dict[str, int]  # file -> instructions


@dataclass(frozen=True)
class JobCounts:
    """The instructions of each call of a job.

    Attributes:
        load: Model(model, work).
        windows: features_into, a window each.
        vectors: predict_into, a vector each.
    """

    load: Counts
    windows: list[Counts]
    vectors: list[Counts]


def emulator_version(arch: str) -> str:
    """Return what QEMU says of itself, and the core."""
    program, *core = qemu.TARGETS[arch].emulator
    if shutil.which(program) is None:
        raise UserError(f"{arch} needs {program}: on Debian install qemu-user")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return " ".join([done.stdout.splitlines()[0], *core])


def compiler_version() -> str:
    """Return what the compiler for xtensawin says of itself, without its path."""
    prefix = natmods.make_settings("xtensawin")["CROSS"]
    done = subprocess.run(
        [f"{prefix}gcc", "--version"], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[0].rpartition("/")[2]


@functools.cache
def build_plugin() -> Path:
    """Compile the plugin that counts.

    Raises:
        UserError: there is no C compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise UserError("there is no C compiler: install gcc or clang")
    target = BUILD / "counting.so"
    target.parent.mkdir(parents=True, exist_ok=True)
    flags = ["-std=gnu99", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    command = [compiler, *flags, "-o", str(target), str(HERE / "counting.c")]
    subprocess.run(command, check=True)
    return target


@functools.cache
def build_module(arch: str) -> Module:
    """Build the native module with a map of its code."""
    shipped = natmods.build(arch).path.read_bytes()
    folder = BUILD / arch
    shutil.rmtree(folder, ignore_errors=True)
    place = folder / "module.map"
    source = toolchain.micropython_source()
    linker = f"PYTHONHASHSEED=0 {sys.executable} {HERE / 'link_map.py'} {place} {source}/tools"
    folder.mkdir(parents=True)
    built = natmods.build(arch, {"BUILD": str(folder), "MPY_LD": linker}).path
    if built.read_bytes() != shipped:
        raise UserError(f"{built} is not the module that is shipped")
    lines = [line.split() for line in place.read_text().splitlines()]
    return Module(built, tuple((int(begin), int(end), name) for begin, end, name in lines))


def address_of(program: Path, name: str) -> tuple[int, int]:
    """Return the address and the size of a symbol."""
    with program.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        (symbol,) = table.get_symbol_by_name(name)
        return symbol["st_value"], symbol["st_size"]


def run_counted(
    arch: str, program: Path, ranges: Sequence[tuple[int, int]], requests: Path
) -> tuple[bytes, list[list[int]]]:
    """Execute a program; return its answers and the counts at each of its writes.

    Raises:
        UserError: the program or the plugin failed, with what it said.
    """
    out = BUILD / arch / "counts.txt"
    arguments = [f"out={out}", f"write={qemu.TARGETS[arch].sys_write}"]
    arguments += [f"range={begin:x}-{end:x}" for begin, end in ranges]
    plugin = ",".join([str(build_plugin()), *arguments])
    command = [*qemu.TARGETS[arch].emulator, "-plugin", plugin, str(program)]
    with requests.open("rb") as file, tempfile.TemporaryFile() as answers:
        done = subprocess.run(
            command,
            stdin=file,
            stdout=answers,
            stderr=subprocess.PIPE,
            check=False,
            timeout=qemu.TIMEOUT_S,
        )
        if done.returncode != 0:
            raise UserError(f"{command[0]} failed: {done.stderr.decode()[-500:].strip()}")
        answers.seek(0)
        counts = [[int(n) for n in line.split()] for line in out.read_text().splitlines()]
        return answers.read(), counts


def difference(after: list[int], before: list[int], names: Sequence[str]) -> Counts:
    """Return the counts between two writes, added up by file."""
    found: Counts = {}
    for name, last, first in zip(names, after, before, strict=True):
        found[name] = found.get(name, 0) + last - first
    return found


def count(arch: str, jobs: Sequence[cases.Job]) -> list[JobCounts]:
    """Execute the jobs and count; the first window of each job is computed twice.

    Raises:
        UserError: a missing tool, or an answer that is not the host's.
    """
    module = build_module(arch)
    runner = qemu.build_runner(arch)
    text, text_bytes = address_of(runner, "text")
    ranges = [(text + begin, text + end) for begin, end, _ in module.ranges]
    names = [name for *_, name in module.ranges]
    # The rest of the module: its entry, and what the linker put in between.
    ranges.append((text, text + text_bytes))
    names.append("rest")
    twice = [job.with_first_window_twice() for job in jobs]
    requests = BUILD / arch / "requests.bin"
    with requests.open("wb") as file:
        qemu.write_requests(file, module.path, twice)
    answers, counts = run_counted(arch, runner, ranges, requests)
    if answers != b"".join(answer for job in twice for answer in job.expected()):
        raise UserError(f"{arch}: the answers are not the host's; see tests/native/emulate/run.py")
    assert len(counts) == sum(1 + job.n_calls for job in twice)
    found = []
    at = 0
    for job in twice:
        here = [row[:-1] for row in counts[at : at + 1 + job.n_calls]]
        at += 1 + job.n_calls
        calls = [difference(b, a, names) for a, b in itertools.pairwise(here)]
        n = len(job.rings)
        load = {name: calls[0][name] - calls[1][name] for name in calls[0]}
        found.append(JobCounts(load, calls[1:n], calls[n:]))
    return found


def mean(counts: Sequence[Counts], files: Sequence[str] = ()) -> int:
    """Return the mean over the calls, rounded, of the whole module or of some files."""
    summed = sum(n for call in counts for name, n in call.items() if not files or name in files)
    return round(summed / len(counts))
