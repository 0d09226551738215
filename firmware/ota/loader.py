"""Decides at a start which slot runs, and lets the interpreter find its files and no others.

Everything here, and all that it needs, is imported before a file of the filesystem can be; nothing
is imported later. docs/SPEC.md: Slots, From start to app.
"""

import sys

from formats import errors, manifest
from formats.slot_state import NAMES, NO_SLOT
from ota import slot_changes, slots
from ota.check import SlotCheck

FROZEN = ".frozen"
_TOP = "top"
_EIO = 5
_LOOKS = 3  # what cannot be read because the supply is weak must not end a trial, or a release

# Modules that a slot never replaces, whatever it holds: those that have checked it.
_KEPT = ("ota", "product", "obed25519", "obed25519_twin")
# They hold modules that a slot may replace, and have to find the slot's.
_REBOUND = ("board", "node_board", "sensors", "obchoice")


class Boot:
    """What a start has found.

    Attributes:
        node: `slots.Node`: the phase, the record, and the slot that runs.
        root: `RootDocument` in force.
        store: `Store`.
        product: `Product`.
        manifest: `Manifest` of the slot that runs, None when none does.
        content: the bytes of its signed file.
        must_restart: the chip has to start another firmware first.
        found: what the check of each slot said: (None, manifest or None, manifest or None); a slot
            that nothing depended on was not looked at, and is None.
    """

    def __init__(self, node, root, store, product, checked) -> None:
        self.node = node
        self.root = root
        self.store = store
        self.product = product
        self.found = checked.seen()
        self.manifest = None
        self.content = b""
        self.must_restart = False
        if node.running != NO_SLOT:
            self.manifest = checked[node.running]
            self.content = checked.contents[node.running]

    @property
    def slot_path(self) -> str:
        """Folder of the slot that runs, empty when none does."""
        running = self.node.running
        return "" if running == NO_SLOT else self.store.slot_path(running)

    @property
    def is_trial(self) -> bool:
        """Whether this start is one of a trial's tries."""
        return self.node.phase == slots.TRIAL


class _Checked:
    """The manifests of the slots, each checked when it is asked for."""

    def __init__(self, store, root, product, verify, feed):
        self.firmware = None
        self.pending = NO_SLOT
        self.contents = [b"", b"", b""]
        self._manifests = [None, None, None]
        self._is_checked = [True, False, False]
        self._store = store
        self._root = root
        self._device = product.device
        self._verify = verify
        self._feed = feed

    def seen(self):
        """Return what is known so far."""
        return tuple(self._manifests)

    def __iter__(self):
        return iter([self[slot] for slot in range(len(NAMES))])

    def __getitem__(self, slot):
        if not self._is_checked[slot]:
            self._is_checked[slot] = True
            path = self._store.slot_path(slot)
            check = SlotCheck(self._store.files, path, self._root, self._verify, self._device)
            check.run(self._feed)
            self._store.has_failed |= check.has_failed
            self._manifests[slot] = check.manifest if self._has_firmware(slot, check) else None
            self.contents[slot] = check.content
        return self._manifests[slot]

    def _has_firmware(self, slot, check):
        """Return whether the firmware of a release that was never confirmed is whole, too."""
        if slot != self.pending or check.manifest is None:
            return True
        if self.firmware is None:
            return not check.manifest.size_of(True)
        return self.firmware.holds(check.manifest)


def boot(store, product, verify, feed, firmware=None) -> Boot:
    """Return what runs; the record that says so is durable.

    Args:
        store: `Store`.
        product: `Product`.
        verify: checks one Ed25519 signature.
        feed: called at least every 0.3 s, where the signatures are checked by the native module.
        firmware: `platform_esp32.Firmware` where the chip's own firmware is updated, too.

    Raises:
        OnebyteError: the product's own root document is none.
    """
    for _ in range(_LOOKS):
        store.has_failed = False
        root = store.read_root(product.root, verify)
        record = store.read_state()
        checked = _Checked(store, root, product, verify, feed)
        checked.firmware = firmware
        checked.pending = record.pending if record else NO_SLOT
        event, detail = slots.boot_event(record, checked, root.epoch)
        if not store.has_failed:
            break
    off = slots.Node(slots.OFF, record, NO_SLOT)
    node, _ = slots.step(off, event, detail)
    # On the way back the firmware is first: see docs/adr/0022-firmware-in-two-partitions.md.
    is_left = _leave(firmware, node, record, checked)
    if node.record is not record:
        try:
            if store.has_failed and record is None:
                raise OSError(_EIO)  # the next start may read what is there
            store.write_state(node.record)
        except OSError:
            slot = slot_changes.slot_without_writing(record, checked)
            node, _ = slots.step(off, slots.UNWRITABLE, slot)
            is_left |= _leave(firmware, node, record, checked)
    found = Boot(node, root, store, product, checked)
    if firmware is not None and found.manifest is not None:
        found.must_restart = firmware.before_run(found.manifest, found.is_trial)
    found.must_restart |= is_left
    return found


def _leave(firmware, node, record, checked) -> bool:
    """Leave the firmware of a release that this start gives up; return whether that ran."""
    if firmware is None or record is None or record.pending in (NO_SLOT, node.running):
        return False
    return firmware.leave(checked[record.pending])


def enter(found) -> None:
    """Set `sys.path` to what may run, and drop the modules that a slot brings anew.

    Without a slot the frozen app runs. Where product or loader are frozen, and a slot runs, no
    module of the filesystem outside the slot can be imported.

    Args:
        found: a `Boot`.
    """
    path = found.slot_path
    # A loader that is a file needs the folder where it and the app's libraries lie.
    is_closed = found.product.is_frozen or (bool(path) and not __file__.startswith("/"))
    sys.path[:] = search_path(path, is_closed, sys.path)
    if not path:
        return
    names = replaced(found.manifest)
    for name in list(sys.modules):
        if name.split(".")[0] in names:
            del sys.modules[name]


def search_path(slot_path: str, is_closed: bool, before) -> list:
    """Return `sys.path` for a slot's folder, or for none.

    Args:
        slot_path: empty for none.
        is_closed: whether only the slot and what is frozen count.
        before: `sys.path` of the start: on a process its folders stay, they are its frozen set.
    """
    own = [slot_path, "%s/%s" % (slot_path, _TOP)] if slot_path else []
    if is_closed:
        return own + [FROZEN]
    # Not "/": what lies there replaces nothing.
    return own + [name for name in before if name not in ("", "/")]


def replaced(found) -> list:
    """Return the first names of the modules that a slot with this `Manifest` brings anew."""
    names = list(_REBOUND)
    for entry in found.files:
        if entry[0] == manifest.FIRMWARE:
            continue
        folder, name = manifest.path(entry[0], entry[4]).split("/")
        name = name.split(".")[0] if folder == _TOP else folder
        if name not in _KEPT and name not in names:
            names.append(name)
    return names


def describe(found) -> str:
    """Return a `Boot` in one line for the console."""
    node = found.node
    if node.running == NO_SLOT:
        text = "no slot may run, the frozen app does; updates are accepted"
    else:
        text = "slot %s, release %d" % (NAMES[node.running], found.manifest.manifest_seq)
    record = node.record
    if record is not None and record.last_bad_seq and record.fail_reason and not found.is_trial:
        code = record.fail_reason
        values = record.last_bad_seq, errors.name(code), code
        text += "; release %d was taken back: %s(%d)" % values
    if found.is_trial:
        text += ", on trial, %d further tries" % node.record.tries_left
    return text
