"""Makes release folders: of files, and of the files of an earlier release."""

import hashlib
from pathlib import Path
from typing import Any

from formats import manifest, manifest_pack, objects, signed
from formats.errors import OnebyteError
from onebyte.errors import UserError
from onebyte.updates import description, keys, release, sources
from onebyte.updates.release import Release
from onebyte.updates.sources import SourceFile

__all__ = ["files_of", "pack", "roll_back", "stored_form"]

_NO_KEY = bytes(signed.KEY_ID_BYTES)  # whoever signs fills it in


def pack(
    folder: Path, files: list[SourceFile], values: dict[str, Any], may_deflate: bool = True
) -> bytes:
    """Write a release folder and return the body of its manifest, which is not signed yet.

    Args:
        folder: Where it goes; a release that is not signed is replaced.
        files: What a slot will hold.
        values: As in a `release.toml`.
        may_deflate: Send a file deflated where that is shorter.

    Raises:
        UserError: A value, a file or their number is outside the rules, or the folder is in use.
    """
    fields = description.fields(values)
    if not files:
        raise UserError("a release needs at least one file: --model, --app, --folder, ...")
    mpy_abi, arch = sources.target(files)
    fields |= {"mpy_abi": mpy_abi, "arch": arch, "golden_hash": sources.check(files)}
    entries, stored_by_id = [], {}
    for file in files:
        entry, stored = stored_form(file, may_deflate)
        entries.append(entry)
        stored_by_id[objects.file_id(entry)] = stored
    return _write(folder, {**fields, "key_id": _NO_KEY, "files": entries}, stored_by_id)


def roll_back(
    old: Release,
    current: Release,
    folder: Path,
    seq: int | None = None,
    root_epoch: int | None = None,
) -> bytes:
    """Write a release of old files under a new seq; return the body of its manifest.

    Args:
        old: What is to be installed once more.
        current: What the nodes run now: its floor stays theirs.
        folder: Where the new release goes.
        seq: Its number; None for the one after `current`.
        root_epoch: Of the newest root document; None for that of `current`.

    Raises:
        UserError: The content lies below the floor, they are for different nodes, or damaged.
    """
    found, now = manifest.parse(old.body()), manifest.parse(current.body())
    for name in ("vendor", "product_class", "tenant"):
        if getattr(found, name) != getattr(now, name):
            raise UserError(f"{old.folder} and {current.folder} are not of the same {name}")
    seq = now.manifest_seq + 1 if seq is None else seq
    if seq <= max(found.manifest_seq, now.manifest_seq):
        raise UserError(f"seq {seq} must be above {max(found.manifest_seq, now.manifest_seq)}")
    if found.content_version < now.security_floor:
        raise UserError(
            f"content version {found.content_version} of {old.folder} lies below the security "
            f"floor {now.security_floor} of {current.folder}: the nodes would refuse it"
        )
    fields = {
        name: getattr(found, name) for name in (*manifest_pack.NEEDED, *manifest_pack.OPTIONAL)
    }
    changes = {
        "key_id": _NO_KEY,
        "manifest_seq": seq,
        "security_floor": now.security_floor,
        "root_epoch": root_epoch or now.root_epoch,
    }
    return _write(folder, {**fields, **changes}, old.objects_of(found))


def files_of(old: Release) -> list[SourceFile]:
    """Return the files of a release, unpacked, so that others can take the place of some.

    Raises:
        UserError: It is damaged.
    """
    found = manifest.parse(old.body())
    stored_by_id = old.objects_of(found)
    files = []
    for entry in found.files:
        kind, codec, size, _, name, _ = entry
        stored = stored_by_id[objects.file_id(entry)]
        content = release.inflated(stored, size) if codec == manifest.DEFLATE else stored
        assert content is not None  # objects_of has unpacked it before
        files.append(SourceFile(kind, name, content, f"{old.folder}:{name}"))
    return files


def stored_form(file: SourceFile, may_deflate: bool) -> tuple[tuple[Any, ...], bytes]:
    """Return the entry of the file table and the bytes that travel."""
    size = len(file.content)
    digest = hashlib.sha256(file.content).digest()
    # Firmware goes straight into a partition, in order; nothing unpacks it.
    if may_deflate and file.kind != manifest.FIRMWARE:
        stored = release.deflated(file.content)
        if stored is not None:
            entry = (file.kind, manifest.DEFLATE, size, len(stored), file.name, digest)
            return entry, stored
    return (file.kind, manifest.PLAIN, size, size, file.name, digest), file.content


def _write(folder: Path, fields: dict[str, Any], stored_by_id: dict[str, bytes]) -> bytes:
    made = Release(folder)
    if made.signed_path.exists():
        raise UserError(f"{folder} holds a signed release; take another folder for the new one")
    try:
        body = manifest_pack.pack(fields)
    except OnebyteError as error:
        raise UserError(f"no manifest can hold this: {description.explain(error)}") from None
    release.write_objects(folder, stored_by_id)
    keys.write_file(made.unsigned_path, body)
    return body
