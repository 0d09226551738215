"""What a node would say to a release, by the very code that runs on it: `ota.trust`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formats import manifest, signed, slot_state
from formats.errors import OnebyteError
from onebyte.errors import UserError
from onebyte.updates import keys, rotation
from onebyte.updates.release import Release
from onebyte.updates.roots import Chain
from ota import trust

__all__ = ["Verified", "read_device", "verify"]

_SLOT_BYTES = 262144  # what the firmware gives a slot
_MAX = 0xFFFFFFFF
_DEVICE_KEYS = ("vendor", "product_class", "hardware", "firmware")
_MORE_DEVICE_KEYS = ("tenant", "mpy_abi", "arch", "slot_bytes", "partition_bytes")
_STATE_KEYS = ("installed_seq", "security_floor", "last_bad_seq", "root_epoch")


@dataclass(frozen=True)
class Verified:
    """A release that passed.

    Attributes:
        epoch: Of the newest root document.
        key_id: Of the release key.
        scope: What that key may sign, in words.
        manifest: Parsed.
        n_objects: How many objects were checked.
        stored_bytes: What a node downloads at most.
        unknown: What of the node was not given; None when no node was.
    """

    epoch: int
    key_id: str
    scope: str
    manifest: Any
    n_objects: int
    stored_bytes: int
    unknown: list[str] | None

    def lines(self) -> list[str]:
        """Say it, a line for each check."""
        found = self.manifest
        lines = [
            f"root documents: {self.epoch} verified, one after the other",
            f"signature: valid, by release key {self.key_id} ({self.scope})",
            f"release {found.manifest_seq}: content version {found.content_version}, floor "
            f"{found.security_floor}, class {found.product_class}",
            f"objects: {self.n_objects} whole, {self.stored_bytes} bytes to download",
        ]
        if self.unknown is not None:
            missing = f"; not told: {', '.join(self.unknown)}" if self.unknown else ""
            lines.append(f"node: would take it{missing}")
        return lines

    def as_json(self) -> dict[str, Any]:
        """Return the same as plain values."""
        return {
            "root_epoch": self.epoch,
            "key_id": self.key_id,
            "scope": self.scope,
            "seq": self.manifest.manifest_seq,
            "content_version": self.manifest.content_version,
            "security_floor": self.manifest.security_floor,
            "objects": self.n_objects,
            "stored_bytes": self.stored_bytes,
            "not_told": self.unknown,
        }


def verify(release: Release, chain: Chain, facts: dict[str, Any] | None) -> Verified:
    """Check a release.

    Args:
        release: The folder.
        chain: The root documents to trust.
        facts: Of a node, from `read_device`; None for no particular one.

    Raises:
        UserError: Something is missing or damaged.
        OnebyteError: A node would refuse it, with this code.
    """
    found = release.signed()
    document = signed.parse(found.content, signed.MANIFEST)
    try:
        entry = trust.signer_of(document, chain.newest, keys.verify)
    except OnebyteError as error:
        signers = " ".join(name.hex() for name, _ in document.signatures)
        where = f"{release.signed_path}, signed by key {signers}"
        raise OnebyteError(error.code, error.detail or where) from None
    reason = trust.key_reason(found.manifest, document.signatures[0][0], entry)
    if reason:
        raise OnebyteError(reason, f"release {found.manifest.manifest_seq}")
    unknown = None
    # What no node could accept is refused without one, too.
    device, state, missing = _node(found.manifest, facts or {})
    trust.open_manifest(found.content, chain.newest, device, state, keys.verify)
    if facts is not None:
        unknown = missing
    return Verified(
        chain.epoch,
        signed.key_id(entry[0]).hex(),
        rotation.scope_text(entry[1], entry[2]),
        found.manifest,
        len(found.objects),
        sum(map(len, found.objects.values())),
        unknown,
    )


def read_device(path: Path) -> dict[str, Any]:
    """Return what a JSON file says of a node.

    Raises:
        UserError: It cannot be read, or holds something else.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise UserError(f"{path} is no JSON") from None
    allowed = (*_DEVICE_KEYS, *_MORE_DEVICE_KEYS, *_STATE_KEYS)
    if not isinstance(facts, dict):
        raise UserError(f"{path} is no JSON object")
    for key, value in facts.items():
        if key not in allowed:
            raise UserError(f"{path}: unknown key {key}; there are {', '.join(allowed)}")
        is_good = isinstance(value, str if key == "tenant" else int) and value is not True
        if not is_good or (key != "tenant" and not 0 <= value <= _MAX):
            raise UserError(f"{path}: {key} cannot be {value!r}")
    return facts


def _node(found: Any, facts: dict[str, Any]) -> tuple[Any, Any, list[str]]:
    """Return a device and a state; what is not told of them is as the release wants it."""
    device, state = trust.Device(), slot_state.State()
    bits = range(32)
    wanted = {
        "vendor": found.vendor,
        "product_class": found.product_class,
        "hardware": next(bit for bit in bits if found.hardware_mask >> bit & 1),
        "firmware": found.min_firmware,
        "tenant": found.tenant,
        "mpy_abi": found.mpy_abi,
        "arch": found.arch,
        "slot_bytes": _SLOT_BYTES,
        "partition_bytes": manifest.MAX_FILE_SIZE,
    }
    for key, value in wanted.items():
        setattr(device, key, facts.get(key, value))
    for key in _STATE_KEYS:
        if key in facts:
            setattr(state, key, facts[key])
    # A node that has installed less than 65536 releases ago; nobody knows which.
    if "installed_seq" not in facts:
        state.installed_seq = max(0, found.manifest_seq - 1)
    return device, state, [key for key in (*wanted, *_STATE_KEYS) if key not in facts]
