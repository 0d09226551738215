"""A native module on the board's filesystem that the firmware refuses, and one that it takes."""

import pytest

from onebyte.crossbuild import firmware, natmods
from onebyte.emulator import littlefs
from onebyte.emulator.machine import Machine

ARMV6M, XTENSAWIN, SUB_VERSION = 4, 10, 3
BOOT_S = 60.0  # emulated, with the window of a safe boot

# The firmware has obkernels compiled in, so the files have names of their own.
SCRIPT = """
import sys
import obchoice
for name in ("right", "other_arch", "other_version", "text"):
    try:
        module = __import__(name)
        said = "taken, kernels %d" % module.KERNEL_VERSION
    except ValueError as error:
        said = str(error)
    with open("/lib/%s.mpy" % name, "rb") as file:
        wrong = obchoice.describe_file(file.read(4), sys.implementation._mpy)
    print(name, said, wrong, sep="|")
"""


def with_header(data: bytes, version: int, arch: int) -> bytes:
    """Return a module with another header."""
    return data[:1] + bytes((version, arch << 2 | SUB_VERSION)) + data[3:]


@pytest.fixture(scope="module")
def answers(pico_ppp: firmware.Firmware) -> dict[str, list[str]]:
    """What the interpreter and what we say of each file."""
    right = natmods.build("armv6m").path.read_bytes()
    files = {
        "main.py": b"pass\n",
        "lib/right.mpy": right,
        "lib/other_arch.mpy": with_header(right, 6, XTENSAWIN),
        "lib/other_version.mpy": with_header(right, 5, ARMV6M),
        "lib/text.mpy": b"404: Not Found\n",
    }
    with Machine(pico_ppp.uf2, littlefs.make_image(files)) as machine:
        machine.boot(BOOT_S)
        printed = machine.exec(SCRIPT)
    lines = [line.split("|") for line in printed.splitlines()]
    return {name: rest for name, *rest in lines}


def test_module_of_this_chip_is_taken(answers: dict[str, list[str]]) -> None:
    assert answers["right"][0].startswith("taken, kernels ")
    assert answers["right"][1] == ""


def test_module_of_another_chip_is_named(answers: dict[str, list[str]]) -> None:
    assert answers["other_arch"] == [
        "incompatible .mpy arch",
        "is for xtensawin, mpy 6.3; this firmware takes armv6m, mpy 6.3:"
        " copy natmods/armv6m/obkernels.mpy to the board",
    ]


def test_module_of_another_micropython_is_named(answers: dict[str, list[str]]) -> None:
    assert answers["other_version"] == [
        "incompatible .mpy file",
        "is for armv6m, mpy 5.3; this firmware takes armv6m, mpy 6.3:"
        " build it with this firmware's MicroPython",
    ]


def test_file_that_is_no_module_is_named(answers: dict[str, list[str]]) -> None:
    assert answers["text"] == ["incompatible .mpy file", "is no .mpy file: copy it again"]
