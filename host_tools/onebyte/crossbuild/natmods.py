"""Build the native modules for every chip, measure them, and lay them out for `mip install`."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from onebyte import toolchain
from onebyte.crossbuild import mpyfile, xtensa
from onebyte.errors import UserError

__all__ = [
    "ARCHS",
    "DIST",
    "MODULE",
    "MODULES",
    "SIGNATURES",
    "Built",
    "build",
    "build_all",
    "folder_of",
    "make_settings",
    "table",
]

MODULE = "obkernels"
SIGNATURES = "obed25519"
# What `mip install` is asked for: the kernels are the package of the folder.
MODULES = {MODULE: "package.json", SIGNATURES: f"{SIGNATURES}.json"}
DIST = toolchain.ROOT / "dist" / "natmods"


@dataclass(frozen=True)
class Arch:
    """One of MicroPython's native architectures.

    Attributes:
        chips: Where its modules run.
        compiler: The program that builds for it.
        packages: The Debian packages that bring the compiler.
    """

    chips: str
    compiler: str
    packages: str


ARCHS = {
    "x64": Arch("unix port on x86-64", "gcc", "gcc"),
    "armv6m": Arch("RP2040", "arm-none-eabi-gcc", "gcc-arm-none-eabi and libnewlib-arm-none-eabi"),
    "armv7emsp": Arch(
        "RP2350, other Cortex-M4F and M33",
        "arm-none-eabi-gcc",
        "gcc-arm-none-eabi and libnewlib-arm-none-eabi",
    ),
    "rv32imc": Arch(
        "ESP32-C3, ESP32-C6",
        "riscv64-unknown-elf-gcc",
        "gcc-riscv64-unknown-elf and picolibc-riscv64-unknown-elf",
    ),
    "xtensawin": Arch("ESP32-S3", xtensa.VENDOR_COMPILER, "no Debian package"),
}

# What the linker script itself provides; everything else that stays undefined is a helper.
_PROVIDED = {"", "_GLOBAL_OFFSET_TABLE_", "mp_fun_table", "mp_native_qstr_table"}


@dataclass(frozen=True)
class Built:
    """A native module that was built.

    Attributes:
        path: The .mpy file.
        sizes: What it holds.
        helpers: Functions of libgcc inside it.
    """

    path: Path
    sizes: mpyfile.NativeModule
    helpers: tuple[str, ...]


def make_settings(arch: str) -> dict[str, str]:
    """Return the make variables that choose the compiler of `arch`.

    Raises:
        UserError: no such architecture, or its compiler is missing, with what to install.
    """
    if arch not in ARCHS:
        raise UserError(f"no architecture {arch!r}; there are {', '.join(ARCHS)}")
    if arch == "xtensawin":
        compiler = xtensa.find_compiler()
        return {"CROSS": compiler.prefix, "CFLAGS_EXTRA": " ".join(compiler.flags)}
    wanted = ARCHS[arch]
    if shutil.which(wanted.compiler) is None:
        raise UserError(f"{arch} needs {wanted.compiler}: on Debian install {wanted.packages}")
    return {}


def folder_of(arch: str, module: str = MODULE) -> Path:
    """Return where the objects of a module are built."""
    top = "natmod" if module == MODULE else f"natmod-{module}"
    return toolchain.ROOT / "build" / top / arch


def build(arch: str, settings: Mapping[str, str] | None = None, module: str = MODULE) -> Built:
    """Build a native module for one architecture under build/natmod.

    Args:
        arch: A key of ARCHS.
        settings: More make variables, for example KERNELS and BUILD.
        module: A key of MODULES.

    Raises:
        UserError: a missing compiler, or a failed build with its first error.
    """
    place = {"BUILD": str(folder_of(arch, module))}
    chosen = {**place, **make_settings(arch), **(settings or {})}
    path = toolchain.build_natmod(module, arch, toolchain.micropython_source(), chosen)
    sizes = mpyfile.read(path)
    assert sizes.arch == arch
    return Built(path, sizes, tuple(sorted(_undefined(path.parent.glob("*.o")))))


def build_all(
    archs: Iterable[str] = ARCHS, dist: Path = DIST, module: str = MODULE
) -> dict[str, Built]:
    """Build a module for every architecture into `dist`/<arch>/ with a package for `mip install`.

    Raises:
        UserError: as `build`, at the first architecture that cannot be built.
    """
    all_built = {}
    for arch in archs:
        built = build(arch, None, module)
        folder = dist / arch
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in (
            (built.path.name, built.path.read_bytes()),
            (MODULES[module], _package_json(built.path.name)),
        ):
            part = folder / f".{name}.{os.getpid()}.part"  # others may do the same now
            part.write_bytes(data)
            part.replace(folder / name)
        all_built[arch] = Built(folder / built.path.name, built.sizes, built.helpers)
    return all_built


def table(all_built: Mapping[str, Built]) -> list[str]:
    """Return lines that show the sizes of one module in bytes, one an architecture."""
    lines = [f"{'arch':<10} {'file':>6} {'text':>6} {'rodata':>6} {'bss':>4}  libgcc"]
    for arch, built in all_built.items():
        size = built.sizes
        lines.append(
            f"{arch:<10} {size.file_bytes:>6} {size.text_bytes:>6} {size.rodata_bytes:>6} "
            f"{size.bss_bytes:>4}  {' '.join(built.helpers) or '-'}"
        )
    return lines


def _package_json(name: str) -> bytes:
    # The address is relative to the package.json, so the folder works wherever it is served.
    package = {"urls": [[name, name]], "version": metadata.version("onebyte")}
    return (json.dumps(package) + "\n").encode()


def _undefined(objects: Iterable[Path]) -> set[str]:
    needed: set[str] = set()
    defined: set[str] = set()
    for path in objects:
        with path.open("rb") as file:
            section = ELFFile(file).get_section_by_name(".symtab")
            assert isinstance(section, SymbolTableSection)  # every object file has one
            for symbol in section.iter_symbols():
                if symbol["st_info"]["bind"] == "STB_GLOBAL":
                    is_needed = symbol["st_shndx"] == "SHN_UNDEF"
                    (needed if is_needed else defined).add(symbol.name)
    return {name for name in needed - defined - _PROVIDED if not name.startswith("mp_type_")}
