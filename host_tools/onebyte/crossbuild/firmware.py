"""Build an image for an RP2040 board: MicroPython, our modules in C, our boot code and the app.

The objects stay beside the result, so after a change only what depends on it is built. An image of
the pinned sources is also kept in the cache, under a hash of all that went in.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from onebyte import download, toolchain
from onebyte.crossbuild import image, rp2040_tree
from onebyte.emulator.machine import Machine
from onebyte.errors import UserError

__all__ = ["BUILD", "DIST", "Firmware", "boards", "build", "summary"]

BUILD = toolchain.ROOT / "build" / "firmware"
DIST = toolchain.ROOT / "dist" / "firmware"

_BOARDS = toolchain.ROOT / "boards"
_NATIVE = toolchain.ROOT / "lib" / "native"
_MODULES = [_NATIVE / name / "micropython.cmake" for name in ("obkernels", "obed25519")]
_RESULTS = ("firmware.uf2", "firmware.bin", "firmware.elf")
_FIGURES = "figures.json"  # written last: a folder with it is whole
_PRODUCT = "product"  # folder of the frozen module of that name, if there is one

# What goes into every image, besides the board's own folder.
_INPUTS = ("firmware", "lib", "boards/rp2040_boot", "host_tools/onebyte/crossbuild")
_INPUT_SUFFIXES = {".py", ".c", ".h", ".cmake"}

_FLASH_START = "0x10000000"
_RP2040_FAMILY = "0xe48bff56"
_RELEASE_DAY = "1744675200"  # of MicroPython 1.25.0; the day of the build would change the image

_ARM = "gcc-arm-none-eabi, libnewlib-arm-none-eabi and libstdc++-arm-none-eabi-newlib"
_PACKAGES = {
    "arm-none-eabi-gcc": _ARM,
    "arm-none-eabi-g++": _ARM,
    "cmake": "cmake",
    "ninja": "ninja-build",
    "make": "make",
    "cc": "gcc",
}
_ARM_LIBRARIES = ("libc.a", "libstdc++.a")

_BOOT_S = 60.0  # emulated, the time for Ctrl-C included
_OVERFLOW = re.compile(r"region `(\w+)' overflowed by (\d+) bytes")


@dataclass(frozen=True)
class Firmware:
    """An image that was built.

    Attributes:
        board: Its board, with the name of its product.
        folder: Holds firmware.uf2, firmware.bin and firmware.elf.
        sizes: What it takes of the chip.
        heap_free: Free bytes of MicroPython's heap after boot, on the emulated chip.
    """

    board: str
    folder: Path
    sizes: image.Sizes
    heap_free: int

    @property
    def uf2(self) -> Path:
        """The file for the chip's boot loader."""
        return self.folder / "firmware.uf2"


def summary(built: Firmware) -> str:
    """Return the line that sums an image up."""
    sizes = built.sizes
    return (
        f"firmware {built.board} flash={sizes.flash} data={sizes.data} bss={sizes.bss} "
        f"heap_free={built.heap_free}"
    )


def boards() -> list[str]:
    """Return the boards that there are images for."""
    return sorted(path.parent.name for path in _BOARDS.glob("*/mpconfigboard.cmake"))


def build(
    board: str,
    extra_modules: Sequence[Path] = (),
    folder: Path | None = None,
    product: tuple[str, str] | None = None,
) -> Firmware:
    """Build the image of a board and measure it.

    Args:
        board: A folder of boards/ with a mpconfigboard.cmake.
        extra_modules: micropython.cmake files of further C modules.
        folder: Takes the results and the objects; build/firmware/<board> if None, and then the
            .uf2 file is copied to dist/firmware.
        product: Its name, which goes into the names of the results, and the source of the frozen
            module `product`; None: the image takes what the filesystem says.

    Raises:
        UserError: no such board or module, something to install, a failed build with its first
            error, or an image that does not fit.
    """
    _check_board(board)
    modules = [*_MODULES, *(_check_module(path) for path in extra_modules)]
    _check_tools()
    name = f"{board}-{product[0]}" if product else board
    target = folder or BUILD / name
    # An image for a product differs in one frozen module: it shares the objects of the plain one.
    objects = folder or BUILD / board
    with rp2040_tree.locked(objects / ".lock"):
        _build_into(target, objects, board, modules, product[1] if product else "")
        sizes = image.measure(target / "firmware.elf")
        heap_free = json.loads((target / _FIGURES).read_text())["heap_free"]
        if folder is None:
            _copy(target / "firmware.uf2", DIST / f"{name}.uf2")
    return Firmware(name, target, sizes, heap_free)


