"""Lives of a node's updates: what happens to it, one after the other, while the power is cut."""

import sys

import vfs
from ota_engine import Cutter
from ota_node import Lab, Node, Wanted, rescue
from ota_oracle import SLOTS, STATE_PATH, STUCK, WRONG_STATE, Finding, Oracle
from ota_releases import MODEL_FILES, Forger, Release, Stranger

from formats import errors, slot_state
from ota import store, updater

FACTORY_SEQ = 1
_FLOOR_AT = 16  # of the record: its floor would still be one
_FILLER = "/filler"


class Life:
    """One node from the factory on.

    Args:
        geometry: An `ota_engine.Geometry`.
        plan: An `ota_engine.Plan`.
        lab: A `Lab`.
    """

    def __init__(self, geometry, plan, lab=None):
        self.lab = lab or Lab()
        self.oracle = Oracle(self.lab.releases)
        self.cutter = Cutter(geometry, plan, self.oracle, self.lab.boot, self._rescue)
        self.geometry = geometry
        self.node = None
        self._factory()

    def _rescue(self, geometry, flash, wanted):
        return rescue(self.lab, geometry, flash, wanted)

    def live(self, story):
        """Live through a story: a function that takes this life. What it raises is a finding."""
        self.cutter.watch()
        try:
            story(self)
        except Finding as finding:
            self.cutter.note(*finding.args)
        except Exception as error:
            sys.print_exception(error)
            self.cutter.note(STUCK, "the life ended by %r" % error)

    def _factory(self):
        """Leave the factory with the first release in slot a."""
        geometry, flash = self.geometry, self.cutter.flash
        geometry.make_filesystem(flash)
        files = geometry.mount(flash)
        kept = store.Store(files, "/")
        release = self.lab.add(FACTORY_SEQ)
        _put_release(files, slot_state.SLOT_A, release)
        state = slot_state.State()
        state.active, state.record_seq, state.installed_seq = slot_state.SLOT_A, 1, FACTORY_SEQ
        state.security_floor = release.floor
        kept.write_state(state)
        if geometry.free_bytes:
            stat = vfs.VfsLfs2(flash, progsize=geometry.page_bytes).statvfs("/")
            with files.open(_FILLER, "wb") as file:
                file.write(bytes(stat[0] * stat[3] - geometry.free_bytes))
        self.cutter.quiet()

    def boot(self):
        """Start the node; return its `ota.loader.Boot`."""
        self.cutter.what = "boot"
        self.cutter.n_boots = 1
        boot = self.lab.boot(self.geometry.mount(self.cutter.flash))
        seq = self.oracle.judge(self.cutter.tree_of_copy(), boot.node.running)
        if boot.is_trial:
            self.oracle.started(seq)
        self.node = Node(self.lab, boot, self.cutter.tidy)
        self.cutter.tidy()
        self.cutter.quiet()
        return boot

    def install(self, seq, epoch=1, n_pieces=-1, swaps=False, **changes):
        """Offer a release, which is signed for the first time if nobody has seen it yet.

        Args:
            seq: Its number.
            epoch: Newest epoch of the root documents.
            n_pieces: Pieces until the link is gone, -1: it stays.
            swaps: Whether it is tried without a restart.
            changes: As for `Release`.
        """
        release = self.lab.releases.get(seq) or self.lab.add(seq, root_epoch=epoch, **changes)
        self.cutter.what = "install %d" % seq
        self.oracle.offered.add(seq)
        for number in range(2, epoch + 1):
            self.oracle.roots[number] = self.lab.add_root(number)
            self.oracle.epochs.add(number)
        self.oracle.may_swap = swaps
        wanted = self.cutter.wanted
        if wanted is None or wanted.release is not release:
            wanted = self.cutter.wanted = Wanted(release, epoch, swaps)
        wanted.fetch_from(self.node.source)
        action = self.node.take(release, epoch, n_pieces)
        expected = "" if n_pieces >= 0 else updater.SWAP if swaps else updater.RESTART
        if action != expected:
            text = "release %d: %r %s" % (seq, action, self.node.updater.error)
            raise Finding(STUCK, text)
        excess = wanted.excess_bytes(0)
        if excess > 0:
            raise Finding(STUCK, "%d bytes were fetched too often" % excess)
        if action:
            self.cutter.wanted = None
        self.cutter.quiet()
        if swaps:
            self.oracle.started(seq)
            self.node.updater.swapped()

    def confirm(self, seq):
        """The server has acknowledged a release."""
        self.cutter.what = "confirm %d" % seq
        self.oracle.acked.add(seq)
        if not self.node.confirm():
            raise Finding(STUCK, "release %d is not confirmed" % seq)
        self.cutter.quiet()

    def fail(self):
        """The health of the trial fails, and the node restarts."""
        self.cutter.what = "health fails"
        self.oracle.may_fail = True
        if self.node.fail(24) != updater.RESTART:
            raise Finding(STUCK, "no revert")
        self.cutter.quiet()

    def spoil_slot(self, slot):
        """Change a bit in each file of a slot."""
        self.cutter.without_cuts(lambda files: _spoil(files, store.Store(files, "/"), slot))
        self.oracle.damaged.add(slot)

    def add_file(self, slot, path):
        """Put something into a slot that its manifest does not list."""
        full = "/%s%s" % (SLOTS[slot], path)
        self.cutter.without_cuts(lambda files: _append(files, full, b"import nothing\n"))
        self.oracle.damaged.add(slot)

    def forge(self, slot):
        """Put a release of a stranger in the place of what a slot holds."""
        forged = Release(Stranger(), 77)
        self.cutter.without_cuts(lambda files: _put_release(files, slot, forged))
        self.oracle.damaged.add(slot)

    def refuse(self, release, reason):
        """Offer what must be refused for this reason."""
        self.cutter.what = "refuse %d" % release.seq
        self.lab.objects.update(release.objects)
        self.node.take(release)
        said = self.node.updater.status()
        if (said["refused"], said["refused_seq"]) != (reason, release.seq):
            raise Finding(WRONG_STATE, "release %d: reason %r" % (release.seq, said["refused"]))
        self.cutter.quiet()

    def confirm_wrongly(self, seq, record):
        """An acknowledgement of something else than this trial comes."""
        self.cutter.what = "wrong acknowledgement"
        self.node.acknowledge(seq, record)
        self.cutter.quiet()

    def lose_state(self, content):
        """Put something else in the place of the record; None: change one bit of it."""
        self.oracle.lose_state(self.cutter.tree_of_copy())
        self.cutter.without_cuts(lambda files: _put_state(files, content))

    def sweep(self):
        """Start the node on flash that fails, or answers wrongly."""
        self.cutter.sweep_writes()
        self.cutter.sweep_bits()
        for n_failing in (7, 3, 1):
            self.cutter.sweep_reads(n_failing)

    def update(self, seq, **changes):
        """Install, try and confirm a release."""
        self.install(seq, **changes)
        if not self.boot().is_trial:
            raise Finding(STUCK, "release %d is not tried" % seq)
        self.confirm(seq)


