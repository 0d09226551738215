"""Cuts the power at every write and erase in the life of an outbox on LittleFS.

    micropython tests/powercut/outbox_cuts.py [lives] [planted bug]

Power dies in the middle of an operation in four ways (see `nor_flash`); then the image is
mounted anew, the outbox recovers, and an oracle judges what it offers. Every few cuts the recovery
is cut in turn, at each of its own writes. Afterwards the outbox has to work on. Since nothing
reaches the flash after a cut, one life serves all of its cuts: each is played on a copy.
"""

import sys
import time

ROOT = __file__.rsplit("/", 3)[0] if __file__.startswith("/") else "."
sys.path[:] = [
    ROOT + "/" + name
    for name in ("lib", "firmware", "tests/fakes", "tests/both", "tests/powercut")
] + [".frozen"]

import vfs  # noqa: E402
from check import Random  # noqa: E402
from nor_flash import KINDS, NorFlash, apply  # noqa: E402
from oracle import Oracle  # noqa: E402

from app.outbox import Outbox  # noqa: E402

# (block_bytes, n_blocks, read and program size)
GEOMETRIES = ((512, 64, 16), (4096, 16, 256), (1024, 32, 64), (256, 128, 128))
# (capacity, ram_records, segment_records)
SIZES = ((10, 4, 3), (12, 3, 6), (12, 8, 4), (9, 1, 5))

_ACTIONS = 18  # in one life
_NEST_EVERY = 60  # cuts between two whose recovery is cut as well


class Cuts:
    """One geometry and one set of sizes; counts what its cuts showed."""

    def __init__(self, geometry, sizes):
        self._geometry = geometry
        self._sizes = sizes
        self._oracle = Oracle(sizes[0], sizes[1])
        self.cuts = 0
        self.corrupt = 0
        self.lost_beyond_bound = 0
        self.first_finding = None
        self.events = {"appended": 0, "dropped": 0, "acked": 0, "rewound": 0, "booted": 0}

    def live(self, seed):
        """Lives one random life and cuts it everywhere."""
        random = Random(seed)
        flash = NorFlash(n_blocks=self._geometry[1], block_bytes=self._geometry[0])
        vfs.VfsLfs2.mkfs(flash, readsize=self._geometry[2], progsize=self._geometry[2])
        image = bytes(flash.image)
        outbox = None
        for _ in range(_ACTIONS):
            if outbox is None or random.below(12) == 0:
                flash = NorFlash(image, block_bytes=self._geometry[0], watch=self._cut)
                image = flash.image
                outbox = self._boot(flash)
                self._oracle.booted(outbox.epoch, self._read_all(image))
                self.events["booted"] += 1
            dropped = outbox.dropped
            self._act(outbox, random)
            self.events["dropped"] += outbox.dropped - dropped

    def _act(self, outbox, random):
        action = random.below(20)
        if action < 10:
            for _ in range(1 + random.below(3)):
                entry = (outbox.epoch, random.bits(8), 1, outbox.next_seq, random.bits(30), 7)
                self._oracle.appending(entry)
                outbox.append(entry[1], entry[2], entry[4], entry[5])
                self._oracle.appended(entry)
                self.events["appended"] += 1
        elif action < 12:
            outbox.flush()
            self._oracle.flushed()
        elif action < 18:
            batch = outbox.peek_batch(1 + random.below(8))
            if batch:
                n = 1 + random.below(len(batch))
                self._oracle.acking(n)
                outbox.acked(batch[n - 1][0], batch[n - 1][3])
                self.events["acked"] += n
        else:
            again = outbox.rewind(1, 0)
            self._oracle.rewound(again)
            self.events["rewound"] += again
        assert outbox.queued() == self._oracle.waiting()

    def _cut(self, flash, operation):
        for kind in KINDS:
            self.cuts += 1
            image = bytearray(flash.image)
            apply(image, operation, kind, self.cuts)
            if self.cuts % _NEST_EVERY == 0:
                self._recover(bytearray(image), self._cut_recovery)
            self._recover(image, None)

    def _cut_recovery(self, flash, operation):
        for kind in KINDS:
            self.cuts += 1
            image = bytearray(flash.image)
            apply(image, operation, kind, self.cuts)
            self._recover(image, None)

    def _recover(self, image, watch):
        try:
            flash = NorFlash(image, block_bytes=self._geometry[0], watch=watch)
            outbox = self._boot(flash)
            if watch:
                return
            survivors = _drain(outbox)
            finding, lost = self._oracle.judge(outbox.epoch, survivors)
            finding = finding or self._works_on(flash, outbox)
        except Exception as error:
            sys.print_exception(error)
            finding, lost = "raised %r" % error, 0
        self.corrupt += finding is not None
        self.lost_beyond_bound += lost
        if (finding or lost) and self.first_finding is None:
            self.first_finding = "geometry %r, sizes %r, cut %d: %s" % (
                self._geometry,
                self._sizes,
                self.cuts,
                finding or "%d records lost beyond the bound" % lost,
            )

    def _works_on(self, flash, outbox):
        """What is wrong with the outbox that recovered, or None."""
        if outbox.flash_errors:
            return "%d flash errors after recovery" % outbox.flash_errors
        made = []
        for i in range(2):
            made.append((outbox.epoch, i, 0, outbox.next_seq, 5, 6))
            outbox.append(i, 0, 5, 6)
        if not outbox.flush():
            return "cannot write"
        again = self._boot(NorFlash(flash.image, block_bytes=self._geometry[0]))
        if again.epoch <= outbox.epoch:
            return "epoch %d after %d" % (again.epoch, outbox.epoch)
        if _drain(again) != made:
            return "later records are lost"
        return None

    def _read_all(self, image):
        flash = NorFlash(bytes(image), block_bytes=self._geometry[0])
        return _drain(self._boot(flash))

    def _boot(self, flash):
        size = self._geometry[2]
        files = vfs.VfsLfs2(flash, readsize=size, progsize=size, mtime=False)
        return Outbox(files, "/q", *self._sizes)


