"""Put our files on a board that runs MicroPython's own image: loader, app, libraries, kernels.

All of it lies in /lib, beside a main.py that starts it. The board is without main.py while its
files change, so one that is pulled off in the middle has its prompt, and the next call goes on.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onebyte import toolchain
from onebyte.boards.link import Board, NoSpace, Progress, Silent
from onebyte.crossbuild import natmods
from onebyte.errors import UserError
from onebyte.updates import sources

__all__ = ["TARGETS", "Target", "Work", "check", "install", "make_files"]


@dataclass(frozen=True)
class Target:
    """What a board has to be.

    Attributes:
        platform: Its `sys.platform`.
        arch: Of its native modules.
        chip: Stands in what the image says of its machine.
        module: File of boards/ for its chip.
    """

    platform: str
    arch: str
    chip: str
    module: str


TARGETS = {
    "pico_w": Target("rp2", "armv6m", "RP2040", "chip_rp2040"),
    "esp32_s3": Target("esp32", "xtensawin", "ESP32S3", "chip_esp32"),
}

MAIN = "/main.py"
BOOT = "/boot.py"
_LIB = "/lib"
_SHARED = ("chip", "node_board", "record_source", "sensors", "wifi_radio")
# Not for a node: what only packs and signs; and the platforms of other chips.
_LEFT_OUT = "_pack.py"
_PLATFORMS = {"rp2": "platform_rp2040.py", "esp32": "platform_esp32.py"}
_PACKAGES = (
    *("firmware/app", "firmware/ota"),
    *("lib/drivers", "lib/formats", "lib/mqtt", "lib/pipeline"),
)
# Modules in the heap leave holes between them unless garbage is collected often meanwhile.
_MAIN_SOURCE = b'''"""Starts the node, whose files lie in /lib."""

import gc
import sys

gc.threshold(6000)
sys.path[:] = [".frozen", "/lib"]
import firmware.main
'''

_PROBE = """
try:
 import network
 w=hasattr(network,'WLAN')
except ImportError:w=False
import json,gc
print(json.dumps([w,gc.mem_alloc()+gc.mem_free()]))
"""

# Prints what lies in /lib and our two files beside it: hash, size, path; then their number.
_LIST = """
import os,hashlib,binascii
def _f(p):
 h=hashlib.sha256()
 n=0
 with open(p,'rb') as f:
  while 1:
   b=f.read(512)
   if not b:break
   h.update(b)
   n+=len(b)
 print(binascii.hexlify(h.digest()).decode(),n,p)
def _w(d,m):
 try:e=list(os.ilistdir(d))
 except OSError:return 0
 k=0
 for x in e:
  p=d+'/'+x[0]
  if x[1]==0x4000:
   print('folder',0,p)
   k+=1+_w(p,m)
  else:
   _f(p)
   k+=1
 return k
k=_w('/lib',0)
for p in ('/main.py','/boot.py'):
 try:os.stat(p)
 except OSError:continue
 _f(p)
 k+=1
