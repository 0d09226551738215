"""Count cycles on an emulated RP2040; `make bench-rp2040`.

    python tests/bench/rp2040/cycles.py [--short] [--update]

Prints `cycles NAME N`, `bytes NAME N`, `ratio NAME V` and, for what is not compared, `info NAME
N`. ours_* and emlearn_* are the C functions alone, for the same forest and vectors, with the flags
at the end of the name; fft_N_* a real transform of N int16 to powers; feature_* and stream_*
ob_features for one window of 128 samples of 3 or 6 channels with nothing else in the program;
window_to_byte what the node does with a window of models/exercise, called from MicroPython:
features, class, decision; ed25519_verify one signature over a manifest; boot_slot_64k what the
loader does until a slot of 64 KiB in 24 files may run, its signature included. All code that is
counted alone lies in RAM, that of the C module in flash; the emulator knows neither waits for the
flash nor for the bus.

The figures go to build/bench/rp2040.json. The exit status is 1 when one is more than 3 % worse
than in tests/bench/rp2040/baseline.json; --update writes that file.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
for folder in ("bench", "bench/xtensa", "both", "fakes", "native/emulate"):
    sys.path.insert(0, str(ROOT / "tests" / folder))

import emlearn  # noqa: E402
import forests  # noqa: E402
import gate  # noqa: E402
import signed_boards  # noqa: E402
import workloads  # noqa: E402

from onebyte import kernels, toolchain  # noqa: E402
from onebyte.crossbuild import firmware, natmods  # noqa: E402
from onebyte.emulator import engine, littlefs  # noqa: E402
from onebyte.emulator.machine import Machine  # noqa: E402
from onebyte.errors import UserError  # noqa: E402
from onebyte.updates import sources  # noqa: E402

HERE = Path(__file__).parent
BUILD = ROOT / "build" / "bench" / "rp2040"
BASELINE = HERE / "baseline.json"
CLOCK_HZ = 125_000_000
IMAGE_BYTES = 20 * 1024
TIMEOUT_S = 60
SLOT_BYTES, SLOT_FILES, SLOT_SEED = 65536, 24, 1
BOOT_S = 30  # with the time in which a person may stop the node
COMPILER = "arm-none-eabi-gcc"
CFLAGS = "-mthumb -mcpu=cortex-m0plus -std=gnu99 -ffreestanding -fno-tree-loop-distribute-patterns"
SCRIPTS = ("device.py", "viper_walk.py")
SHORT_FEATURES = ("feature_std", "feature_goertzel", "feature_centroid")
LINE = re.compile(r"(\w+) (\d+)")
BYTES = ("heap_bytes_per_decision",)
# What the rest of the firmware moves: how the interpreter's caches happen to lie, how much there
# is to start and to collect. Printed and kept, but no reason to fail.
INFO = (
    "boot_to_decision",
    "boot_slot_64k",
    "native_call",
    "call_decision",
    "call_predict",
    "call_predict_natmod",
    "window_to_byte_natmod",
    "gc_pause",
    "heap_in_use",
)


def run_tool(*command: str | Path) -> None:
    """Run a program of the toolchain.

    Raises:
        UserError: it is missing or refuses.
    """
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UserError(
            f"there is no {command[0]}: on Debian install gcc-arm-none-eabi"
        ) from error
    if done.returncode != 0:
        raise UserError(f"{command[0]} failed: {done.stderr.strip()[-500:]}")


def build_callout() -> Path:
    """Build the native module that calls code in RAM."""
    settings = {"MPY_DIR": toolchain.micropython_source(), "PYTHON": sys.executable}
    settings["BUILD"] = BUILD
    run_tool("make", "-C", HERE, *(f"{name}={value}" for name, value in settings.items()))
    return BUILD / "callout.mpy"


def link_image(optimize: str, place: int) -> bytes:
    """Return kernels and emlearn, compiled with -O2 or -Os, as they lie in RAM from `place` on."""
    elf, binary = BUILD / f"image{optimize}.elf", BUILD / f"image{optimize}.bin"
    sources = [HERE / "image.c", HERE / "emlearn_trees.c", *sorted(kernels.KERNELS.glob("*.c"))]
    includes = ["-iquote", kernels.KERNELS, f"-I{emlearn.includedir}"]
    link = [f"-Wl,--section-start=.text={place:#x}", "-T", HERE / "image.ld", "-nostartfiles"]
    flags = [*CFLAGS.split(), optimize, "-w", *includes]
    run_tool(COMPILER, *flags, *link, "-o", elf, *sources, "-lc", "-lgcc")
    run_tool(COMPILER.replace("gcc", "objcopy"), "-O", "binary", elf, binary)
    code = binary.read_bytes()
    assert len(code) <= IMAGE_BYTES
    return code


def make_files(names: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files of the chip."""
    files = {f"bench/{name}": data for name, data in names.items()}
    files |= {f"lib/{name}": (HERE / name).read_bytes() for name in SCRIPTS}
    files["lib/callout.mpy"] = build_callout().read_bytes()
    files["lib/obram.mpy"] = natmods.build("armv6m").path.read_bytes()
    twins = sorted((ROOT / "lib" / "native" / "obkernels").glob("obtwin*.py"))
    files |= {f"lib/{path.name}": path.read_bytes() for path in twins}
    files["main.py"] = (HERE / "first_decision.py").read_bytes()
    return files


