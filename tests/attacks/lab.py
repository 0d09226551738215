"""What every attack starts from: releases of the host library, nodes in known states, a judge.

Runs on MicroPython's unix port. Private keys stay with the process that started this one: `sign`
asks it over standard output and input.
"""

import sys

import slot_files
import update_world
import vfs
from nor_flash import NorFlash
from scripted_source import ScriptedSource

from formats import errors, manifest, manifest_pack, objects, signed, signed_pack
from formats.slot_state import SLOT_A, SLOT_B
from ota import loader, slots, verifier
from ota.store import Store
from ota.trust import Device
from ota.updater import Updater

VENDOR = 7
CLASS = 3
TENANT = "farm-7"
HARDWARE = 2
INSTALLED = 5
NEW = 6
_IS_FOLDER = 0x4000


def _ask(text):
    print("?" + text)
    return bytes.fromhex(sys.stdin.readline().strip())


class Signer:
    """People by name, whose keys another process has."""

    def __init__(self):
        self._public = {}
        self._signatures = {}
        self.verify = verifier.make(lambda: None)

    def key(self, name):
        """Return somebody's public key."""
        if name not in self._public:
            self._public[name] = _ask("key " + name)
        return self._public[name]

    def sign(self, name, message):
        """Return somebody's signature."""
        question = name + " " + bytes(message).hex()
        if question not in self._signatures:
            self._signatures[question] = _ask("sign " + question)
        return self._signatures[question]


class HostRelease:
    """A release folder of the host library."""

    def __init__(self, folder):
        self.content = read(folder + "/manifest")
        self.objects = {}
        for name in names_in(folder + "/objects"):
            self.objects[name] = read("%s/objects/%s" % (folder, name))
        self._set(self.content)

    def _set(self, content):
        self.content = content
        self.body = signed.parse(content, signed.MANIFEST).body
        self.found = manifest.parse(self.body)
        self.seq = self.found.manifest_seq
        self.floor = self.found.security_floor
        self.id = id_of(content)
        self.objects[self.id] = content
        self.contents = {}

    def unpacked(self, plain):
        """Name the unpacked files: what a slot holds. `plain` is a folder with them."""
        for entry in self.found.files:
            path = manifest.path(entry[0], entry[4])
            self.contents[path] = read("%s/%s" % (plain, path))
        return self


def read(path):
    """Return a file of this computer."""
    with open(path, "rb") as file:
        return file.read()


def names_in(folder):
    """Return the names of the files in a folder of this computer."""
    import os

    return [entry[0] for entry in os.ilistdir(folder) if entry[1] != _IS_FOLDER]


def id_of(content):
    """Return the object id of a signed manifest."""
    import hashlib

    return objects.hash_id(hashlib.sha256(content).digest())


class Product(slot_files.Product):
    """What the node of the attacks is."""

    def __init__(self, root, changes):
        device = Device()
        values = {"vendor": VENDOR, "product_class": CLASS, "hardware": HARDWARE}
        values.update({"tenant": TENANT, "mpy_abi": 6, "arch": 3, "firmware": 4})
        values.update({"slot_bytes": 65536})
        values.update(changes)
        for name, value in values.items():
            setattr(device, name, value)
        slot_files.Product.__init__(self, device, root)


