"""Every decision of a device exactly once and in order, from its live bytes and its batches.

A live byte carries no number. It gets one by counting from the batch or anchor before it (SPEC,
"Delivery"), and none when that is not certain: after a connection broke somewhere, or when the
broker says that it may have delivered the byte before. Then the bytes are left out until the next
batch or anchor, which `resend_command` asks the device for.
"""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from formats import batch, errors, messages, topics
from formats.errors import OnebyteError
from formats.record import U32_MAX

_EPOCHS = 65535  # 1 follows on 65535
_REMEMBERED_RANGES = 1000


@dataclass(frozen=True, slots=True)
class Numbered:
    """A decision with its number.

    Attributes:
        epoch, seq: Its number.
        result: Result byte.
        time_s: Seconds since 1970; since the device's boot when `quality` is 0.
        quality: `time_quality` of the device's clock; None for a live byte, whose time is that of
            its arrival.
        arrived_s: Host time when it arrived.
    """

    epoch: int
    seq: int
    result: int
    time_s: float
    quality: int | None
    arrived_s: float


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers that did not arrive; `last_seq` is None when the epoch's end is unknown."""

    epoch: int
    first_seq: int
    last_seq: int | None

    def __str__(self) -> str:
        last = "?" if self.last_seq is None else str(self.last_seq)
        return f"epoch {self.epoch}, {self.first_seq} to {last}"


class _Key(NamedTuple):
    """Orders decisions; `boot` counts on where the epoch starts over."""

    boot: int
    seq: int


