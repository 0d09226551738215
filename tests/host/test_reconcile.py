"""Exactly once, in order, and never a guess."""

import random
from dataclasses import dataclass, field

import pytest

from formats import batch, errors, messages
from formats.errors import OnebyteError
from onebyte.receiver.reconcile import Gap, Numbered, Reconciler


def records(epoch: int, first_seq: int, results: bytes) -> list[tuple[int, ...]]:
    return [(epoch, r, 2, first_seq + i, 1000 + first_seq + i, 0) for i, r in enumerate(results)]


def pack(epoch: int, first_seq: int, results: bytes) -> bytes:
    if not results:
        return batch.pack_anchor(epoch, first_seq)
    return batch.pack(records(epoch, first_seq, results))


class Feeder:
    """A reconciler with short words for what arrives; collects (epoch, seq, result)."""

    def __init__(self, **arguments: float) -> None:
        self.reconciler = Reconciler(**arguments)  # type: ignore[arg-type]
        self.got: list[tuple[int, int, int]] = []
        self.now_s = 0.0

    def add(self, items: list[Numbered]) -> None:
        self.got += [(item.epoch, item.seq, item.result) for item in items]

    def batch(self, epoch: int, first_seq: int, results: bytes = b"", dup: bool = False) -> None:
        payload = pack(epoch, first_seq, results)
        self.add(self.reconciler.feed("b", payload, dup, self.now_s))

    def live(self, results: bytes, dup: bool = False) -> None:
        for byte in results:
            self.add(self.reconciler.feed("r", bytes([byte]), dup, self.now_s))

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.add(self.reconciler.tick(self.now_s))

    def take(self) -> list[tuple[int, int, int]]:
        got, self.got = self.got, []
        return got


def numbered(epoch: int, first_seq: int, results: bytes) -> list[tuple[int, int, int]]:
    return [(epoch, first_seq + i, r) for i, r in enumerate(results)]


def test_live_bytes_are_numbered_from_an_anchor() -> None:
    feeder = Feeder()
    feeder.batch(3, 10)
    feeder.live(b"abc")
    assert feeder.got == numbered(3, 10, b"abc")
    assert feeder.reconciler.delivered == 3
    assert feeder.reconciler.resend_command() is None


def test_live_bytes_are_numbered_from_a_batch() -> None:
    feeder = Feeder()
    feeder.batch(3, 10, b"abc")
    feeder.live(b"de")
    feeder.batch(3, 14, b"ef")
    feeder.live(b"g")
    assert feeder.got == numbered(3, 10, b"abcdefg")
    assert feeder.reconciler.duplicates == 1


def test_time_is_the_devices_or_that_of_arrival() -> None:
    reconciler = Reconciler()
    payload = batch.pack([(1, 7, 1, 0, 500, 250), (1, 8, 1, 1, 501, 250)])
    items = reconciler.feed("b", payload, False, 99.0)
    assert [(item.time_s, item.quality, item.arrived_s) for item in items] == [
        (500.25, 1, 99.0),
        (501.25, 1, 99.0),
    ]
    (item,) = reconciler.feed("r", b"\x09", False, 100.0)
    assert item == Numbered(1, 2, 9, 100.0, None, 100.0)


def test_live_bytes_before_an_anchor_are_not_guessed() -> None:
    feeder = Feeder()
    feeder.live(b"ab")
    assert feeder.got == [] and feeder.reconciler.unanchored == 2
    assert feeder.reconciler.resend_command() is None  # nothing to ask for by number
    feeder.reconciler.seen_status(4, 77)
    command = feeder.reconciler.resend_command()
    assert command is not None
    assert messages.parse_command(command) == {"cmd": "resend", "epoch": 4, "seq": 77}
    feeder.batch(4, 77)
    feeder.live(b"c")
    assert feeder.got == [(4, 77, ord("c"))]


