"""What the attacks are made of: keys, root documents and releases of the real host library."""

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519

from formats import manifest, signed
from onebyte.updates import keys, packing, roots, rotation, signing
from onebyte.updates.release import Release
from onebyte.updates.sources import SourceFile

VENDOR = 7
CLASS = 3
TENANT = "farm-7"
HARDWARE = 2
ALL_TYPES = (1 << manifest.LAST_TYPE + 1) - 2
MODELS_ONLY = 1 << manifest.MODEL | 1 << 8
INSTALLED = 5
NEW = 6
ROOTS = ("root0", "root1", "root2")


class Keys:
    """Keys by name; the same in every run, so that every run is the same."""

    def __init__(self) -> None:
        self._keys: dict[str, keys.PrivateKey] = {}

    def __getitem__(self, name: str) -> keys.PrivateKey:
        if name not in self._keys:
            seed = hashlib.sha256(b"attack " + name.encode()).digest()
            secret = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
            public = secret.public_key().public_bytes_raw()
            self._keys[name] = keys.PrivateKey(public, secret)
        return self._keys[name]


def _text(version: int, name: str, n_bytes: int) -> bytes:
    line = f"VERSION = {version}  # {name}".ljust(63) + "\n"
    return (line * (n_bytes // 64 + 1)).encode()[:n_bytes]


def files(version: int, model: bytes) -> list[SourceFile]:
    """Return the files of a release: code, code that compresses well, a model."""
    app = manifest.TYPES.index("app") + 1
    contents = [
        (app, "node.py", _text(version, "node", 200)),
        (app, "sensing.py", _text(version, "sensing", 1600)),
        (app, "table.bin", hashlib.shake_128(b"%d" % version).digest(180)),
        (manifest.MODEL, "model.obm", model),
    ]
    return [SourceFile(kind, name, content, name) for kind, name, content in contents]


def pack(folder: Path, seq: int, key: keys.PrivateKey, model: bytes, **values: object) -> None:
    """Pack and sign a release into `folder`, as the commands do."""
    described = {
        "vendor": VENDOR,
        "product_class": CLASS,
        "seq": seq,
        "content_version": seq,
        "security_floor": 3,
        "tries": 3,
    }
    packing.pack(folder, files(seq, model), {**described, **values})
    made = Release(folder)
    made.signed_path.write_bytes(signing.sign_manifest(made.body(), key))


def write(folder: Path, model: bytes, other_model: bytes) -> Keys:
    """Write root.1, root.2 and the releases 4, 5 and 6; return the keys.

    root.2 revokes the key `stolen` and replaces one root key.
    """
    found = Keys()
    scopes = [
        (found["release"].public, 0, ALL_TYPES),
        (found["models"].public, CLASS, MODELS_ONLY),
        (found["other_class"].public, CLASS + 1, ALL_TYPES),
        (found["stolen"].public, 0, ALL_TYPES),
    ]
    public = [found[name].public for name in ROOTS]
    chain_folder = folder / "chain"
    _extend(chain_folder, rotation.first_fields(VENDOR, 2, public, scopes), found, ROOTS[:2])
    before = roots.read_chain(chain_folder).newest
    changes = rotation.Changes(
        add_root=(found["root3"].public,),
        remove=(found["root2"].key_id,),
        revoke=(found["stolen"].key_id,),
    )
    _extend(chain_folder, rotation.apply(before, changes), found, ("root0", "root1"))
    pack(folder / "4", 4, found["release"], model)
    pack(folder / "5", INSTALLED, found["release"], model)
    pack(folder / "6", NEW, found["release"], other_model)
    return found


def _extend(folder: Path, fields: dict, found: Keys, names: tuple[str, ...]) -> None:
    chain = roots.read_chain(folder, may_be_empty=True)
    draft = roots.new_draft(chain, fields)
    for name in names:
        draft = draft.sign(found[name])
    roots.write(chain, draft)


def key_id(key: keys.PrivateKey) -> bytes:
    """Return what names a key."""
    return signed.key_id(key.public)
