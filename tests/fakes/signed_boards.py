"""Real keys, and releases for the emulated boards as files of their slots."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519

from formats import slot_state
from onebyte.updates import keys, packing, product, roots, rotation, signing, sources
from onebyte.updates.release import SignedRelease

ROOT = Path(__file__).resolve().parents[2]
VENDOR, CLASS, HARDWARE, FIRMWARE = 7, 3, 2, 1
MODEL = ROOT / "models" / "exercise" / "model.obm"
_MODEL_TYPE = 9


class Vendor:
    """Somebody with a root key and a release key.

    Args:
        folder: Takes the root document.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # The same in every run: what a verification takes depends on the key.
        self.root_key, self.release_key = _key("root"), _key("release")
        scope = (self.release_key.public, 0, 0x7FE)
        fields = rotation.first_fields(VENDOR, 1, [self.root_key.public], [scope])
        chain = roots.Chain(folder)
        roots.write(chain, roots.new_draft(chain, fields).sign(self.root_key))
        self.root = roots.file_of(folder, 1).read_bytes()

    def product(self) -> product.Product:
        """Return what the boards are made as."""
        path = self.folder / "pump.toml"
        values = {"vendor": VENDOR, "product_class": CLASS, "hardware": HARDWARE}
        lines = [f"{key} = {value}\n" for key, value in {**values, "firmware": FIRMWARE}.items()]
        path.write_text("".join(lines) + 'roots = "."\n')
        return product.read(path)

    def identity(self) -> dict[str, bytes]:
        """Return the files of a board whose firmware has no product in it."""
        return {"id/product.json": self.product().json_text(), "id/root": self.root}

    def release(self, seq: int, files: list[sources.SourceFile], **values: Any) -> SignedRelease:
        """Return a signed release."""
        wanted = {"vendor": VENDOR, "product_class": CLASS, "seq": seq, "content_version": seq}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "release"
            body = packing.pack(folder, files, {**wanted, **values}, may_deflate=False)
            content = signing.sign_manifest(body, self.release_key)
            packed = packing.Release(folder)
            packed.signed_path.write_bytes(content)
            packed.unsigned_path.unlink(missing_ok=True)
            return packed.signed()


def _key(name: str) -> keys.PrivateKey:
    seed = hashlib.sha256(name.encode()).digest()
    return keys._wrap(ed25519.Ed25519PrivateKey.from_private_bytes(seed))


def app(banner: str) -> list[sources.SourceFile]:
    """Return our own app, compiled, which says something when it starts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in (ROOT / "firmware" / "app").glob("*.py"):
            text = path.read_text()
            if path.name == "run.py":
                text += f"\n\nprint({banner!r})\n"
            (folder / path.name).write_text(text)
        return sources.app(folder, sources.Compiler())


def model(path: Path = MODEL, name: str = "model.obm") -> sources.SourceFile:
    """Return a model as a file of a release."""
    return sources.single(_MODEL_TYPE, path, name)


def in_slot(slot: int, release: SignedRelease) -> dict[str, bytes]:
    """Return a release that is not deflated as the files of a slot."""
    from formats import manifest, objects

    folder = f"s/{slot_state.NAMES[slot]}"
    files = {f"{folder}/manifest": release.content}
    for entry in release.manifest.files:
        path = manifest.path(entry[0], entry[4])
        files[f"{folder}/{path}"] = release.objects[objects.file_id(entry)]
    return files


def state(**values: int) -> dict[str, bytes]:
    """Return the file of a state record."""
    record = slot_state.State()
    record.record_seq = 1
    for name, value in values.items():
        setattr(record, name, value)
    return {"st/state": bytes(slot_state.pack(record))}
