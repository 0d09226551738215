"""What a native module's .mpy file holds, read as MicroPython's py/persistentcode.c reads it."""

from dataclasses import dataclass
from pathlib import Path

from onebyte.errors import UserError

__all__ = ["ARCH_NUMBERS", "NativeModule", "parse", "read"]

# MP_NATIVE_ARCH_* of py/persistentcode.h.
ARCH_NUMBERS = {"x86": 1, "x64": 2, "armv6": 3, "armv6m": 4, "armv7m": 5, "armv7em": 6}
ARCH_NUMBERS |= {"armv7emsp": 7, "armv7emdp": 8, "xtensa": 9, "xtensawin": 10, "rv32imc": 11}

_VERSION = 6
_SUB_VERSION_BITS = 3
_KIND_VIPER = 2
_FLAG_RODATA = 0x20
_FLAG_BSS = 0x40


@dataclass(frozen=True)
class NativeModule:
    """The sizes of a native module, in bytes.

    Attributes:
        arch: MicroPython's name of the architecture.
        mpy_version: Version and sub-version of the format; a firmware takes one of them.
        file_bytes: The whole file.
        text_bytes: Machine code and literals.
        rodata_bytes: Constant tables.
        bss_bytes: Memory that begins as zeros.
    """

    arch: str
    mpy_version: str
    file_bytes: int
    text_bytes: int
    rodata_bytes: int
    bss_bytes: int


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.place:
            raise UserError("not a whole .mpy file: it ends too early")
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self) -> int:
        value = 0
        while True:
            (byte,) = self.take(1)
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                return value


def read(path: Path) -> NativeModule:
    """Return what the file at `path` holds.

    Raises:
        UserError: it is no native module of mpy version 6; the message names the file.
    """
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def parse(data: bytes) -> NativeModule:
    """Return what a file holds.

    Raises:
        UserError: it is no native module of mpy version 6.
    """
    reader = _Reader(data)
    magic, version, features, _ = reader.take(4)
    if magic != ord("M") or version != _VERSION:
        found = f"but {version}" if magic == ord("M") else "but something else"
        raise UserError(f"not an .mpy file of version {_VERSION}, {found}")
    arch = next((name for name, n in ARCH_NUMBERS.items() if n == features >> 2), None)
    if arch is None:
        raise UserError("an .mpy file without native code")
    n_qstrs, n_objects = reader.number(), reader.number()
    for _ in range(n_qstrs):
        length = reader.number()
        if not length & 1:  # odd: one of MicroPython's own names, by number
            reader.take((length >> 1) + 1)
    kind_length = reader.number()
    if n_objects or kind_length & 3 != _KIND_VIPER:
        raise UserError("an .mpy file of Python code, not a native module")
    text = reader.take(kind_length >> 3)
    flags = reader.number()
    rodata = reader.number() if flags & _FLAG_RODATA else 0
    bss = reader.number() if flags & _FLAG_BSS else 0
    reader.take(rodata)
    mpy_version = f"{version}.{features & _SUB_VERSION_BITS}"
    return NativeModule(arch, mpy_version, len(data), len(text), rodata, bss)