@pytest.mark.parametrize("cause", ["dup", "disconnected", "malformed", "malformed batch"])
def test_numbering_stops_when_it_is_uncertain(cause: str) -> None:
    feeder = Feeder()
    feeder.batch(1, 0)
    feeder.live(b"ab")
    if cause == "dup":
        feeder.live(b"b", dup=True)
    elif cause == "disconnected":
        feeder.reconciler.disconnected()
    else:
        kind = "b" if "batch" in cause else "r"
        with pytest.raises(OnebyteError):
            feeder.reconciler.feed(kind, b"xx", False, 0.0)
    assert not feeder.reconciler.is_anchored
    feeder.live(b"cd")
    assert feeder.got == numbered(1, 0, b"ab")
    command = feeder.reconciler.resend_command()
    assert command is not None
    assert messages.parse_command(command) == {"cmd": "resend", "epoch": 1, "seq": 2}
    feeder.batch(1, 2, b"cd")
    feeder.live(b"e")
    assert feeder.got == numbered(1, 0, b"abcde")
    assert feeder.reconciler.resend_command() is None


def test_a_repeated_batch_delivers_but_does_not_anchor() -> None:
    feeder = Feeder()
    feeder.batch(1, 0, b"ab", dup=True)
    assert feeder.got == numbered(1, 0, b"ab")
    feeder.live(b"c")
    assert feeder.got == numbered(1, 0, b"ab") and feeder.reconciler.unanchored == 1


def test_a_gap_is_filled_by_a_later_batch() -> None:
    feeder = Feeder(wait_s=10)
    feeder.batch(1, 0, b"ab")
    feeder.batch(1, 5, b"fg")
    assert feeder.take() == numbered(1, 0, b"ab")
    assert feeder.reconciler.gaps == [Gap(1, 2, 4)]
    assert str(feeder.reconciler.gaps[0]) == "epoch 1, 2 to 4"
    feeder.live(b"h")
    feeder.wait(9)
    assert feeder.take() == []
    feeder.batch(1, 3, b"de")
    assert feeder.take() == [] and feeder.reconciler.gaps == [Gap(1, 2, 2)]
    feeder.batch(1, 2, b"c")
    assert feeder.take() == numbered(1, 2, b"cdefgh")
    assert feeder.reconciler.gaps == [] and feeder.reconciler.missing == 0


def test_a_gap_is_given_up_after_the_wait() -> None:
    feeder = Feeder(wait_s=10)
    feeder.batch(1, 0, b"ab")
    feeder.wait(1)
    feeder.batch(1, 5, b"fg")
    feeder.wait(5)
    feeder.batch(1, 9, b"j")
    assert feeder.reconciler.gaps == [Gap(1, 2, 4), Gap(1, 7, 8)]
    feeder.wait(5)
    assert feeder.take() == numbered(1, 0, b"ab") + numbered(1, 5, b"fg")
    assert list(feeder.reconciler.lost) == [Gap(1, 2, 4)] and feeder.reconciler.missing == 3
    feeder.wait(5)
    assert feeder.take() == numbered(1, 9, b"j")
    assert feeder.reconciler.missing == 5
    feeder.batch(1, 1, b"bcd")  # too late: what came after was given out
    assert feeder.take() == []
    assert feeder.reconciler.late == 2 and feeder.reconciler.duplicates == 1


def test_an_anchor_shows_a_gap_with_nothing_behind() -> None:
    feeder = Feeder()
    feeder.batch(1, 0, b"ab")
    feeder.batch(1, 7)
    assert feeder.reconciler.gaps == [Gap(1, 2, 6)]
    assert feeder.reconciler.resend_command() == messages.pack_resend(1, 2)
    feeder.batch(1, 2, b"cdefg")
    feeder.live(b"h")
    assert feeder.got == numbered(1, 0, b"abcdefgh")


def test_waiting_for_ever_is_bounded() -> None:
    feeder = Feeder(wait_s=1e9, max_held=10)
    feeder.batch(1, 0, b"a")
    feeder.batch(1, 2)
    feeder.live(b"cdefghijkl")
    assert len(feeder.got) == 1
    feeder.live(b"m")
    assert feeder.got == numbered(1, 0, b"a") + numbered(1, 2, b"cdefghijklm")
    assert feeder.reconciler.missing == 1