def _spoil(files, kept, slot):
    for folder in ("app", "model"):
        path = "%s/%s" % (kept.slot_path(slot), folder)
        for entry in list(files.ilistdir(path)):
            _change_bit(files, "%s/%s" % (path, entry[0]))


def _change_bit(files, path, at=None):
    with files.open(path, "rb") as file:
        content = bytearray(file.read())
    if content:
        content[len(content) // 2 if at is None else at] ^= 4
        with files.open(path, "wb") as file:
            file.write(content)


def _append(files, path, content):
    store.make_folders(files, path)
    with files.open(path, "ab") as file:
        file.write(content)


def _put_release(files, slot, release):
    for path, content in list(release.contents.items()) + [("manifest", release.content)]:
        full = "/%s%s" % (SLOTS[slot], path)
        store.make_folders(files, full)
        with files.open(full, "wb") as file:
            file.write(content)


def _put_state(files, content):
    path = "/" + STATE_PATH
    if content is None:
        _change_bit(files, path, _FLOOR_AT)
        return
    with files.open(path, "wb") as file:
        file.write(content)


def confirmed(life):
    """An update is taken and confirmed, and so is the next one, into the other slot."""
    life.boot()
    life.update(2)
    life.boot()
    life.update(3)


def crashing(life):
    """A release crashes at every start; the next one is fine."""
    life.boot()
    life.install(2)
    for _ in range(2):
        life.boot()
    if life.boot().is_trial:
        raise Finding(STUCK, "no revert")
    life.update(3)


def unhealthy(life):
    """A release finds itself ill; an old content comes again under a new number."""
    life.boot()
    life.update(2, security_floor=1)
    life.install(3)
    life.boot()
    life.fail()
    life.boot()
    life.update(4, version=1, security_floor=1)


def resumed(life):
    """The link goes again and again, and the node starts anew in between."""
    life.boot()
    for n in (0, 1, 3, 2):
        life.install(2, n_pieces=n)
        life.boot()
    life.update(2)


def replaced(life):
    """Half a release has come when a newer one takes its place."""
    life.boot()
    life.install(2, n_pieces=6)
    life.boot()
    life.update(3)
    life.boot()
    life.install(4, n_pieces=6)
    life.update(5)


def rotated(life):
    """The keys change before, between and during updates."""
    life.boot()
    life.update(2, epoch=2)
    life.boot()
    life.install(3, epoch=4, n_pieces=5)
    life.boot()
    life.update(3, epoch=4)
    life.boot()


def swapped(life):
    """A release brings another model only, and is tried without a restart."""
    life.boot()
    life.install(2, swaps=True, table=MODEL_FILES)
    life.confirm(2)
    life.boot()
    life.install(3, swaps=True, table=MODEL_FILES)
    life.fail()
    life.boot()
    life.install(4, swaps=True, table=MODEL_FILES)
    life.boot()
    life.confirm(4)


def rotten(life):
    """Bits of the slot that runs change; then of the one on trial."""
    life.boot()
    life.update(2, security_floor=1)
    life.spoil_slot(slot_state.SLOT_B)
    life.boot()
    life.update(3, security_floor=1)
    life.install(4)
    life.spoil_slot(slot_state.SLOT_A)
    life.boot()
    life.update(5)


def meddled(life):
    """Somebody writes into the slots: more bytes, more files, a release of their own."""
    life.boot()
    life.update(2, security_floor=1)
    life.add_file(slot_state.SLOT_B, "app/node.py")
    life.boot()
    life.update(3, security_floor=1)
    life.add_file(slot_state.SLOT_B, "app/shadow.py")
    life.boot()
    life.update(4, security_floor=1)
    life.add_file(slot_state.SLOT_B, "ota/__init__.py")
    life.boot()
    life.update(5, security_floor=1)
    life.forge(slot_state.SLOT_B)
    life.boot()
    life.update(6)


def refused(life):
    """What a stranger has signed is offered, and acknowledged is what is not on trial."""
    life.boot()
    life.refuse(Release(Stranger(), 78), errors.SIGNED_KEY)
    life.refuse(Release(Stranger(), 79, body=b"no manifest at all"), errors.SIGNED_KEY)
    life.refuse(Release(Forger(), 80), errors.SIGNED_INVALID)
    life.update(2)
    record = life.node.updater.status()["record"]
    life.install(3)
    life.boot()
    life.confirm_wrongly(2, record)
    life.confirm_wrongly(3, record)
    life.confirm_wrongly(2, record + 2)
    life.confirm(3)


def lost(life):
    """The record is spoilt while one release runs, and while another is on trial."""
    life.boot()
    life.lose_state(b"")
    life.boot()
    life.update(2)
    life.boot()
    life.lose_state(None)
    life.boot()
    life.confirm(2)
    life.install(3)
    life.lose_state(bytes(44))
    life.boot()
    life.boot()
    life.boot()
    life.update(4)


def weak(life):
    """Reads and writes of a start fail, in every phase of an update."""
    life.boot()
    life.install(2)
    life.sweep()
    life.boot()
    life.boot()
    life.sweep()
    life.boot()
    life.update(3)
    life.sweep()


STORIES = (confirmed, crashing, unhealthy, resumed, replaced, rotated)
STORIES += (swapped, rotten, meddled, refused, lost, weak)