def slot_files() -> dict[str, bytes]:
    """Return a slot of 64 KiB in 24 files, signed, and what the chip trusts."""
    noise = random.Random(SLOT_SEED)
    files = [
        sources.SourceFile(1, f"file_{i:02}.bin", noise.randbytes(SLOT_BYTES // SLOT_FILES), "")
        for i in range(SLOT_FILES)
    ]
    with tempfile.TemporaryDirectory() as folder:
        vendor = signed_boards.Vendor(Path(folder))
        slot = signed_boards.in_slot(1, vendor.release(1, files))
        state = signed_boards.state(active=1, installed_seq=1)
        return {**vendor.identity(), **slot, **state}


def feature_files(short: bool) -> dict[str, bytes]:
    """Return a model of each op alone, and the windows."""
    jobs = workloads.op_jobs()
    names = [name for name in jobs if not short or name in SHORT_FEATURES]
    files = {f"{name}.obm": jobs[name].kernel.data for name in names}
    files["windows"] = workloads.samples(1, workloads.WINDOW, workloads.N_CHANNELS).tobytes()
    exercise = workloads.exercise_job()
    return files | {"window": exercise.rings[0].tobytes()}


def parse_figures(text: str) -> dict[str, int]:
    """Return the figures among the lines of the device."""
    return {match[1]: int(match[2]) for match in map(LINE.fullmatch, text.splitlines()) if match}


def load_image(machine: Machine, optimize: str) -> None:
    """Link an image for a buffer on the chip and copy it there."""
    machine.exec("image = None\ngc.collect()\ncode = bytearray(%d)" % IMAGE_BYTES)
    place = int(machine.exec("print(uctypes.addressof(code))"))
    code = link_image(optimize, place)
    for at in range(0, len(code), 1024):
        part = code[at : at + 1024]
        machine.exec(f"code[{at}:{at + len(part)}] = bytes.fromhex('{part.hex()}')")
    machine.exec("image = Image(code, uctypes.addressof(code))")


def measure_images(machine: Machine, names: list[str], short: bool) -> str:
    """Run what is counted alone, in RAM; return what the device printed."""
    printed = ""
    for optimize in ("-O2",) if short else ("-O2", "-Os"):
        load_image(machine, optimize)
        suffix = optimize[1:]
        for forest in ("digits",) if short else ("digits", "exercise"):
            for kind in forests.LEAF_BITS:
                call = f"compare_trees(image, {kind!r}, {forest!r}, {suffix!r})"
                printed += machine.exec(call, TIMEOUT_S)
        printed += machine.exec(f"measure_fft(image, {suffix!r})", TIMEOUT_S)
        if optimize == "-O2":
            printed += machine.exec(f"measure_features(image, {names!r})", TIMEOUT_S)
    return printed


def measure(image: Path, short: bool) -> dict[str, int]:
    """Start the chip and return all figures."""
    features = feature_files(short)
    files = make_files(forests.files() | features)
    files |= slot_files()
    names = [name[:-4] for name in features if name.endswith(".obm")]
    with tempfile.TemporaryDirectory() as folder:
        mailbox = {"output": str(Path(folder, "output"))}
        with Machine(image, littlefs.make_image(files), mailbox=mailbox) as machine:
            machine.read_until("first decision ", BOOT_S)
            first = machine.read_until("\n", BOOT_S).split()
            figures = {"boot_to_decision": int(first[1])}
            machine.boot()
            machine.exec("from device import *\nstart_counter()")
            printed = machine.exec("print('native_call', native_call())")
            printed += measure_images(machine, names, short)
            machine.exec("image = code = None\ndata = read_file('exercise.obm')")
            printed += machine.exec("answer = measure_window(data)", TIMEOUT_S)
            if not short:
                printed += machine.exec("measure_twins(data, answer)", TIMEOUT_S)
                printed += machine.exec("measure_collection()", TIMEOUT_S)
            printed += machine.exec("measure_updates()", TIMEOUT_S)
            print(f"# {machine.cpu_s:.0f} s of the PC's processor")
    return figures | parse_figures(printed)


def ratios_of(figures: dict[str, int], short: bool) -> dict[str, float]:
    """Return how many of our cycles others take."""
    pairs = {
        f"trees_vs_emlearn_{kind}": (f"emlearn_digits_{kind}_O2", f"ours_digits_{kind}_O2")
        for kind in forests.LEAF_BITS
    }
    if not short:
        pairs["window_vs_micropython"] = ("window_micropython", "window_to_byte")
        for kind in forests.LEAF_BITS:
            for forest, flag in (("digits", "Os"), ("exercise", "O2"), ("exercise", "Os")):
                end = f"{forest}_{kind}_{flag}"
                pairs[f"{forest}_trees_vs_emlearn_{kind}_{flag}"] = (
                    f"emlearn_{end}",
                    f"ours_{end}",
                )
    return {
        name: round(figures[theirs] / figures[ours], 2) for name, (theirs, ours) in pairs.items()
    }


def compiler_version() -> str:
    """Return the compiler of the kernels with its version."""
    command = [COMPILER, "-dumpfullversion"]
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return f"{COMPILER} {version}"


def print_table(cycles: dict[str, int]) -> None:
    """Print the figures for people."""
    print(f"{'cycles':>12} {'ms at 125 MHz':>14}")
    for name, value in cycles.items():
        print(f"{value:>12,} {value * 1000 / CLOCK_HZ:>14.3f}  {name.replace('_', ' ')}")


def report(figures: dict[str, int], short: bool) -> dict[str, dict]:
    """Print the figures and return them as the gate takes them."""
    emulator = f"{engine.PACKAGE} {engine.VERSION}"
    source = {"emulator": emulator, "compiler": compiler_version(), "clock_hz": CLOCK_HZ}
    cycles = {name: value for name, value in figures.items() if name not in (*BYTES, *INFO)}
    info = {name: figures[name] for name in INFO if name in figures}
    sizes = {name: figures[name] for name in BYTES if name in figures}
    sizes |= forests.bytes_per_node()
    ratios = ratios_of(figures, short)
    print(f"# emulator: {emulator}, whose model has no waits for flash and bus")
    print(f"# compiler: {source['compiler']}")
    print("# what has flags at its end, feature_* and stream_*: code in RAM; C module: in flash")
    print_table(cycles | info)
    groups = {"cycles": cycles, "info": info, "bytes": sizes, "ratio": ratios}
    for kind, group in groups.items():
        for name, value in group.items():
            print(f"{kind} {name} {value}")
    return {"source": source, "cycles": cycles, "info": info, "bytes": sizes, "ratios": ratios}


def settle(result: dict[str, dict], update: bool, short: bool) -> int:
    """Compare with the baseline; return the exit status."""
    if not update and BASELINE.is_file():
        compiler = json.loads(BASELINE.read_text())["source"]["compiler"]
        if compiler != result["source"]["compiler"]:
            print(f"not compared: the baseline is of another compiler, {compiler}")
            return int(os.environ.get("CI") == "true")
    target = BUILD.with_name(f"rp2040{'-short' if short else ''}.json")
    return gate.settle(result, BASELINE, target, update=update, short=short)


def main() -> int:
    """Parse the arguments, measure and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="what matters most, in a minute")
    parser.add_argument("--update", action="store_true", help="write the baseline")
    parser.add_argument("--image", type=Path, help="firmware to use instead of building pico_ppp")
    arguments = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    try:
        image = arguments.image or firmware.build("pico_ppp").uf2
        result = report(measure(image, arguments.short), arguments.short)
    except UserError as error:
        sys.exit(f"bench-rp2040: {error}")
    return settle(result, arguments.update, arguments.short)


if __name__ == "__main__":
    sys.exit(main())
