"""The boot counter: durable, and rising however power fails."""

import struct

from formats.crc import crc16

_FORMAT = "<HH"
_FILE_BYTES = 4


def following(epoch: int) -> int:
    """Returns the epoch after `epoch` (0: none yet); after 65535 comes 1."""
    return epoch % 65535 + 1


def is_after(epoch: int, seq: int, than_epoch: int, than_seq: int) -> bool:
    """Returns whether record (epoch, seq) was made after the other one."""
    if epoch == than_epoch:
        return seq > than_seq
    return (epoch - than_epoch) & 0xFFFF < 0x8000


def read(files, path: str) -> int:
    """Returns the epoch in the file at `path`, 0 when there is none or it is damaged.

    Raises:
        OSError: the flash failed.
    """
    try:
        with files.open(path, "rb") as file:
            content = file.read(_FILE_BYTES + 1)
    except OSError as error:
        if error.errno == 2:  # ENOENT: the first boot
            return 0
        raise
    if len(content) != _FILE_BYTES:
        return 0
    epoch, crc = struct.unpack(_FORMAT, content)
    return epoch if crc == crc16(content, 0, 2) else 0


def write(files, path: str, epoch: int) -> None:
    """Makes `epoch` durable: at any moment the file holds the old or the new one, whole.

    Raises:
        OSError: the flash failed; the file then holds either.
    """
    content = bytearray(_FILE_BYTES)
    struct.pack_into("<H", content, 0, epoch)
    struct.pack_into("<H", content, 2, crc16(content, 0, 2))
    temporary = path + ".tmp"
    with files.open(temporary, "wb") as file:
        file.write(content)
    files.rename(temporary, path)
