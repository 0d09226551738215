"""A node with an updater over LittleFS in RAM: starts, runs, is cut off, starts again."""

import gc
import hashlib

import ota_releases
import sample_release
import slot_files
import vfs
from nor_flash import NorFlash
from scripted_source import ScriptedSource
from update_want import want_of

from formats import objects, slot_state, update_messages
from ota import loader
from ota.health import Facts
from ota.pace import Limits
from ota.store import Store
from ota.updater import RESTART, SWAP, Updater

SIGNER = ota_releases.StandIn
BLOCK_BYTES = 2048


class Restarted(Exception):
    """The platform was asked to start anew."""


class Platform:
    """A chip without firmware of its own to update."""

    firmware = None
    partition_bytes = 0

    def restart(self):
        raise Restarted


def healthy():
    """Return the facts of a release that works."""
    facts = Facts()
    facts.sensor_ok = True
    facts.windows = 10
    facts.heap_free = 100000
    facts.latency_us = 20000
    facts.uptime_s = 100
    return facts


def limits(**changes):
    """Return short limits."""
    found = Limits()
    values = {"piece_ms": 2000, "attempt_ms": 600000, "base_ms": 100, "cap_ms": 3000}
    values.update({"trial_ms": 20000, "judge_ms": 100})
    values.update(changes)
    for name, value in values.items():
        setattr(found, name, value)
    return found


class World:
    """One node, its flash, and what it can fetch.

    Attributes:
        updater: of the present start.
        source: ScriptedSource.
        facts: what the app would say of itself, for `healthy` to be changed.
        now_ms: its clock.
        restarts, swaps: what the updater asked the app for.
        reports: every message on /u, parsed.
        acknowledges: whether the server answers each report of a trial.
    """

    def __init__(self, release, signer=SIGNER, n_blocks=96, **limit_values):
        self.signer = signer
        if _flashes:
            _flashes[0].dead = True
            _end_lives()
        self.flash = _new_flash(n_blocks)
        vfs.VfsLfs2.mkfs(self.flash)
        self.store = Store(vfs.VfsLfs2(self.flash))
        slot_files.put(self.store, slot_state.SLOT_A, release)
        values = {"active": slot_state.SLOT_A, "installed_seq": release.seq}
        slot_files.put_state(self.store, security_floor=release.floor, **values)
        self.source = ScriptedSource({})
        self.facts = healthy()
        self.limits = limits(**limit_values)
        self.now_ms = 1000
        self.restarts = self.swaps = 0
        self.reports = []
        self.acknowledges = True
        self.device = sample_release.device(hardware=2)
        self.want = b""
        self.start()

    def start(self):
        """Power comes, or comes back."""
        self.flash = _taken_from(self.flash)
        _end_lives()
        self.store = Store(vfs.VfsLfs2(self.flash))
        root = ota_releases.root_file(self.signer, 1)
        product = slot_files.Product(self.device, root)
        self.boot = loader.boot(self.store, product, self.signer.verify, lambda: None)
        self.updater = Updater(
            self.boot, self.signer.verify, Platform(), lambda low, high: high, self.limits
        )
        _lives.append(self.updater)
        self.updater.sources = (self.source, self.source)
        self.updater.facts = lambda: self.facts
        self.updater.link(True)
        if self.want:
            self.updater.on_want(self.want)

    def wants(self, release, **changes):
        """The server wants a release, and has it."""
        self.source.objects.update(release.objects)
        self.want = want_of(release, **changes)
        self.updater.on_want(self.want)

    def turn(self):
        """One turn of the app's loop; return whether there was work."""
        updater = self.updater
        has_worked = updater.step(self.now_ms)
        self.now_ms += 10
        if updater.needs_report:
            self._report()
        if updater.action == RESTART:
            self.restarts += 1
            try:
                updater.restart()
            except Restarted:
                self.start()
        elif updater.action == SWAP:
            self.swaps += 1
            updater.swapped()
        return has_worked

    def _report(self):
        report = update_messages.parse_report(self.updater.report())
        self.updater.reported()
        self.reports.append(report)
        if self.acknowledges and report["phase"] == "trial":
            self.updater.on_ack(update_messages.pack_ack(report["pending_seq"], report["record"]))

    def run(self, is_over, most=20000):
        """Turn until `is_over(status)`; return that status."""
        for _ in range(most):
            self.turn()
            status = self.updater.status()
            if is_over(status):
                return status
        raise AssertionError("it does not end: %r, %s" % (status, self.updater.error))

    def run_to(self, seq):
        """Turn until a release is confirmed."""
        return self.run(lambda status: status["installed_seq"] == seq)

    def settle(self, turns=300):
        """Turn so often and return the status."""
        for _ in range(turns):
            self.turn()
        return self.updater.status()

    def holds(self, slot, release):
        """Return whether a slot holds a release byte by byte, and nothing else."""
        path = self.store.slot_path(slot)
        found = {}
        for entry in self.store.files.ilistdir(path):
            if entry[1] == 0x4000:
                for inner in self.store.files.ilistdir("%s/%s" % (path, entry[0])):
                    name = "%s/%s" % (entry[0], inner[0])
                    found[name] = self._read("%s/%s" % (path, name))
            else:
                found[entry[0]] = self._read("%s/%s" % (path, entry[0]))
        expected = dict(release.contents)
        expected["manifest"] = release.content
        return found == expected

    def names(self, slot):
        """Return what lies in a slot's folder."""
        try:
            return [entry[0] for entry in self.store.files.ilistdir(self.store.slot_path(slot))]
        except OSError:
            return []

    def holds_nothing(self, slot):
        """Return whether nothing was ever written to a slot."""
        return not self.names(slot)

    def _read(self, path):
        with self.store.files.open(path, "rb") as file:
            return file.read()

    def downloads(self):
        """Return the names in `dl`."""
        try:
            return sorted([entry[0] for entry in self.store.files.ilistdir("dl")])
        except OSError:
            return []


_flashes: list = []
_lives: list = []


def _end_lives():
    """Close what earlier lives have left open: the collector must not, it would write."""
    for updater in _lives:
        try:
            updater._download._close()
        except OSError:
            pass  # its flash is dead
    _lives.clear()


def _new_flash(n_blocks):
    """Return an erased flash; that of the world before is gone."""
    if _flashes and len(_flashes[0].image) == n_blocks * BLOCK_BYTES:
        found = _taken_from(_flashes[0])
        for at in range(0, len(found.image), BLOCK_BYTES):
            found.image[at : at + BLOCK_BYTES] = b"\xff" * BLOCK_BYTES
    else:
        _flashes.clear()
        gc.collect()
        found = NorFlash(None, n_blocks, BLOCK_BYTES)
    _flashes[:] = [found]
    return found


def _taken_from(flash):
    """Return a flash with the content of another one, which is dead from now on."""
    found = NorFlash(n_blocks=1)
    # The image itself: the heap of a test has no room for two.
    found.image, found._view = flash.image, flash._view
    found._n_blocks, found.block_bytes = flash._n_blocks, flash.block_bytes
    flash.dead = True
    _flashes[:] = [found]
    return found


def digest_id(content):
    """Return the object id of a signed file."""
    return objects.hash_id(hashlib.sha256(content).digest())
