"""Where the device side comes from: umqtt, MicroPython's source, native modules, the unix port.

MicroPython's source is version 1.25.0 everywhere: from Debian's frozen trixie suite where apt is
there, from the pinned git tag elsewhere, or from `$MPY_DIR`. Nothing is installed on the system,
and apt's own configuration is left alone.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onebyte import download
from onebyte.debian import fetch_source
from onebyte.errors import UserError

__all__ = [
    "MICROPYTHON_VERSION",
    "ROOT",
    "build_natmod",
    "build_unix_port",
    "cached_source",
    "check_checkout",
    "extract",
    "find_unix_port",
    "locked",
    "micropython_source",
    "unpack_umqtt",
]

ROOT = Path(__file__).resolve().parents[2]
MICROPYTHON_VERSION = "1.25.0"

_DEBIAN_SUITE = "trixie"
_DEBIAN_FILE = "micropython_1.25.0+ds.orig.tar.xz"
_DEBIAN_VERSION = "1.25.0+ds-1"
_DEBIAN_SHA256 = "7b25be99a502f070b2de81dafc08da7051d992325d6e67daa9045a918fffdbea"
_GIT_URL = "https://github.com/micropython/micropython"

_UMQTT_PACKAGE = "micropython-umqtt.simple"
_UMQTT_VERSION = "1.3.4"
_UMQTT_SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"

# What natmods and the unix port need of the source; a folder without it is refused at once.
_SOURCE_FILES = ("py/dynruntime.mk", "py/mpconfig.h", "tools/mpy_ld.py", "ports/unix/Makefile")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time through; the others wait."""
    import fcntl  # only where there is a make, too

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # closing the file ends it
        yield


def check_checkout(what: str) -> None:
    """Raise UserError unless this package lies in its repository.

    Args:
        what: Who needs it.
    """
    if not (ROOT / "lib" / "native").is_dir():
        raise UserError(
            f"{what} reads files of the repository, and this installation is without it: clone "
            "it, and run make venv or pip install --editable there"
        )


def unpack_umqtt(build: Path) -> Path:
    """Put umqtt/simple.py under `build`/device/lib and return that library folder."""
    name = f"{_UMQTT_PACKAGE}-{_UMQTT_VERSION}"
    archive = download.pypi_file(_UMQTT_PACKAGE, _UMQTT_VERSION, f"{name}.tar.gz", _UMQTT_SHA256)
    source = download.extract_member(archive, f"{name}/umqtt/simple.py")
    target = build / "device" / "lib" / "umqtt" / "simple.py"
    if not target.is_file() or target.read_bytes() != source:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        part.write_bytes(source)
        part.replace(target)
    return target.parent.parent


def micropython_source() -> Path:
    """Return the folder of MicroPython's source, fetched into the cache at first use.

    Raises:
        UserError: `$MPY_DIR` is no such folder, or neither apt nor git delivers the source.
    """
    chosen = os.environ.get("MPY_DIR")
    if chosen:
        path = Path(chosen).resolve()
        _check_source(path, "MPY_DIR")
        return path
    target = cached_source()
    if target.is_dir():
        _check_source(target, "the cached source; remove it to have it fetched again:")
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as folder:
        try:
            tree = _source_from_debian(Path(folder))
        except UserError as no_debian:
            tree = _source_from_git(Path(folder), no_debian)
        _check_source(tree, "the fetched source")
        try:
            tree.replace(target)
        except OSError:
            _check_source(target, "the cached source")  # another process was faster
    return target


def _source_from_debian(folder: Path) -> Path:
    archive = download.cache_dir() / "files" / _DEBIAN_SHA256[:16] / _DEBIAN_FILE

    def fetch(part: Path) -> None:
        fetched = fetch_source("micropython", _DEBIAN_VERSION, _DEBIAN_SUITE, folder / "apt")
        shutil.move(fetched / _DEBIAN_FILE, part)

    download.store(archive, _DEBIAN_SHA256, fetch)
    with tarfile.open(archive) as opened:
        extract(opened, folder / "tree")
    (top,) = (folder / "tree").iterdir()
    return top


def extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack an archive whose hash was checked."""
    # Debian 12's Python 3.11.2 has no filters yet; the hash vouches for the archive.
    options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    archive.extractall(folder, **options)


def _source_from_git(folder: Path, no_debian: UserError) -> Path:
    tree = folder / "git"
    command = ["git", "clone", "--quiet", "--depth", "1", "--branch", f"v{MICROPYTHON_VERSION}"]
    try:
        subprocess.run(
            [*command, _GIT_URL, str(tree)],
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(
            f"no MicroPython source: {no_debian}; and git could not clone the tag "
            f"v{MICROPYTHON_VERSION}. Set MPY_DIR to a MicroPython source folder"
        ) from error
    return tree


def _check_source(path: Path, origin: str) -> None:
    missing = [name for name in _SOURCE_FILES if not (path / name).is_file()]
    if missing:
        raise UserError(f"{origin} {path} is not a MicroPython source folder: no {missing[0]}")


def build_natmod(
    module: str, arch: str, source: Path, settings: Mapping[str, str] | None = None
) -> Path:
    """Build lib/native/<module> as a native module and return its .mpy file.

    Args:
        module: folder under lib/native that has a natmod Makefile.
        arch: MicroPython's name of the architecture, for example x64 or armv6m.
        source: MicroPython's source folder.
        settings: more make variables, for example CROSS; BUILD moves the result.

    Raises:
        UserError: no such module, a missing tool, or a failed build with its first error.
    """
    folder = ROOT / "lib" / "native" / module
    if not (folder / "Makefile").is_file():
        raise UserError(f"no native module {module!r} under {folder.parent}")
    variables = {"BUILD": str(ROOT / "build" / "natmod" / arch), **(settings or {})}
    variables |= {"ARCH": arch, "MPY_DIR": str(source), "PYTHON": sys.executable}
    built = Path(variables["BUILD"], f"{module}.mpy")
    with locked(built.with_suffix(".lock")):
        _make(folder, variables, ())
    if not built.is_file():
        raise UserError(f"make in {folder} left no {built}")
    return built


def build_unix_port(source: Path) -> Path:
    """Return our own unix port with every lib/native module built in, built at first use.

    It starts about ten times faster than the packaged one, proves that the native modules work
    as user C modules, and takes Ctrl-C as a chip does: boards/unix is its variant. The cache keeps
    the program under a hash of our sources and the version of MicroPython, so that a changed
    kernel means a new build.

    Raises:
        UserError: a missing tool or a failed build, with its first error.
    """
    target = _unix_port_path(source)
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as name:
        folder = Path(name)
        # The Debian source has no micropython-lib; the port only asks that the folder exists.
        library = folder / "micropython-lib"
        library.mkdir()
        (library / "README.md").touch()
        settings = {
            "BUILD": str(folder / "build"),
            "VARIANT_DIR": str(ROOT / "boards" / "unix"),
            "USER_C_MODULES": str(ROOT / "lib" / "native"),
            "MPY_LIB_DIR": str(library),
            "FROZEN_MANIFEST": "",
            "MICROPY_PY_BTREE": "0",
            "MICROPY_PY_SSL": "0",
            "MICROPY_PY_FFI": "0",
        }
        _make(source / "ports" / "unix", settings, ("-j2",))
        (folder / "build" / "micropython").replace(target)
    return target


def find_unix_port() -> Path | None:
    """Return our own unix port when it is built and up to date; never fetches or builds."""
    chosen = os.environ.get("MPY_DIR")
    source = Path(chosen) if chosen else cached_source()
    if not (source / "py" / "mpconfig.h").is_file():
        return None
    target = _unix_port_path(source)
    return target if target.is_file() else None


def cached_source() -> Path:
    """Return where the fetched source of MicroPython is, or would be."""
    return download.cache_dir() / f"micropython-{MICROPYTHON_VERSION}"


def _unix_port_path(source: Path) -> Path:
    key = _hash_of_sources(source, (ROOT / "lib" / "native", ROOT / "boards" / "unix"))
    return download.cache_dir() / "unix-port" / key / "micropython"


def _hash_of_sources(source: Path, folders: Sequence[Path]) -> str:
    # MicroPython's version stands in this header, and so do its defaults.
    digest = hashlib.sha256((source / "py" / "mpconfig.h").read_bytes())
    suffixes = {".c", ".h", ".mk"}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in suffixes and path.is_file():
                content = path.read_bytes()
                digest.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _make(folder: Path, settings: Mapping[str, str], flags: Sequence[str]) -> None:
    variables = [f"{name}={value}" for name, value in settings.items()]
    # An outer make hands its own flags and variables down; this build must not depend on them.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
    try:
        done = subprocess.run(
            ["make", *flags, "-C", str(folder), *variables],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=environment,
        )
    except FileNotFoundError as error:
        raise UserError("make is not installed") from error
    if done.returncode != 0:
        log = ROOT / "build" / f"make-{folder.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.stdout)
        lines = done.stdout.splitlines()
        reason = next(
            (line for line in lines if "rror" in line), lines[-1] if lines else "no output"
        )
        raise UserError(f"make in {folder} failed: {reason.strip()} (all of it: {log})")
