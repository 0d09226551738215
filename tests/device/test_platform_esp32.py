"""An ESP32's firmware in two partitions; power fails at every write of ours and of the chip."""

import hashlib

from esp32_chip import esp32, platform_esp32
from nor_flash import CLEAN, KINDS, TORN

from formats import manifest
from formats.slot_state import NO_SLOT, SLOT_A, SLOT_B, State
from ota import partition_writer, slot_changes, slots

OLD = esp32.make_image(4500, 1)
NEW = esp32.make_image(7111, 2)
LIMIT = 60  # starts of a life: every one of them comes to an end


class Release:
    """As much of a manifest as a boot looks at."""

    def __init__(self, seq, image=None):
        self.manifest_seq = self.content_version = seq
        self.security_floor = 0
        self.tries = 4
        self.may_confirm_offline = False
        self.root_epoch = 1
        self.files = []
        if image is not None:
            digest = hashlib.sha256(image).digest()
            size = len(image)
            self.files = [(manifest.FIRMWARE, manifest.PLAIN, size, size, "firmware.bin", digest)]


class World:
    """A chip, and a node whose state record is written in one operation, as the store does."""

    def __init__(self, old=None):
        self.chip = esp32.chip = esp32.Chip()
        for label in ("ota_0", "ota_1"):
            self.chip.flash[label][:] = b"\xff" * len(self.chip.flash[label])
        self.chip.flash["ota_0"][: len(OLD)] = OLD
        self.slots = [None, old or Release(1), None]
        self.record = State()
        self.record.active, self.record.installed_seq, self.record.record_seq = SLOT_A, 1, 1
        self.node = None
        self.n_starts = 0
        self.armed_at = 0

    def write_record(self, record):
        """Write the record; power may fail before it or behind it."""
        is_cut = self.chip.ops == self.chip.cut
        self.chip.ops += 1
        if is_cut and self.chip.kind == CLEAN:
            raise esp32.PowerLost
        self.record = record
        if is_cut:
            raise esp32.PowerLost

    def begin_trial(self, firmware, release):
        """Arm a release whose firmware is there."""
        self.node = slots.Node(slots.VERIFY, self.record, self.node.running)
        self.slots[SLOT_B] = release
        self.armed_at = self.chip.ops
        assert self.step(slots.VERIFIED, release) == slots.RESTART
        firmware.arm(release)

    def end_trial(self, firmware, ends_well):
        """Confirm or revert."""
        if ends_well:
            firmware.confirm()
            assert self.step(slots.SERVER_ACK, 2) == slots.STAY
        else:
            assert firmware.leave(self.slots[SLOT_B])
            assert self.step(slots.HEALTH_FAILED, 24) == slots.RESTART

    def step(self, event, detail=None):
        """Let an event happen to the node, with its record written."""
        after, action = slots.step(self.node, event, detail)
        if after.record is not self.node.record:
            self.write_record(after.record)
        self.node = after
        return action

    def start(self):
        """Start until a slot runs; return the `Firmware` that it got."""
        while True:
            self.n_starts += 1
            assert self.n_starts < LIMIT, "does not settle"
            self.chip.power_on()
            firmware = platform_esp32.Platform().firmware
            if not self._boot(firmware):
                return firmware

    def _boot(self, firmware):
        """What the loader does; return whether to restart."""
        record = self.record
        found = list(self.slots)
        pending = found[record.pending]
        if pending is not None and not firmware.holds(pending):
            found[record.pending] = pending = None
        event, detail = slots.boot_event(record, found, 1)
        is_left = False
        if event in (slots.SPENT, slots.SPENT_ALONE):
            is_left = firmware.leave(pending)
        self.node = slots.Node(slots.OFF, record, NO_SLOT)
        self.step(event, detail)
        assert self.node.running != NO_SLOT
        running = found[self.node.running]
        return is_left or firmware.before_run(running, self.node.phase == slots.TRIAL)

    def install(self, firmware, release, image):
        """Fetch, verify and arm a release, then restart into it."""
        digest = hashlib.sha256(image).digest()
        firmware.begin(len(image), digest)
        while not firmware.step():
            pass
        while firmware.position < len(image):
            firmware.write(image[firmware.position : firmware.position + 1024])
        is_whole = None
        while is_whole is None:
            is_whole = firmware.finish()
        assert is_whole
        self.begin_trial(firmware, release)
        return self.start()

    def runs(self):
        """Return (slot, whether the new firmware runs)."""
        content = bytes(self.chip.flash[self.chip.running])
        assert content.startswith(OLD) or content.startswith(NEW)
        return self.node.running, content.startswith(NEW)


