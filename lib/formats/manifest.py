"""The manifest of a release: for whom it is, and every file with its hash. docs/SPEC.md: Manifest.

These are the bytes inside a signed document (`formats.signed`): verify first, then parse.
"""

from formats import errors, topics
from formats.errors import OnebyteError
from formats.fields import is_zero, u16, u32

MAGIC = b"OBU\x1a"
VERSION = 1
HEADER_BYTES = 144
FILE_BYTES = 68
TENANT_BYTES = 32
NAME_BYTES = 24
HASH_BYTES = 32
MAX_FILES = 48
MAX_TRIES = 100
MAX_OFFLINE_H = 720
MAX_FILE_SIZE = 1 << 24

_NAME_AT = 12
_HASH_AT = 36

# The types of files from 1 on. Each has its folder in the slot under the same name, so that no
# manifest names a path; only the firmware goes to a partition of the chip.
_PACKAGES = ("app", "formats", "pipeline", "drivers", "mqtt", "umqtt")
TYPES = _PACKAGES + ("top", "custom", "model", "firmware")
LAST_TYPE = len(TYPES)
CUSTOM = 8
MODEL = 9
FIRMWARE = 10

PLAIN = 0
DEFLATE = 1

_OFFLINE = 1  # flag: may confirm without the server
_LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789_."


class FileTable:
    """The files of a manifest, each taken out of its bytes when it is asked for.

    As tuples they would take 7 kB of a node's RAM, and leave more than that in pieces.

    Args:
        buf: The manifest. It is kept, not copied: nobody may change it.
    """

    def __init__(self, buf) -> None:
        self._buf = memoryview(buf)

    def __len__(self) -> int:
        return self._buf[5]

    def __getitem__(self, i: int) -> tuple:
        if not 0 <= i < len(self):
            raise IndexError(i)
        return _file(self._buf, HEADER_BYTES + FILE_BYTES * i)

    def __iter__(self):
        for i in range(len(self)):
            yield self[i]

    def __eq__(self, other) -> bool:
        return list(self) == list(other)

    def __hash__(self) -> int:
        return hash(bytes(self._buf))

    def find(self, digest):
        """Return the first file with this SHA-256, None without one."""
        for at in range(HEADER_BYTES, len(self._buf), FILE_BYTES):
            if self._buf[at + _HASH_AT : at + FILE_BYTES] == digest:
                return _file(self._buf, at)
        return None

    def named(self, kind: int, name: str):
        """Return the file of this type and name, None without one."""
        wanted = name.encode()
        wanted += bytes(max(0, NAME_BYTES - len(wanted)))
        for at in range(HEADER_BYTES, len(self._buf), FILE_BYTES):
            if self._buf[at] == kind and self._buf[at + _NAME_AT : at + _HASH_AT] == wanted:
                return _file(self._buf, at)
        return None


class Manifest:
    """A valid manifest.

    Attributes:
        key_id: Of the release key that signs it.
        root_epoch: Epoch of the root document that the signer knew, at least 1.
        manifest_seq: Rises with every release, at least 1.
        content_version: Of what the files are; falls when old content gets a new seq.
        security_floor: Once confirmed, no lower content_version may be installed.
        vendor, product_class: At least 1.
        hardware_mask: Bit i: runs on hardware i of the class.
        min_firmware: Lowest version of the frozen firmware that runs it.
        mpy_abi: Version of its compiled files, 0 without any.
        arch: MicroPython's number of their architecture, 0 when they hold no machine code.
        tries: How often the trial may start, wakes from sleep included.
        may_confirm_offline, offline_h: Whether and after how many hours of local health.
        heap_floor_bytes: Free heap that the trial must keep, 0 for any.
        latency_budget_us: Longest time from window to decision, 0 for any.
        tenant: Whose nodes it is for, "" for every tenant.
        golden_hash: SHA-256 over the golden vectors of the models, zeros without a model.
        files: FileTable of (type, codec, size, stored size, name, SHA-256), ascending by type and
            name.
    """

    def __init__(self, buf) -> None:
        self.key_id = bytes(buf[8:16])
        self.root_epoch = u32(buf, 16)
        self.manifest_seq = u32(buf, 20)
        self.content_version = u32(buf, 24)
        self.security_floor = u32(buf, 28)
        self.vendor = u16(buf, 32)
        self.product_class = u16(buf, 34)
        self.hardware_mask = u32(buf, 36)
        self.min_firmware = u32(buf, 40)
        self.mpy_abi = u16(buf, 44)
        self.arch = buf[46]
        self.tries = buf[47]
        self.may_confirm_offline = bool(u16(buf, 48) & _OFFLINE)
        self.offline_h = u16(buf, 50)
        self.heap_floor_bytes = u32(buf, 52)
        self.latency_budget_us = u32(buf, 56)
        self.tenant = _text(buf, 64, TENANT_BYTES)
        self.golden_hash = bytes(buf[96:128])
        self.files = FileTable(buf)

    def size_of(self, is_firmware: bool) -> int:
        """Return how many bytes its files take once they are unpacked.

        Args:
            is_firmware: Count what goes to a partition of the chip, otherwise what goes to a slot.
        """
        return sum([entry[2] for entry in self.files if (entry[0] == FIRMWARE) == is_firmware])

    def types_mask(self) -> int:
        """Return the types of its files; bit i is type i."""
        mask = 0
        for entry in self.files:
            mask |= 1 << entry[0]
        return mask


