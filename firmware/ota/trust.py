"""Which manifest and which root document a node accepts. Pure: no I/O, no clock.

`verify(public_key, signature, message) -> bool` is handed in; the message is a tuple of its parts.
The order is always the same: the envelope, the signatures over the exact bytes, only then the
body, and at last whether it is meant for this node. docs/SPEC.md: What a node accepts.
"""

from formats import errors, manifest, root_document, signed
from formats.errors import OnebyteError

# A release key that leaked for a day must not use up all numbers there are.
MAX_SEQ_STEP = 65536


class Device:
    """What a node is; part of the frozen firmware, but for the tenant.

    Attributes:
        vendor, product_class: As in a manifest.
        hardware: Number of its hardware in the class, 0-31.
        tenant: Whose it is.
        mpy_abi, arch: Of the compiled files that it can import.
        firmware: Version of the frozen part.
        slot_bytes: Room of a slot.
        partition_bytes: Room of a firmware partition, 0 when the firmware is not updated.
    """

    def __init__(self) -> None:
        self.vendor = 0
        self.product_class = 0
        self.hardware = 0
        self.tenant = ""
        self.mpy_abi = 0
        self.arch = 0
        self.firmware = 0
        self.slot_bytes = 0
        self.partition_bytes = 0


def open_manifest(content, root, device, state, verify):
    """Return the `Manifest` in the signed file `content` when this node may install it.

    Args:
        content: The whole file.
        root: The `RootDocument` in force.
        device: What the node is, a `Device`.
        state: What it has installed, a `slot_state.State`.
        verify: Checks one Ed25519 signature.

    Raises:
        OnebyteError: A SIGNED_*, MANIFEST_*, UPDATE_* code or ROOT_EPOCH.
    """
    document = signed.parse(content, signed.MANIFEST)
    key = signer_of(document, root, verify)
    found = manifest.parse(document.body)
    reason = (
        key_reason(found, document.signatures[0][0], key)
        or device_reason(found, device)
        or progress_reason(found, root, state)
    )
    if reason:
        raise OnebyteError(reason, "manifest %d" % found.manifest_seq)
    return found


def signer_of(document, root, verify, retired=()):
    """Return the entry of `root.release_keys` whose one signature covers the document.

    Args:
        document: A `signed.Signed`.
        root: The `RootDocument` in force.
        verify: Checks one Ed25519 signature.
        retired: Further entries that may have signed it: `root.retired` for what is installed.

    Raises:
        OnebyteError: SIGNED_LIST, SIGNED_REVOKED, SIGNED_KEY or SIGNED_INVALID.
    """
    if len(document.signatures) != 1:
        raise OnebyteError(errors.SIGNED_LIST, "a manifest has one signature")
    name, signature = document.signatures[0]
    if name in root.revoked:
        raise OnebyteError(errors.SIGNED_REVOKED)
    for entry in list(root.release_keys) + list(retired):
        if signed.key_id(entry[0]) == name:
            if not verify(entry[0], signature, document.message()):
                raise OnebyteError(errors.SIGNED_INVALID)
            return entry
    raise OnebyteError(errors.SIGNED_KEY)


def key_reason(found, signer_id, key) -> int:
    """Return why the signer may not release this manifest, 0 when it may."""
    if found.key_id != signer_id:
        return errors.UPDATE_KEY
    _, product_class, types = key
    if product_class not in (root_document.ANY_CLASS, found.product_class):
        return errors.UPDATE_SCOPE
    return errors.UPDATE_SCOPE if found.types_mask() & ~types else 0


def device_reason(found, device) -> int:
    """Return why a manifest is not for this node, 0 when it is."""
    reason = hardware_reason(found, device)
    if reason:
        return reason
    if found.tenant not in ("", device.tenant):
        return errors.UPDATE_TENANT
    is_too_large = found.size_of(False) > device.slot_bytes
    is_too_large |= found.size_of(True) > device.partition_bytes
    return errors.UPDATE_SIZE if is_too_large else 0