def test_finish_gives_out_what_waits() -> None:
    feeder = Feeder()
    feeder.batch(1, 0, b"a")
    feeder.batch(1, 2, b"c")
    feeder.batch(2, 1, b"y")
    feeder.add(feeder.reconciler.finish())
    assert feeder.got == [(1, 0, ord("a")), (1, 2, ord("c")), (2, 1, ord("y"))]
    assert list(feeder.reconciler.lost) == [Gap(1, 1, 1), Gap(2, 0, 0)]


def test_a_new_epoch_follows_at_once_when_nothing_can_be_missing() -> None:
    feeder = Feeder()
    feeder.batch(1, 0, b"ab")
    feeder.batch(2, 0, b"cd")
    feeder.live(b"e")
    assert feeder.got == numbered(1, 0, b"ab") + numbered(2, 0, b"cde")
    assert feeder.reconciler.missing == 0 and not feeder.reconciler.lost


def test_a_new_epoch_waits_when_the_end_of_the_old_one_may_be_missing() -> None:
    feeder = Feeder(wait_s=10)
    feeder.batch(1, 0, b"ab")
    feeder.reconciler.disconnected()
    feeder.batch(2, 0, b"xy")
    assert feeder.take() == numbered(1, 0, b"ab")
    assert feeder.reconciler.gaps == [Gap(1, 2, None)]
    assert str(feeder.reconciler.gaps[0]) == "epoch 1, 2 to ?"
    assert feeder.reconciler.resend_command() == messages.pack_resend(1, 2)
    feeder.batch(1, 2, b"cd")
    feeder.batch(2, 0, b"xy")
    assert feeder.take() == numbered(1, 2, b"cd") + numbered(2, 0, b"xy")


def test_the_end_of_an_old_epoch_is_given_up_after_the_wait() -> None:
    feeder = Feeder(wait_s=10)
    feeder.batch(1, 0, b"ab")
    feeder.reconciler.disconnected()
    feeder.batch(2, 1, b"y")
    feeder.wait(10)
    assert feeder.take() == numbered(1, 0, b"ab") + numbered(2, 1, b"y")
    assert list(feeder.reconciler.lost) == [Gap(1, 2, None), Gap(2, 0, 0)]
    assert feeder.reconciler.missing == 1


def test_epochs_start_over_after_65535() -> None:
    feeder = Feeder()
    feeder.batch(65535, 0, b"a")
    feeder.batch(1, 0, b"b")
    feeder.live(b"c")
    feeder.batch(65535, 0, b"a")
    assert feeder.got == [(65535, 0, ord("a")), (1, 0, ord("b")), (1, 1, ord("c"))]
    assert feeder.reconciler.duplicates == 1 and feeder.reconciler.resets == 0


def test_sequence_numbers_end() -> None:
    feeder = Feeder()
    feeder.batch(1, 0xFFFFFFFF)
    feeder.live(b"ab")
    assert feeder.got == [(1, 0xFFFFFFFF, ord("a"))]
    assert feeder.reconciler.unanchored == 1


@pytest.mark.parametrize("epoch", [1, 2, 49])
@pytest.mark.parametrize("proof", ["status", "anchor"])
def test_a_device_that_lost_its_memory_begins_again(epoch: int, proof: str) -> None:
    feeder = Feeder()
    feeder.reconciler.seen_status(50, 0)
    feeder.batch(50, 0, b"ab")
    if proof == "status":
        feeder.reconciler.seen_status(epoch, 2)
        feeder.batch(epoch, 0, b"xy")
        feeder.live(b"z")
    else:
        feeder.batch(epoch, 0, b"xy")  # someone else's resend, or a device that begins again?
        feeder.live(b"z")
        assert feeder.take() == numbered(50, 0, b"ab")
        feeder.batch(epoch, 3)  # only the epoch that runs has anchors
        feeder.live(b"!")
        assert feeder.take() == numbered(epoch, 0, b"xyz!")
        feeder.got = numbered(50, 0, b"ab") + numbered(epoch, 0, b"xyz")
    assert feeder.take() == numbered(50, 0, b"ab") + numbered(epoch, 0, b"xyz")
    feeder.batch(epoch + 1, 0, b"p")
    assert feeder.take() == numbered(epoch + 1, 0, b"p")
    assert feeder.reconciler.resets == 1 and feeder.reconciler.duplicates == 0