class Reconciler:
    """Numbers, sorts and deduplicates what one device sends.

    All times are seconds of one clock of the caller, the host's time since 1970.

    Attributes:
        delivered: Decisions given out.
        duplicates: Decisions left out because they had been given out or were waiting.
        readmitted: Decisions taken for such at first, until the device turned out to begin anew.
        late: Decisions that came after their gap had been given up; left out.
        unanchored: Live bytes that could not be numbered; left out.
        missing: Decisions in the gaps given up whose length is known.
        lost: The latest of those gaps, oldest first.
        resets: How often the device began again with a smaller epoch.
    """

    def __init__(self, wait_s: float = 30.0, max_held: int = 65536) -> None:
        """Start without any knowledge of the device.

        Args:
            wait_s: How long decisions behind a gap wait for it to be filled.
            max_held: How many may wait; beyond that the oldest gap is given up.
        """
        self._wait_s = wait_s
        self._max_held = max_held
        self._next: _Key | None = None  # number of the decision that is due
        self._live: _Key | None = None  # number of the next live byte, None when uncertain
        self._latest_boot = 0
        self._open_ends: set[int] = set()  # boots whose last decisions we may have missed
        self._hint: tuple[int, int] | None = None
        self._held: dict[_Key, Numbered] = {}
        self._suspects: dict[int, dict[int, Numbered]] = {}
        self.delivered = 0
        self.duplicates = 0
        self.readmitted = 0
        self.late = 0
        self.unanchored = 0
        self.missing = 0
        self.resets = 0
        self.lost: deque[Gap] = deque(maxlen=_REMEMBERED_RANGES)
        self._given_up: deque[tuple[_Key, _Key]] = deque(maxlen=_REMEMBERED_RANGES)

    @property
    def is_anchored(self) -> bool:
        """Whether the next live byte has a number."""
        return self._live is not None

    def feed(self, kind: str, payload: bytes, dup: bool, now_s: float) -> list[Numbered]:
        """Take one message and return the decisions that are due now, in order.

        Args:
            kind: "r" for a live byte or "b" for a batch or anchor.
            payload: The message's payload.
            dup: The DUP flag with which the message arrived.
            now_s: Time of arrival.

        Raises:
            OnebyteError: The payload is refused; live bytes stay without a number from now on.
            ValueError: Another kind of topic.
        """
        if kind not in (topics.RESULT, topics.BATCH):
            raise ValueError(f"kind {kind!r}")
        try:
            if kind == topics.BATCH:
                self._take_batch(batch.parse(payload), dup, now_s)
            elif len(payload) != 1:
                raise OnebyteError(errors.RESULT_VALUE, f"{len(payload)} bytes instead of one")
            else:
                self._take_live(payload[0], dup, now_s)
        except OnebyteError:
            self.disconnected()
            raise
        return self.tick(now_s)

    def disconnected(self) -> None:
        """Note that the device, the broker or this host lost its connection, or came back."""
        self._live = None
        if self._next is not None:
            self._open_ends.add(self._latest_boot)

    def seen_status(self, epoch: int, next_seq: int) -> None:
        """Note what the latest status message says.

        It tells a host that knows nothing else what to ask for, and shows that a device began
        again with a smaller epoch.
        """
        self._hint = (epoch, next_seq)

    def tick(self, now_s: float) -> list[Numbered]:
        """Return what is due now: gaps that waited long enough are given up."""
        due: list[Numbered] = []
        while self._held and self._next is not None:
            item = self._held.pop(self._next, None)
            if item is not None:
                due.append(item)
                self._next = _Key(self._next.boot, self._next.seq + 1)
                continue
            first = min(self._held)
            missing = self._gap_before(self._next, first)
            waited_s = now_s - self._held[first].arrived_s
            if missing and waited_s < self._wait_s and len(self._held) <= self._max_held:
                break
            self._skip(missing, first)
        self.delivered += len(due)
        return due

    def finish(self) -> list[Numbered]:
        """Return everything that still waits, giving up all gaps."""
        return self.tick(float("inf"))

    @property
    def gaps(self) -> list[Gap]:
        """Gaps that still may be filled, oldest first."""
        gaps = []
        due = self._next
        for key in sorted([*self._held, *([self._live] if self._live else [])]):
            while due is not None and due < key:
                gap = self._gap_before(due, key)
                if gap is not None:
                    gaps.append(gap)
                due = self._after_gap(due, key)
            if key in self._held:
                due = _Key(key.boot, key.seq + 1)
        return gaps

    def resend_command(self) -> bytes | None:
        """Return the command message that asks for what is missing, None when nothing is.

        Its answer begins with a batch or an anchor, so live bytes have numbers again, too.
        """
        if self._next is None:
            return None if self._hint is None else messages.pack_resend(*self._hint)
        if self._live is not None and not self.gaps:
            return None
        return messages.pack_resend(_epoch(self._next.boot), min(self._next.seq, U32_MAX))

    def _take_batch(self, received: batch.Batch, dup: bool, now_s: float) -> None:
        key = self._key(received.epoch, received.first_seq)
        if self._next is None:
            self._next = key
        if not dup and self._has_begun_again(received, key):
            key = self._reset(received.epoch, received.first_seq)
        self._latest_boot = max(self._latest_boot, key.boot)
        items = [
            Numbered(epoch, seq, byte, time_s + time_ms / 1000, quality, now_s)
            for epoch, byte, quality, seq, time_s, time_ms in received.records
        ]
        if key.boot < self._next.boot:
            self._suspect(items)
        else:
            self._suspects.clear()
            for item in items:
                self._accept(_Key(key.boot, item.seq), item)
        if dup:
            # A repeated batch says nothing about the live bytes that come now.
            self._live = None
            self._open_ends.add(key.boot)
            return
        self._note_ends(key, bool(items))
        self._live = _Key(key.boot, received.next_seq)

    def _take_live(self, byte: int, dup: bool, now_s: float) -> None:
        key = self._live
        assert self._next is not None or key is None
        if key is None or dup or key.seq > U32_MAX:
            self.unanchored += 1
            self.disconnected()
            return
        item = Numbered(_epoch(key.boot), key.seq, byte, now_s, None, now_s)
        if self._next is not None and key.boot < self._next.boot:
            self._suspect([item])
        else:
            self._accept(key, item)
        self._live = _Key(key.boot, key.seq + 1)
        self._open_ends.discard(key.boot)  # what is missing before it is a gap with an end

    def _note_ends(self, key: _Key, has_items: bool) -> None:
        """Learn from a batch or anchor, whose first number is `key`, which epochs are complete.

        The device sends in order. So when it goes on to a later epoch, it holds no more of the one
        before; and what was missed of the latest epoch lies before what arrived, in a gap.
        """
        if self._live is not None:
            done = range(self._live.boot, key.boot)
            self._open_ends = {boot for boot in self._open_ends if boot not in done}
        if key.boot == self._latest_boot and (has_items or key <= self._end()):
            self._open_ends.discard(key.boot)
        else:
            self._open_ends.add(key.boot)

    def _accept(self, key: _Key, item: Numbered) -> None:
        assert self._next is not None
        if key >= self._next and key not in self._held:
            self._held[key] = item
        elif any(first <= key < end for first, end in self._given_up):
            self.late += 1
        else:
            self.duplicates += 1

    def _suspect(self, items: list[Numbered]) -> None:
        """Leave out decisions of an epoch that is over, but keep them for `_reset`.

        Somebody asked for them again, unless the device turns out to have begun anew.
        """
        self.duplicates += len(items)
        if items and sum(map(len, self._suspects.values())) < self._max_held:
            known = self._suspects.setdefault(items[0].epoch, {})
            known.update({item.seq: item for item in items})

    def _has_begun_again(self, received: batch.Batch, key: _Key) -> bool:
        """Return whether the device lost its memory and counts its boots anew.

        An anchor says which number comes next, and that cannot be one that was used. A batch of an
        epoch that was over says it when the device's last status named that epoch.
        """
        assert self._next is not None
        if received.count == 0:
            return key < self._end()
        is_current = self._hint is not None and self._hint[0] == received.epoch
        return key.boot < self._next.boot and is_current

    def _reset(self, epoch: int, seq: int) -> _Key:
        """Take a smaller epoch for a later one from now on; return the key of its number `seq`."""
        self.resets += 1
        self._latest_boot += (epoch - self._latest_boot - 1) % _EPOCHS + 1
        for item in self._suspects.pop(epoch, {}).values():
            self.duplicates -= 1
            self.readmitted += 1
            self._accept(_Key(self._latest_boot, item.seq), item)
        self._suspects.clear()
        return _Key(self._latest_boot, seq)

    def _skip(self, gap: Gap | None, key: _Key) -> None:
        """Go on towards `key`, which arrived, past the gap before it."""
        assert self._next is not None
        after = self._after_gap(self._next, key)
        if gap is not None:
            self.lost.append(gap)
            self._given_up.append((self._next, after))
            if gap.last_seq is not None:
                self.missing += gap.last_seq - gap.first_seq + 1
        if after.boot != self._next.boot:
            self._open_ends.discard(self._next.boot)
        self._next = after

    def _gap_before(self, due: _Key, key: _Key) -> Gap | None:
        """Return what is missing from `due` on in its epoch, when `key` is the next to arrive."""
        if due.boot == key.boot:
            return Gap(_epoch(due.boot), due.seq, key.seq - 1)
        return Gap(_epoch(due.boot), due.seq, None) if due.boot in self._open_ends else None

    def _after_gap(self, due: _Key, key: _Key) -> _Key:
        """Return the number that is due once the gap before `key` is given up."""
        if due.boot == key.boot:
            return key
        between = [boot for boot in self._open_ends if due.boot < boot < key.boot]
        return _Key(min(between, default=key.boot), 0)

    def _end(self) -> _Key:
        """Return the number behind everything that is known."""
        assert self._next is not None
        last = max(self._held, default=None)
        return self._next if last is None else _Key(last.boot, last.seq + 1)

    def _key(self, epoch: int, seq: int) -> _Key:
        """Place an epoch at most half of all epochs before or after the latest."""
        if self._next is None:
            return _Key(epoch, seq)
        ahead = (epoch - self._latest_boot) % _EPOCHS
        if ahead > _EPOCHS // 2:
            ahead -= _EPOCHS
        return _Key(self._latest_boot + ahead, seq)


def _epoch(boot: int) -> int:
    return (boot - 1) % _EPOCHS + 1