print('=',k)
"""
_LIST_S = 60.0
# All modules take 176 kB on an RP2040, 10 more with the network's; a node works in 40.
MIN_HEAP_BYTES = 226000
_FOLDER = "folder"
_MIN_SPARE_BLOCKS = 16  # what LittleFS writes anew, and the app's own first files


@dataclass(frozen=True)
class Work:
    """What was done.

    Attributes:
        board: The name of the board.
        n_files: Files that the board has now.
        n_sent: Those of them that it did not have.
        n_bytes: Their content.
        n_removed: Files that would have been found in their place.
        heap_bytes: The board's heap, used or not.
    """

    board: str
    n_files: int
    n_sent: int
    n_bytes: int
    n_removed: int
    heap_bytes: int

    @property
    def note(self) -> str:
        """What there is to say besides; mostly nothing."""
        if self.heap_bytes >= MIN_HEAP_BYTES:
            return ""
        return (
            f"note: {self.board} has a heap of {self.heap_bytes} bytes, where modules of files "
            f"lie: below {MIN_HEAP_BYTES} the node may end with a MemoryError"
        )

    def __str__(self) -> str:
        line = f"install {self.board} files={self.n_files} sent={self.n_sent} bytes={self.n_bytes}"
        return f"{line} removed={self.n_removed}" if self.n_removed else line


def install(board: Board, name: str, progress: Progress | None = None) -> Work:
    """Put on a board what it does not have yet; main.py and boot.py come last.

    Args:
        board: Its program is stopped.
        name: A key of TARGETS.
        progress: Is called with the bytes sent and their total.

    Raises:
        UserError: Another board, no room (nothing was written then), or the line failed: the
            board has its prompt, and whatever it had got is not sent again.
    """
    heap_bytes = check(board, name)
    files = make_files(name, board.facts.mpy)
    there = _list(board)
    changed = [
        path for path, content in files.items() if there.get(path, ("", 0))[0] != _digest(content)
    ]
    stale = _stale(board, files, there)
    if changed or stale:
        _check_room(board, files, changed, there)
        if set(changed) - {MAIN, BOOT} or stale:
            board.remove_file(MAIN)  # old files and new ones together are no node
            changed = [path for path in changed if path not in (MAIN, BOOT)] + [MAIN, BOOT]
    for path in stale:
        board.remove_file(path)
    sent = _send(board, {path: files[path] for path in changed}, progress)
    return Work(name, len(files), len(changed), sent, len(stale), heap_bytes)


def check(board: Board, name: str) -> int:
    """Return the bytes of the heap; raise unless the files of a board are for this one.

    Raises:
        UserError: they are not, or its image is ours and has everything already.
    """
    target = TARGETS.get(name)
    if target is None:
        raise UserError(
            f"no board {name!r} with MicroPython's own image: there are {', '.join(TARGETS)}; "
            "our own images have every file inside (`onebyte flash`)"
        )
    facts = board.facts
    has_wifi, heap_bytes = board.ask(_PROBE)
    if facts.is_own_image:
        raise UserError(
            f"{board.device} runs an image of ours ({facts.board or 'unnamed'}), which has every "
            "file inside: nothing to install"
        )
    found = f"{facts.platform}, {facts.arch or 'no native modules'}, {facts.machine}"
    is_chip = target.chip in facts.machine.replace("-", "").upper()
    if (facts.platform, facts.arch) != (target.platform, target.arch) or not is_chip:
        raise UserError(
            f"{board.device} is no {name}, which is {target.platform}, {target.arch}, "
            f"{target.chip}; the board says {found}"
        )
    if not has_wifi:
        raise UserError(f"{board.device} is no {name}: its image has no Wi-Fi")
    return int(heap_bytes)


def make_files(name: str, mpy: tuple[int, int]) -> dict[str, bytes]:
    """Return the content of each file by its path on the board, MAIN and BOOT last.

    Args:
        name: A key of TARGETS.
        mpy: Version and sub-version of the .mpy files that the board loads.

    Raises:
        UserError: a file cannot be compiled, or not for this version.
    """
    target = TARGETS[name]
    compiler = sources.Compiler(target.arch)
    files = {
        f"{_LIB}/{Path(place).with_suffix('.mpy')}": compiler.compile(path, place)
        for place, path in _python_files(name)
    }
    for module in natmods.MODULES:
        files[f"{_LIB}/{module}.mpy"] = _native(module, target.arch)
    for path, content in files.items():
        version, features = content[1], content[2]
        # The sub-version counts for machine code alone.
        if version != mpy[0] or (features >> 2 and features & 3 != mpy[1]):
            raise UserError(
                f"{path} is compiled for mpy {version}.{features & 3}, the board takes "
                f"{mpy[0]}.{mpy[1]}: flash MicroPython of the version of these tools"
            )
    files[MAIN] = _MAIN_SOURCE
    files[BOOT] = (toolchain.ROOT / "firmware" / "boot.py").read_bytes()
    return files


def _python_files(name: str) -> Iterator[tuple[str, Path]]:
    """Yield the place in /lib of each Python file, and where it is here."""
    root = toolchain.ROOT
    platform = _PLATFORMS.get(TARGETS[name].platform, "platform_unix.py")
    for package in _PACKAGES:
        for path in sorted((root / package).glob("*.py")):
            place = f"{path.parent.name}/{path.name}"
            is_foreign = path.name.startswith("platform_") and path.name != platform
            if not (is_foreign or place.endswith(_LEFT_OUT)):
                yield place, path
    umqtt = toolchain.unpack_umqtt(root / "build") / "umqtt" / "simple.py"
    yield "umqtt/simple.py", umqtt
    for module in (*_SHARED, TARGETS[name].module):
        yield f"{module}.py", root / "boards" / f"{module}.py"
    for module in ("board", "figures"):
        yield f"{module}.py", root / "boards" / name / f"{module}.py"
    yield "obchoice.py", root / "lib" / "native" / "obkernels" / "obchoice.py"
    yield "firmware/main.py", root / "firmware" / "main.py"


def _native(module: str, arch: str) -> bytes:
    path = natmods.DIST / arch / f"{module}.mpy"
    return (path if path.is_file() else natmods.build(arch, None, module).path).read_bytes()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _list(board: Board) -> dict[str, tuple[str, int]]:
    """Return hash and size of each file, by its path; a folder has the hash `folder`."""
    *lines, last = board.exec(_LIST, _LIST_S).splitlines() or [""]
    found = {}
    for line in lines:
        words = line.split(" ", 2)
        if len(words) == 3 and words[1].isdecimal():
            found[words[2]] = words[0], int(words[1])
    if last != f"= {len(found)}":
        raise Silent(f"{board.device}: the list of the board's files is damaged: try again")
    return found


def _stale(board: Board, files: dict[str, bytes], there: dict[str, tuple[str, int]]) -> list[str]:
    """Return the files that the interpreter would take for ours, or that ours have replaced."""
    own = {f"{_LIB}/{package.rpartition('/')[2]}/" for package in _PACKAGES}
    stale = []
    for path, (digest, _) in there.items():
        if digest == _FOLDER:
            if f"{path}.mpy" in files:
                raise UserError(
                    f"{board.device}: the folder {path} would be taken for a module of ours: "
                    f"remove it (`mpremote resume fs rm -r :{path}`)"
                )
            continue
        is_shadow = path.endswith(".py") and path[:-3] + ".mpy" in files
        is_old = path not in files and any(path.startswith(folder) for folder in own)
        if is_shadow or is_old:
            stale.append(path)
    return stale


def _check_room(
    board: Board,
    files: dict[str, bytes],
    changed: list[str],
    there: dict[str, tuple[str, int]],
) -> None:
    free, block = board.free_bytes()

    def blocks(n_bytes: int) -> int:
        return -(-n_bytes // block)

    # A file that is replaced gives its blocks back only when the new one is whole.
    new = sum(blocks(len(files[path])) - blocks(there.get(path, ("", 0))[1]) for path in changed)
    largest = max((blocks(len(files[path])) for path in changed), default=0)
    folders = {path.rpartition("/")[0] for path in files} - set(there)
    needed = (max(new, 0) + largest + 2 * len(folders) + _MIN_SPARE_BLOCKS) * block
    if free < needed:
        raise NoSpace(
            f"{board.device}: the flash is nearly full: {free} bytes are free, the files need "
            f"{needed} (nothing was written): remove what is not needed (`mpremote resume fs ls`, "
            "`mpremote resume fs rm`)"
        )


def _send(board: Board, files: dict[str, bytes], progress: Progress | None) -> int:
    total = sum(len(content) for content in files.values())
    done = 0
    for path, content in files.items():
        board.write_file(path, content)
        done += len(content)
        if progress:
            progress(done, total)
    return done
