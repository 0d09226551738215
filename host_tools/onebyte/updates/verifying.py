"""What a node would say to a release, by the very code that runs on it: `ota.trust`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formats import errors, manifest, signed, slot_state, update_messages
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
_REPORTED = {"firmware": "firmware", "installed_seq": "installed_seq", "bad_seq": "last_bad_seq"}
_REPORTED |= {"floor": "security_floor", "root": "root_epoch"}

# What a refusal means for this release m, device d and state s; SPEC.md has the reasons.
_MEANINGS = {
    errors.UPDATE_KEY: "another key is written into it than has signed it: sign it again",
    errors.UPDATE_SCOPE: "its key may sign {scope} only: sign with another, or change its scope "
    "with onebyte rotate-keys",
    errors.UPDATE_VENDOR: "it is for vendor {m.vendor}, not for vendor {d.vendor}",
    errors.UPDATE_CLASS: "it is for class {m.product_class}, and the node is of class "
    "{d.product_class}",
    errors.UPDATE_HARDWARE: "it is not for hardware {d.hardware}, which the node is",
    errors.UPDATE_TENANT: "it is for tenant {m.tenant}, and the node is of {d.tenant}",
    errors.UPDATE_ABI: "it is compiled for mpy {m.mpy_abi}, architecture {m.arch}, and the node "
    "takes mpy {d.mpy_abi}, architecture {d.arch}",
    errors.UPDATE_FIRMWARE: "it asks for firmware {m.min_firmware}, and the node has {d.firmware}",
    errors.UPDATE_SIZE: "it is larger than the node's slot or partition",
    errors.ROOT_EPOCH: "the node knows root document {s.root_epoch}, and the newest of --roots is "
    "{epoch}",
    errors.UPDATE_ROOT: "it asks for root document {m.root_epoch}, and the newest of --roots is "
    "{epoch}",
    errors.UPDATE_SEQ: "the node has release {s.installed_seq}: take a higher --seq",
    errors.UPDATE_KNOWN_BAD: "the node has tried release {s.last_bad_seq} in vain: take a higher "
    "--seq",
    errors.UPDATE_SEQ_STEP: f"a node takes a step of {trust.MAX_SEQ_STEP} at most: take a lower "
    "--seq",
    errors.UPDATE_FLOOR: "its content version {m.content_version} lies below the node's floor "
    "{s.security_floor}",
}


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
    entry = _signer(document, chain, release.signed_path)
    # What no node could accept is refused without one, too.
    device, state, unknown = _node(found.manifest, chain.newest.vendor, facts or {})
    try:
        trust.open_manifest(found.content, chain.newest, device, state, keys.verify)
    except OnebyteError as error:
        values = {"m": found.manifest, "d": device, "s": state, "epoch": chain.epoch}
        values["scope"] = rotation.scope_text(entry[1], entry[2])
        meaning = _MEANINGS[error.code].format(**values)
        raise OnebyteError(
            error.code, f"release {found.manifest.manifest_seq}: {meaning}"
        ) from None
    return Verified(
        chain.epoch,
        signed.key_id(entry[0]).hex(),
        rotation.scope_text(entry[1], entry[2]),
        found.manifest,
        len(found.objects),
        sum(map(len, found.objects.values())),
        None if facts is None else unknown,
    )


def read_device(path: Path) -> dict[str, Any]:
    """Return what a JSON file says of a node.

    Raises:
        UserError: It cannot be read, or holds something else.
    """
    try:
        content = path.read_bytes()
        facts = json.loads(content)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise UserError(f"{path} is no JSON") from None
    allowed = (*_DEVICE_KEYS, *_MORE_DEVICE_KEYS, *_STATE_KEYS)
    if not isinstance(facts, dict):
        raise UserError(f"{path} is no JSON object")
    if "phase" in facts:
        return _reported(content.strip(), path)
    for key, value in facts.items():
        if key not in allowed:
            raise UserError(f"{path}: unknown key {key}; there are {', '.join(allowed)}")
        is_good = isinstance(value, str if key == "tenant" else int) and value is not True
        if not is_good or (key != "tenant" and not 0 <= value <= _MAX):
            raise UserError(f"{path}: {key} cannot be {value!r}")
    return facts


def _signer(document: Any, chain: Chain, path: Path) -> Any:
    """Return the entry of the key that has signed; the refusal says what to do about it."""
    newest = chain.newest
    try:
        return trust.signer_of(document, newest, keys.verify)
    except OnebyteError as error:
        names = {name.hex() for name, _ in document.signatures}
        is_root = names & {signed.key_id(key).hex() for key in newest.root_keys}
        listed = " ".join(signed.key_id(entry[0]).hex() for entry in newest.release_keys)
        what = "that is a root key" if is_root else f"root.{chain.epoch} does not list that key"
        meanings = {
            errors.SIGNED_KEY: f"{what}: sign with a release key, {listed or 'none is listed'}",
            errors.SIGNED_REVOKED: f"root.{chain.epoch} revokes that key: sign with another one",
            errors.SIGNED_INVALID: "it was changed afterwards: sign it again",
        }
        where = f"{path}, signed by key {' '.join(sorted(names))}"
        meaning = meanings.get(error.code, error.detail)
        raise OnebyteError(error.code, f"{where}; {meaning}") from None


def _reported(content: bytes, path: Path) -> dict[str, Any]:
    """Return what a node's own message says of it."""
    try:
        report = update_messages.parse_report(content)
    except OnebyteError as error:
        raise UserError(f"{path} is no message of a node's /u: {error}") from None
    return {key: report[name] for name, key in _REPORTED.items()}


def _node(found: Any, vendor: int, facts: dict[str, Any]) -> tuple[Any, Any, list[str]]:
    """Return a device and a state; what is not told of them is as the release wants it.

    But for the vendor: keys of another one sign nothing for a node.
    """
    device, state = trust.Device(), slot_state.State()
    bits = range(32)
    wanted = {
        "vendor": vendor,
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