class World(update_world.World):
    """A node on a flash of its own; see tests/fakes/update_world.py for how it runs."""

    def __init__(self, lab, image=None, device=(), **limit_values):
        self.signer = lab.signer
        self.lab = lab
        self.flash = NorFlash(image, n_blocks=64)
        if image is None:
            vfs.VfsLfs2.mkfs(self.flash)
        self.product = Product(lab.roots[0], dict(device))
        self.source = ScriptedSource({})
        self.facts = update_world.healthy()
        values = {"attempts": 1, "base_ms": 10, "cap_ms": 20}
        values.update(limit_values)
        self.limits = update_world.limits(**values)
        self.now_ms = 1000
        self.restarts = self.swaps = 0
        self.reports = []
        self.acknowledges = False
        self.want = b""

    def start(self):
        """Power comes, or comes back."""
        self.store = Store(vfs.VfsLfs2(self.flash))
        self.boot = loader.boot(self.store, self.product, self.signer.verify, lambda: None)
        platform = update_world.Platform()
        self.updater = Updater(
            self.boot, self.signer.verify, platform, lambda low, high: high, self.limits
        )
        self.updater.sources = (self.source, self.source)
        self.updater.facts = lambda: self.facts
        self.updater.link(True)
        if self.want:
            self.updater.on_want(self.want)
        return self

    def serve(self, release, content=None, **changes):
        """Have the broker hold a release and want it; `content` in the place of its manifest."""
        self.source.objects.update(release.objects)
        content = release.content if content is None else content
        self.source.objects[id_of(content)] = content
        want = {"seq": release.seq, "manifest": id_of(content), "bytes": len(content)}
        want.update({"root": 1, "url": ""})
        want.update(changes)
        self.want = update_world.update_messages.pack_want(want)
        self.updater.on_want(self.want)

    def until_refused(self, most=6000):
        """Run until the want is settled; return the reason, 0 when it never is."""
        for _ in range(most):
            self.turn()
            status = self.updater.status()
            if status["refused"] or status["phase"] in (slots.TRIAL, slots.ARMED):
                return status["refused"]
            is_idle = not self.updater.wants_link and not self.updater.is_busy
            if is_idle and self.updater.rest_ms(self.now_ms) > 100000:
                return status["refused"]
        return 0

    def kept(self):
        """Return path -> bytes of all that an attack must not change."""
        tree = {}
        running = self.updater.slot_path
        for folder in ("st", "id") + ((running,) if running else ()):
            _read_tree(self.store.files, folder, tree)
        return tree

    def counters(self):
        """Return what of the state no failed trial changes."""
        record = self.updater._at.record
        return record.active, record.installed_seq, record.security_floor, record.root_epoch


def _read_tree(files, folder, tree):
    try:
        entries = list(files.ilistdir(folder))
    except OSError:
        return
    for entry in entries:
        path = "%s/%s" % (folder, entry[0])
        if entry[1] == _IS_FOLDER:
            _read_tree(files, path, tree)
        else:
            with files.open(path, "rb") as file:
                tree[path] = file.read()


class Judge:
    """Counts what the attacks came to."""

    def __init__(self, shown=8):
        self.cases = self.accepted = self.wrong_reason = self.state_changed = 0
        self.rows = {}
        self._shown = shown

    def note(self, row, what, is_accepted=False, reasons=(0, 0), is_changed=False):
        """Count a case.

        Args:
            row: of the table in docs/SECURITY.md.
            what: the case in words.
            is_accepted: the attacker got what they wanted.
            reasons: what the node said, and what it should have said: a code or several.
            is_changed: something is not as it was.
        """
        found, expected = reasons
        expected = expected if isinstance(expected, tuple) else (expected,)
        is_wrong = found not in expected
        self.cases += 1
        self.accepted += is_accepted
        self.wrong_reason += is_wrong
        self.state_changed += is_changed
        self.rows[row] = self.rows.get(row, 0) + 1
        if (is_accepted or is_wrong or is_changed) and self._shown:
            self._shown -= 1
            names = "/".join([errors.name(code) for code in expected])
            said = errors.name(found) if found else "nothing"
            flags = (is_accepted, is_changed, said, names)
            print("%s, %s: accepted=%d changed=%d, %s instead of %s" % ((row, what) + flags))


