"""Signed releases and root documents for tests, with a stand-in for Ed25519.

The stand-in accepts exactly one signature for each key and message. What a real signature is worth
is tested where Ed25519 is.
"""

import hashlib

from formats import (
    manifest,
    manifest_pack,
    root_document,
    root_pack,
    signed,
    signed_pack,
    slot_state,
)
from ota.trust import Device

VENDOR = 7
CLASS = 3


def key(name):
    """Return the public key of somebody."""
    return hashlib.sha256(name.encode()).digest()


def sign(public_key, message):
    """Return the only signature that `verify` accepts; there are no private keys here."""
    digest = hashlib.sha256(public_key + message).digest()
    return digest + hashlib.sha256(digest).digest()


def verify(public_key, signature, message):
    """Stand in for Ed25519."""
    return sign(public_key, b"".join([bytes(part) for part in message])) == signature


def seal(kind, body, *names):
    """Return the file of a document that these people have signed."""
    text = signed.message(kind, body)
    return signed_pack.pack(kind, [(key(name), sign(key(name), text)) for name in names], body)


def root_fields(**changes):
    """Return the fields of a root document: 2 of 3 root keys, one for all, one for models only."""
    fields = {
        "epoch": 1,
        "vendor": VENDOR,
        "threshold": 2,
        "root_keys": [key("r1"), key("r2"), key("r3")],
        "release_keys": [
            (key("release"), root_document.ANY_CLASS, 0x7FE),
            (key("models"), CLASS, 1 << manifest.MODEL),
        ],
        "revoked": [signed.key_id(key("stolen"))],
    }
    fields.update(changes)
    return fields


def root(**changes):
    """Return a `RootDocument`."""
    return root_document.parse(root_pack.pack(root_fields(**changes)))


def file_entry(kind, name, content=b"content"):
    """Return an entry of the file table for a file that is stored as it is."""
    digest = hashlib.sha256(content).digest()
    return kind, manifest.PLAIN, len(content), len(content), name, digest


def fields(**changes):
    """Return the fields of a manifest with code, compiled code and a model."""
    found = {
        "key_id": signed.key_id(key("release")),
        "root_epoch": 1,
        "manifest_seq": 12,
        "content_version": 10,
        "security_floor": 9,
        "vendor": VENDOR,
        "product_class": CLASS,
        "hardware_mask": 0b110,
        "min_firmware": 4,
        "mpy_abi": 6,
        "arch": 3,
        "tries": 5,
        "may_confirm_offline": True,
        "offline_h": 24,
        "heap_floor_bytes": 20000,
        "latency_budget_us": 80000,
        "tenant": "farm-7",
        "golden_hash": hashlib.sha256(b"golden").digest(),
        "files": [
            file_entry(manifest.MODEL, "exercise.obm", bytes(2000)),
            file_entry(1, "node.py"),
            (7, manifest.DEFLATE, 9000, 4000, "obkernels.mpy", hashlib.sha256(b"x").digest()),
        ],
    }
    found.update(changes)
    return found


def model_fields(**changes):
    """Return the fields of a manifest that has a model only."""
    found = fields(mpy_abi=0, arch=0, files=[file_entry(manifest.MODEL, "exercise.obm")])
    found.update(changes)
    return found


def release(**changes):
    """Return the file of a release that `device` and `state` accept under `root`."""
    return seal(signed.MANIFEST, manifest_pack.pack(fields(**changes)), "release")


def device(**changes):
    """Return the node that the releases are for."""
    found = Device()
    values = {"vendor": VENDOR, "product_class": CLASS, "hardware": 2, "tenant": "farm-7"}
    values.update({"mpy_abi": 6, "arch": 3, "firmware": 4, "slot_bytes": 262144})
    values.update(changes)
    for name, value in values.items():
        setattr(found, name, value)
    return found


def state(**changes):
    """Return the state of a node that runs slot a."""
    found = slot_state.State()
    values = {"active": slot_state.SLOT_A, "record_seq": 3, "installed_seq": 11}
    values.update({"security_floor": 8, "last_bad_seq": 0})
    values.update(changes)
    for name, value in values.items():
        setattr(found, name, value)
    return found


def flips(content):
    """Yield the content with each of its bits changed."""
    for bit in range(8 * len(content)):
        bad = bytearray(content)
        bad[bit >> 3] ^= 1 << (bit & 7)
        yield bytes(bad)


def reason(function, *args):
    """Return the code that a call is refused with, 0 when it is not; all else fails the test."""
    from formats import errors

    try:
        function(*args)
    except errors.OnebyteError as error:
        assert errors.name(error.code) != "UNKNOWN"
        return error.code
    return 0
