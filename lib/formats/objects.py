"""What an update is fetched as: objects named by their content, over MQTT in numbered chunks.

docs/SPEC.md: Objects. An object never changes under its id, so it may lie retained on any broker
or as a file on any web server; what it is worth is decided by signature and hash alone.
"""

from binascii import hexlify

from formats import errors, json_fields, manifest, signed, topics
from formats.fields import u16

CHUNK_BYTES = 1024
MAX_BYTES = manifest.MAX_FILE_SIZE
HASH_DIGITS = 64

_MAX_DIGITS = 10  # of a number in an id
_ROOT_LENGTH_AT = 10  # in the bodies
_MANIFEST_LENGTH_AT = 6


def hash_id(digest) -> str:
    """Return the id of content that is stored as it is, and of a signed manifest: its SHA-256."""
    return hexlify(digest).decode()


def file_id(entry) -> str:
    """Return the id of a file of a manifest; deflated, the stored size belongs to it.

    Two packers may deflate the same content differently.

    Args:
        entry: Of `Manifest.files`.
    """
    _, codec, _, stored, _, digest = entry
    name = hash_id(digest)
    return name if codec == manifest.PLAIN else "%s.z%d" % (name, stored)


def root_id(epoch: int) -> str:
    """Return the id of the signed root document of an epoch."""
    return "root%d" % epoch


def is_id(name: str) -> bool:
    """Return whether an object may be called that."""
    if name.startswith("root"):
        return _is_number(name[4:])
    digest, rest = name[:HASH_DIGITS], name[HASH_DIGITS:]
    if len(digest) != HASH_DIGITS or not json_fields.is_hex(digest):
        return False
    return not rest or (rest.startswith(".z") and _is_number(rest[2:]))


def pack_topic(tenant: str, object_id: str, chunk: int) -> str:
    """Return the topic ob/<tenant>/~/<id>/<chunk> of a chunk.

    Raises:
        OnebyteError: TOPIC: a tenant, id or number that there cannot be.
    """
    if not topics.is_name(tenant) or not is_id(object_id):
        raise errors.OnebyteError(errors.TOPIC, "%s %s" % (tenant, object_id))
    if not 0 <= chunk < MAX_BYTES // CHUNK_BYTES:
        raise errors.OnebyteError(errors.TOPIC, "chunk %d" % chunk)
    return "ob/%s/~/%s/%d" % (tenant, object_id, chunk)


def parse_topic(topic: str) -> tuple:
    """Return (tenant, id, chunk) of the topic of a chunk.

    Raises:
        OnebyteError: TOPIC: it is none.
    """
    parts = topic.split("/")
    is_good = len(parts) == 5 and parts[0] == "ob" and parts[2] == "~"
    if not is_good or not (parts[4] == "0" or _is_number(parts[4])):
        raise errors.OnebyteError(errors.TOPIC)
    found = parts[1], parts[3], int(parts[4])
    pack_topic(*found)
    return found


def signed_bytes(head) -> int:
    """Return how long a signed document says it is, 0 when `head` is too short to tell.

    For the transport of a root document, whose length no message names: nobody has vouched for
    this number.

    Args:
        head: The first bytes of the document.
    """
    if len(head) < signed.HEADER_BYTES:
        return 0
    body_at = signed.HEADER_BYTES + signed.ENTRY_BYTES * u16(head, 6)
    at = body_at + (_ROOT_LENGTH_AT if head[5] == signed.ROOT else _MANIFEST_LENGTH_AT)
    return body_at + u16(head, at) if len(head) >= at + 2 else 0


def _is_number(text: str) -> bool:
    """Return whether this is a positive number as "%d" writes it."""
    if not 1 <= len(text) <= _MAX_DIGITS or text[0] == "0":
        return False
    for character in text:  # noqa: SIM110 - all() would allocate a generator
        if character not in "0123456789":
            return False
    return True
