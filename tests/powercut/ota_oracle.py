"""What must be true of a node's flash after any power cut. It believes nothing that a node says.

It reads the bytes of the filesystem with its own parser of the state record and its own hashes,
and knows what was signed, what was handed to the node, and how often a release was started. From
that follows which records may lie on the flash, and what has to run. Runs on MicroPython and on
CPython; imports nothing of the node.
"""

import binascii
import hashlib
import struct

SLOTS = (None, "s/a/", "s/b/")
STATE_PATH = "st/state"

_FORMAT = "<4sBBBB7IHBBI"  # docs/SPEC.md: Slot state
_STATE_BYTES = 44

# Fields of a state as a plain tuple; 0 none, 1 slot a, 2 slot b.
ACTIVE, PENDING, TRIES_LEFT, RECORD_SEQ, INSTALLED_SEQ, FLOOR = range(6)
PENDING_SEQ, PENDING_FLOOR, EPOCH, BAD_SEQ, REASON, OFFLINE = range(6, 12)
_ANY = -1  # a reason that is not 0

BRICKED = "bricked"
MIXED = "mixed"
LOST_CONFIRMED = "lost_confirmed"
WRONG_STATE = "wrong_state"
UNCOUNTED = "uncounted"
STUCK = "stuck"
LOST_CONFIG = "lost_config"
KINDS = (BRICKED, MIXED, LOST_CONFIRMED, WRONG_STATE, UNCOUNTED, STUCK, LOST_CONFIG)


class Finding(Exception):
    """What must not happen has happened: (one of KINDS, what exactly)."""


def read_state(tree):
    """Return the fields of the state record, None where there is none or it is damaged."""
    content = tree.get(STATE_PATH, b"")
    if len(content) != _STATE_BYTES:
        return None
    fields = struct.unpack(_FORMAT, content)
    is_good = fields[0] == b"OBT\x1a" and fields[1] == 1
    if not is_good or binascii.crc32(content[:40]) & 0xFFFFFFFF != fields[15]:
        return None
    return fields[2:14]


def held_by(tree, slot, releases):
    """Return (seq of the release that a slot holds exactly, 0 for none; versions found in it)."""
    prefix = SLOTS[slot]
    found = {}
    for path, content in tree.items():
        if path.startswith(prefix):
            found[path[len(prefix) :]] = content
    signed = found.pop("manifest", b"")
    versions = set()
    for path, content in found.items():
        digest = hashlib.sha256(content).digest()
        for release in releases.values():
            if release.digests.get(path) == digest:
                versions.add(release.version)
    for release in releases.values():
        if release.content == signed and set(found) == set(release.digests):
            wrong = [
                path
                for path, content in found.items()
                if hashlib.sha256(content).digest() != release.digests[path]
            ]
            if not wrong:
                return release.seq, versions
    return 0, versions


def changed(state, *pairs):
    """Return the state after one more record, with some of its fields changed."""
    fields = list(state)
    fields[RECORD_SEQ] += 1
    for i in range(0, len(pairs), 2):
        fields[pairs[i]] = pairs[i + 1]
    return tuple(fields)


_CLEARED = (PENDING, 0, TRIES_LEFT, 0, PENDING_SEQ, 0, PENDING_FLOOR, 0, OFFLINE, 0)