def _drain(outbox):
    records = []
    while outbox.queued():
        batch = outbox.peek_batch(256)
        if not batch:
            raise ValueError("cannot read what is queued")
        records += batch
        outbox.acked(batch[-1][0], batch[-1][3])
    return records


def main(arguments):
    """Lives as many lives as asked, by default two for each geometry and sizes."""
    lives = int(arguments[0]) if arguments else 2 * len(GEOMETRIES) * len(SIZES)
    if len(arguments) > 1:
        import planted

        planted.BUGS[arguments[1]]()
    start_ms = time.ticks_ms()
    cuts = corrupt = lost = 0
    events: dict = {}
    for life in range(lives):
        sizes = SIZES[life // len(GEOMETRIES) % len(SIZES)]
        run = Cuts(GEOMETRIES[life % len(GEOMETRIES)], sizes)
        try:
            run.live(life + 1)
        except Exception as error:
            sys.print_exception(error)
            run.corrupt += 1
        for event in run.events:
            events[event] = events.get(event, 0) + run.events[event]
        cuts += run.cuts
        corrupt += run.corrupt
        lost += run.lost_beyond_bound
        if run.first_finding:
            print("life %d, %s" % (life + 1, run.first_finding))
    told = ", ".join(["%s %d" % (event, events[event]) for event in sorted(events)])
    print("lives %d, %s; %d ms" % (lives, told, time.ticks_diff(time.ticks_ms(), start_ms)))
    print("powercut outbox cuts=%d corrupt=%d lost_beyond_bound=%d" % (cuts, corrupt, lost))
    # Lives in which something never happened would prove nothing about it.
    return 1 if corrupt or lost or not cuts or 0 in events.values() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