def test_a_device_that_lost_its_memory_in_its_first_epoch_begins_again() -> None:
    feeder = Feeder()
    feeder.batch(1, 0, b"abc")
    feeder.batch(1, 0)
    feeder.live(b"xyz")
    assert feeder.got == numbered(1, 0, b"abc") + numbered(1, 0, b"xyz")
    assert feeder.reconciler.resets == 1


def test_an_old_epoch_sent_again_is_dropped() -> None:
    feeder = Feeder()
    feeder.reconciler.seen_status(2, 2)
    feeder.batch(1, 0, b"ab")
    feeder.batch(2, 0, b"cd")
    feeder.batch(1, 0, b"a")
    feeder.live(b"b")  # the last one sent again may come alone, as a byte
    feeder.batch(2, 0, b"cd")
    feeder.live(b"e")
    assert feeder.got == numbered(1, 0, b"ab") + numbered(2, 0, b"cde")
    assert feeder.reconciler.duplicates == 4 and feeder.reconciler.resets == 0


def test_a_refused_batch_names_its_reason() -> None:
    reconciler = Reconciler()
    with pytest.raises(OnebyteError) as caught:
        reconciler.feed("b", b"", False, 0.0)
    assert caught.value.code == errors.BATCH_SIZE
    with pytest.raises(ValueError, match="kind 's'"):
        reconciler.feed("s", b"", False, 0.0)


@dataclass
class World:
    """A device, a broker and a monitor that fail at random; remembers every decision made.

    The device keeps everything it sent, so that only what it loses at a power cut can be missing.
    """

    rng: random.Random
    monitor: Reconciler
    epoch: int = 65530
    next_seq: int = 0
    made: dict[tuple[int, int], int] = field(default_factory=dict)
    order: list[tuple[int, int]] = field(default_factory=list)
    stored: list[tuple[int, int]] = field(default_factory=list)  # by the device, oldest first
    sent: int = 0  # how many of them are acknowledged
    linked: bool = False
    counted: tuple[int, int] = (0, 0)
    session: list[tuple[str, bytes]] | None = None  # at the broker while the monitor is away
    in_flight: list[tuple[str, bytes]] = field(default_factory=list)
    away: bool = False
    got: list[Numbered] = field(default_factory=list)
    now_s: float = 0.0

    def decide(self) -> None:
        key = (self.epoch, self.next_seq)
        self.made[key] = self.rng.randrange(256)
        self.order.append(key)
        self.stored.append(key)
        self.next_seq += 1
        if self.linked and self.sent == len(self.stored) - 1:
            if self.counted != key:
                self.publish("b", batch.pack_anchor(*key))
            if self.linked:
                self.publish("r", bytes([self.made[key]]))
        elif self.linked:
            self.send_backlog()

    def publish(self, kind: str, payload: bytes) -> bool:
        """Send one message of a record or batch that begins at `sent`; the link may break."""
        fate = self.rng.random()
        if fate < 0.05:
            self.linked = False  # before the broker had it
            return False
        self.deliver(kind, payload)
        self.count(kind, payload)
        if fate < 0.1:
            self.linked = False  # before the device had the acknowledgement
            return False
        self.sent += 1 if kind == "r" else batch.parse(payload).count
        return True

    def count(self, kind: str, payload: bytes) -> None:
        """Keep the number that a receiver would give the next live byte."""
        if kind == "b":
            parsed = batch.parse(payload)
            self.counted = (parsed.epoch, parsed.next_seq)
        else:
            self.counted = (self.counted[0], self.counted[1] + 1)

    def connect(self) -> None:
        self.linked = True
        self.counted = (0, 0)
        self.monitor.seen_status(self.epoch, self.next_seq)
        if self.sent == len(self.stored):
            self.publish("b", batch.pack_anchor(self.epoch, self.next_seq))
        self.send_backlog()

    def send_backlog(self) -> None:
        while self.linked and self.sent < len(self.stored):
            waiting = self.stored[self.sent : self.sent + self.rng.randrange(1, 40)]
            rows = [(epoch, self.made[epoch, seq], 0, seq, seq, 0) for epoch, seq in waiting]
            if self.sent == len(self.stored) - 1 and waiting[0] == self.counted:
                self.publish("r", bytes([rows[0][1]]))
            else:
                self.publish("b", batch.pack(rows[: batch.span(rows)]))

    def reboot(self) -> None:
        self.linked = False
        lost = self.rng.randrange(4)  # records in RAM, acknowledged or not
        if lost:
            del self.stored[max(0, len(self.stored) - lost) :]
        self.sent = min(self.sent, len(self.stored))
        self.epoch = self.epoch % 65535 + 1
        self.next_seq = 0

    def deliver(self, kind: str, payload: bytes) -> None:
        """The broker passes a message on, keeps it for the monitor, or forgets it."""
        if not self.away:
            self.take(kind, payload, False)
            self.in_flight = [*self.in_flight, (kind, payload)][-self.rng.randrange(1, 4) :]
        elif self.session is not None:
            self.session.append((kind, payload))

    def take(self, kind: str, payload: bytes, dup: bool) -> None:
        self.now_s += 1
        self.got += self.monitor.feed(kind, payload, dup, self.now_s)

    def leave(self) -> None:
        self.away = True
        self.session = [] if self.rng.random() < 0.5 else None

    def come_back(self) -> None:
        self.away = False
        self.monitor.disconnected()
        if self.session is not None:
            # What the broker holds unacknowledged comes again, marked, before the rest.
            again = self.in_flight[self.rng.randrange(len(self.in_flight) + 1) :]
            for kind, payload in again:
                self.take(kind, payload, True)
            for kind, payload in self.session:
                self.take(kind, payload, False)
        self.session = None
        self.in_flight = []

    def ask_again(self) -> None:
        command = self.monitor.resend_command()
        if command is None or self.away or not self.linked:
            return
        parsed = messages.parse_command(command)
        wanted = (self.boot(parsed["epoch"]), parsed["seq"])
        self.sent = sum((self.boot(epoch), seq) < wanted for epoch, seq in self.stored)
        self.connect()

    def boot(self, epoch: int) -> int:
        """Count epochs from the first one of this world."""
        return (epoch - 65530) % 65535

    def step(self) -> None:
        action = self.rng.choices(
            [self.decide, self.connect, self.reboot, self.toggle, self.ask_again],
            [60, 10, 2, 6, 6],
        )[0]
        if action == self.connect and self.linked:
            return
        action()

    def toggle(self) -> None:
        if self.away:
            self.come_back()
        else:
            self.leave()

    def settle(self) -> None:
        """Let everything work until nothing is missing any more."""
        self.rng.random = lambda: 1.0  # type: ignore[method-assign]
        if self.away:
            self.come_back()
        self.connect()
        for _ in range(5):
            self.ask_again()


