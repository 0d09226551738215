"""What changes from one root document to the next: keys that come, go, or are revoked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formats import manifest, root_document, signed
from onebyte.errors import UserError
from onebyte.updates import keys

__all__ = ["Changes", "apply", "describe", "first_fields", "parse_scope", "scope_text"]

_ALL_TYPES = (1 << manifest.LAST_TYPE + 1) - 2
_MAX_CLASS = 0xFFFF


@dataclass(frozen=True)
class Changes:
    """What one rotation does; keys are public ones, ids their first 8 bytes of SHA-256.

    Attributes:
        add_root: Public keys.
        add_release: (public key, product class, mask of types); a listed key gets the new scope.
        remove: Ids of keys that are no longer listed.
        revoke: Ids of keys that no node may ever trust again; they are removed, too.
        threshold: How many root keys have to sign from now on; None as before.
    """

    add_root: tuple[bytes, ...] = ()
    add_release: tuple[tuple[bytes, int, int], ...] = ()
    remove: tuple[bytes, ...] = ()
    revoke: tuple[bytes, ...] = ()
    threshold: int | None = None

    def __bool__(self) -> bool:
        return self != Changes()


def parse_scope(text: str) -> tuple[bytes, int, int]:
    """Return (public key, product class, types) of `FILE[:CLASS[:TYPE,TYPE...]]`.

    CLASS is a number or `any`, TYPE the name of a manifest's type or `all`; both are the default.

    Raises:
        UserError: The file holds no public key, or the scope is none.
    """
    name, _, rest = text.partition(":")
    class_text, _, types_text = rest.partition(":")
    return keys.read_public(Path(name)), _class(class_text), _types(types_text)


def scope_text(product_class: int, types: int) -> str:
    """Say for what a release key is good."""
    names = [name for i, name in enumerate(manifest.TYPES, 1) if types >> i & 1]
    what = "all types" if types == _ALL_TYPES else " ".join(names)
    whose = "any class" if product_class == root_document.ANY_CLASS else f"class {product_class}"
    return f"{whose}, {what}"


def first_fields(
    vendor: int, threshold: int, root_keys: list[bytes], release_keys: list[tuple[bytes, int, int]]
) -> dict[str, Any]:
    """Return the fields of the first root document.

    Raises:
        UserError: A key is given twice.
    """
    names = [signed.key_id(key) for key in [*root_keys, *(entry[0] for entry in release_keys)]]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"key {name.hex()} is given twice")
    return {
        "vendor": vendor,
        "threshold": threshold,
        "root_keys": root_keys,
        "release_keys": release_keys,
        "revoked": [],
    }


def apply(before: Any, changes: Changes) -> dict[str, Any]:
    """Return the fields of the document that follows on `before`.

    Args:
        before: The `RootDocument` in force.
        changes: At least one.

    Raises:
        UserError: A change means no key, or leaves too few.
    """
    known = {signed.key_id(key) for key in before.root_keys}
    known |= {signed.key_id(entry[0]) for entry in before.release_keys}
    for name in changes.remove:
        if name not in known:
            raise UserError(f"key {name.hex()} is not in the root document of {before.epoch}")
    gone = {*changes.remove, *changes.revoke, *before.revoked}
    added = [*changes.add_root, *(entry[0] for entry in changes.add_release)]
    for key in added:
        if signed.key_id(key) in gone:
            raise UserError(f"key {signed.key_id(key).hex()} is added and removed or revoked")
    _check_roles(before, changes, gone)
    root_keys = {key for key in before.root_keys if signed.key_id(key) not in gone}
    root_keys.update(changes.add_root)
    release = {entry[0]: entry for entry in before.release_keys}
    release = {key: entry for key, entry in release.items() if signed.key_id(key) not in gone}
    release.update({entry[0]: entry for entry in changes.add_release})
    threshold = before.threshold if changes.threshold is None else changes.threshold
    if not 1 <= threshold <= len(root_keys):
        raise UserError(f"a threshold of {threshold} of {len(root_keys)} root keys cannot be met")
    return {
        "vendor": before.vendor,
        "threshold": threshold,
        "root_keys": list(root_keys),
        "release_keys": list(release.values()),
        "revoked": sorted({*before.revoked, *changes.revoke}),
    }


def _check_roles(before: Any, changes: Changes, gone: set[bytes]) -> None:
    """Raise UserError when a key would be a root key and a release key at once."""
    root_keys = {*before.root_keys, *changes.add_root}
    release_keys = {entry[0] for entry in (*before.release_keys, *changes.add_release)}
    for key in root_keys & release_keys:
        if signed.key_id(key) not in gone:
            name = signed.key_id(key).hex()
            raise UserError(f"key {name} would be a root key and a release key: make another one")


def describe(before: Any, after: Any) -> list[str]:
    """Say in lines what differs, so that nobody signs what he has not seen.

    Args:
        before: A `RootDocument`, None before the first.
        after: The `RootDocument` that follows.
    """
    old, new = _entries(before), _entries(after)
    lines = [f"+ {name}: {new[name]}" for name in new if name not in old]
    lines += [f"- {name}: {old[name]}" for name in old if name not in new]
    lines += [f"~ {n}: {old[n]} -> {new[n]}" for n in new if n in old and old[n] != new[n]]
    return sorted(lines, key=lambda line: line[2:])


def _entries(document: Any) -> dict[str, str]:
    if document is None:
        return {}
    entries = {f"root key {signed.key_id(key).hex()}": "signs root" for key in document.root_keys}
    for key, product_class, types in document.release_keys:
        entries[f"release key {signed.key_id(key).hex()}"] = scope_text(product_class, types)
    entries |= {f"revoked {name.hex()}": "never trusted again" for name in document.revoked}
    entries["threshold"] = f"{document.threshold} of {len(document.root_keys)}"
    return entries


def _class(text: str) -> int:
    if text in ("", "any"):
        return root_document.ANY_CLASS
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MAX_CLASS:
        raise UserError(f"{text!r} is no product class: write 1 to {_MAX_CLASS}, or any")
    return int(text)


def _types(text: str) -> int:
    if text in ("", "all"):
        return _ALL_TYPES
    mask = 0
    for name in text.split(","):
        if name not in manifest.TYPES:
            known = ", ".join(manifest.TYPES)
            raise UserError(f"{name!r} is no type of file; there are {known}, or all")
        mask |= 1 << manifest.TYPES.index(name) + 1
    return mask
