"""The envelope of a signed document: detached Ed25519 signatures, then the bytes they cover.

Reading it looks at nothing of the body. docs/SPEC.md: Signed documents.
"""

import hashlib

from formats import errors
from formats.errors import OnebyteError
from formats.fields import u16

MAGIC = b"OBG\x1a"
VERSION = 1
MANIFEST = 1
ROOT = 2
HEADER_BYTES = 8
KEY_BYTES = 32
KEY_ID_BYTES = 8
SIGNATURE_BYTES = 64
ENTRY_BYTES = KEY_ID_BYTES + SIGNATURE_BYTES
MAX_BYTES = 4096
MAX_SIGNATURES = 16

# What stands before the body when it is signed, so that no signature is good for another purpose.
_PREFIXES = {MANIFEST: b"onebyte manifest 1\x00", ROOT: b"onebyte root 1\x00"}


def key_id(public_key) -> bytes:
    """Return what names a public key: the first 8 bytes of its SHA-256."""
    return hashlib.sha256(public_key).digest()[:KEY_ID_BYTES]


def message(kind: int, body) -> bytes:
    """Return the exact bytes that a signature of this kind of document covers."""
    return _PREFIXES[kind] + bytes(body)


class Signed:
    """A signed document whose signatures nobody has verified yet.

    Attributes:
        kind: MANIFEST or ROOT.
        signatures: List of (key id, signature), ascending by key id.
        body: View of the bytes in the file that the signatures cover, not looked at.
    """

    def __init__(self, kind: int, signatures: list, body: memoryview) -> None:
        self.kind = kind
        self.signatures = signatures
        self.body = body

    def message(self) -> tuple:
        """Return the parts of `message`; as one they would take 4 kB more of a node's RAM."""
        return _PREFIXES[self.kind], self.body


def parse(content, kind: int) -> Signed:
    """Return the `Signed` in the file `content`; its body is still to be verified, then parsed.

    Args:
        content: The whole file.
        kind: What it has to be, MANIFEST or ROOT.

    Raises:
        OnebyteError: A SIGNED_* code.
    """
    if not HEADER_BYTES + ENTRY_BYTES <= len(content) <= MAX_BYTES:
        raise OnebyteError(errors.SIGNED_SIZE, "%d bytes" % len(content))
    if bytes(content[:4]) != MAGIC:
        raise OnebyteError(errors.SIGNED_MAGIC)
    if content[4] != VERSION:
        raise OnebyteError(errors.SIGNED_VERSION, "version %d" % content[4])
    if content[5] != kind:
        raise OnebyteError(errors.SIGNED_KIND, "kind %d" % content[5])
    n_signatures = u16(content, 6)
    if not 1 <= n_signatures <= MAX_SIGNATURES:
        raise OnebyteError(errors.SIGNED_LIST, "%d signatures" % n_signatures)
    body_at = HEADER_BYTES + ENTRY_BYTES * n_signatures
    if len(content) <= body_at:
        raise OnebyteError(errors.SIGNED_SIZE, "no body")
    signatures: list = []
    for at in range(HEADER_BYTES, body_at, ENTRY_BYTES):
        name = bytes(content[at : at + KEY_ID_BYTES])
        if signatures and name <= signatures[-1][0]:
            raise OnebyteError(errors.SIGNED_LIST, "key ids do not ascend")
        signatures.append((name, bytes(content[at + KEY_ID_BYTES : at + ENTRY_BYTES])))
    return Signed(kind, signatures, memoryview(content)[body_at:])
