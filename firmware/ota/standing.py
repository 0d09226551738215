"""Where a node stands, and the one way to move it: the record first, then what follows."""

from formats import manifest
from formats.slot_state import NO_SLOT, State
from ota import slot_changes, slots


class Standing:
    """What the parts of an update share.

    Args:
        boot: `ota.loader.Boot`.
        verify: checks one Ed25519 signature.
        platform: `ota.platform.Platform`.

    Attributes:
        node: `slots.Node`; its record is durable.
        root: `RootDocument` in force.
        found: `Manifest` of the slot that runs, or None.
        device: `trust.Device`; set its tenant before the first update.
        version: changes with everything that a report says but for `done_bytes`.
    """

    def __init__(self, boot, verify, platform) -> None:
        self.node = boot.node
        self.root = boot.root
        self.found = boot.manifest
        self.store = boot.store
        self.device = boot.product.device
        self.verify = verify
        self.platform = platform
        self.version = 1

    @property
    def record(self) -> State:
        """The slot state, a new one where there is none."""
        return self.node.record or State()

    @property
    def target(self) -> int:
        """The slot that a download goes to."""
        return slot_changes.target(self.node.record)

    def event(self, event: str, detail=None) -> str:
        """Move on; return the action that is to be done now.

        Raises:
            OSError: the record is not durable, and the node stays where it was.
        """
        node, action = slots.step(self.node, event, detail)
        if action != slots.IGNORE and self.platform.firmware is not None:
            self._turn_firmware(event)
        if node.record is not self.node.record:
            self.store.write_state(node.record)
        if node is not self.node:
            self.node = node
            self.version += 1
        return action

    def source_of_copies(self):
        """Return the `Manifest` of the slot beside the target, None when it may be damaged."""
        is_beside = self.node.running == slot_changes.other(self.target)
        return self.found if is_beside else None

    def may_swap(self, found) -> bool:
        """Return whether a release differs from what runs in nothing but its model."""
        if self.node.running == NO_SLOT or self.found is None:
            return False
        return _code_of(found) == _code_of(self.found)

    def _turn_firmware(self, event: str) -> None:
        """Keep or leave the chip's firmware before the record says so: docs/adr/0022."""
        if event == slots.HEALTH_FAILED:
            self.platform.firmware.leave(self.found)
        elif event in (slots.SERVER_ACK, slots.OFFLINE) and has_firmware(self.found):
            self.platform.firmware.confirm()


def has_firmware(found) -> bool:
    """Return whether a release brings firmware."""
    return any([entry[0] == manifest.FIRMWARE for entry in found.files])


def _code_of(found) -> list:
    swapped = (manifest.CUSTOM, manifest.MODEL)
    return [(entry[0], entry[4], entry[5]) for entry in found.files if entry[0] not in swapped]
