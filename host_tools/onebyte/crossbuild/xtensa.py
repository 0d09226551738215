"""A compiler for `xtensawin`: Espressif's where it is there, else one put together from Debian.

Debian's GCC for the ESP8266 (lx106) takes another core's description from a shared library. With
the one built from xtensa_core.c it makes the windowed code of the ESP32-S3. The packages come from
the frozen trixie suite and bring their own C library, so nothing is installed on the system. The
compiler has no libgcc on purpose: Debian's is made for another calling convention, so whatever
would need it fails at link time by its name.
"""

import hashlib
import platform
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from onebyte import debian, download
from onebyte.errors import UserError

__all__ = ["VENDOR_COMPILER", "Compiler", "find_compiler"]

VENDOR_COMPILER = "xtensa-esp32s3-elf-gcc"

_SUITE = "trixie"
# Name, version, SHA-256. These decide what code is made.
_COMPILER_PACKAGES = (
    debian.Package(
        "gcc-xtensa-lx106",
        "13.3.0-16+14+b4",
        "1d61537d9ac09a6aaed48355fee5c63529c644c63ee3636a8c22f52b583d88bd",
    ),
    debian.Package(
        "binutils-xtensa-lx106",
        "2.44-3+6+b2",
        "434f0712a0ea19f96fe09a55a3e943a4960408802e8e6031e2c162f6bbb0b235",
    ),
)
# What they run on. The suite replaces these when it gets a fix and drops the old version, so a pin
# would end the build one day; the archive's signature vouches for them.
_LIBRARIES = (
    "libc6",
    "libgcc-s1",
    "libstdc++6",
    "libgmp10",
    "libisl23",
    "libmpc3",
    "libmpfr6",
    "zlib1g",
    "libzstd1",
)

_TABLES_SUITE = "bookworm"
_TABLES_FILE = "qemu_7.2+dfsg.orig.tar.xz"
_TABLES_SHA256 = "91aca71520040edc40b8d437aa3004dae614f58e286cf653ee8996c07af2962f"
_TABLES = ("target/xtensa/xtensa-isa", "target/xtensa/core-de233_fpu/", "include/hw/xtensa/")

_CORE = Path(__file__).with_name("xtensa_core.c")
_HEADERS = Path(__file__).with_name("include")
_UNNEEDED = (
    "*/share/*",
    "*/cc1plus",
    "*/d21",
    "*/lto1",
    "*-lto-dump",
    "*-gdc",
    "*-elf-[cg]++",
    "*/libgcc.a",
    "*/libgcov.a",
)
_ELF_MAGIC = b"\x7fELF"
_LAYOUT = 1  # of the folder; another one is put together anew


class Compiler(NamedTuple):
    """How make is to call a compiler."""

    prefix: str  # of gcc, ld, objdump, ...
    flags: tuple[str, ...]


def find_compiler() -> Compiler:
    """Return the compiler, put together in the cache at first use where there is no other.

    Raises:
        UserError: no compiler and no way to make one, with what to install.
    """
    if shutil.which(VENDOR_COMPILER):
        return Compiler(VENDOR_COMPILER.removesuffix("gcc"), ())
    folder = download.cache_dir() / "xtensa-gcc" / _key()
    if not folder.is_dir():
        try:
            _put_together(folder)
        except UserError as error:
            raise UserError(
                f"no compiler for xtensawin: {error}. Install ESP-IDF's {VENDOR_COMPILER}"
            ) from error
    return Compiler(f"{folder}/bin/xtensawin-", (f"-I{_HEADERS}",))


def _key() -> str:
    origin = (_LAYOUT, _COMPILER_PACKAGES, _LIBRARIES, _TABLES_SHA256, _UNNEEDED)
    return hashlib.sha256(repr(origin).encode() + _CORE.read_bytes()).hexdigest()[:16]


