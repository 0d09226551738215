"""The source tree of a RP2040 image: MicroPython with the libraries that its package leaves out.

MicroPython comes from `toolchain.micropython_source`, the libraries from the same frozen Debian
suite, pinned by SHA-256. Neither is written to: the tree is made of symbolic links, so that a
change in a folder given by `MPY_DIR` is seen at the next build. A checkout that has its submodules
is used as it is.
"""

import hashlib
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from onebyte import debian, download, toolchain
from onebyte.errors import UserError
from onebyte.toolchain import locked

__all__ = ["Tree", "assemble", "locked"]

_SUITE = "trixie"


class Library(NamedTuple):
    """A library of MicroPython's `lib` folder that its source package lacks.

    Attributes:
        name: Its folder there.
        proof: A file that shows that the folder is filled.
        package: Debian's package; a binary package where it has a version, else a source package.
        version: Version of the binary package.
        file: The package file.
        sha256: Its content.
    """

    name: str
    proof: str
    package: str
    version: str
    file: str
    sha256: str


LIBRARIES = (
    Library(
        "pico-sdk",
        "pico_sdk_init.cmake",
        "pico-sdk-source",
        "2.1.1-1",
        "pico-sdk-source_2.1.1-1_all.deb",
        "507a3ca37636641bc90239d7c04dc9dc28c5008087a8162102ea94d2273153d3",
    ),
    Library(
        "tinyusb",
        "src/tusb.c",
        "tinyusb-source",
        "0.18.0+dfsg-1",
        "tinyusb-source_0.18.0+dfsg-1_all.deb",
        "01ce2c645df68f14a8a7dcfc8fb355713152543757955820479a87949a61154e",
    ),
    Library(
        "mbedtls",
        "library/ssl_tls.c",
        "mbedtls",
        "",
        "mbedtls_3.6.6.orig.tar.bz2",
        "8fb65fae8dcae5840f793c0a334860a411f884cc537ea290ce1c52bb64ca007a",
    ),
    Library(
        "lwip",
        "src/core/init.c",
        "lwip",
        "",
        "lwip_2.2.1+dfsg1.orig.tar.xz",
        "83729c274c499d3348e9fbbe043a3113f3fa8953e7efddc7c21c7fcbb1f2b7b1",
    ),
)

_VERSION = re.compile(r"#define MICROPY_VERSION_(?:MAJOR|MINOR|MICRO) (\d+)")


class Tree(NamedTuple):
    """Where the source is.

    Attributes:
        path: MicroPython's folder, with every library.
        key: What is in it, or empty when that may change.
    """

    path: Path
    key: str


def assemble() -> Tree:
    """Return a source tree for the RP2040, put together in the cache where it is not one yet.

    Raises:
        UserError: no source, or a library can neither be fetched nor is it in `$MPY_DIR`.
    """
    source = toolchain.micropython_source()
    if not (source / "ports" / "rp2" / "CMakeLists.txt").is_file():
        raise UserError(f"{source} is not a MicroPython source folder: no ports/rp2")
    missing = [one for one in LIBRARIES if not (source / "lib" / one.name / one.proof).is_file()]
    if not missing:
        return Tree(source, "")
    version = _version_of(source)
    if version != toolchain.MICROPYTHON_VERSION:
        raise UserError(
            f"MPY_DIR {source} is MicroPython {version} without lib/{missing[0].name}: "
            "run `make -C ports/rp2 submodules` in it"
        )
    libraries = _fetch_libraries()
    is_pinned = len(missing) == len(LIBRARIES) and source == toolchain.cached_source()
    key = _hash(f"{source} {[one.name for one in missing]} {libraries.name}")
    target = download.cache_dir() / "rp2040-tree" / key
    with locked(target.with_suffix(".lock")):
        _link(source, libraries, [one.name for one in missing], target)
    return Tree(target, f"{version} {libraries.name}" if is_pinned else "")


def _version_of(source: Path) -> str:
    header = (source / "py" / "mpconfig.h").read_text(encoding="utf-8")
    return ".".join(_VERSION.findall(header)[:3])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _fetch_libraries() -> Path:
    """Return a folder of the cache with every library under its name."""
    target = download.cache_dir() / "rp2040-lib" / _hash(repr(LIBRARIES))
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as name:
        work = Path(name)
        tree = work / "tree"
        tree.mkdir()
        for library in LIBRARIES:
            _unpack(_fetch(library, work / "apt"), library, work / "unpacked", tree)
        try:
            tree.replace(target)
        except OSError:
            if not target.is_dir():  # else another process was faster
                raise
    return target


def _fetch(library: Library, apt: Path) -> Path:
    target = download.cache_dir() / "files" / library.sha256[:16] / library.file

    def fetch(part: Path) -> None:
        try:
            if library.version:
                pinned = debian.Package(library.package, library.version, library.sha256)
                debian.fetch_binaries([pinned], [], _SUITE, apt / "binary")
                folder = apt / "binary" / "files"
            else:
                folder = debian.fetch_source(library.package, "", _SUITE, apt / "source")
            if not (folder / library.file).is_file():
                raise UserError(f"Debian's {_SUITE} has another version of {library.package}")
        except UserError as error:
            raise UserError(
                f"no {library.name} for the RP2040: {error}. Put {library.file} at {target}, or "
                "set MPY_DIR to a MicroPython checkout with its submodules"
            ) from error
        shutil.move(folder / library.file, part)

    return download.store(target, library.sha256, fetch)


def _unpack(package: Path, library: Library, work: Path, tree: Path) -> None:
    folder = work / library.name
    folder.mkdir(parents=True)
    if library.version:
        command = ["dpkg-deb", "--extract", str(package), str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            raise UserError(f"cannot unpack {package}")
        content = folder / "usr" / "src" / library.name
    else:
        with tarfile.open(package) as archive:
            toolchain.extract(archive, folder)
        (content,) = folder.iterdir()
    if not (content / library.proof).is_file():
        raise UserError(f"{package.name} has no {library.proof}")
    content.replace(tree / library.name)


def _link(source: Path, libraries: Path, missing: Iterable[str], target: Path) -> None:
    """Make `target` a copy of `source` in links; lib and ports/rp2 are folders of their own.

    CMake takes the way up from ports/rp2 by the name it was given, so that folder must lie in the
    tree itself.
    """
    for folder in ("lib", "ports/rp2"):
        (target / folder).mkdir(parents=True, exist_ok=True)
    wanted = {target / path.name: path for path in source.iterdir()}
    for folder in ("lib", "ports/rp2"):
        wanted |= {target / folder / path.name: path for path in (source / folder).iterdir()}
    for name in missing:
        wanted[target / "lib" / name] = libraries / name
    for folder in ("lib", "ports"):
        del wanted[target / folder]
    for old in [*target.iterdir(), *(target / "lib").iterdir(), *(target / "ports/rp2").iterdir()]:
        if old.is_symlink() and old not in wanted:
            old.unlink()
    for link, path in wanted.items():
        if not link.is_symlink() or link.readlink() != path:
            link.unlink(missing_ok=True)
            link.symlink_to(path)
