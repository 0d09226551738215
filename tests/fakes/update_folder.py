"""Keys, root documents and releases in a folder, made with the library and cheap passphrases."""

from pathlib import Path
from typing import Any

import pytest
import sample_model

from formats import manifest
from onebyte.passphrases import VARIABLE
from onebyte.updates import keys, packing, roots, rotation, signing, verifying
from onebyte.updates.release import Release
from onebyte.updates.sources import SourceFile

VENDOR = 3
CLASS = 7
PASSPHRASE = "sesame"
ALL_TYPES = (1 << manifest.LAST_TYPE + 1) - 2
APP, CUSTOM, MODEL = 1, 8, manifest.MODEL

# A constant that no test of ours waits for; one test looks at the real one.
CHEAP_ROUNDS = 1000


class UpdateFolder:
    """`keys/` with three root keys, a release key and root.1; releases beside it.

    Attributes:
        root_keys: The three private root keys.
        release_key: The private release key, for every class and type.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = folder / "keys"
        self.root_keys = [keys.generate() for _ in range(3)]
        self.release_key = keys.generate()
        scope = [(self.release_key.public, 0, ALL_TYPES)]
        public = [key.public for key in self.root_keys]
        fields = rotation.first_fields(VENDOR, 2, public, scope)
        self.draft(fields, *self.root_keys[:2])

    def draft(self, fields: dict[str, Any], *signers: keys.PrivateKey) -> Path:
        """Write the next root document, or its draft where signatures are missing."""
        chain = roots.read_chain(self.keys, may_be_empty=True)
        draft = roots.new_draft(chain, fields)
        for key in signers:
            draft = draft.sign(key)
        return roots.write(chain, draft)

    def chain(self) -> roots.Chain:
        """Return the root documents."""
        return roots.read_chain(self.keys)

    def save_keys(self) -> None:
        """Write the key files, too."""
        for number, key in enumerate(self.root_keys, 1):
            keys.write_pairs([(self.keys / f"root-{number}", key, PASSPHRASE)])
        keys.write_pairs([(self.keys / "release", self.release_key, PASSPHRASE)])

    def pack(self, seq: int, files: list[SourceFile], **values: object) -> Release:
        """Pack a release; its content version is its seq unless `values` says otherwise."""
        made = Release(self.folder / "releases" / str(seq))
        described = {"vendor": VENDOR, "product_class": CLASS, "seq": seq, "content_version": seq}
        packing.pack(made.folder, files, {**described, **values})
        return made

    def release(self, seq: int, files: list[SourceFile], **values: object) -> Release:
        """Pack and sign a release."""
        made = self.pack(seq, files, **values)
        made.signed_path.write_bytes(signing.sign_manifest(made.body(), self.release_key))
        return made


def app_file(name: str = "node.py", content: bytes = b"print('app')\n") -> SourceFile:
    """Return a Python file of the app."""
    return SourceFile(APP, name, content, name)


def model_file(content: bytes | None = None) -> SourceFile:
    """Return a model, the sample one unless another is given."""
    return SourceFile(MODEL, "model.obm", content or sample_model.pack(), "model.obm")


def use_cheap_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let passphrases cost nothing, and give the one of `UpdateFolder` to every command."""
    monkeypatch.setattr(keys, "KDF_ROUNDS", CHEAP_ROUNDS)
    monkeypatch.setenv(VARIABLE, PASSPHRASE)


def verify(made: UpdateFolder, seq: int, **facts: object) -> verifying.Verified:
    """Return what `onebyte verify` finds out about a release for a node of these facts."""
    found = Release(made.folder / "releases" / str(seq))
    return verifying.verify(found, made.chain(), facts or None)
