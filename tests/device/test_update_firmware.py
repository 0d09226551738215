"""A release with an ESP32's firmware: the real updater and loader over a chip's partitions."""

import ota_releases
import slot_files
import update_world
import vfs
from esp32_chip import esp32, platform_esp32
from ota_releases import Release
from update_world import SIGNER, World

from formats import errors, manifest
from formats.slot_state import SLOT_A, SLOT_B
from ota import loader, slots
from ota.store import Store
from ota.updater import Updater

OLD = esp32.make_image(4500, 1)
NEW = esp32.make_image(9111, 2)
TABLE = (
    (1, "node.py", 3000, manifest.PLAIN, True),
    (9, "exercise.obm", 2100, manifest.PLAIN, True),
    (manifest.FIRMWARE, "firmware.bin", 0, manifest.PLAIN, True),
)


class FirmwareRelease(Release):
    """A release that brings an image."""

    def __init__(self, seq, image):
        self._image = image
        Release.__init__(self, SIGNER, seq, table=TABLE, tries=4)
        del self.contents[""]

    def _entry(self, kind, name, codec, content):
        return Release._entry(
            self, kind, name, codec, self._image if kind == manifest.FIRMWARE else content
        )


class EspWorld(World):
    """A node on an ESP32 with two partitions."""

    def start(self):
        if not hasattr(self, "chip"):
            self.chip = esp32.chip = esp32.Chip()
            self.chip.flash["ota_0"][: len(OLD)] = OLD
        for _ in range(20):
            self.chip.power_on()
            if not self._start():
                return
        raise AssertionError("it starts for ever")

    def _start(self):
        self.store = Store(vfs.VfsLfs2(self.flash))
        platform = platform_esp32.Platform()
        platform.restart = lambda: update_world.Platform().restart()
        self.device.partition_bytes = platform.partition_bytes
        product = slot_files.Product(self.device, ota_releases.root_file(self.signer, 1))
        verify = self.signer.verify
        self.boot = loader.boot(self.store, product, verify, platform.feed, platform.firmware)
        if self.boot.must_restart:
            return True
        self.updater = Updater(self.boot, verify, platform, lambda low, high: high, self.limits)
        self.updater.sources = (self.source, self.source)
        self.updater.facts = lambda: self.facts
        self.updater.link(True)
        if self.want:
            self.updater.on_want(self.want)
        return False

    def runs(self, image):
        """Return whether that image runs."""
        return bytes(self.chip.flash[self.chip.running]).startswith(image)


def test_a_firmware_is_fetched_tried_and_confirmed():
    world = EspWorld(Release(SIGNER, 1))
    new = FirmwareRelease(2, NEW)
    world.wants(new)
    world.run(lambda s: s["installed_seq"] == 2)
    assert world.runs(NEW) and world.holds(SLOT_B, new) and world.source.again == 0
    world.settle()
    world.start()
    assert world.runs(NEW) and world.boot.node.running == SLOT_B
    assert world.chip.entry(world.chip.active_entry())[1] == esp32.VALID


def test_whoever_confirms_or_ends_a_trial_turns_the_firmware_first():
    for event, detail, image in (
        (slots.SERVER_ACK, 2, NEW),
        (slots.HEALTH_FAILED, errors.TRIAL_SERVER, OLD),
    ):
        world = EspWorld(Release(SIGNER, 1))
        world.acknowledges = False
        world.wants(FirmwareRelease(2, NEW))
        world.run(lambda s: s["phase"] == "trial")
        # As a computer on the console does it.
        world.updater._at.event(event, detail)
        world.want = b""
        for _ in range(2):
            world.start()
            assert world.runs(image), event
            assert (world.boot.node.running == SLOT_B) == (image is NEW)


def test_a_firmware_whose_app_fails_goes_with_it():
    world = EspWorld(Release(SIGNER, 1))
    world.wants(FirmwareRelease(2, NEW))
    world.facts.sensor_ok = False
    status = world.run(lambda s: s["bad_seq"] == 2)
    assert status["reason"] == errors.TRIAL_SENSOR
    world.settle()
    assert world.runs(OLD) and world.boot.node.running == SLOT_A


def test_an_app_that_restarts_for_ever_takes_its_firmware_with_it():
    world = EspWorld(Release(SIGNER, 1))
    world.acknowledges = False
    world.wants(FirmwareRelease(2, NEW))
    world.run(lambda s: s["phase"] == "trial")
    assert world.runs(NEW)
    for _ in range(4):
        world.start()
    assert world.runs(OLD) and world.boot.node.running == SLOT_A
    assert world.updater.status()["bad_seq"] == 2


def test_a_wrong_image_is_fetched_again_and_never_started():
    world = EspWorld(Release(SIGNER, 1))
    new = FirmwareRelease(2, NEW)
    world.wants(new)
    name = next(key for key, value in new.objects.items() if value == NEW)
    evil = esp32.make_image(len(NEW) - 4200, 3)
    world.source.objects[name] = evil + bytes(len(NEW) - len(evil))
    status = world.run(lambda s: s["refused"], 60000)
    assert status["refused"] == errors.UPDATE_HASH
    assert not esp32.is_image(world.chip.flash["ota_1"])
    world.start()
    assert world.runs(OLD)


def test_an_image_that_rots_before_its_first_start_is_never_tried():
    world = EspWorld(Release(SIGNER, 1))
    world.wants(FirmwareRelease(2, NEW))
    while world.updater.status()["phase"] != slots.ARMED:
        world.updater.step(world.now_ms)
        world.now_ms += 10
    world.chip.flash["ota_1"][5000] ^= 1
    world.want = b""
    world.start()
    status = world.updater.status()
    assert (status["bad_seq"], status["reason"]) == (2, errors.SLOT_DAMAGED)
    assert world.runs(OLD) and world.boot.node.running == SLOT_A


def test_a_confirmed_app_runs_on_whatever_firmware_came_by_wire():
    world = EspWorld(Release(SIGNER, 1))
    world.wants(FirmwareRelease(2, NEW))
    world.run(lambda s: s["installed_seq"] == 2)
    world.settle()
    world.chip.flash[world.chip.running][: len(OLD)] = OLD
    world.start()
    assert world.boot.node.running == SLOT_B and world.runs(OLD)


def test_a_node_without_a_slot_takes_updates():
    world = EspWorld(Release(SIGNER, 1))
    world.store.files.remove("s/a/manifest")
    world.start()
    assert world.boot.node.phase == slots.RECOVERY
    world.wants(FirmwareRelease(2, NEW))
    world.run(lambda s: s["installed_seq"] == 2)
    assert world.runs(NEW)


def test_a_chip_without_two_partitions_refuses_it():
    world = World(Release(SIGNER, 1))
    world.wants(FirmwareRelease(2, NEW))
    assert world.run(lambda s: s["refused"])["refused"] == errors.UPDATE_SIZE


def test_a_start_in_the_middle_of_an_image_goes_on_and_says_so():
    world = EspWorld(Release(SIGNER, 1))
    new = FirmwareRelease(2, NEW)
    world.wants(new)
    requests = world.source.requests
    world.run(lambda s: requests and requests[-1][2] < 3000 and requests[-1][1] > 6000)
    world.start()
    n_requests = len(requests)
    status = world.run(lambda s: len(requests) > n_requests)
    name, offset, n_bytes = requests[-1]
    assert new.objects[name] == NEW and offset >= 4096 and n_bytes == len(NEW) - offset
    assert status["total_bytes"] - status["done_bytes"] == n_bytes
    world.run_to(2)
    assert world.runs(NEW)
