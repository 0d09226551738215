"""The updates of a node under test: the real loader and the real updater on a flash of the tests.

What is tested is reached by the module's name at every call, so that a planted bug counts.
"""

from ota_oracle import INSTALLED_SEQ, PENDING, held_by, read_state
from ota_releases import CLASS, VENDOR, Release, StandIn, root_file

from formats import errors, objects, update_messages
from ota import health, job, loader, pace, product, store, trial, unpack, updater

RESCUE_SEQ = 900
RESCUE_FILES = ((1, "node.py", 128, 0, None), (9, "small.obm", 64, 0, None))
ROOT_BYTES = 1024  # more than each has
_MAX_STEPS = 4000
_STEP_MS = 5
_LONGEST_REST_MS = 1 << 20
_NEVER_MS = 1 << 28  # what an updater without work answers


def _feed():
    pass


def _no_print(*_):
    pass


# What a node tells people, thousands of times.
product.print = store.print = trial.tell = _no_print


class _NoCollector:
    """The memory of a test is large, and `ota_engine.Cutter.tidy` says when it is collected."""

    @staticmethod
    def collect():
        """Collect nothing."""


job.gc = unpack.gc = _NoCollector


class _Platform:
    """A machine that is started anew by whoever looks at the updater's action."""

    firmware = None
    partition_bytes = 0


class _Source:
    """Answers with objects, a chunk at a time; counts the bytes, and can lose its link."""

    def __init__(self, contents):
        self.contents = contents
        self.n_bytes = 0
        self.pieces_left = -1
        self.is_lost = False
        self._piece = None

    def begin(self, object_id, offset, n_bytes):
        """Take a request."""
        if not self.pieces_left:
            self.is_lost = True
            raise OSError(113)
        self.pieces_left -= 1
        end = offset + min(n_bytes, objects.CHUNK_BYTES - offset % objects.CHUNK_BYTES)
        self._piece = self.contents[object_id][offset:end]
        self.n_bytes += len(self._piece)

    def step(self, _):
        """Answer it."""
        piece, self._piece = self._piece, None
        return piece

    def close(self):
        """Forget it."""
        self._piece = None


class Wanted:
    """What a node was told to take, and where it fetched from so far.

    Attributes:
        release: The `Release`.
        epoch: Newest epoch of the root documents.
        swaps: Whether it is tried without a restart.
    """

    def __init__(self, release, epoch, swaps=False):
        self.release = release
        self.epoch = epoch
        self.swaps = swaps
        self._sources = []  # one for each start and each loss of the link, and its bytes before

    def fetch_from(self, source):
        """Count what a source sends from now on."""
        self._sources.append((source, source.n_bytes))

    def excess_bytes(self, n_more):
        """Return how many bytes came too many, when `n_more` come after one more interruption."""
        n_bytes = n_more + sum([source.n_bytes - before for source, before in self._sources])
        n_bytes -= sum([len(content) for content in self.release.objects.values()])
        n_bytes -= ROOT_BYTES * (self.epoch - 1)
        return n_bytes - objects.CHUNK_BYTES * len(self._sources)


class Lab:
    """Makes releases and starts nodes that take them.

    Attributes:
        releases: seq -> release.
        objects: id -> bytes, everything that was ever published.
    """

    def __init__(self):
        self.signer = StandIn()
        self.product = product.Product((VENDOR, CLASS, 2, 4), root_file(self.signer, 1), True)
        self.releases = {}
        self.objects = {}
        self.add(RESCUE_SEQ, table=RESCUE_FILES, version=RESCUE_SEQ)

    def add(self, seq, **changes):
        """Sign and publish another release and return it."""
        release = self.releases[seq] = Release(self.signer, seq, **changes)
        self.objects.update(release.objects)
        return release

    def add_root(self, epoch):
        """Sign, publish and return the root document of an epoch."""
        content = self.objects[objects.root_id(epoch)] = root_file(self.signer, epoch)
        return content

    def boot(self, files):
        """Start a node on a filesystem; return what the loader found."""
        kept = store.Store(files, "/")
        return loader.boot(kept, self.product, self.signer.verify, _feed)


