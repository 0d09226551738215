"""Builds a root document from plain values. Only the host needs it: a device does not load it."""

import struct

from formats import errors, root_document, signed
from formats.errors import OnebyteError

NEEDED = ("epoch", "vendor", "threshold", "root_keys", "release_keys", "revoked")


def pack(fields: dict) -> bytes:
    """Return a root document that `root_document.parse` accepts.

    Args:
        fields: All of `NEEDED`, named and shaped like the attributes of
            `root_document.RootDocument`; keys may come in any order.

    Raises:
        OnebyteError: The values do not make a valid root document; the code says where.
        ValueError: A key of the dict is missing or unknown.
    """
    if sorted(fields) != sorted(NEEDED):
        raise ValueError("needed are %s" % (NEEDED,))
    body = b""
    for key in sorted(fields["root_keys"]):
        body += _exact(key, signed.KEY_BYTES)
    for key, product_class, types in sorted(fields["release_keys"]):
        _check_fits(16, product_class, types)
        body += _exact(key, signed.KEY_BYTES) + struct.pack("<HHI", product_class, types, 0)
    for name in sorted(fields["revoked"]):
        body += _exact(name, signed.KEY_ID_BYTES)
    counts = [len(fields[key]) for key in ("root_keys", "release_keys", "revoked")]
    _check_fits(8, fields["threshold"], *counts)
    _check_fits(32, fields["epoch"])
    _check_fits(16, fields["vendor"])
    content = root_document.MAGIC + bytes([root_document.VERSION, fields["threshold"]])
    content += bytes(counts + [0])
    total = root_document.HEADER_BYTES + len(body)
    content += struct.pack("<HIHH", total, fields["epoch"], fields["vendor"], 0) + body
    root_document.parse(content)
    return content


def _check_fits(bits: int, *values: int) -> None:
    for value in values:
        if not 0 <= value < 1 << bits:
            raise OnebyteError(errors.ROOT_RANGE, "%d does not fit %d bits" % (value, bits))


def _exact(content, length: int) -> bytes:
    if len(content) != length:
        raise OnebyteError(errors.ROOT_KEYS, "%d bytes, not %d" % (len(content), length))
    return bytes(content)