@pytest.mark.parametrize("seed", range(150))
def test_random_losses_repeats_and_reconnects(seed: int) -> None:
    monitor = Reconciler(wait_s=float("inf"))
    world = World(random.Random(seed), monitor)
    for _ in range(150):
        world.step()
    world.settle()
    survivors = set(world.stored)
    world.got += monitor.finish()
    keys = [(item.epoch, item.seq) for item in world.got]
    positions = [world.order.index(key) for key in keys]
    assert positions == sorted(set(positions)), "in order and once"
    for item in world.got:
        assert item.result == world.made[item.epoch, item.seq], "numbered as the device did"
    first = positions[0] if positions else len(world.order)
    wanted = [key for key in world.order[first:] if key in survivors]
    assert set(wanted) <= set(keys), "nothing that the device still had is missing"
    assert monitor.late == 0 and monitor.resets == 0


@pytest.mark.parametrize("seed", range(50))
def test_impatience_loses_order_never(seed: int) -> None:
    monitor = Reconciler(wait_s=3.0, max_held=20)
    world = World(random.Random(1000 + seed), monitor)
    for _ in range(150):
        world.step()
    world.settle()
    world.got += monitor.finish()
    keys = [(item.epoch, item.seq) for item in world.got]
    positions = [world.order.index(key) for key in keys]
    assert positions == sorted(set(positions))
    for item in world.got:
        assert item.result == world.made[item.epoch, item.seq]
    assert monitor.delivered == len(world.got)
