"""An ESP32's partitions, its notes on them and its boot loader, as far as updates need them.

After MicroPython's ports/esp32/esp32_partition.c and ESP-IDF's esp_ota_ops.c and
bootloader_utility.c with CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE and
CONFIG_BOOTLOADER_SKIP_VALIDATE_IN_DEEP_SLEEP, which MicroPython's ports set: two app partitions
ota_0 and ota_1, no factory one. Flash is NOR: a write only clears bits, an erase sets those of a
block. Power fails at write or erase number `chip.cut`.
"""

import hashlib
import struct

from nor_flash import DONE, KINDS, apply

from formats.crc import crc32

BLOCK_BYTES = 4096
NEW, PENDING_VERIFY, VALID, INVALID, ABORTED, UNDEFINED = 0, 1, 2, 3, 4, 0xFFFFFFFF
NO_SEQ = 0xFFFFFFFF
VALIDATE_FAILED = -0x1503
NOT_FOUND = -0x105
FAIL = 1
_ENTRY = "<I20sII"
_IMAGE_HEAD = "<BBHI"


class PowerLost(BaseException):
    """Nothing after it runs."""


class Bricked(BaseException):
    """The boot loader has found nothing to start."""


def make_image(n_bytes, seed):
    """Return an image that the boot loader accepts."""
    body = b"".join([hashlib.sha256(b"%d %d" % (seed, i)).digest() for i in range(n_bytes // 32)])
    # Real images are padded with erased bytes, whole blocks of them too.
    body = body[: len(body) // 3] + b"\xff" * 4096 + body[len(body) // 3 :]
    content = struct.pack(_IMAGE_HEAD, 0xE9, 1, 0, len(body)) + body[: n_bytes - 40]
    content = content[:4] + struct.pack("<I", len(content) - 8) + content[8:]
    return content + hashlib.sha256(content).digest()


class Chip:
    """The flash and the boot loader.

    Attributes:
        flash: content of each partition by its label.
        running: label of the partition that runs.
        ops: writes and erases so far.
        cut, kind: the operation during which power fails, -1 for none, and how: KINDS.
    """

    def __init__(self, n_blocks=4):
        self.flash = {}
        for label in ("ota_0", "ota_1"):
            self.flash[label] = bytearray(b"\xff" * (n_blocks * BLOCK_BYTES))
        self.flash["otadata"] = bytearray(b"\xff" * (2 * BLOCK_BYTES))
        self.running = None
        self.ops = 0
        self.cut = -1
        self.kind = KINDS[0]

    def erase(self, label, at, n_bytes):
        """Erase blocks, one operation each."""
        assert at % BLOCK_BYTES == 0 and n_bytes % BLOCK_BYTES == 0
        for block in range(at, at + n_bytes, BLOCK_BYTES):
            self._change(label, (block, BLOCK_BYTES, None))

    def write(self, label, at, content):
        """Clear the bits that are clear in `content`."""
        self._change(label, (at, len(content), content))

    def _change(self, label, operation):
        is_cut = self.ops == self.cut
        self.ops += 1
        apply(self.flash[label], operation, self.kind if is_cut else DONE, self.ops)
        if is_cut:
            raise PowerLost

    # The notes on the partitions.

    def entry(self, number):
        """Return (seq, state, crc) of a note."""
        at = number * BLOCK_BYTES
        seq, _, state, crc = struct.unpack(_ENTRY, bytes(self.flash["otadata"][at : at + 32]))
        return seq, state, crc

    def set_entry(self, number, seq, state):
        """Write a note: erase, then write, as ESP-IDF does."""
        self.erase("otadata", number * BLOCK_BYTES, BLOCK_BYTES)
        content = struct.pack(_ENTRY, seq, b"\xff" * 20, state, seq_crc(seq))
        self.write("otadata", number * BLOCK_BYTES, content)

    def active_entry(self):
        """Return the number of the note that counts, -1 without one."""
        good = [number for number in (0, 1) if is_valid(self.entry(number))]
        if len(good) == 2:
            return 0 if self.entry(0)[0] >= self.entry(1)[0] else 1
        return good[0] if good else -1

    # The boot loader.

    def power_on(self):
        """Start as after a reset or with power back; `running` says what was started.

        Raises:
            Bricked: There is nothing to start.
        """
        self.running = None
        index, is_initial = self._select()
        for label in [
            "ota_%d" % i for i in list(range(index, -1, -1)) + list(range(index + 1, 2))
        ]:
            if is_image(self.flash[label]):
                if is_initial:
                    self.set_entry(0, int(label[-1]) + 1, VALID)
                self.running = label
                return
        raise Bricked

    def wake(self):
        """Start as after deep sleep: what ran before, without a look at the notes."""
        assert self.running is not None

    def _select(self):
        for number in (0, 1):
            seq, state, _ = self.entry(number)
            if state == PENDING_VERIFY:
                self._restate(number, seq, ABORTED)
        entries = [self.entry(0), self.entry(1)]
        if all([is_out(entry) for entry in entries]):
            fresh = [entry[0] == NO_SEQ or entry[2] != seq_crc(entry[0]) for entry in entries]
            return 0, all(fresh)
        active = self.active_entry()
        if active < 0:
            # "Will try all partitions": from the factory one, which is not there, upwards.
            return 0, False
        seq, state, _ = self.entry(active)
        if state == NEW:
            self._restate(active, seq, PENDING_VERIFY)
        return (seq - 1) % 2, False

    def _restate(self, number, seq, state):
        """The boot loader copies the note with its old checksum, right or wrong."""
        crc = self.entry(number)[2]
        self.erase("otadata", number * BLOCK_BYTES, BLOCK_BYTES)
        content = struct.pack(_ENTRY, seq, b"\xff" * 20, state, crc)
        self.write("otadata", number * BLOCK_BYTES, content)


def seq_crc(seq):
    """Return the checksum of a note: it covers nothing but the number."""
    return crc32(struct.pack("<I", seq))


def is_out(entry):
    """Return whether a note does not count by its number or state."""
    return entry[0] == NO_SEQ or entry[1] in (INVALID, ABORTED)


def is_valid(entry):
    """Return whether a note counts."""
    return not is_out(entry) and entry[2] == seq_crc(entry[0])


def is_image(content):
    """Return whether the boot loader would start this."""
    magic, _, _, n_bytes = struct.unpack(_IMAGE_HEAD, bytes(content[:8]))
    end = 8 + n_bytes
    if magic != 0xE9 or end + 32 > len(content):
        return False
    return hashlib.sha256(bytes(content[:end])).digest() == bytes(content[end : end + 32])


chip = Chip()


class Partition:
    """As esp32.Partition."""

    BOOT, RUNNING = 0, 1
    TYPE_APP, TYPE_DATA = 0, 1
    _TABLE = (("otadata", 1, 0), ("ota_0", 0, 16), ("ota_1", 0, 17))

    def __init__(self, which):
        if which == Partition.RUNNING:
            which = chip.running
        elif which == Partition.BOOT:
            active = chip.active_entry()
            which = "ota_%d" % ((chip.entry(active)[0] - 1) % 2 if active >= 0 else 0)
        self._label = which

    @classmethod
    def find(cls, type=0, subtype=0xFF, label=None, block_size=BLOCK_BYTES):
        """Return the partitions that fit."""
        return [
            cls(name)
            for name, kind, sub in cls._TABLE
            if kind == type and subtype in (0xFF, sub) and label in (None, name)
        ]

    def info(self):
        """Return (type, subtype, address, size, label, encrypted)."""
        for name, kind, sub in Partition._TABLE:
            if name == self._label:
                return kind, sub, 0x10000, len(chip.flash[name]), name, False
        raise AssertionError(self._label)

    def ioctl(self, op, argument):
        """Block count, block size, erase."""
        if op == 4:
            return len(chip.flash[self._label]) // BLOCK_BYTES
        if op == 5:
            return BLOCK_BYTES
        if op == 6:
            chip.erase(self._label, argument * BLOCK_BYTES, BLOCK_BYTES)
            return 0
        return None

    def readblocks(self, block, buffer, offset=0):
        """Read."""
        at = block * BLOCK_BYTES + offset
        content = chip.flash[self._label][at : at + len(buffer)]
        if len(content) != len(buffer):
            raise OSError(-0x104)  # ESP_ERR_INVALID_SIZE
        buffer[:] = content

    def writeblocks(self, block, buffer, offset=None):
        """Write; without an offset the blocks are erased first."""
        at = block * BLOCK_BYTES
        if offset is None:
            chip.erase(self._label, at, len(buffer))
            offset = 0
        if at + offset + len(buffer) > len(chip.flash[self._label]):
            raise OSError(-0x104)
        chip.write(self._label, at + offset, bytes(buffer))

    def get_next_update(self):
        """Return the other app partition."""
        return Partition("ota_1" if chip.running == "ota_0" else "ota_0")

    def set_boot(self):
        """Start this partition next, if it holds an image: as esp_ota_set_boot_partition."""
        if not is_image(chip.flash[self._label]):
            raise OSError(VALIDATE_FAILED)
        wanted = int(self._label[-1])
        active = chip.active_entry()
        if active < 0:
            number, seq = 0, wanted + 1
        else:
            number, seq = active, chip.entry(active)[0]
            if (seq - 1) % 2 != wanted:
                number ^= 1
                seq += 1
        chip.set_entry(number, seq, NEW)

    @classmethod
    def mark_app_valid_cancel_rollback(cls):
        """Keep what runs: as esp_ota_mark_app_valid_cancel_rollback."""
        active = chip.active_entry()
        if active < 0:
            raise OSError(FAIL)
        seq, state, _ = chip.entry(active)
        if state != VALID:
            chip.set_entry(active, seq, VALID)