def _put_together(final: Path) -> None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise UserError("Debian's GCC for Xtensa is fetched for Linux on x86-64 only")
    compiler = shutil.which("cc")
    if compiler is None:
        raise UserError("there is no C compiler for this machine")
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=".part-") as name:
        work = Path(name)
        tree = work / "tree"
        tree.mkdir()
        packages = debian.fetch_binaries(
            _COMPILER_PACKAGES, _LIBRARIES, _SUITE, work / "apt-packages"
        )
        for package in packages:
            _unpack(package, tree / "root")
        _wrap_programs(tree, final)
        tables = _fetch_tables(work)
        _compile_core(compiler, tables, tree)
        _make_commands(tree, final)
        try:
            tree.replace(final)
        except OSError:
            if not final.is_dir():  # else another process was faster
                raise


def _unpack(package: Path, root: Path) -> None:
    root.mkdir(exist_ok=True)
    unpack = ["tar", "-x", "--keep-directory-symlink", "-C", str(root)]
    unpack += [f"--exclude={name}" for name in _UNNEEDED]
    open_package = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with subprocess.Popen(open_package, stdout=subprocess.PIPE) as source:
        done = subprocess.run(unpack, stdin=source.stdout, check=False)
    if done.returncode != 0 or source.returncode != 0:
        raise UserError(f"cannot unpack {package.name}")


def _wrap_programs(tree: Path, final: Path) -> None:
    """Make every program a line of shell that starts it with the C library it was built for."""
    libraries = "root/usr/lib/x86_64-linux-gnu"
    for path in list(_programs(tree / "root" / "usr")):
        real = path.with_name(f"{path.name}.bin")
        path.replace(real)
        place = final / path.relative_to(tree)
        _write_script(
            path,
            f"exec {final}/{libraries}/ld-linux-x86-64.so.2 --library-path {final}/{libraries} "
            f'--argv0 {place} {place}.bin "$@"',
        )


def _programs(usr: Path) -> Iterator[Path]:
    for folder in ("bin", "lib/gcc", "lib/xtensa-lx106-elf", "libexec"):
        for path in sorted((usr / folder).rglob("*")):
            is_program = path.is_file() and not path.is_symlink() and ".so" not in path.name
            if is_program and path.stat().st_mode & 0o100:
                with path.open("rb") as file:
                    if file.read(4) == _ELF_MAGIC:
                        yield path


def _fetch_tables(work: Path) -> Path:
    """Return a folder with QEMU's description of the de233_fpu core."""
    archive = debian.fetch_source("qemu", "", _TABLES_SUITE, work / "apt-tables") / _TABLES_FILE
    if not archive.is_file() or download.sha256_of(archive) != _TABLES_SHA256:
        raise UserError(f"Debian's {_TABLES_SUITE} serves another {_TABLES_FILE}")
    target = work / "tables"
    with tarfile.open(archive) as opened:
        for member in opened:
            _, _, name = member.name.partition("/")
            if member.isreg() and name.startswith(_TABLES):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                file = opened.extractfile(member)
                assert file is not None  # a regular member always has content
                (target / name).write_bytes(file.read())
    return target


def _compile_core(compiler: str, tables: Path, tree: Path) -> None:
    headers = next(tree.glob("root/usr/lib/gcc/**/plugin/include/xtensa-dynconfig.h"), None)
    if headers is None:
        raise UserError("Debian's GCC for Xtensa came without its plugin headers")
    includes = [f"-I{path}" for path in (tables / "target/xtensa", tables / "include")]
    command = [compiler, "-O1", "-ffreestanding", "-nostdlib", "-shared", "-fPIC", *includes]
    command += [f"-I{headers.parent}", "-o", str(tree / "core.so"), str(_CORE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line]
        raise UserError(f"{compiler} refused {_CORE.name}: {(lines or [done.stderr])[0]}")


def _make_commands(tree: Path, final: Path) -> None:
    (tree / "bin").mkdir()
    for path in sorted((tree / "root/usr/bin").glob("xtensa-lx106-elf-*")):
        if path.suffix != ".bin":
            name = path.name.removeprefix("xtensa-lx106-elf-")
            place = final / path.relative_to(tree)
            command = f'XTENSA_GNU_CONFIG={final}/core.so exec {place} "$@"'
            _write_script(tree / "bin" / f"xtensawin-{name}", command)


def _write_script(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