def path(kind: int, name: str) -> str:
    """Return where a file lies in the slot; "" for firmware, which does not lie there."""
    return "" if kind == FIRMWARE else "%s/%s" % (TYPES[kind - 1], name)


def type_of(folder: str) -> int:
    """Return the type whose files lie in this folder of a slot, 0 for none."""
    kind = TYPES.index(folder) + 1 if folder in TYPES else 0
    return 0 if kind == FIRMWARE else kind


def parse(buf) -> Manifest:
    """Return the `Manifest` in `buf`, the verified body of a signed document.

    Raises:
        OnebyteError: A MANIFEST_* code.
    """
    _check_header(buf)
    _check_values(buf)
    _check_tenant(buf)
    before = None
    is_compiled = has_model = False
    for at in range(HEADER_BYTES, len(buf), FILE_BYTES):
        _check_file(buf, at)
        _check_name(buf, at + _NAME_AT)
        # Zero padding sorts a name before every longer one that begins with it.
        key = (buf[at], bytes(buf[at + _NAME_AT : at + _HASH_AT]))
        if before is not None and (key <= before or key[0] == before[0] == FIRMWARE):
            raise OnebyteError(errors.MANIFEST_ORDER)
        before = key
        is_compiled |= key[1].rstrip(b"\x00").endswith(b".mpy")
        has_model |= key[0] == MODEL
    if is_compiled != bool(u16(buf, 44)):
        raise OnebyteError(errors.MANIFEST_FILE, "mpy_abi without compiled files, or they without")
    if has_model == is_zero(buf, 96, 128):
        raise OnebyteError(errors.MANIFEST_FILE, "golden_hash without a model, or it without")
    return Manifest(buf)


def _check_header(buf):
    """Raise unless the length is the one that the header says."""
    if len(buf) < HEADER_BYTES + FILE_BYTES:
        raise OnebyteError(errors.MANIFEST_SIZE, "%d bytes" % len(buf))
    if bytes(buf[:4]) != MAGIC:
        raise OnebyteError(errors.MANIFEST_MAGIC)
    if buf[4] != VERSION:
        raise OnebyteError(errors.MANIFEST_VERSION, "version %d" % buf[4])
    if buf[5] > MAX_FILES or u16(buf, 6) != len(buf):
        raise OnebyteError(errors.MANIFEST_SIZE, "%d files, %d bytes" % (buf[5], u16(buf, 6)))
    if HEADER_BYTES + FILE_BYTES * buf[5] != len(buf):
        raise OnebyteError(errors.MANIFEST_SIZE, "%d files in %d bytes" % (buf[5], len(buf)))


def _check_values(buf):
    """Raise MANIFEST_RANGE unless the fixed fields fit."""
    flags, hours = u16(buf, 48), u16(buf, 50)
    is_offline_good = 1 <= hours <= MAX_OFFLINE_H if flags & _OFFLINE else hours == 0
    good = (
        u32(buf, 16)
        and u32(buf, 20)
        and u32(buf, 28) <= u32(buf, 24)
        and u16(buf, 32)
        and u16(buf, 34)
        and u32(buf, 36)
        and (u16(buf, 44) or not buf[46])
        and 1 <= buf[47] <= MAX_TRIES
        and flags <= _OFFLINE
        and is_offline_good
        and is_zero(buf, 60, 64)
        and is_zero(buf, 128, HEADER_BYTES)
    )
    if not good:
        raise OnebyteError(errors.MANIFEST_RANGE)


def _check_tenant(buf):
    tenant = bytes(buf[64 : 64 + TENANT_BYTES]).rstrip(b"\x00")
    for byte in tenant:
        if not topics.is_name(chr(byte)):
            raise OnebyteError(errors.MANIFEST_TENANT)


def _check_file(buf, at):
    """Raise MANIFEST_FILE unless type, codec and sizes of the entry at `at` fit."""
    kind, codec, size, stored = buf[at], buf[at + 1], u32(buf, at + 4), u32(buf, at + 8)
    good = (
        1 <= kind <= LAST_TYPE
        and codec <= DEFLATE
        and is_zero(buf, at + 2, at + 4)
        and size <= MAX_FILE_SIZE
        and stored <= MAX_FILE_SIZE
        and (stored == size if codec == PLAIN else stored > 0)
        # A partition is written as the bytes come; nothing is there to unpack them from.
        and (kind != FIRMWARE or (codec == PLAIN and size > 0))
    )
    if not good:
        raise OnebyteError(errors.MANIFEST_FILE, "type %d, codec %d" % (kind, codec))


def _check_name(buf, at):
    """Raise MANIFEST_NAME unless the name is [a-z0-9_.]{1,24}, first no dot, zero padded."""
    name = bytes(buf[at : at + NAME_BYTES]).rstrip(b"\x00")
    if not name or name[0] == 0x2E:
        raise OnebyteError(errors.MANIFEST_NAME)
    for byte in name:
        if byte not in _LETTERS:
            raise OnebyteError(errors.MANIFEST_NAME)


def _file(buf, at) -> tuple:
    name = _text(buf, at + _NAME_AT, NAME_BYTES)
    digest = bytes(buf[at + _HASH_AT : at + FILE_BYTES])
    return buf[at], buf[at + 1], u32(buf, at + 4), u32(buf, at + 8), name, digest


def _text(buf, at, length):
    return bytes(buf[at : at + length]).rstrip(b"\x00").decode()
