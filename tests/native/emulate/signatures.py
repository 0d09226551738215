"""Execute obed25519 of every chip on this machine and compare with the right answers.

    python tests/native/emulate/signatures.py [--arch RUN]... [--calls N] [--planted] [--twin]

What run.py does for the kernels, with the same runs. Each ends with a line `native obed25519 RUN
calls=N identical=N`; on the emulated RP2040 a line `cycles ed25519_verify N` tells what one
verification costs. The exit status is 1 when an answer differs. With --planted one step of the
arithmetic is wrong, and a run that finds nothing is the failure. --twin counts the twin's cycles
on the emulated chip, too.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
for folder in ("tests/both", "tests/fakes", "lib/native/obed25519"):
    sys.path.insert(0, str(ROOT / folder))

import qemu  # noqa: E402
import signature_cases  # noqa: E402
from signature_cases import Case  # noqa: E402

from onebyte.crossbuild import firmware, natmods  # noqa: E402
from onebyte.emulator import littlefs  # noqa: E402
from onebyte.emulator.machine import Machine  # noqa: E402
from onebyte.errors import UserError  # noqa: E402

MODULE = natmods.SIGNATURES
BOARD = "pico_ppp"
NATMOD = "natmod"  # the name of the file; obed25519 is compiled in
SCRIPT = Path(__file__).parent / MODULE / "device_cases.py"
TWIN = ROOT / "lib" / "native" / MODULE / "obed25519_twin.py"
IMAGE = "armv6m-image"
RUNS = {IMAGE: "armv6m", "armv6m-qemu": "armv6m", **{arch: arch for arch in natmods.ARCHS}}
PLANTED_RUNS = [run for run in RUNS if run != IMAGE]
DEFAULT_CALLS = 100
# Each product of 64 bits is a trap under QEMU's Xtensa, and the emulated RP2040 takes a second for
# what it needs a fifth of: these runs have a share of the cases.
SHARES = {"xtensawin": 12, IMAGE: 5, "armv6m": 5}
TIMEOUT_S = 300  # emulated

PLANTED_FILE = "monocypher/monocypher.c"
PLANTED_LINE = "fe_sub(q->X, s->T, q->T);"


def build(arch: str, planted: bool) -> Path:
    """Return the .mpy file of an architecture."""
    natmods.build_all([arch], module=MODULE)
    if not planted:
        return natmods.DIST / arch / f"{MODULE}.mpy"
    folder = qemu.BUILD / "planted" / MODULE
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "lib" / "native" / MODULE, folder)
    path = folder / PLANTED_FILE
    text = path.read_text()
    assert text.count(PLANTED_LINE) == 1, "the line to change is gone"
    path.write_text(text.replace(PLANTED_LINE, PLANTED_LINE.replace("sub", "add")))
    settings = {"ARITHMETIC": str(folder), "BUILD": str(folder / arch)}
    return natmods.build(arch, settings, MODULE).path


def run_qemu(arch: str, mpy: Path, cases: Sequence[Case]) -> bytes:
    """Return what the module answers in QEMU, or in the unix port."""
    with tempfile.TemporaryFile() as file:
        qemu.write_module(file, mpy)
        file.write(signature_cases.requests(cases))
        return qemu.answers_to(qemu.command_for(arch, mpy, MODULE), file)


def run_chip(image: Path, natmod: Path | None, cases: Sequence[Case], with_twin: bool) -> bytes:
    """Return what the module answers on the emulated RP2040; print the cycles that it counted.

    Args:
        image: Firmware with the module compiled in.
        natmod: The file to be used instead of that.
        cases: What is asked.
        with_twin: Count the twin's cycles, too.
    """
    # The image runs a main.py that is there instead of the node.
    files = {"main.py": b"pass\n", f"lib/{TWIN.name}": TWIN.read_bytes()}
    if natmod:
        files[f"lib/{NATMOD}.mpy"] = natmod.read_bytes()
    code = f"{SCRIPT.read_text()}\nmain({NATMOD if natmod else ''!r})\n"
    if with_twin:
        code += "print_twin_cycles()\n"
    with tempfile.TemporaryDirectory() as folder:
        requests, answers = Path(folder, "requests"), Path(folder, "answers")
        requests.write_bytes(signature_cases.requests(cases))
        mailbox = {"input": str(requests), "output": str(answers)}
        with Machine(image, littlefs.make_image(files), mailbox=mailbox) as machine:
            machine.boot()
            printed = machine.exec(code, TIMEOUT_S)
        for line in printed.splitlines():
            if line.startswith("cycles "):
                print(line)
        return answers.read_bytes()


def execute(run: str, n_calls: int, planted: bool, with_twin: bool) -> bool:
    """Build and execute; return whether every answer is identical."""
    cases = signature_cases.all_cases(n_calls)
    cases = cases[:: SHARES.get(run, 1)]
    if run in (IMAGE, "armv6m"):
        mpy = None if run == IMAGE else build("armv6m", planted)
        answers = run_chip(firmware.build(BOARD).uf2, mpy, cases, with_twin)
    else:
        answers = run_qemu(RUNS[run], build(RUNS[run], planted), cases)
    n_identical = signature_cases.count_identical(cases, answers)
    print(f"native {MODULE} {run} calls={len(cases)} identical={n_identical}", flush=True)
    return n_identical == len(cases)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", action="append", choices=list(RUNS))
    parser.add_argument("--calls", type=int, default=DEFAULT_CALLS, help="random cases")
    parser.add_argument("--planted", action="store_true", help="plant an error that must be found")
    parser.add_argument("--twin", action="store_true", help="count the twin's cycles, too")
    arguments = parser.parse_args()
    runs = arguments.arch or (PLANTED_RUNS if arguments.planted else list(RUNS))
    if arguments.planted and IMAGE in runs:
        parser.error(f"no error can be planted in {IMAGE}")
    calls, planted = arguments.calls, arguments.planted
    try:
        same = [execute(run, calls, planted, arguments.twin) for run in runs]
    except UserError as error:
        sys.exit(f"signatures.py: {error}")
    if planted:
        print("planted error NOT found" if any(same) else "planted error found")
    sys.exit(any(same) if planted else not all(same))


if __name__ == "__main__":
    main()
