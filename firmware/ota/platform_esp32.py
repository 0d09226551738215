"""An ESP32's own firmware in two partitions, on `esp32.Partition`. docs/adr/0022.

The record of the slots (`ota.slots`) says which release is meant, and the chip's own note
(`otadata`) which partition starts. Two writes cannot be one, so their order decides: on the way to
a release the record is first, and a boot repeats the switch; on the way back the switch is first,
and a boot repeats the record.
"""

import esp32
import machine

from formats import manifest
from ota.partition_writer import INFO_SIZE, Hash, Writer, room_of

_WATCHDOG_MS = 30000
_OTA_SUBTYPES = (16, 17)  # ota_0, ota_1
_OTADATA_SUBTYPE = 0
_ENTRY_BYTES = 32
_STATE_AT = 24
_PENDING_VERIFY = 1
_REFUSED = (3, 4)  # INVALID, ABORTED
_NO_SEQ = 0xFFFFFFFF


class Platform:
    """What the updates need of the chip.

    Attributes:
        firmware: `Firmware`, None unless the image has two partitions for updates.
        partition_bytes: Largest image there is room for, 0 without them.
    """

    def __init__(self):
        self._watchdog = None
        self.firmware = None
        apps = esp32.Partition.find(esp32.Partition.TYPE_APP)
        if sorted([part.info()[1] for part in apps]) == list(_OTA_SUBTYPES):
            self.firmware = Firmware(esp32.Partition(esp32.Partition.RUNNING), self.feed)
        self.partition_bytes = self.firmware.room_bytes if self.firmware else 0

    def restart(self):
        """Start anew; never returns."""
        machine.reset()

    def feed(self):
        """Tell the watchdog that all is well."""
        if self._watchdog:
            self._watchdog.feed()

    def start_watchdog(self):
        """Have a start that hangs end in another one: nothing stops the watchdog again."""
        self._watchdog = machine.WDT(timeout=_WATCHDOG_MS)


class Firmware:
    """The image that runs, and the one in the other partition.

    Attributes:
        room_bytes: Largest image there is room for.
        writer: The `Writer` since `begin`, None before.
    """

    def __init__(self, running, feed):
        self._running = running
        self._other = running.get_next_update()
        self._feed = feed
        self.room_bytes = room_of(self._other)
        self.writer = None

    def begin(self, size, digest):
        """Begin to write an image into the other partition, or go on with it.

        Args:
            size: In bytes, 1 to `room_bytes`.
            digest: Its SHA-256.
        """
        self.writer = Writer(self._running, self._other, size, digest)

    @property
    def position(self):
        """Bytes of the image that are there, None until `step` has found out."""
        return self.writer.position

    def step(self):
        """As `Writer.step`."""
        return self.writer.step()

    def write(self, data):
        """As `Writer.write`."""
        self.writer.write(data)

    def finish(self):
        """As `Writer.finish`."""
        return self.writer.finish()

    def running_is(self, size, digest):
        """Return whether the image of that size in bytes and SHA-256 runs."""
        return self._has(self._running, size, digest)

    def holds(self, found):
        """Return whether the firmware of a `Manifest` runs, or is whole in the other partition."""
        image = image_of(found)
        return image is None or self.running_is(*image) or self._has(self._other, *image)

    def arm(self, found):
        """Have the chip start the firmware of a `Manifest` next.

        After the record that names the release: a boot repeats this, as a counted try.
        """
        image = image_of(found)
        if image and not self.running_is(*image):
            _set_boot(self._other)

    def before_run(self, found, is_trial):
        """Do what the start of a slot needs; return whether the chip has to restart for it.

        After the record of this start: a try that ends in the boot loader is counted, too.

        Args:
            found: The `Manifest` of the slot.
            is_trial: Whether it is on trial.
        """
        image = image_of(found)
        if image is None:
            return False
        if self.running_is(*image):
            if not is_trial:
                self.confirm()  # the power failed before this, or the chip lost its own note
            return False
        if not self._has(self._other, *image):
            return False  # somebody has flashed another one by wire; it is for them to know
        if is_trial:
            _set_boot(self._other)
            return True  # where the chip refuses the image, until there are no tries left
        return self._state_of(self._other) not in _REFUSED and _set_boot(self._other)

    def confirm(self):
        """Keep the image that runs. Before the record says so: after it nobody would ask again."""
        try:
            esp32.Partition.mark_app_valid_cancel_rollback()
        except OSError:
            pass  # the chip's note is empty or damaged, then there is nothing to take back

    def leave(self, found):
        """Have the chip start the firmware before that of a failed release, if that runs.

        Before the record of the revert: without a pending slot nothing else would lead back.

        Args:
            found: The failed release's `Manifest`, None when its slot is not whole.

        Returns:
            Whether the chip has to restart for it.
        """
        if found is not None:
            image = image_of(found)
            is_left = image is not None and self.running_is(*image)
        else:
            is_left = self._state_of(self._running) == _PENDING_VERIFY
        return is_left and _set_boot(self._other)

    def _state_of(self, partition):
        """Return the chip's note on an app partition, None without one."""
        number = partition.info()[1] - _OTA_SUBTYPES[0]
        entry = bytearray(_ENTRY_BYTES)
        best = state = None
        for notes in esp32.Partition.find(esp32.Partition.TYPE_DATA, subtype=_OTADATA_SUBTYPE):
            for block in range(2):
                notes.readblocks(block, entry, 0)
                seq = int.from_bytes(entry[:4], "little")
                is_its = seq != _NO_SEQ and (seq - 1) % len(_OTA_SUBTYPES) == number
                if is_its and (best is None or seq > best):
                    best, state = seq, entry[_STATE_AT]
        return state

    def _has(self, partition, size, digest):
        if not 0 < size <= partition.info()[INFO_SIZE]:
            return False
        job = Hash(partition, size)
        found = None
        while found is None:
            self._feed()
            found = job.step()
        return found == digest


def image_of(found):
    """Return (size, SHA-256) of the firmware that a `Manifest` lists, None without any."""
    for entry in found.files:
        if entry[0] == manifest.FIRMWARE:
            return entry[2], entry[5]
    return None


def _set_boot(partition):
    """Have the chip start a partition; return whether it agrees. It checks the image by itself."""
    try:
        partition.set_boot()
    except OSError:
        return False
    return True
