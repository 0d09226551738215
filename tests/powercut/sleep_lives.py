"""Random lives of a node that sleeps deep: power cuts, crashes and torn memory in between.

    micropython tests/powercut/sleep_lives.py [lives] [planted bug]

A life is a row of boots of the whole node on one flash and one retained memory. Each boot ends
in a deep sleep, or by a cut of the power in the middle of a write to flash or to the memory, or by
a crash; sleeps end by the timer, a reset, a cut or a bit that changed. Some chips also report a
crash as a wake. An oracle sees every record that is made and every one that the broker gets:
numbers must rise and never come twice, and only what the specification allows may be lost. The
last line counts.
"""

import sys
import time

ROOT = __file__.rsplit("/", 3)[0] if __file__.startswith("/") else "."
FOLDERS = ("lib", "firmware", "build/natmod/x64", "lib/native/obkernels")
TESTS = ("tests/fakes", "tests/both", "tests/powercut")
sys.path[:] = [ROOT + "/" + name for name in FOLDERS + TESTS] + [".frozen"]

import vfs  # noqa: E402
from check import Random  # noqa: E402
from duty_node import SPREADS, Link, World, turn  # noqa: E402
from fake_power import DeepSleep, Memory  # noqa: E402
from nor_flash import KINDS, NorFlash  # noqa: E402

from app import epoch as boot  # noqa: E402
from app.kept_outbox import KeptOutbox  # noqa: E402
from formats import errors, record, retained  # noqa: E402

MARK_BYTES = retained.MARK_BYTES
_BLOCKS, _BLOCK_BYTES = 64, 512
_BOOTS = 40  # in one life
_RAM_RECORDS = 6
_LONGEST_BOOT = 4000  # turns; a node that does not sleep by then never would
SETTINGS = {
    "sleep": "deep",
    "wake_interval_s": 60,
    "policy": "all",
    "awake_budget_ms": 4000,
    "outbox_flush_s": 200,
    "outbox_ram_records": _RAM_RECORDS,
    "outbox_segment_records": 4,
    "outbox_records": 400,
}


class LazyLink(Link):
    """A broker whose confirmation gets lost now and then."""

    random = Random(1)
    answers_after_ms = 1000

    def rest_ms(self, now_ms):
        """How long the next answer takes."""
        return self.answers_after_ms

    def step(self, now_ms):
        """Deliver, and forget the confirmation sometimes."""
        outbox = self.node.outbox
        if self.online and outbox.queued() and self.random.below(4) == 0:
            self.records += outbox.peek_batch(3)
            return
        super().step(now_ms)


class Oracle:
    """Sees what is made and what arrives; knows nothing of how it is kept."""

    def __init__(self):
        self.made = {}
        self.received = {}
        self.may_be_lost = set()
        self.worst_loss = 0
        self._last = (0, 0)

    def append(self, key, entry):
        """A record is made."""
        if key in self.made:
            raise ValueError("number %r is used twice" % (key,))
        if self.made and not boot.is_after(key[0], key[1], *self._last):
            raise ValueError("number %r after %r" % (key, self._last))
        self._last = key
        self.made[key] = entry

    def arrive(self, records):
        """The broker has these."""
        for entry in records:
            key = (entry[0], entry[3])
            if self.made.get(key) != entry[1]:
                raise ValueError("record %r was never made" % (entry,))
            self.received[key] = entry

    def lose(self, keys):
        """These may be lost: only RAM held them."""
        lost = [key for key in keys if key not in self.received]
        self.worst_loss = max(self.worst_loss, len(lost))
        if len(lost) > _RAM_RECORDS:
            raise ValueError("%d records in RAM" % len(lost))
        self.may_be_lost.update(lost)

    def missing(self):
        """Return what is lost and should not be."""
        return [k for k in self.made if k not in self.received and k not in self.may_be_lost]


