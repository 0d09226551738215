"""What stands in a signed manifest or root document, as plain values that JSON can hold.

Signatures are listed and not verified: for that a root document that one trusts is needed.
"""

from typing import Any

from formats import manifest, objects, root_document, signed
from onebyte.errors import UserError

__all__ = ["facts", "key_facts", "unsigned_facts"]

_CODECS = ("as it is", "deflate")
_PLAIN_FIELDS = (
    *("manifest_seq", "content_version", "security_floor", "root_epoch", "vendor"),
    *("product_class", "hardware_mask", "min_firmware", "mpy_abi", "arch", "tries"),
    *("may_confirm_offline", "offline_h", "heap_floor_bytes", "latency_budget_us", "tenant"),
)


def facts(file: bytes) -> dict[str, Any]:
    """Return what stands in the file; `kind` is "manifest" or "root document".

    Raises:
        OnebyteError: The file is refused.
    """
    # A byte that names neither kind is refused by the envelope's own check.
    kind = signed.ROOT if file[5:6] == bytes([signed.ROOT]) else signed.MANIFEST
    document = signed.parse(file, kind)
    body = bytes(document.body)
    found = _manifest(body) if kind == signed.MANIFEST else _root(body)
    signatures = [
        {"key_id": name.hex(), "signature": signature.hex()}
        for name, signature in document.signatures
    ]
    title = "manifest" if kind == signed.MANIFEST else "root document"
    return {"kind": title, "bytes": len(file), **found, "signatures": signatures}


def unsigned_facts(file: bytes) -> dict[str, Any]:
    """Return what stands in a manifest that nobody has signed yet.

    Raises:
        OnebyteError: The file is refused.
    """
    return {"kind": "unsigned manifest", "bytes": len(file), **_manifest(file)}


def key_facts(file: bytes) -> dict[str, Any]:
    """Return what can be said of a key file without its passphrase.

    Raises:
        UserError: It is no key.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in file:
        return {"kind": "private key", "bytes": len(file), "encrypted": True}
    if b" PRIVATE KEY-----" in file:
        return {"kind": "private key", "bytes": len(file), "encrypted": False}
    try:
        key = serialization.load_pem_public_key(file)
    except ValueError:
        raise UserError("a PEM file, but no key of ours: openssl shows such a file") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UserError("a public key, but not of Ed25519")
    public = key.public_bytes_raw()
    return {
        "kind": "public key",
        "bytes": len(file),
        "key_id": signed.key_id(public).hex(),
        "public_key": public.hex(),
    }


def _manifest(body: bytes) -> dict[str, Any]:
    parsed = manifest.parse(body)
    files = [
        {
            # Its folder in the slot names its type; firmware has none, it goes to a partition.
            "path": manifest.path(entry[0], entry[4]) or f"firmware {entry[4]}",
            "bytes": entry[2],
            "stored_bytes": entry[3],
            "codec": _CODECS[entry[1]],
            "sha256": entry[5].hex(),
            "object": objects.file_id(entry),
        }
        for entry in parsed.files
    ]
    return {
        "key_id": parsed.key_id.hex(),
        **{name: getattr(parsed, name) for name in _PLAIN_FIELDS},
        "golden_hash": parsed.golden_hash.hex(),
        "files": files,
    }


def _root(body: bytes) -> dict[str, Any]:
    parsed = root_document.parse(body)
    release_keys = [
        {
            "key_id": signed.key_id(key).hex(),
            "product_class": product_class or "any",
            "types": " ".join(name for i, name in enumerate(manifest.TYPES, 1) if types >> i & 1),
            "public_key": key.hex(),
        }
        for key, product_class, types in parsed.release_keys
    ]
    root_keys = [
        {"key_id": signed.key_id(key).hex(), "public_key": key.hex()} for key in parsed.root_keys
    ]
    return {
        "epoch": parsed.epoch,
        "vendor": parsed.vendor,
        "threshold": parsed.threshold,
        "root_keys": root_keys,
        "release_keys": release_keys,
        "revoked": [{"key_id": name.hex()} for name in parsed.revoked],
    }
