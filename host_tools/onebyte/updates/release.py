"""A release folder: the manifest, unsigned and signed, and the objects that it lists.

docs/SPEC.md: Release folder.
"""

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formats import manifest, objects, signed
from formats.errors import OnebyteError
from onebyte.errors import UserError
from onebyte.updates import keys

__all__ = ["Release", "SignedRelease", "deflated", "inflated", "write_objects"]

UNSIGNED = "manifest.unsigned"
SIGNED = "manifest"
OBJECTS = "objects"
_WINDOW_BITS = 12  # 4 KiB, what a node keeps while it unpacks
_MAX_MANIFEST_BYTES = 1 << 16


@dataclass(frozen=True)
class SignedRelease:
    """A release that can be published; nobody has verified its signature yet.

    Attributes:
        content: The signed manifest, the whole file.
        manifest: Parsed, a `manifest.Manifest`.
        objects: Object id -> stored bytes.
    """

    content: bytes
    manifest: Any
    objects: dict[str, bytes]

    @property
    def manifest_id(self) -> str:
        """Object id of the signed manifest: SHA-256 of its file, in hex."""
        return hashlib.sha256(self.content).hexdigest()


class Release:
    """The folder of one release."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def unsigned_path(self) -> Path:
        """The body of the manifest, not signed."""
        return self.folder / UNSIGNED

    @property
    def signed_path(self) -> Path:
        """The signed manifest."""
        return self.folder / SIGNED

    def body(self) -> bytes:
        """Return the body of its manifest, of the signed one where that is there.

        Raises:
            UserError: There is none, or it is refused.
        """
        if self.signed_path.exists():
            return self._parse_signed()[1]
        content = self._read(self.unsigned_path, "onebyte pack makes it")
        _parse_body(content, self.unsigned_path)
        return content

    def signed(self) -> SignedRelease:
        """Return the signed release with all its objects, each of them checked.

        Raises:
            UserError: Something is missing, damaged, or belongs to another release.
        """
        content, body = self._parse_signed()
        found = manifest.parse(body)
        return SignedRelease(content, found, self.objects_of(found))

    def objects_of(self, found: Any) -> dict[str, bytes]:
        """Return the stored bytes of the files of a manifest, by object id.

        Raises:
            UserError: One is missing, or is not what the manifest says.
        """
        stored_by_id = {}
        for entry in found.files:
            name = objects.file_id(entry)
            stored = self._read(self.folder / OBJECTS / name, "pack the release again")
            check_object(entry, stored, str(self.folder / OBJECTS / name))
            stored_by_id[name] = stored
        return stored_by_id

    def _parse_signed(self) -> tuple[bytes, bytes]:
        if not self.signed_path.exists() and self.unsigned_path.exists():
            raise UserError(f"{self.folder} is not signed yet; onebyte sign does it")
        content = self._read(self.signed_path, "onebyte pack and onebyte sign make it")
        try:
            body = bytes(signed.parse(content, signed.MANIFEST).body)
        except OnebyteError as error:
            raise UserError(
                f"{self.signed_path} is no signed manifest: {error}; sign the release again"
            ) from None
        _parse_body(body, self.signed_path)
        return content, body

    def _read(self, path: Path, advice: str) -> bytes:
        try:
            size = path.stat().st_size
            if path.parent == self.folder and size > _MAX_MANIFEST_BYTES:
                raise UserError(f"{path} is no manifest: {size} bytes")
            return path.read_bytes()
        except FileNotFoundError:
            raise UserError(f"{path} is missing; {advice}") from None
        except NotADirectoryError:
            raise UserError(f"{self.folder} is a file; give the folder of the release") from None
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from None


def check_object(entry: tuple[Any, ...], stored: bytes, name: str) -> None:
    """Raise UserError unless the stored bytes are what an entry of the file table says."""
    _, codec, size, stored_size, _, digest = entry
    if len(stored) != stored_size:
        raise UserError(f"{name} has {len(stored)} bytes, not {stored_size}; pack again")
    content = stored if codec == manifest.PLAIN else inflated(stored, size)
    if content is None or len(content) != size or hashlib.sha256(content).digest() != digest:
        raise UserError(f"{name} is not the file that the manifest lists; pack again")


def deflated(content: bytes) -> bytes | None:
    """Return the content as raw deflate with a window of 4 KiB, None where that is not shorter."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -_WINDOW_BITS, 9)
    stored = packer.compress(content) + packer.flush()
    return stored if len(stored) < len(content) else None


def inflated(stored: bytes, size: int) -> bytes | None:
    """Return what deflated bytes hold; None when they are damaged or hold more than `size`."""
    unpacker = zlib.decompressobj(-_WINDOW_BITS)
    try:
        content = unpacker.decompress(stored, size + 1)
    except zlib.error:
        return None
    is_whole = unpacker.eof and not unpacker.unused_data and len(content) <= size
    return content if is_whole else None


def write_objects(folder: Path, stored_by_id: dict[str, bytes]) -> None:
    """Write the objects of a release, and remove those that another one left there.

    Whatever else lies in the folder is somebody's, and stays.

    Raises:
        UserError: The folder cannot be written.
    """
    for name, stored in stored_by_id.items():
        keys.write_file(folder / OBJECTS / name, stored)
    for path in (folder / OBJECTS).glob("*"):
        if objects.is_id(path.name) and path.name not in stored_by_id and path.is_file():
            path.unlink()


def _parse_body(body: bytes, path: Path) -> None:
    try:
        manifest.parse(body)
    except OnebyteError as error:
        raise UserError(f"{path} is no manifest: {error}; copy it again, or pack again") from None