class Oracle:
    """Knows what happened to a node; judges its flash.

    Attributes:
        releases: seq -> release, all that were ever signed for it.
        roots: Epoch -> signed root document, all that were published from the second on.
        durable: The state that was on the flash at the last quiet moment.
        offered, acked, epochs: seqs and epochs that the node was handed since.
        may_fail: Whether its health may have failed since.
        may_swap: Whether a trial may begin without a boot.
        starts: seq -> how often a trial was started.
        damaged: Slots whose files something else than the node has spoilt.
        confirmed: seqs that may run without a trial.
        has_fallen_back: An older release runs, because the newest one was spoilt.
    """

    def __init__(self, releases):
        self.releases = releases
        self.roots = {}
        self.durable = None
        self.offered = set()
        self.acked = set()
        self.epochs = set()
        self.may_fail = False
        self.may_swap = False
        self.starts = {}
        self.damaged = set()
        self.confirmed = set()
        self.has_fallen_back = False
        self._rebuilt = None

    def quiet(self, tree, n_boots=0):
        """Nothing is going on: what lies on the flash is durable from now on.

        Args:
            tree: As for `judge`.
            n_boots: As for `judge`.
        """
        state = read_state(tree)
        if state is None:
            raise Finding(WRONG_STATE, "the record is lost without a cut")
        before = self.durable
        if before is not None or self._rebuilt:
            self._check_reached(state, n_boots)
        if before is not None and state[INSTALLED_SEQ] == before[INSTALLED_SEQ]:
            self.has_fallen_back |= state[ACTIVE] != before[ACTIVE]
        else:
            self.has_fallen_back = False
        self.durable = state
        self._rebuilt = None
        if not self.has_fallen_back:
            self.confirmed.add(state[INSTALLED_SEQ])
        self.offered, self.acked, self.epochs = set(), set(), set()
        self.may_fail = self.may_swap = False
        self.damaged = set()

    def lose_state(self, tree):
        """Something else than the node has spoilt the record; what it may be made anew as."""
        held = [held_by(tree, slot, self.releases)[0] for slot in (1, 2)]
        seqs = sorted([seq for seq in held if seq])
        lowest = seqs[0]
        release = self.releases[lowest]
        epoch = self.durable[EPOCH]
        active = held.index(lowest) + 1
        state = (active, 0, 0, 1, lowest, release.floor, 0, 0, epoch, 0, _ANY, 0)
        self.confirmed = {lowest}
        if len(seqs) == 2:
            # It may be a trial that failed, so it is one again, and this boot is its first try.
            newest = self.releases[seqs[1]]
            pairs = (PENDING, 3 - active, TRIES_LEFT, newest.tries - 1, PENDING_SEQ, newest.seq)
            state = changed(state, RECORD_SEQ, 1, *pairs, PENDING_FLOOR, newest.floor)
            self.starts[newest.seq] = 0
        self.durable = None
        self._rebuilt = state

    def started(self, seq):
        """A release is started on trial."""
        self.starts[seq] = self.starts.get(seq, 0) + 1

    def judge(self, tree, running, n_boots=1, starts=None):
        """Judge the flash after `n_boots` boots, of which the last one runs slot `running`.

        Args:
            tree: Path -> bytes of every file, after the last boot.
            running: Number of the slot whose files are about to run, 0 for none.
            n_boots: Boots since the last quiet moment.
            starts: seq -> how often its trial was started since, besides this boot.

        Returns:
            The seq that runs.

        Raises:
            Finding: it is not as it has to be.
        """
        state = read_state(tree)
        if state is None:
            raise Finding(WRONG_STATE, "no valid record after a boot")
        self._check_reached(state, n_boots)
        self._check_roots(tree, state[EPOCH])
        if running not in (1, 2):
            raise Finding(BRICKED, "nothing runs; %r" % (state,))
        seq, versions = held_by(tree, running, self.releases)
        if not seq:
            raise Finding(MIXED, "slot %d runs and holds no release, %r" % (running, versions))
        if state[PENDING] == running:
            self._check_trial(state, seq, starts or {})
        elif state[ACTIVE] == running:
            self._check_active(state, seq)
        else:
            raise Finding(WRONG_STATE, "slot %d runs under %r" % (running, state))
        return seq

    def check_manifest(self, seq, boot):
        """Raise unless the app is told the very manifest that was signed.

        Args:
            seq: What runs.
            boot: Has `content`, the signed file, and `manifest` with its fields.
        """
        release = self.releases[seq]
        told = boot.manifest
        files = {}
        for entry in told.files:
            files[entry[4]] = entry[5]
        listed = {}
        for path, digest in release.digests.items():
            listed[path.split("/")[-1]] = digest
        numbers = (told.manifest_seq, told.content_version, told.security_floor, told.tries)
        expected = (release.seq, release.version, release.floor, release.tries)
        if boot.content != release.content or files != listed or numbers != expected:
            raise Finding(MIXED, "release %d runs under another manifest" % seq)

    def _check_roots(self, tree, epoch):
        """Raise unless the chain of root documents reaches the epoch of the record."""
        for number in range(2, epoch + 1):
            content = tree.get("st/root.%d" % number)
            if content is None or content != self.roots.get(number):
                raise Finding(WRONG_STATE, "epoch %d without root document %d" % (epoch, number))

    def _check_trial(self, state, seq, starts):
        if seq != state[PENDING_SEQ]:
            raise Finding(WRONG_STATE, "%d is on trial, armed was %d" % (seq, state[PENDING_SEQ]))
        used = self.releases[seq].tries - state[TRIES_LEFT]
        n_starts = self.starts.get(seq, 0) + starts.get(seq, 0) + 1
        if used < n_starts:
            raise Finding(UNCOUNTED, "%d tries for %d starts" % (used, n_starts))

    def _check_active(self, state, seq):
        if seq not in self.confirmed and seq not in self.acked:
            raise Finding(LOST_CONFIRMED, "%d runs and was never confirmed" % seq)
        if seq != state[INSTALLED_SEQ] and not self.damaged and not self.has_fallen_back:
            raise Finding(
                LOST_CONFIRMED, "%d runs, confirmed was %d" % (seq, state[INSTALLED_SEQ])
            )

    def _check_reached(self, state, n_boots):
        """Raise unless a chain of legal records leads from the durable one to this one."""
        n_boots += self.may_swap
        todo = [(self._rebuilt, n_boots - 1) if self._rebuilt else (self.durable, n_boots)]
        for _ in range(n_boots + 4):
            for reached, _ in todo:
                if self._is_same(reached, state):
                    return
            todo = [item for one in todo for item in self._next(*one)]
        kind = WRONG_STATE
        if self.durable and state[INSTALLED_SEQ] < self.durable[INSTALLED_SEQ]:
            kind = LOST_CONFIRMED
        raise Finding(kind, "%r became %r" % (self.durable or self._rebuilt, state))

    @staticmethod
    def _is_same(expected, state):
        for i in range(len(state)):
            is_any = i == REASON and expected[i] == _ANY
            if expected[i] != state[i] and not (is_any and state[i]):
                return False
        return True

    def _next(self, state, boots_left):
        """Yield (state, boots left) that one record can lead to. Written from docs/SPEC.md."""
        for epoch in self.epochs:
            if epoch > state[EPOCH]:
                yield changed(state, EPOCH, epoch), boots_left
        if state[PENDING] == 0:
            yield from self._next_idle(state, boots_left)
            return
        if boots_left and state[TRIES_LEFT]:
            yield changed(state, TRIES_LEFT, state[TRIES_LEFT] - 1), boots_left - 1
        is_damaged = state[PENDING] in self.damaged
        if self.may_fail or (boots_left and (is_damaged or not state[TRIES_LEFT])):
            pairs = _CLEARED + (BAD_SEQ, state[PENDING_SEQ], REASON, _ANY)
            yield changed(state, *pairs), boots_left
        if state[PENDING_SEQ] in self.acked:
            pairs = _CLEARED + (ACTIVE, state[PENDING], INSTALLED_SEQ, state[PENDING_SEQ])
            pairs += (FLOOR, max(state[FLOOR], state[PENDING_FLOOR]), REASON, 0)
            yield changed(state, *pairs), boots_left

    def _next_idle(self, state, boots_left):
        other = 3 - state[ACTIVE] if state[ACTIVE] else 1
        if boots_left and state[ACTIVE] in self.damaged:
            yield changed(state, ACTIVE, other, REASON, _ANY), boots_left - 1
        for seq in self.offered:
            release = self.releases[seq]
            is_new = seq > max(state[INSTALLED_SEQ], state[BAD_SEQ])
            if is_new and release.version >= state[FLOOR]:
                pairs = (PENDING, other, TRIES_LEFT, release.tries, PENDING_SEQ, seq)
                yield changed(state, *pairs, PENDING_FLOOR, release.floor), boots_left