def live(world, ends_well):
    """Live from any state of the flash until the release is confirmed or given up."""
    firmware = world.start()
    check_pair(world)
    if world.record.active == SLOT_A and world.record.pending == NO_SLOT:
        if world.record.last_bad_seq:
            return
        firmware = world.install(firmware, Release(2, NEW), NEW)
    if world.node.phase != slots.TRIAL:
        return
    world.end_trial(firmware, ends_well)
    if not ends_well:
        world.start()


def check_pair(world):
    """The slot and the firmware that run belong together."""
    slot, is_new = world.runs()
    assert (slot == SLOT_B) == is_new, "an app on another release's firmware"


def check_end(world, ends_well):
    """The slot and the firmware that run belong together, now and after another start."""
    for _ in range(2):
        check_pair(world)
        slot = world.node.running
        assert slot == (SLOT_B if ends_well else SLOT_A), "the wrong release"
        assert world.record.pending == NO_SLOT
        world.start()
    assert world.chip.entry(world.chip.active_entry())[1] == esp32.VALID or not ends_well


def live_with_cuts(world, ends_well, cuts):
    """Live with the power failing at each (operations since the last start of it, kind).

    Returns:
        How many of the cuts came.
    """
    n_cuts = 0
    for n_ops, kind in cuts:
        world.chip.cut, world.chip.kind = world.chip.ops + n_ops, kind
        try:
            live(world, ends_well)
            world.start()
        except esp32.PowerLost:
            n_cuts += 1
    world.chip.cut = -1
    for _ in range(2):
        # A trial that was cut goes on, or its tries are spent. It never ends on a mixture.
        live(world, ends_well)
        check_pair(world)
        slot = world.node.running
        assert world.record.pending == NO_SLOT, "a trial without an end"
        assert ends_well or slot == SLOT_A, "what failed runs"
    check_end(world, world.record.active == SLOT_B)
    return n_cuts


def cut_everywhere(ends_well, old=None, make=World):
    """Cut a life at each operation in each way; return how many cuts that were."""
    world = make(old)
    live(world, ends_well)
    total = world.chip.ops
    check_end(world, ends_well)
    n_cuts = 0
    for kind in KINDS:
        for cut in range(total):
            n_cuts += live_with_cuts(make(old), ends_well, [(cut, kind)])
    assert n_cuts == len(KINDS) * total, (n_cuts, total)
    return n_cuts


def cut_twice(ends_well):
    """Cut the part that decides at each operation, and then what mends it at each."""
    world = World()
    live(world, ends_well)
    n_cuts = 0
    for first in range(world.armed_at - 1, world.chip.ops):
        for second in range(14):
            for kinds in ((CLEAN, CLEAN), (TORN, TORN)):
                cuts = [(first, kinds[0]), (second, kinds[1])]
                n_cuts += live_with_cuts(World(), ends_well, cuts)
    return n_cuts


def test_cuts_of_an_update_that_is_confirmed():
    assert cut_everywhere(True) > 100


def test_cuts_of_an_update_that_is_reverted():
    assert cut_everywhere(False) > 100


def test_cuts_where_the_old_release_names_its_firmware():
    assert cut_everywhere(True, Release(1, OLD)) > 100
    assert cut_everywhere(False, Release(1, OLD)) > 100


def test_two_cuts_in_a_row():
    assert cut_twice(True) > 200
    assert cut_twice(False) > 200


class ArmsEarly(World):
    """Planted: the chip is told before the record is durable."""

    def begin_trial(self, firmware, release):
        firmware.arm(release)
        World.begin_trial(self, firmware, release)


class LeavesLate(World):
    """Planted: the record forgets the release before the chip does."""

    def end_trial(self, firmware, ends_well):
        # Confirmed, but the record was lost to a cut: then the chip would not go back by itself.
        firmware.confirm()
        self.step(slots.HEALTH_FAILED, 24)
        firmware.leave(self.slots[SLOT_B])


class ConfirmsLate(World):
    """Planted: the record is confirmed, and the chip is not told."""

    def end_trial(self, firmware, ends_well):
        self.step(slots.SERVER_ACK, 2)


def test_a_wrong_order_is_found():
    for make, ends_well in ((ArmsEarly, True), (LeavesLate, False), (ConfirmsLate, True)):
        try:
            cut_everywhere(ends_well, None, make)
        except AssertionError:
            continue
        raise AssertionError(make.__name__)


