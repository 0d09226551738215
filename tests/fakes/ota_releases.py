"""Releases for the power cuts: every 64 bytes of every file say which release they are of.

Runs on MicroPython and on CPython. Who signs is an argument: the stand-in of `sample_release`
where thousands of boots are wanted, real Ed25519 where the real firmware verifies.
"""

import hashlib
import struct

import sample_release

from formats import manifest, manifest_pack, objects, root_document, root_pack, signed, signed_pack

VENDOR = sample_release.VENDOR
CLASS = sample_release.CLASS
TENANT = "farm-7"
TRIES = 2

# (type, name, content or its length, codec, version that its text names; None: the release's)
FILES = (
    (1, "node.py", 3000, manifest.PLAIN, None),
    (1, "sensing.py", 5200, manifest.DEFLATE, None),
    (2, "crc.py", 700, manifest.PLAIN, 0),
    (7, "top_module.py", 64, manifest.PLAIN, None),
    (9, "exercise.obm", 2100, manifest.PLAIN, None),
    (9, "gesture.obm", 0, manifest.PLAIN, None),
)
# The code of release 1 with other models.
MODEL_FILES = tuple(
    [entry if entry[0] == manifest.MODEL or entry[4] == 0 else entry[:4] + (1,) for entry in FILES]
)


class StandIn:
    """Signs as `sample_release` does."""

    key = staticmethod(sample_release.key)
    verify = staticmethod(sample_release.verify)

    @staticmethod
    def sign(name, message):
        """Return what somebody signs a message with."""
        return sample_release.sign(sample_release.key(name), message)


class Stranger(StandIn):
    """Signs with keys that nobody trusts."""

    @staticmethod
    def key(name):
        """Return the public key of somebody."""
        return sample_release.key("a stranger called " + name)

    @staticmethod
    def sign(name, message):
        """Return what somebody signs a message with."""
        return sample_release.sign(Stranger.key(name), message)


class Forger(StandIn):
    """Has the public keys but not the private ones."""

    @staticmethod
    def sign(name, message):
        """Return a signature that is none."""
        return bytes(64)


def seal(signer, kind, body, *names):
    """Return the file of a document that these people have signed."""
    text = signed.message(kind, body)
    entries = [(signer.key(name), signer.sign(name, text)) for name in names]
    return signed_pack.pack(kind, entries, body)


def root_file(signer, epoch):
    """Return the signed root document of an epoch; one root key is replaced in each."""
    names = ["root%d" % (epoch + i) for i in range(3)]
    fields = {
        "epoch": epoch,
        "vendor": VENDOR,
        "threshold": 2,
        "root_keys": sorted([signer.key(name) for name in names]),
        "release_keys": [(signer.key("release"), root_document.ANY_CLASS, 0x7FE)],
        "revoked": [],
    }
    # Two keys that the epoch before has too.
    return seal(signer, signed.ROOT, root_pack.pack(fields), *names[:2])


def text_of(version, name, n_bytes):
    """Return a file of a version: valid Python, whose every piece names the version."""
    line = "VERSION = %d  # %s" % (version, name)
    line += " " * (63 - len(line)) + "\n"
    return (line * (n_bytes // 64 + 1)).encode()[: n_bytes // 64 * 64]


def deflated(content):
    """Return raw deflate that stores; what can compress is not on every device."""
    n = len(content)
    return struct.pack("<BHH", 1, n, n ^ 0xFFFF) + content


class Release:
    """What somebody has signed; the oracle judges flash by it.

    Attributes:
        seq, version, floor, tries: As in the manifest.
        content: The signed manifest.
        id: What it is fetched as.
        contents: Path in a slot -> bytes of the file.
        digests: Path in a slot -> SHA-256 of the file.
        objects: Name of an object -> bytes, as a source answers with them.
    """

    def __init__(self, signer, seq, version=None, body=None, **changes):
        self.seq = seq
        self.version = seq if version is None else version
        self.contents = {}
        self.objects = {}
        entries = []
        for kind, name, n_bytes, codec, fixed in changes.pop("table", FILES):
            if isinstance(n_bytes, bytes):
                content = n_bytes
            else:
                content = text_of(self.version if fixed is None else fixed, name, n_bytes)
            entries.append(self._entry(kind, name, codec, content))
        fields = {
            "key_id": signed.key_id(signer.key("release")),
            "root_epoch": 1,
            "manifest_seq": seq,
            "content_version": self.version,
            "security_floor": self.version,
            "vendor": VENDOR,
            "product_class": CLASS,
            "hardware_mask": 1 << 2,
            "tries": TRIES,
            "golden_hash": hashlib.sha256(b"golden").digest(),
            "files": entries,
        }
        fields.update(changes)
        self.floor = fields["security_floor"]
        self.tries = fields["tries"]
        if body is None:
            body = manifest_pack.pack(fields)
        self.content = seal(signer, signed.MANIFEST, body, "release")
        self.digests = {}
        for path, content in self.contents.items():
            self.digests[path] = hashlib.sha256(content).digest()
        self.id = objects.hash_id(hashlib.sha256(self.content).digest())
        self.objects[self.id] = self.content

    def _entry(self, kind, name, codec, content):
        self.contents[manifest.path(kind, name)] = content
        stored = deflated(content) if codec == manifest.DEFLATE else content
        digest = hashlib.sha256(content).digest()
        entry = kind, codec, len(content), len(stored), name, digest
        self.objects[objects.file_id(entry)] = stored
        return entry