class Lab:
    """The material, and nodes in known states.

    Attributes:
        roots: signed root documents, epoch 1 first.
        releases: seq -> HostRelease.
        judge: `Judge`.
    """

    def __init__(self, folder, judge):
        self.folder = folder
        self.signer = Signer()
        self.judge = judge
        self.roots = [read("%s/chain/root.%d" % (folder, epoch)) for epoch in (1, 2)]
        self.releases = {}
        for seq in (4, INSTALLED, NEW):
            release = HostRelease("%s/%d" % (folder, seq))
            self.releases[seq] = release.unpacked("%s/plain/%d" % (folder, seq))
        self.new = self.releases[NEW]
        self._images = {}

    def world(self, base="idle", **changes):
        """Return a node in a known state, started."""
        if base not in self._images:
            self._images[base] = bytes(getattr(self, "_make_" + base)().flash.image)
        world = World(self, self._images[base], **changes)
        if base in ("trial", "reverted", "confirmed"):
            # Not started again: a start would be one of the trial's tries, or end the phase.
            world = self._live(base, world)
        else:
            world.start()
        return world

    def prepare(self):
        """Bring nodes into every known state, before anything is taken away from them."""
        for base in ("idle", "armed", "trial", "reverted", "confirmed", "recovery", "rotated"):
            self.world(base)

    def _put(self, world):
        store = world.store = Store(vfs.VfsLfs2(world.flash))
        slot_files.put(store, SLOT_A, self.releases[INSTALLED])
        slot_files.put(store, SLOT_B, self.releases[4])
        slot_files.write_file(store.files, "id/root", self.roots[0])
        slot_files.write_file(store.files, "id/config.json", b'{"device": "node-1"}')
        values = {"active": SLOT_A, "installed_seq": INSTALLED}
        slot_files.put_state(store, security_floor=3, record_seq=9, **values)
        return world

    def _make_idle(self):
        return self._put(World(self))

    def _make_armed(self):
        world = self._put(World(self)).start()
        world.serve(self.new)
        while world.updater.status()["phase"] != slots.ARMED:
            world.updater.step(world.now_ms)
            world.now_ms += 10
        return world

    _make_trial = _make_reverted = _make_confirmed = _make_armed

    def _live(self, base, world):
        world.start()
        assert world.updater.is_trial
        if base == "reverted":
            world.facts.model_reason = errors.GOLDEN_MISMATCH
            world.run(lambda status: status["bad_seq"] == NEW)
        elif base == "confirmed":
            world.acknowledges = True
            world.run(lambda status: status["installed_seq"] == NEW)
            world.acknowledges = False
        return world

    def _make_recovery(self):
        world = self._put(World(self))
        for path in ("s/a/manifest", "s/b/manifest"):
            world.store.files.remove(path)
        return world

    def _make_rotated(self):
        world = self._put(World(self))
        slot_files.write_file(world.store.files, "st/root.2", self.roots[1])
        state = world.store.read_state()
        state.root_epoch = 2
        state.record_seq += 1
        world.store.write_state(state)
        return world

    # Signed by whoever is named, right or wrong.

    def body(self, **changes):
        """Return the body of a manifest like that of release 6, with other values."""
        names = list(manifest_pack.NEEDED) + list(manifest_pack.OPTIONAL)
        fields = {name: getattr(self.new.found, name) for name in names}
        fields.update(changes)
        return manifest_pack.pack(fields)

    def seal(self, body, *names, kind=signed.MANIFEST, message=None):
        """Return the file of a document that these people have signed.

        Args:
            body: what it is.
            names: who signs; the id in the manifest is not touched.
            kind: signed.MANIFEST or signed.ROOT.
            message: what they sign; None: what they should.
        """
        message = signed.message(kind, body) if message is None else message
        pairs = [(self.signer.key(name), self.signer.sign(name, message)) for name in names]
        return signed_pack.pack(kind, pairs, body)

    def made(self, name="release", **changes):
        """Return the file of a manifest with other values, signed by the key that it names."""
        changes.setdefault("key_id", signed.key_id(self.signer.key(name)))
        return self.seal(self.body(**changes), name)

    def try_manifest(self, row, what, content, expected, base="idle", **changes):
        """Offer a signed file as a release and judge what becomes of it."""
        wants = changes.pop("wants", {})
        world = self.world(base, **changes)
        before = world.kept()
        world.serve(self.new, content, **wants)
        self.judge_refused(row, what, world, (world.until_refused(), expected), before)

    def judge_refused(self, row, what, world, reasons, before):
        """Judge a node that should have refused something, now and after a restart."""
        status = world.updater.status()
        is_accepted = status["phase"] in (slots.ARMED, slots.TRIAL) or status["pending_seq"] != 0
        is_changed = world.kept() != before
        running = world.updater.slot_path
        world.want = b""
        world.start()
        is_changed |= world.kept() != before or world.updater.slot_path != running
        self.judge.note(row, what, is_accepted, reasons, is_changed)
