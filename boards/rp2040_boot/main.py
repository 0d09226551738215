"""Starts the node, or the main.py that a developer put on the filesystem.

MicroPython runs this frozen file and never the one on the filesystem. The USB port works from here
on, so Ctrl-C is heard. An image for a product runs no program of the filesystem but a signed slot.
"""

import sys

import flash_mount

_OPEN_PATH = [".frozen", "/lib", "/"]


def is_open() -> bool:
    """Returns whether this image runs programs of the filesystem: it was built for no product."""
    try:
        __import__("product")  # boot.py left only frozen modules to be found
    except ImportError:
        return True
    return False


def wait() -> None:
    """Waits for Ctrl-C; then all of the loader is there, and no file has stood in for a part."""
    import board

    from app import safe_boot
    from ota import updates  # noqa: F401

    safe_boot.window(board.make_power(), board.make_retained())


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
    opens = is_open()
    try:
        wait()
    finally:
        if opens:  # also for who interrupts, however early
            sys.path[:] = _OPEN_PATH
    source = read_own_program() if opens else ""
    if source:
        exec(compile(source, "/main.py", "exec"), {"__name__": "__main__"})
    else:
        import firmware.main  # noqa: F401  # it runs when it is imported


main()
