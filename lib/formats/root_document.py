"""The root document: which keys may sign what. docs/SPEC.md: Root document.

These are the bytes inside a signed document (`formats.signed`): verify first, then parse.
"""

from formats import errors, manifest, signed
from formats.errors import OnebyteError
from formats.fields import is_zero, u16, u32

MAGIC = b"OBK\x1a"
VERSION = 1
HEADER_BYTES = 20
RELEASE_BYTES = 40
MAX_ROOT_KEYS = 8
MAX_RELEASE_KEYS = 8
MAX_REVOKED = 64
ANY_CLASS = 0

_TYPES = (1 << manifest.LAST_TYPE + 1) - 2  # bits 1 to LAST_TYPE


class RootDocument:
    """A valid root document.

    Attributes:
        epoch: Rises by one with every root document, at least 1.
        vendor: At least 1.
        threshold: How many of the root keys have to sign.
        root_keys: List of public keys, ascending.
        release_keys: List of (public key, product class or ANY_CLASS, mask of the file types that
            it may release), ascending.
        revoked: List of the ids of keys that must never be trusted again, ascending.
        retired: Release keys of earlier epochs, as in `release_keys`, that are listed no more, or
            for something else, but not revoked: what they signed then goes on running, and
            nothing new is taken for it. Not in the bytes; `ota.trust` fills it.
    """

    def __init__(self, buf) -> None:
        self.epoch = u32(buf, 12)
        self.vendor = u16(buf, 16)
        self.threshold = buf[5]
        at = HEADER_BYTES
        self.root_keys = _slices(buf, at, buf[6], signed.KEY_BYTES)
        at += signed.KEY_BYTES * buf[6]
        self.release_keys = [
            (entry[: signed.KEY_BYTES], u16(entry, 32), u16(entry, 34))
            for entry in _slices(buf, at, buf[7], RELEASE_BYTES)
        ]
        at += RELEASE_BYTES * buf[7]
        self.revoked = _slices(buf, at, buf[8], signed.KEY_ID_BYTES)
        self.retired: list = []


def parse(buf) -> RootDocument:
    """Return the `RootDocument` in `buf`, the verified body of a signed document.

    Raises:
        OnebyteError: A ROOT_* code.
    """
    _check_header(buf)
    at = HEADER_BYTES + signed.KEY_BYTES * buf[6]
    for entry in range(at, at + RELEASE_BYTES * buf[7], RELEASE_BYTES):
        types = u16(buf, entry + 34)
        if not types or types & ~_TYPES or not is_zero(buf, entry + 36, entry + RELEASE_BYTES):
            raise OnebyteError(errors.ROOT_RANGE, "release key")
    found = RootDocument(buf)
    release_keys = [entry[0] for entry in found.release_keys]
    for keys in (found.root_keys, release_keys, found.revoked):
        if not _ascends(keys):
            raise OnebyteError(errors.ROOT_KEYS, "keys do not ascend")
    names = [signed.key_id(key) for key in found.root_keys + release_keys]
    if len(set(names)) != len(names):
        raise OnebyteError(errors.ROOT_KEYS, "a key stands there twice")
    if any([name in found.revoked for name in names]):
        raise OnebyteError(errors.ROOT_REVOKED)
    return found


def _check_header(buf):
    """Raise unless the fixed fields fit and the length is the one that they make."""
    if len(buf) < HEADER_BYTES:
        raise OnebyteError(errors.ROOT_SIZE, "%d bytes" % len(buf))
    if bytes(buf[:4]) != MAGIC:
        raise OnebyteError(errors.ROOT_MAGIC)
    if buf[4] != VERSION:
        raise OnebyteError(errors.ROOT_VERSION, "version %d" % buf[4])
    total = HEADER_BYTES + signed.KEY_BYTES * buf[6] + RELEASE_BYTES * buf[7]
    total += signed.KEY_ID_BYTES * buf[8]
    if len(buf) != total or u16(buf, 10) != total:
        raise OnebyteError(errors.ROOT_SIZE, "%d bytes, not %d" % (len(buf), total))
    good = (
        1 <= buf[5] <= buf[6] <= MAX_ROOT_KEYS
        and buf[7] <= MAX_RELEASE_KEYS
        and buf[8] <= MAX_REVOKED
        and buf[9] == 0
        and u32(buf, 12)
        and u16(buf, 16)
        and is_zero(buf, 18, HEADER_BYTES)
    )
    if not good:
        raise OnebyteError(errors.ROOT_RANGE)


def _slices(buf, at, count, width):
    return [bytes(buf[at + width * i : at + width * (i + 1)]) for i in range(count)]


def _ascends(keys):
    return all([keys[i] < keys[i + 1] for i in range(len(keys) - 1)])
