"""Starts the node, or the main.py that a developer put on the filesystem.

MicroPython runs this frozen file and never the one on the filesystem. The USB port works from here
on, so Ctrl-C is heard. An image for a product runs no program of the filesystem but a signed slot.
"""

import sys

import board
import flash_mount

from app import safe_boot
from ota import updates  # all of it, before a file of the filesystem can be found

_OPEN_PATH = [".frozen", "/lib", "/"]


def read_own_program() -> str:
    """Returns the source of the main.py on the filesystem, empty if there is none."""
    try:
        with open("/main.py") as file:
            return file.read()
    except OSError:
        return ""


def main() -> None:
    """Decides what to run."""
    if flash_mount.problem:
        # Short, since the port keeps 256 bytes for a terminal that opens later.
        print("onebyte boot: no filesystem; the flash is", flash_mount.problem)
        return
    is_open = updates.product.read_frozen() is None
    try:
        safe_boot.window(board.make_power(), board.make_retained())
    finally:
        if is_open:  # also for who interrupts
            sys.path[:] = _OPEN_PATH
    source = read_own_program() if is_open else ""
    if source:
        exec(compile(source, "/main.py", "exec"), {"__name__": "__main__"})
    else:
        import firmware.main  # noqa: F401  # it runs when it is imported


main()