class Node:
    """A node that runs: its updater, its clock, and the broker.

    Args:
        lab: Where its releases come from.
        boot: What its start has found, an `ota.loader.Boot`.
        tidy: Called between two steps, or None.

    Attributes:
        updater: The `ota.updater.Updater`.
        source: Where its objects come from.
        facts: What it knows of itself, `ota.health.Facts`; healthy.
    """

    def __init__(self, lab, boot, tidy=None):
        limits = pace.Limits()
        limits.can_swap = True
        self.facts = health.Facts()
        self.facts.sensor_ok, self.facts.windows, self.facts.heap_free = True, 100, 1 << 20
        self.source = _Source(lab.objects)
        self.updater = updater.Updater(
            boot, lab.signer.verify, _Platform(), lambda low, high: high, limits
        )
        self.updater.sources = (self.source, None)
        self.updater.facts = lambda: self.facts
        self.updater.link(True)
        self._now_ms = 0
        self._tidy = tidy

    def take(self, release, epoch=1, n_pieces=-1):
        """Hand over a want and step until something comes of it.

        Args:
            release: The `Release` that is wanted.
            epoch: Newest epoch of the root documents.
            n_pieces: Pieces until the link is gone, -1: it stays.

        Returns:
            What the app has to do, an action of `ota.updater`; "" nothing.
        """
        want = {"seq": release.seq, "manifest": release.id, "bytes": len(release.content)}
        want.update({"root": epoch, "url": ""})
        self.source.pieces_left, self.source.is_lost = n_pieces, False
        self.updater.on_want(update_messages.pack_want(want))
        self._run(lambda: self.source.is_lost or self._is_idle())
        return self.updater.action

    def confirm(self):
        """Hand over the server's acknowledgement of the trial; return whether it ended."""
        said = self.updater.status()
        self.acknowledge(said["pending_seq"], said["record"])
        self._run(lambda: not self.updater.is_trial)
        return not self.updater.is_trial

    def acknowledge(self, seq, record):
        """Hand over an acknowledgement and let the node look at it."""
        self.updater.on_ack(update_messages.pack_ack(seq, record))
        for _ in range(4):
            self._now_ms += 1000
            self.updater.step(self._now_ms)

    def fail(self, reason):
        """Let the health fail; return what the app has to do."""
        self.facts.model_reason = reason
        self._run(lambda: not self.updater.is_trial)
        return self.updater.action

    def _is_idle(self):
        return self.updater.rest_ms(self._now_ms) >= _NEVER_MS

    def _run(self, is_over):
        node = self.updater
        for _ in range(_MAX_STEPS):
            node.step(self._now_ms)
            if self._tidy:
                self._tidy()
            if node.needs_report:
                node.report()
                node.reported()
            if node.action or is_over():
                return
            self._now_ms += max(_STEP_MS, min(node.rest_ms(self._now_ms), _LONGEST_REST_MS))
        raise ValueError("an update without an end: %s" % node.error)


def rescue(lab, geometry, flash, wanted):
    """Let a node take what it is wanted to have, then one more release.

    Args:
        lab: A `Lab`.
        geometry: Of the flash.
        flash: Its content is changed.
        wanted: A `Wanted`, or None.

    Returns:
        What went wrong, or "".
    """
    todo = [(lab.releases[RESCUE_SEQ], 1)]
    if wanted:
        todo.insert(0, (wanted.release, wanted.epoch))
    for release, epoch in todo:
        node = Node(lab, lab.boot(geometry.mount(flash)))
        if node.updater.is_trial and not node.confirm():
            return "a trial without an end"
        if wanted and release is wanted.release and wanted.swaps and _is_spent(node, release):
            continue
        action = node.take(release, epoch)
        if wanted and release is wanted.release:
            excess = wanted.excess_bytes(node.source.n_bytes)
            if excess > 0:
                return "%d bytes were fetched too often" % excess
        if action == updater.SWAP:
            node.updater.swapped()
        elif action == updater.RESTART:
            node = Node(lab, lab.boot(geometry.mount(flash)))
        if node.updater.is_trial and not node.confirm():
            return "a trial without an end"
        reason = _has_installed(lab, geometry, flash, release)
        if reason:
            return "%s %s" % (reason, node.updater.error)
    return ""


def _is_spent(node, release):
    """Return whether a release may be given up: a swap is a try, and so were the starts since."""
    said = node.updater.status()
    return (said["bad_seq"], said["reason"]) == (release.seq, errors.TRIAL_SPENT)


def _has_installed(lab, geometry, flash, release):
    lab.boot(geometry.mount(flash))
    tree = geometry.read_tree(flash)
    state = read_state(tree)
    if state is None or state[PENDING] or state[INSTALLED_SEQ] != release.seq:
        return "release %d is not confirmed: %r" % (release.seq, state)
    seq, _ = held_by(tree, state[0], lab.releases)
    return "" if seq == release.seq else "release %d is not in its slot" % release.seq