class Life:
    """One node from its first boot on."""

    def __init__(self, seed):
        self.random = Random(seed)
        LazyLink.random = self.random
        LazyLink.answers_after_ms = 1000
        max_bytes = (1952, 12)[seed % 2]
        self.world = World(memory=Memory(max_bytes), link=LazyLink, **SETTINGS)
        flash = NorFlash(n_blocks=_BLOCKS, block_bytes=_BLOCK_BYTES)
        vfs.VfsLfs2.mkfs(flash)
        self.image = flash.image
        self.oracle = Oracle()
        self.cause = "power_on"
        self.events = {}

    def live(self):
        """Boot again and again, then deliver all; return what is lost beyond the bound."""
        for _ in range(_BOOTS):
            self.world.online = self.random.below(3) != 0
            getattr(self, "_end_by_" + self._choose())(self._boot())
        self._deliver_all()
        return self.oracle.missing()

    def _choose(self):
        kinds = ("sleep",) * 5 + ("crash", "flash_cut", "flash_cut", "memory_cut", "crash_as_wake")
        kind = kinds[self.random.below(len(kinds))]
        self.events[kind] = self.events.get(kind, 0) + 1
        return kind

    def _boot(self, cut=-1):
        kind = KINDS[self.random.below(len(KINDS))]
        self.flash = NorFlash(self.image, block_bytes=_BLOCK_BYTES, cut=cut, kind=kind)
        self.image = self.flash.image
        self.world.files = vfs.VfsLfs2(self.flash, mtime=False)
        made = self.world.boot(self.cause)
        made.source.change(SPREADS[self.random.below(3)])
        self.events["resumed"] = self.events.get("resumed", 0) + made.outbox.has_resumed
        outbox = made.outbox
        oracle = self.oracle

        def append(result_byte, quality, time_s, time_ms):
            seq = KeptOutbox.append(outbox, result_byte, quality, time_s, time_ms)
            oracle.append((outbox.epoch, seq), result_byte)
            return seq

        outbox.append = append
        return made

    def _run(self, made, n_turns, until=None):
        """Run until deep sleep (True) or the end of the turns (False); collect what arrives."""
        try:
            turn(made, n_turns, until)
        except DeepSleep as sleep:
            self.oracle.arrive(made.link.records)
            return sleep.args[0] >= 0
        self.oracle.arrive(made.link.records)
        return False

    def _end_by_sleep(self, made):
        if not self._run(made, _LONGEST_BOOT):
            raise ValueError("the node does not sleep")
        self._sleep()

    def _sleep(self):
        """What ends a sleep: mostly its timer."""
        self.cause = "deep_sleep"
        memory = self.world.memory
        kind = self.random.below(10)
        if kind == 0:
            self.cause = "reset"
        elif kind == 1:
            self._lose_kept()
            self.cause = "power_on"
            memory.content = (b"", bytes(len(memory.content)))[self.random.below(2)]
        elif kind == 2 and memory.content:
            self._lose_kept()
            changed = bytearray(memory.content)
            changed[self.random.below(len(changed))] ^= 1 << self.random.below(8)
            memory.content = bytes(changed)

    def _end_by_crash(self, made, cause="watchdog"):
        if self._run(made, 1 + self.random.below(60)):
            self._sleep()
            return
        self._lose_ram(made)
        self.cause = cause

    def _end_by_crash_as_wake(self, made):
        self._end_by_crash(made, "deep_sleep")

    def _end_by_flash_cut(self, made):
        self.flash.cut_power(self.random.below(12), self.flash.kind)
        if self._run(made, _LONGEST_BOOT, lambda: self.flash.dead) and not self.flash.dead:
            self._sleep()
            return
        self._power_fails(made)

    def _end_by_memory_cut(self, made):
        memory = self.world.memory
        before = memory.content
        memory.cuts_after = self.random.below(300 if memory.max_bytes > 12 else 13)
        if self._run(made, _LONGEST_BOOT):
            raise ValueError("slept without writing the memory")
        memory.cuts_after = -1
        self._lose_ram(made)
        self._lose_kept(before)
        self.cause = ("power_on", "deep_sleep")[self.random.below(2)]

    def _power_fails(self, made):
        self._lose_ram(made)
        self._lose_kept()
        self.world.memory.content = b""
        self.cause = "power_on"

    def _lose_ram(self, made):
        self._lose_keys(made.outbox.records())

    def _lose_kept(self, content=None):
        """What only the memory keeps, where it is no file."""
        content = (self.world.memory.content if content is None else content)[MARK_BYTES:]
        try:
            self._lose_keys(retained.parse(content).records)
        except errors.OnebyteError:
            pass  # nothing was kept there

    def _lose_keys(self, records):
        entries = [record.parse(records, at) for at in range(0, len(records), 16)]
        self.oracle.lose([(entry[0], entry[3]) for entry in entries])

    def _deliver_all(self):
        self.world.online = True
        # What a session leaves of a segment is sent anew in the next one: a whole segment has to
        # fit into the budget before a backlog shrinks.
        LazyLink.answers_after_ms = 100
        for _ in range(30):
            made = self._boot()
            made.duty._pause_ms = 0
            if self._run(made, _LONGEST_BOOT):
                self.cause = "deep_sleep"
            if not made.outbox.queued():
                return
        raise ValueError("%d records wait for ever" % made.outbox.queued())


def main(arguments):
    """Live as many lives as asked."""
    lives = int(arguments[0]) if arguments else 24
    if len(arguments) > 1:
        import planted_sleep

        planted_sleep.BUGS[arguments[1]]()
    start_ms = time.ticks_ms()
    boots = records = corrupt = lost = worst = 0
    events: dict = {}
    for seed in range(1, lives + 1):
        life = Life(seed)
        try:
            missing = life.live()
            lost += len(missing)
            if missing:
                print("life %d: lost %r" % (seed, missing[:5]))
        except Exception as error:
            sys.print_exception(error)
            print("life %d: %r" % (seed, error))
            corrupt += 1
        boots += life.world.seed
        records += len(life.oracle.made)
        worst = max(worst, life.oracle.worst_loss)
        for event in life.events:
            events[event] = events.get(event, 0) + life.events[event]
    told = ", ".join(["%s %d" % (event, events[event]) for event in sorted(events)])
    print("lives %d, %s; %d ms" % (lives, told, time.ticks_diff(time.ticks_ms(), start_ms)))
    print("most records lost at once %d of %d allowed" % (worst, _RAM_RECORDS))
    print(
        "powercut sleep boots=%d records=%d corrupt=%d lost_beyond_bound=%d"
        % (boots, records, corrupt, lost)
    )
    # Lives in which something never happened would prove nothing about it.
    return 1 if corrupt or lost or not records or len(events) < 6 or 0 in events.values() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