def _build_into(
    target: Path, home: Path, board: str, modules: Sequence[Path], product: str
) -> None:
    """Build, or take from the cache; the folder has every result afterwards."""
    tree = rp2040_tree.assemble()
    # What the CMake file of a foreign module takes in is not known, nor what MPY_DIR holds.
    may_keep = bool(tree.key) and list(modules) == _MODULES
    kept = _kept_folder(board, tree.key, product) if may_keep else None
    if kept and (kept / _FIGURES).is_file():
        _copy_results(kept, target)
        return
    _write_product(product, home)
    _compile(board, modules, tree.path, target, home)
    # A file that changed meanwhile may or may not be in the image.
    if kept and kept == _kept_folder(board, tree.key, product):
        _copy_results(target, kept)


def _check_board(board: str) -> None:
    known = boards()
    if board in known:
        return
    if board in {path.parent.name for path in _BOARDS.glob("*/board.py")}:
        raise UserError(f"{board} runs another MicroPython; images are for {', '.join(known)}")
    raise UserError(f"no board {board!r}; images are for {', '.join(known)}")


def _check_module(path: Path) -> Path:
    found = path / "micropython.cmake" if path.is_dir() else path
    if not found.is_file():
        raise UserError(f"no C module at {path}: that is a micropython.cmake or a folder with one")
    return found.resolve()


def _check_tools() -> None:
    for program, packages in _PACKAGES.items():
        if shutil.which(program) is None:
            raise UserError(f"the image needs {program}: on Debian install {packages}")
    for name in _ARM_LIBRARIES:
        # The compiler answers with the bare name where it has no such file.
        if not Path(_output(["arm-none-eabi-gcc", f"-print-file-name={name}"])).is_absolute():
            raise UserError(f"arm-none-eabi-gcc has no {name}: on Debian install {_ARM}")


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _write_product(source: str, home: Path) -> None:
    """Lay the frozen module of a product where the manifest of the boards finds it, or none."""
    path = home / _PRODUCT / "product.py"
    if not source:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)


def _kept_folder(board: str, tree: str, product: str = "") -> Path:
    compiler = _output(["arm-none-eabi-gcc", "--version"])
    digest = hashlib.sha256(f"{board} {tree} {compiler}".encode())
    digest.update(product.encode())
    for path in _input_files(board):
        content = path.read_bytes()
        name = path.relative_to(toolchain.ROOT)
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return download.cache_dir() / "firmware" / digest.hexdigest()[:16]


def _input_files(board: str) -> Iterator[Path]:
    umqtt = toolchain.unpack_umqtt(toolchain.ROOT / "build")
    folders = [toolchain.ROOT / name for name in (*_INPUTS, f"boards/{board}")]
    files = [path for folder in [*folders, umqtt] for path in folder.rglob("*")]
    for path in sorted([*files, *_BOARDS.glob("*.py")]):
        if path.suffix in _INPUT_SUFFIXES:
            yield path


def _copy_results(source: Path, target: Path) -> None:
    for name in (*_RESULTS, _FIGURES):
        _copy(source / name, target / name)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Two checkouts may keep the same image at the same time.
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    shutil.copyfile(source, part)
    part.replace(target)


def _compile(
    board: str, modules: Sequence[Path], tree: Path, target: Path, home: Path | None = None
) -> None:
    """Build and measure; `target` has every result afterwards, `home` has the objects."""
    home = home or target
    (target / _FIGURES).unlink(missing_ok=True)
    toolchain.unpack_umqtt(toolchain.ROOT / "build")
    names = ";".join(str(path) for path in modules)
    # Another tree or set of modules leaves generated names that only a new folder gets rid of.
    key = hashlib.sha256(f"{tree} {names}".encode()).hexdigest()[:8]
    objects = home / f"objects-{key}"
    for old in home.glob("objects-*"):
        if old != objects:
            shutil.rmtree(old)
    _run_ninja(board, names, tree, objects, home / _PRODUCT)
    _write_uf2(tree, objects)
    sizes = image.measure(objects / "firmware.elf")
    image.check_fits(board, sizes)
    for name in _RESULTS:
        _copy(objects / name, target / name)
    part = target / f".{_FIGURES}.part"
    part.write_text(json.dumps({"heap_free": _measure_heap(target / "firmware.bin")}))
    part.replace(target / _FIGURES)