def test_an_image_that_is_not_held_back_is_found():
    kept = partition_writer._HEAD_BYTES
    partition_writer._HEAD_BYTES = 0
    try:
        test_nothing_can_start_before_its_hash_is_right()
    except AssertionError:
        return
    finally:
        partition_writer._HEAD_BYTES = kept
    raise AssertionError


def test_a_firmware_that_dies_before_the_loader_is_given_up():
    world = World()
    firmware = world.start()
    world.slots[SLOT_B] = Release(2, NEW)
    # As the boot loader sees it: started, and never heard of again.
    power_on = world.chip.power_on

    def power_on_and_die():
        power_on()
        while bytes(world.chip.flash[world.chip.running]).startswith(NEW):
            power_on()

    world.chip.power_on = power_on_and_die
    world.install(firmware, Release(2, NEW), NEW)
    assert world.runs() == (SLOT_A, False)
    assert world.record.last_bad_seq == 2 and world.record.pending == NO_SLOT
    assert world.n_starts <= 2 + 4 + 1


def test_nothing_can_start_before_its_hash_is_right():
    world = World()
    firmware = world.start()
    firmware.begin(len(NEW), hashlib.sha256(NEW).digest())
    while not firmware.step():
        pass
    evil = esp32.make_image(len(NEW) - 5040, 3)
    evil = evil + bytes(len(NEW) - len(evil))
    for at in range(0, len(evil), 1000):
        firmware.write(evil[at : at + 1000])
        assert not esp32.is_image(world.chip.flash["ota_1"])
    is_whole = None
    while is_whole is None:
        is_whole = firmware.finish()
        assert not esp32.is_image(world.chip.flash["ota_1"])
    assert is_whole is False
    # Forgotten: the next one begins at 0.
    firmware.begin(len(NEW), hashlib.sha256(NEW).digest())
    while not firmware.step():
        pass
    assert firmware.position == 0


def test_a_resume_goes_back_one_chunk_at_most():
    for n_bytes in (0, 5, 1024, 4096, 5000, len(NEW) - 1):
        world = World()
        firmware = world.start()
        digest = hashlib.sha256(NEW).digest()
        firmware.begin(len(NEW), digest)
        while not firmware.step():
            pass
        firmware.write(NEW[:n_bytes])
        world.chip.power_on()
        firmware = platform_esp32.Platform().firmware
        firmware.begin(len(NEW), digest)
        n_steps = 0
        while not firmware.step():
            n_steps += 1
        assert firmware.position == n_bytes // 1024 * 1024
        assert n_steps < 30


def test_the_same_firmware_needs_no_download():
    world = World()
    firmware = world.start()
    before = world.chip.ops
    firmware.begin(len(OLD), hashlib.sha256(OLD).digest())
    while not firmware.step():
        pass
    assert firmware.position == len(OLD) and firmware.finish() is True
    firmware.arm(Release(2, OLD))
    assert world.chip.ops == before
    assert not firmware.before_run(Release(2, OLD), True)


def test_an_image_that_the_chip_refuses_costs_tries_and_ends_on_the_old_one():
    world = World()
    firmware = world.start()
    junk = bytes(range(256)) * 20
    world.install(firmware, Release(2, junk), junk)
    assert world.node.running == SLOT_A and world.record.last_bad_seq == 2
    content = bytes(world.chip.flash[world.chip.running])
    assert content.startswith(OLD)


def test_a_wake_from_deep_sleep_stays_on_the_firmware_on_trial():
    world = World()
    world.install(world.start(), Release(2, NEW), NEW)
    starts = world.n_starts
    world.chip.wake()
    assert not world._boot(platform_esp32.Platform().firmware)
    assert world.runs() == (SLOT_B, True) and world.n_starts == starts


def test_a_firmware_that_was_flashed_by_wire_is_left_alone():
    world = World(Release(1, NEW))
    world.start()
    assert world.runs() == (SLOT_A, False)


def test_a_confirmed_firmware_is_fetched_back_when_the_chip_has_lost_its_notes():
    world = World(Release(1, OLD))
    live(world, True)
    world.chip.flash["otadata"][:] = b"\xff" * 8192
    world.start()
    assert world.runs() == (SLOT_B, True)
    assert slot_changes.target(world.record) == SLOT_A
    world.start()
    assert world.runs() == (SLOT_B, True)


def test_an_image_without_two_partitions_has_no_firmware_updates():
    esp32.chip = esp32.Chip()
    esp32.chip.running = "ota_0"
    table = esp32.Partition._TABLE
    esp32.Partition._TABLE = (("ota_0", 0, 0),)
    try:
        platform = platform_esp32.Platform()
    finally:
        esp32.Partition._TABLE = table
    assert platform.firmware is None and platform.partition_bytes == 0
