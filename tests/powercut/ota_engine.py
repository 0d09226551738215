"""Cuts the power at every operation of a life: each cut is played on a copy of the flash.

Nothing reaches a flash after a cut, so one life serves all of its cuts. Only MicroPython has the
filesystem.
"""

import gc
import sys

import vfs
from nor_flash import KINDS, NorFlash, Wire, apply
from ota_oracle import BRICKED, STUCK, Finding
from ota_oracle import KINDS as FINDINGS

_IS_FOLDER = 0x4000
_MOST_MOUNTED = 200
_CUTS_OF_GARBAGE = 50
_mounted: list = []
_FLIPS = 8  # in each read
_FILE_STARTS = (b"VERSION", b"OBG\x1a")  # of the releases' files and their manifests


class NoStatistics:
    """A filesystem that does not say how much it holds, so that it is filled to the last block."""

    def __init__(self, files):
        self.open = files.open
        self.remove = files.remove
        self.rename = files.rename
        self.ilistdir = files.ilistdir
        self.mkdir = files.mkdir
        self.rmdir = files.rmdir
        self.stat = files.stat


class Geometry:
    """A flash: its blocks, its pages, what fills it before anything happens, its bad blocks."""

    def __init__(self, name, block_bytes, n_blocks, page_bytes, **changes):
        self.name = name
        self.block_bytes = block_bytes
        self.n_blocks = n_blocks
        self.page_bytes = page_bytes
        self.free_bytes = changes.get("free_bytes", 0)  # what is left at the start, 0: all
        self.bad_blocks = changes.get("bad_blocks", {})

    def make_flash(self):
        """Return an erased flash."""
        flash = NorFlash(n_blocks=self.n_blocks, block_bytes=self.block_bytes)
        flash.bad_blocks = self.bad_blocks
        return flash

    def make_filesystem(self, flash):
        """Format a flash."""
        vfs.VfsLfs2.mkfs(flash, progsize=self.page_bytes)

    def mount(self, flash):
        """Return the filesystem on a flash; one that was mounted before is cut off."""
        files = vfs.VfsLfs2(Wire(flash), progsize=self.page_bytes, mtime=False)
        # A file that is collected uses its filesystem, which must not be collected before.
        _mounted.append(files)
        return NoStatistics(files) if self.free_bytes else files

    def read_tree(self, flash):
        """Return path -> bytes of every file, as a fresh mount finds them."""
        tree = {}
        # LittleFS reads four times as much at once.
        size = self.block_bytes // 4
        _read_folder(vfs.VfsLfs2(Wire(flash), readsize=size, progsize=size), "", tree)
        return tree


def _read_folder(files, folder, tree):
    for entry in files.ilistdir("/" + folder):
        path = "%s/%s" % (folder, entry[0]) if folder else entry[0]
        if entry[1] == _IS_FOLDER:
            _read_folder(files, path, tree)
        else:
            with files.open("/" + path, "rb") as file:
                tree[path] = file.read()


class Plan:
    """How much is cut.

    Attributes:
        stride: Every so manieth operation is cut, beginning with the `first`.
        read_stride: The same for reads that fail.
        n_kinds: In how many of the four ways; they take turns when it is less than 4.
        is_nested: Whether every operation of each recovery is cut too.
        settle_every, rescue_every: Cuts between two after which the node is started again and
            again, and after which it has to take another update.
        stops_early: Cut no more after the first finding.
    """

    def __init__(self, **values):
        self.first = 0
        self.stride = self.read_stride = 1
        self.n_kinds = 4
        self.is_nested = False
        self.settle_every = 5
        self.rescue_every = 23
        self.stops_early = False
        for name, value in values.items():
            setattr(self, name, value)


