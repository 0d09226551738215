"""Mounts the filesystem of the flash, and formats a flash that was never used.

Blank is a flash whose first two blocks, LittleFS's superblocks, read as 0xFF from end to end at
every try. LittleFS never leaves both erased, wherever power fails: it erases one while the other
is valid. So a flash that ever held a filesystem is not blank, and only a blank one is formatted.
What is neither blank nor mountable stays as it is, for a person to rescue.
"""

import time

import vfs

TRIES = 5
PAUSE_MS = 50  # what failed because the supply was weak may work then
PROGRAM_BYTES = 256  # a page of the flash

_IOCTL_BLOCK_BYTES = 5

problem = ""  # why there is no filesystem; _boot.py sets it


class NotBlank(Exception):
    """The flash can neither be mounted nor formatted without a loss; says why not mounted."""


def is_blank(device) -> bool:
    """Returns whether both superblocks read as erased; what cannot be read is not blank."""
    n_bytes = device.ioctl(_IOCTL_BLOCK_BYTES, 0)
    erased = b"\xff" * n_bytes
    content = bytearray(n_bytes)
    for block in (0, 1):
        try:
            status = device.readblocks(block, content)
        except OSError:
            return False
        if status or content != erased:  # MicroPython's devices return a negative error, or None
            return False
    return True


def open_filesystem(device, sleep_ms=time.sleep_ms):
    """Returns the filesystem on a block device, which is formatted if it is blank.

    Args:
        device: block device.
        sleep_ms: waits between two tries.

    Raises:
        NotBlank: it cannot be mounted; nothing was written.
        OSError: it was blank and cannot be formatted.
    """
    error = None
    was_blank = True
    for attempt in range(TRIES):
        if attempt:
            sleep_ms(PAUSE_MS)
        try:
            return vfs.VfsLfs2(device, progsize=PROGRAM_BYTES)
        except OSError as reason:
            error = reason
        was_blank = was_blank and is_blank(device)
    if not was_blank:
        raise NotBlank(error)
    vfs.VfsLfs2.mkfs(device, progsize=PROGRAM_BYTES)
    return vfs.VfsLfs2(device, progsize=PROGRAM_BYTES)


def mount(device) -> str:
    """Mounts at /, or returns why not: the board has to come up either way."""
    try:
        vfs.mount(open_filesystem(device), "/")
    except NotBlank as error:
        return "not blank, left as it is: %r" % error.args
    except Exception as error:
        return "blank, but formatting failed: %r" % error
    return ""