def hardware_reason(found, device) -> int:
    """Return why this node cannot run a release, 0 when it can.

    A boot asks no more: that the tenant or the room has changed since is no reason not to run.
    """
    if found.vendor != device.vendor:
        return errors.UPDATE_VENDOR
    if found.product_class != device.product_class:
        return errors.UPDATE_CLASS
    if not found.hardware_mask >> device.hardware & 1:
        return errors.UPDATE_HARDWARE
    if found.mpy_abi not in (0, device.mpy_abi) or found.arch not in (0, device.arch):
        return errors.UPDATE_ABI
    return errors.UPDATE_FIRMWARE if found.min_firmware > device.firmware else 0


def progress_reason(found, root, state) -> int:
    """Return why a manifest would lead back, or too far, 0 when it leads on."""
    if root.epoch < state.root_epoch:
        return errors.ROOT_EPOCH  # somebody put an old root document back
    if found.root_epoch > root.epoch:
        return errors.UPDATE_ROOT  # the root documents up to that one first
    if found.manifest_seq <= state.installed_seq:
        return errors.UPDATE_SEQ
    if found.manifest_seq <= state.last_bad_seq:
        return errors.UPDATE_KNOWN_BAD
    if found.manifest_seq - max(state.installed_seq, state.last_bad_seq) > MAX_SEQ_STEP:
        return errors.UPDATE_SEQ_STEP
    return errors.UPDATE_FLOOR if found.content_version < state.security_floor else 0


def open_root(content, root, verify):
    """Return the `RootDocument` in the signed file `content` when it follows on `root`.

    It is signed by the threshold of the keys of `root` and by its own; a signature that belongs to
    neither, or is not valid, refuses it.

    Raises:
        OnebyteError: A SIGNED_* or ROOT_* code.
    """
    document = signed.parse(content, signed.ROOT)
    by_old = valid_signers(document, root.root_keys, verify)
    # Nothing of the body is read before the keys that are trusted already have vouched for it.
    if len(by_old) < root.threshold:
        raise OnebyteError(_missing_reason(document, root, by_old))
    found = root_document.parse(document.body)
    by_new = valid_signers(document, found.root_keys, verify)
    if len(by_new) < found.threshold:
        raise OnebyteError(errors.SIGNED_THRESHOLD, "%d of its own keys" % len(by_new))
    if any([name not in by_old and name not in by_new for name, _ in document.signatures]):
        raise OnebyteError(errors.SIGNED_KEY)
    if found.epoch != root.epoch + 1:
        raise OnebyteError(errors.ROOT_EPOCH, "epoch %d after %d" % (found.epoch, root.epoch))
    if found.vendor != root.vendor:
        raise OnebyteError(errors.ROOT_VENDOR)
    if any([name not in found.revoked for name in root.revoked]):
        raise OnebyteError(errors.ROOT_REVOKED, "a revoked key is forgotten")
    # A key that may sign less now is retired for the rest, as if it had been removed.
    found.retired = [
        entry
        for entry in root.release_keys + root.retired
        if entry not in found.release_keys and signed.key_id(entry[0]) not in found.revoked
    ]
    return found


def valid_signers(document, public_keys, verify):
    """Return the ids of those keys that have signed the document.

    Raises:
        OnebyteError: SIGNED_INVALID: a signature of one of them is not valid.
    """
    keys = {}
    for public_key in public_keys:
        keys[signed.key_id(public_key)] = public_key
    names = []
    for name, signature in document.signatures:
        if name in keys:
            if not verify(keys[name], signature, document.message()):
                raise OnebyteError(errors.SIGNED_INVALID)
            names.append(name)
    return names


def _missing_reason(document, root, signers) -> int:
    """Say of too few signatures whether their keys are revoked, unknown, or just too few."""
    if any([name in root.revoked for name, _ in document.signatures]):
        return errors.SIGNED_REVOKED
    return errors.SIGNED_THRESHOLD if signers else errors.SIGNED_KEY
