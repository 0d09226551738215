"""Puts signatures and body together. Only the host needs it, so a device does not load it."""

import struct

from formats import errors, signed
from formats.errors import OnebyteError


def pack(kind: int, signatures: list, body) -> bytes:
    """Return the file of a signed document.

    Args:
        kind: `signed.MANIFEST` or `signed.ROOT`.
        signatures: (public key, signature) in any order; made over `signed.message(kind, body)`.
        body: The packed manifest or root document.

    Raises:
        OnebyteError: A SIGNED_* code: `signed.parse` would refuse the file.
    """
    content = struct.pack("<4sBBH", signed.MAGIC, signed.VERSION, kind, len(signatures))
    for name, signature in sorted([(signed.key_id(key), sig) for key, sig in signatures]):
        if len(signature) != signed.SIGNATURE_BYTES:
            raise OnebyteError(errors.SIGNED_SIZE, "a signature of %d bytes" % len(signature))
        content += name + signature
    content += bytes(body)
    signed.parse(content, kind)
    return content
