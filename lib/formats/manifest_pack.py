"""Builds a manifest from plain values; the same values always give the same bytes.

Only the host needs it, so a device does not load it.
"""

import struct

from formats import errors, manifest
from formats.errors import OnebyteError

# The header from offset 8 on: name, width in bytes. The order is that of the bytes.
_INTEGERS = (
    ("root_epoch", 4),
    ("manifest_seq", 4),
    ("content_version", 4),
    ("security_floor", 4),
    ("vendor", 2),
    ("product_class", 2),
    ("hardware_mask", 4),
    ("min_firmware", 4),
    ("mpy_abi", 2),
    ("arch", 1),
    ("tries", 1),
    ("flags", 2),
    ("offline_h", 2),
    ("heap_floor_bytes", 4),
    ("latency_budget_us", 4),
)
OPTIONAL = {
    "security_floor": 0,
    "min_firmware": 0,
    "mpy_abi": 0,
    "arch": 0,
    "tries": 3,
    "may_confirm_offline": False,
    "offline_h": 0,
    "heap_floor_bytes": 0,
    "latency_budget_us": 0,
    "tenant": "",
    "golden_hash": bytes(manifest.HASH_BYTES),
}
NEEDED = (
    "key_id",
    "root_epoch",
    "manifest_seq",
    "content_version",
    "vendor",
    "product_class",
    "hardware_mask",
    "files",
)


def pack(fields: dict) -> bytes:
    """Return a manifest that `manifest.parse` accepts.

    Args:
        fields: All of `NEEDED` and any of `OPTIONAL`, named and shaped like the attributes of
            `manifest.Manifest`; the files may come in any order.

    Raises:
        OnebyteError: The values do not make a valid manifest; the code says where.
        ValueError: A key is missing or unknown.
    """
    missing = [key for key in NEEDED if key not in fields]
    unknown = [key for key in fields if key not in NEEDED and key not in OPTIONAL]
    if missing or unknown:
        raise ValueError("missing %s, unknown %s" % (missing, unknown))
    values: dict = dict(OPTIONAL)
    values.update(fields)
    values["flags"] = 1 if values["may_confirm_offline"] else 0
    files = sorted(values["files"], key=lambda entry: (entry[0], entry[4]))
    if len(files) > manifest.MAX_FILES:
        raise OnebyteError(errors.MANIFEST_SIZE, "%d files" % len(files))
    total = manifest.HEADER_BYTES + manifest.FILE_BYTES * len(files)
    content = struct.pack("<4sBBH", manifest.MAGIC, manifest.VERSION, len(files), total)
    content += _exact(values["key_id"], 8)
    for name, width in _INTEGERS:
        content += _integer(values[name], width, errors.MANIFEST_RANGE)
    content += bytes(4) + _padded(values["tenant"], manifest.TENANT_BYTES, errors.MANIFEST_TENANT)
    content += _exact(values["golden_hash"], manifest.HASH_BYTES) + bytes(16)
    for entry in files:
        content += _file(*entry)
    manifest.parse(content)
    return content


def _file(*entry) -> bytes:
    kind, codec, size, stored_size, name, digest = entry
    content = _integer(kind, 1, errors.MANIFEST_FILE) + _integer(codec, 1, errors.MANIFEST_FILE)
    content += bytes(2) + _integer(size, 4, errors.MANIFEST_FILE)
    content += _integer(stored_size, 4, errors.MANIFEST_FILE)
    content += _padded(name, manifest.NAME_BYTES, errors.MANIFEST_NAME)
    return content + _exact(digest, manifest.HASH_BYTES)


def _integer(value: int, width: int, code: int) -> bytes:
    # MicroPython's to_bytes would cut it.
    if not 0 <= value < 1 << 8 * width:
        raise OnebyteError(code, "%d does not fit %d bytes" % (value, width))
    return value.to_bytes(width, "little")


def _padded(text: str, width: int, code: int) -> bytes:
    encoded = text.encode()
    if len(encoded) > width or b"\x00" in encoded:
        raise OnebyteError(code, text)
    return encoded + bytes(width - len(encoded))


def _exact(content, length: int) -> bytes:
    if len(content) != length:
        raise OnebyteError(errors.MANIFEST_RANGE, "%d bytes, not %d" % (len(content), length))
    return bytes(content)