def _run_ninja(board: str, modules: str, tree: Path, objects: Path, product: Path) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _RELEASE_DAY}
    environment["ONEBYTE_PRODUCT"] = str(product)
    environment["MICROPY_MPYCROSS"] = str(_build_mpy_cross(tree, environment))
    # These would build other code; a git repository around the tree is none of MicroPython's.
    for name in ("CFLAGS", "CFLAGS_EXTRA", "CXXFLAGS", "LDFLAGS", "PICO_SDK_PATH", "MAKEFLAGS"):
        environment.pop(name, None)
    environment["GIT_CEILING_DIRECTORIES"] = str(tree.parent)
    settings = {
        "PICO_NO_PICOTOOL": "1",
        "PICO_CLIB": "newlib",
        "Python3_EXECUTABLE": sys.executable,
        "MICROPY_BOARD": board,
        "MICROPY_BOARD_DIR": str(_BOARDS / board),
        "USER_C_MODULES": modules,
    }
    if not (tree / "lib" / "micropython-lib" / "README.md").is_file():
        # CMake only asks whether it is there; our images freeze nothing of it.
        settings["MICROPY_LIB_DIR"] = str(objects / "micropython-lib")
        (objects / "micropython-lib").mkdir(parents=True, exist_ok=True)
        (objects / "micropython-lib" / "README.md").touch()
    # MicroPython sees a file that changed, not one that went away or is older than the last.
    (objects / "frozen_content.c").unlink(missing_ok=True)
    shutil.rmtree(objects / "frozen_mpy", ignore_errors=True)
    options = [f"-D{name}={value}" for name, value in settings.items()]
    source = ["-S", str(tree / "ports" / "rp2"), "-B", str(objects)]
    _run(["cmake", *source, "-G", "Ninja", "-Wno-dev", *options], objects, environment)
    _run(["ninja", "-C", str(objects)], objects, environment)


def _build_mpy_cross(tree: Path, environment: Mapping[str, str]) -> Path:
    """Return the compiler of the same MicroPython, which alone knows its bytecode."""
    key = hashlib.sha256(str(tree).encode()).hexdigest()[:16]
    folder = download.cache_dir() / "mpy-cross" / key
    with rp2040_tree.locked(folder.with_suffix(".lock")):
        clean = {name: value for name, value in environment.items() if "MAKE" not in name}
        command = ["make", "-j2", "-C", str(tree / "mpy-cross"), f"BUILD={folder}"]
        _run([*command, "USER_C_MODULES="], folder, clean)
    return folder / "mpy-cross"


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        env=environment,
    )
    if done.returncode != 0:
        log = folder / f"{command[0]}.log"
        log.write_text(done.stdout)
        raise UserError(f"{command[0]}: {_first_error(done.stdout)} (all of it: {log})")


def _first_error(output: str) -> str:
    overflow = _OVERFLOW.search(output)
    if overflow:
        return f"the image is {overflow[2]} bytes too large for the chip's {overflow[1]}"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = ("error:", "Error", "undefined reference", "not found", "*** ")
    return next((line for line in lines if any(e in line for e in errors)), "no output")


def _write_uf2(tree: Path, objects: Path) -> None:
    command = [sys.executable, str(tree / "tools" / "uf2conv.py"), "-b", _FLASH_START]
    command += ["-f", _RP2040_FAMILY, "-c", "-o", str(objects / "firmware.uf2")]
    _run([*command, str(objects / "firmware.bin")], objects, os.environ)


def _measure_heap(binary: Path) -> int:
    """Return the heap's free bytes once the app was loaded and found no configuration."""
    try:
        with Machine(binary) as machine:
            machine.read_until(">>> ", _BOOT_S)
            return int(machine.exec("import gc\ngc.collect()\nprint(gc.mem_free())"))
    except UserError as error:
        raise UserError(f"the image is built, but not measured: {error}") from error