class Cutter:
    """One flash and its cuts.

    Args:
        geometry: A `Geometry`.
        plan: A `Plan`.
        boot: Function of a filesystem: starts the node, returns its `ota.loader.Boot`.
        rescue: Function of geometry, flash and `wanted`: lets the node take an update, returns
            what went wrong.
        oracle: An `ota_oracle.Oracle`.

    Attributes:
        cuts: Cuts so far, and `second_cuts` of them in a recovery.
        trials: Starts on a flash that fails to read or write.
        rescues: Nodes that had to take an update after a cut.
        n_ops: Writes and erases that could be cut.
        found: Kind of finding -> how many.
        first_finding: The first one in words, or None.
    """

    def __init__(self, geometry, plan, oracle, boot, rescue):
        self.geometry = geometry
        self.oracle = oracle
        self.flash = geometry.make_flash()
        self.cuts = 0
        self.second_cuts = 0
        self.trials = 0
        self.rescues = 0
        self.found = {kind: 0 for kind in FINDINGS}
        self.first_finding = None
        self.n_boots = 0  # begun since the last quiet moment
        self.what = ""  # is being done
        self.wanted = None  # what the node was told to take
        self._plan = plan
        self._start = boot
        self._rescue_by = rescue
        self.n_ops = 0
        self._n_tidied = 0
        self._scratch = geometry.make_flash()
        self._second = geometry.make_flash()

    def tidy(self):
        """Collect garbage now and then; called where no filesystem is at work.

        Within an operation a file that nobody closed would be closed by the collection, while its
        filesystem is busy with something else. On a board the flash's driver collects nothing.
        """
        n_done = self.cuts + self.trials
        if n_done - self._n_tidied > _CUTS_OF_GARBAGE:
            self._n_tidied = n_done
            gc.collect()
            if len(_mounted) > _MOST_MOUNTED:
                _mounted[:] = _mounted[-_MOST_MOUNTED // 2 :]

    def watch(self):
        """Cut from now on."""
        gc.disable()
        self.flash.watch = self._cut

    def is_over(self):
        """Whether no more cuts are wanted."""
        return self._plan.stops_early and self.first_finding is not None

    def quiet(self):
        """Tell the oracle that nothing is going on."""
        n_boots, self.n_boots = self.n_boots, 0
        self.oracle.quiet(self.tree_of_copy(), n_boots)

    def tree_of_copy(self):
        """Return what lies on the flash; reading must not change what the life does."""
        self._scratch.image[:] = self.flash.image
        return self.geometry.read_tree(self._scratch)

    def without_cuts(self, function):
        """Call a function that spoils the filesystem from outside, as no cut does."""
        watch, self.flash.watch = self.flash.watch, None
        function(self.geometry.mount(self.flash))
        self.flash.watch = watch

    def sweep_writes(self):
        """Start a copy of the node whose flash takes only so many writes, for each number."""
        n_writes = 0
        while not self.is_over():
            self.what = "%d writes" % n_writes
            copy = self._copy_of_now()
            copy.writable_ops = n_writes
            self._start_weak(copy)
            if copy.writable_ops:
                copy.writable_ops = -1
                return
            copy.writable_ops = -1
            self._recover(copy, 2)
            n_writes += 1

    def sweep_reads(self, n_failing):
        """Start a copy of the node whose n-th read and the next ones fail, for each n."""
        copy = self._copy_of_now()
        self._start_weak(copy)
        for first in range(1, copy.reads + 1, self._plan.read_stride):
            if self.is_over():
                return
            self.what = "%d reads fail from read %d on" % (n_failing, first)
            copy = self._copy_of_now()
            copy.failing_reads = range(first, first + n_failing)
            self._start_weak(copy)
            copy.failing_reads = ()
            self._recover(copy, 2)

    def sweep_bits(self):
        """Start a copy of the node with a read that is silently wrong, for each where files begin.

        LittleFS itself cannot live with that elsewhere.
        """
        copy = self._copy_of_now()
        copy.flips_only, copy.flippable = _FILE_STARTS, []
        self._start_weak(copy)
        copy.flips_only = ()
        for i, number in enumerate(copy.flippable):
            for n in range(0 if self.is_over() else _FLIPS):
                self.what = "a bit of read %d is wrong" % number
                copy = self._copy_of_now()
                copy.flipping_read, copy.flips_at = number, 41 * n + i
                self._start_weak(copy)
                copy.flipping_read = 0
                self._recover(copy, 2)

    def _copy_of_now(self):
        self.tidy()
        copy = self._scratch
        copy.image[:] = self.flash.image
        copy.reads = 0
        return copy

    def _start_weak(self, copy):
        """Start a node on a weak copy; what it runs is judged, whether it starts is not."""
        self.trials += 1
        try:
            boot = self._start(self.geometry.mount(copy))
        except Exception:
            return  # the supply is weak, the watchdog starts it again
        if boot.node.running:
            self._judged(self._judge_weak, copy.image, boot)

    def _judge_weak(self, image, boot):
        self._second.image[:] = image
        seq = self.oracle.judge(self.geometry.read_tree(self._second), boot.node.running)
        self.oracle.check_manifest(seq, boot)

    def note(self, kind, text):
        """Count a finding."""
        self.found[kind] += 1
        if self.first_finding is None:
            where = (self.geometry.name, self.what, self.n_ops, self.cuts, kind, text)
            self.first_finding = "%s, %s, operation %d, cut %d: %s: %s" % where

    def _cut(self, flash, operation):
        self.n_ops += 1
        plan = self._plan
        if self.is_over() or (self.n_ops + plan.first) % plan.stride:
            return
        for i in range(plan.n_kinds):
            kind = KINDS[(i + self.n_ops // plan.stride) % len(KINDS)]
            self.cuts += 1
            scratch = self._copy(flash, self._scratch, operation, kind)
            if plan.is_nested:
                scratch.watch = self._cut_recovery
            self._recover(scratch, self.n_boots + 1)
            scratch.watch = None
            if self.cuts % plan.rescue_every == 0:
                self._judged(self._rescue, scratch)
            elif self.cuts % plan.settle_every == 0:
                self._judged(self._settle, scratch)

    def _cut_recovery(self, flash, operation):
        if self.is_over():
            return
        for kind in KINDS:
            self.cuts += 1
            self.second_cuts += 1
            self._recover(self._copy(flash, self._second, operation, kind), self.n_boots + 2)

    def _copy(self, flash, copy, operation, kind):
        copy.image[:] = flash.image
        apply(copy.image, operation, kind, self.cuts)
        return copy

    def _recover(self, flash, n_boots):
        self._judged(self._boot_once, flash, n_boots)

    def _judged(self, function, *args):
        """Call a function; what it raises is a finding."""
        try:
            function(*args)
        except Finding as finding:
            self.note(*finding.args)
        except Exception as error:
            if self.first_finding is None:
                sys.print_exception(error)
            self.note(BRICKED, "raised %r" % error)

    def _boot_once(self, flash, n_boots, starts=0):
        boot = self._start(self.geometry.mount(flash))
        watch, flash.watch = flash.watch, None
        tree = self.geometry.read_tree(flash)
        flash.watch = watch
        seq = self.oracle.judge(tree, boot.node.running, n_boots, starts)
        self.oracle.check_manifest(seq, boot)
        return seq, boot.is_trial

    def _settle(self, flash):
        """A node that crashes at every start ends on what was confirmed."""
        starts = {}
        for i in range(10):
            seq, is_trial = self._boot_once(flash, self.n_boots + 2 + i, starts)
            if not is_trial:
                return
            starts[seq] = starts.get(seq, 1) + 1
        raise Finding(STUCK, "a trial without an end")

    def _rescue(self, flash):
        """Whatever happened, the node can still be updated."""
        self.rescues += 1
        try:
            reason = self._rescue_by(self.geometry, flash, self.wanted)
        except Exception as error:
            if self.first_finding is None:
                sys.print_exception(error)
            reason = "raised %r" % error
        if reason:
            raise Finding(STUCK, reason)
