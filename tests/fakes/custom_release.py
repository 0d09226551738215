"""A release of files that the test chooses: their bytes, and the form in which they are sent."""

import hashlib

import deflate_cases
import ota_releases

from formats import manifest, manifest_pack, objects, signed

LARGE_BYTES = 65536
N_LARGE_FILES = manifest.MAX_FILES
_N_PACKED = 2


class CustomRelease:
    """Signed, with the seq 2.

    Args:
        files: List of (type, name, content, its packed form or None).
        signer: As for `ota_releases`.

    Attributes:
        seq, content, contents, objects, id: As of `ota_releases.Release`.
    """

    def __init__(self, files, signer=ota_releases.StandIn):
        self.seq = 2
        self.contents, self.objects, entries = {}, {}, []
        for kind, name, content, packed in files:
            stored = content if packed is None else packed
            codec = manifest.PLAIN if packed is None else manifest.DEFLATE
            digest = hashlib.sha256(content).digest()
            entry = kind, codec, len(content), len(stored), name, digest
            entries.append(entry)
            self.contents[manifest.path(kind, name)] = content
            self.objects[objects.file_id(entry)] = stored
        fields = {"key_id": signed.key_id(signer.key("release")), "root_epoch": 1}
        fields.update({"manifest_seq": 2, "content_version": 2, "security_floor": 1})
        fields.update({"vendor": 7, "product_class": 3, "hardware_mask": 4, "tries": 2})
        fields["files"] = entries
        body = manifest_pack.pack(fields)
        self.content = ota_releases.seal(signer, signed.MANIFEST, body, "release")
        self.id = objects.hash_id(hashlib.sha256(self.content).digest())
        self.objects[self.id] = self.content


def large_files():
    """Return 65536 bytes in as many files as a manifest holds; two of them are packed."""
    found = []
    left = LARGE_BYTES
    for i in range(_N_PACKED):
        found.append((2, "packed_module_%02d.py" % i, deflate_cases.CONTENT, deflate_cases.PACKED))
        left -= len(deflate_cases.CONTENT)
    n_files = N_LARGE_FILES - _N_PACKED
    for i in range(n_files):
        n_bytes = left // (n_files - i)
        content = (b"%03d" % i * (n_bytes // 3 + 1))[:n_bytes]
        found.append((1, "a_rather_long_nam_%02d.py" % i, content, None))
        left -= n_bytes
    return found
