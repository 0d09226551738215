"""A native module that MicroPython refuses: what the import says, and what a board makes of it."""

import os
import sys

import check
import obchoice
import obtwin

from formats import errors

MODULE = "obkernels"
SUB_VERSION = 3
OTHER_ARCH = 10  # xtensawin
FOLDER = "build/test_natmod_choice"


def is_compiled_in():
    """Return whether this build has the kernels as a C module, which comes before any file."""
    path, loaded = sys.path[:], sys.modules.pop(MODULE, None)
    sys.path[:] = []
    try:
        __import__(MODULE)
        return True
    except ImportError:
        return False
    finally:
        sys.path[:] = path
        sys.modules.pop(MODULE, None)
        if loaded is not None:
            sys.modules[MODULE] = loaded


def try_import():
    """Return what MicroPython says when it imports the module, empty when it takes it."""
    try:
        __import__(MODULE)
        return ""
    except ValueError as error:
        return str(error)
    finally:
        sys.modules.pop(MODULE, None)


def choose_with(change, may_import=True):
    """Return the module that is chosen, what was told, and the folder, for a changed file.

    `change` takes and returns the bytes of the module that this build takes. Unless `may_import`
    MicroPython itself does not try it.
    """
    root = __file__.rsplit("/", 3)[0]
    folder = root + "/" + FOLDER
    for part in (root + "/build", folder):
        try:
            os.mkdir(part)
        except OSError:
            pass
    with open(root + "/build/natmod/x64/obkernels.mpy", "rb") as file:
        data = change(bytearray(file.read()))
    with open(folder + "/obkernels.mpy", "wb") as file:
        file.write(data)
    path, loaded = sys.path[:], sys.modules.pop(MODULE, None)
    sys.path[:] = [folder] + [entry for entry in path if not entry.endswith("/natmod/x64")]
    told = []
    try:
        said = try_import() if may_import else None
        return obchoice.choose(told.append), said, told, folder
    finally:
        sys.path[:] = path
        sys.modules.pop(MODULE, None)
        if loaded is not None:
            sys.modules[MODULE] = loaded


def with_header(index, value):
    """Return a change of one byte of the header."""

    def change(data):
        data[index] = value
        return data

    return change


def check_refused(change, said_by_micropython, reason):
    """Fail unless the file is passed over, with the interpreter's words and with ours."""
    module, said, told, folder = choose_with(change)
    if is_compiled_in():
        assert module is not obtwin and not told and not said
        return
    assert module is obtwin
    assert said == said_by_micropython, said
    assert told == [
        "onebyte node: %s/obkernels.mpy %s: using the twin, slower" % (folder, reason)
    ], told


def test_right_file_is_taken():
    module, said, told, _ = choose_with(lambda data: data)
    assert module is not obtwin and module.KERNEL_VERSION == obtwin.KERNEL_VERSION
    assert not said and not told


def test_other_architecture():
    check_refused(
        with_header(2, OTHER_ARCH << 2 | SUB_VERSION),
        "incompatible .mpy arch",
        "is for xtensawin, mpy 6.3; this firmware takes x64, mpy 6.3:"
        " copy natmods/x64/obkernels.mpy to the board",
    )


def test_other_version():
    check_refused(
        with_header(1, 5),
        "incompatible .mpy file",
        "is for x64, mpy 5.3; this firmware takes x64, mpy 6.3:"
        " build it with this firmware's MicroPython",
    )


def test_other_sub_version():
    check_refused(
        with_header(2, 2 << 2 | 2),
        "incompatible .mpy file",
        "is for x64, mpy 6.2; this firmware takes x64, mpy 6.3:"
        " build it with this firmware's MicroPython",
    )


def test_text_is_no_module():
    check_refused(
        lambda data: b"<html>404</html>",
        "incompatible .mpy file",
        "is no .mpy file: copy it again",
    )


def test_part_of_a_file_is_not_imported():
    # MicroPython would hang.
    for n_bytes in (4, 6, 100, 8000, -1):
        module, _, told, folder = choose_with(lambda data, n=n_bytes: data[:n], may_import=False)
        if is_compiled_in():
            assert module is not obtwin and not told
        else:
            line = (
                "onebyte node: %s/obkernels.mpy is cut off: copy it again: using the twin, slower"
            )
            assert module is obtwin and told == [line % folder], told


def test_neither_module_is_an_error():
    path, loaded = sys.path[:], {}
    is_there = is_compiled_in()
    for name in (MODULE, "obtwin"):
        loaded[name] = sys.modules.pop(name, None)
    sys.path[:] = []
    try:
        if is_there:
            assert obchoice.choose(print) is not obtwin
        else:
            error = check.raises(errors.KERNEL_VERSION, obchoice.choose, print)
            assert "no obkernels, and no obtwin" in str(error)
    finally:
        sys.path[:] = path
        for name, module in loaded.items():
            if module is not None:
                sys.modules[name] = module
