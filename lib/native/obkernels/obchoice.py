"""Chooses the kernels: the native module, or where that does not load its slow twin."""

import sys

from formats import errors

# What native code in an .mpy file is for, by its number in the file; see MicroPython's
# py/persistentcode.h.
_ARCHITECTURES = (
    "no native code",
    "x86",
    "x64",
    "armv6",
    "armv6m",
    "armv7m",
    "armv7em",
    "armv7emsp",
    "armv7emdp",
    "xtensa",
    "xtensawin",
    "rv32imc",
)
_FILE = "/obkernels.mpy"


def choose(tell):
    """Returns `obkernels`, or `obtwin`: the same bits, slower.

    A file for another chip or another MicroPython is told in one line and passed over.

    Args:
        tell: takes that line, such as `print`.

    Raises:
        OnebyteError: KERNEL_VERSION, neither can be imported.
    """
    reason = "no obkernels"
    try:
        import obkernels

        return obkernels
    except ImportError:
        pass
    except ValueError as error:
        # The interpreter names neither the file nor what is wrong with it.
        reason = _describe(sys.path, _features()) or "obkernels.mpy: %s" % error
        tell("onebyte node: %s: using the twin, slower" % reason)
    try:
        import obtwin
    except ImportError:
        raise errors.OnebyteError(errors.KERNEL_VERSION, reason + ", and no obtwin") from None
    return obtwin


def describe_file(header: bytes, features: int) -> str:
    """Returns what is wrong with a native module, empty when it fits.

    Args:
        header: first four bytes of the file.
        features: `sys.implementation._mpy` of the interpreter.
    """
    if len(header) < 4 or header[0:1] != b"M":
        return "is no .mpy file"
    found = header[1] | header[2] << 8
    if (found & 0x3FFF) == (features & 0x3FFF):
        return ""
    return "is for %s; this firmware takes %s" % (_words(found), _words(features))


def _words(features: int) -> str:
    arch = features >> 10 & 15
    name = _ARCHITECTURES[arch] if arch < len(_ARCHITECTURES) else "architecture %d" % arch
    return "%s, mpy %d.%d" % (name, features & 0xFF, features >> 8 & 3)


def _features() -> int:
    return getattr(sys.implementation, "_mpy", 0)


def _describe(folders, features: int) -> str:
    for folder in folders:
        try:
            with open(folder + _FILE, "rb") as file:
                wrong = describe_file(file.read(4), features)
        except OSError:
            continue
        return "%s%s %s" % (folder, _FILE, wrong) if wrong else ""
    return ""
