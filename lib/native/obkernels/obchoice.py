"""Chooses the kernels: the native module, or where that does not load its slow twin."""

import sys

from formats import errors, mpy_file

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
_ARMV6M = 4
_ARMV7EMDP = 8
_VERSION_BITS = 0x3FF  # of the features: version and sub-version
_FILE = "/obkernels.mpy"


def choose(tell):
    """Returns `obkernels`, or `obtwin`: the same bits, slower.

    A file for another chip or another MicroPython, or a part of a file, is told in one line and
    passed over.

    Args:
        tell: takes that line, such as `print`.

    Raises:
        OnebyteError: KERNEL_VERSION, neither can be imported.
    """
    # The interpreter names neither the file nor what is wrong with it, and a part of one hangs it.
    reason = _describe(sys.path, _features())
    try:
        return _import_kernels(not reason)
    except ImportError:
        pass
    except ValueError as error:
        reason = "obkernels.mpy: %s" % error
    if reason:
        tell("onebyte node: %s: using the twin, slower" % reason)
    else:
        reason = "no obkernels"
    try:
        import obtwin
    except ImportError:
        raise errors.OnebyteError(errors.KERNEL_VERSION, reason + ", and no obtwin") from None
    return obtwin


def _import_kernels(from_files: bool):
    path = sys.path[:]
    if not from_files:
        sys.path[:] = []  # what is compiled in is found all the same
    try:
        import obkernels
    finally:
        sys.path[:] = path
    return obkernels


def describe_file(header: bytes, features: int) -> str:
    """Returns what is wrong with a native module and what to do, empty when it fits.

    Args:
        header: first four bytes of the file.
        features: `sys.implementation._mpy` of the interpreter.
    """
    if len(header) < 4 or header[0:1] != b"M":
        return "is no .mpy file: copy it again"
    found = header[1] | header[2] << 8
    arch, wanted = _arch_of(found), _arch_of(features)
    # Arm's later Cortex-M chips run the code of the earlier ones.
    fits = arch == wanted or _ARMV6M <= arch <= wanted <= _ARMV7EMDP
    is_same_version = (found & _VERSION_BITS) == (features & _VERSION_BITS)
    if fits and arch and is_same_version:
        return ""
    if not wanted:
        return "is for %s; this firmware takes no native code" % _words(found)
    if is_same_version:
        advice = "copy natmods/%s/obkernels.mpy to the board" % _name_of(wanted)
    else:
        advice = "build it with this firmware's MicroPython"
    return "is for %s; this firmware takes %s: %s" % (_words(found), _words(features), advice)


def _arch_of(features: int) -> int:
    return features >> 10 & 15


def _name_of(arch: int) -> str:
    return _ARCHITECTURES[arch] if arch < len(_ARCHITECTURES) else "architecture %d" % arch


def _words(features: int) -> str:
    name = _name_of(_arch_of(features))
    return "%s, mpy %d.%d" % (name, features & 0xFF, features >> 8 & 3)


def _features() -> int:
    return getattr(sys.implementation, "_mpy", 0)


def _describe(folders, features: int) -> str:
    for folder in folders:
        try:
            with open(folder + _FILE, "rb") as file:
                wrong = describe_file(file.read(4), features)
                file.seek(0)
                if not wrong and not mpy_file.is_whole(file):
                    wrong = "is cut off: copy it again"
        except OSError:
            continue
        return "%s%s %s" % (folder, _FILE, wrong) if wrong else ""
    return ""
