"""What devices say, made readable: labels from the meta message, numbers from the reconciler."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from formats import messages, record, result, topics
from formats.errors import OnebyteError
from onebyte.receiver import energy
from onebyte.receiver.link import Message
from onebyte.receiver.reconcile import Numbered, Reconciler

__all__ = ["SUBSCRIBED", "Decision", "Device", "Monitor", "Note"]

SUBSCRIBED = (topics.META, topics.STATUS, topics.RESULT, topics.BATCH)

_META_WAIT_S = 3.0
_GAP_WAIT_S = 30.0
_FIRST_ASK_S = 5.0
_LAST_ASK_S = 320.0


@dataclass(frozen=True)
class Decision:
    """One decision of a device, decoded as far as its meta message allows.

    Attributes:
        tenant, device: who decided.
        epoch, seq: its number; see SPEC, Delivery.
        byte: the result byte.
        time_s: seconds since 1970, or since the device's boot when `time_quality` is 0.
        time_quality: 0-2 as in SPEC; None when the time is that of arrival on the host.
        label: the class, the reason why there is none, or "byte N" without a meta message.
        class_id: None without a class.
        level: confidence level 0-7, None where there is none.
        novel: whether the input lies outside the training data, None where that is not said.
        fault: the reason when the device reports a fault.
    """

    tenant: str
    device: str
    epoch: int
    seq: int
    byte: int
    time_s: float
    time_quality: int | None
    label: str
    class_id: int | None = None
    level: int | None = None
    novel: bool | None = None
    fault: str | None = None

    @property
    def time_text(self) -> str:
        """Local time of day, or seconds since the device's boot."""
        if self.time_quality == record.SINCE_BOOT:
            return f"boot+{self.time_s:.1f}s"
        return datetime.fromtimestamp(self.time_s).strftime("%H:%M:%S")

    def as_json(self) -> dict[str, Any]:
        """Fields for scripts; the keys are part of the command line's interface."""
        since_boot = self.time_quality == record.SINCE_BOOT
        return {
            "tenant": self.tenant,
            "device": self.device,
            "epoch": self.epoch,
            "seq": self.seq,
            "time": None if since_boot else datetime.fromtimestamp(self.time_s, UTC).isoformat(),
            "uptime_s": self.time_s if since_boot else None,
            "time_quality": self.time_quality,
            "byte": self.byte,
            "label": self.label,
            "class_id": self.class_id,
            "level": self.level,
            "novel": self.novel,
            "fault": self.fault,
        }


@dataclass(frozen=True)
class Note:
    """Something else worth a line: a device went offline, a gap, a message that was refused."""

    tenant: str
    device: str
    text: str


@dataclass
class Device:
    """What is known of one device; decisions wait here for the labels, but not for ever."""

    tenant: str
    name: str
    reconciler: Reconciler = field(default_factory=Reconciler)
    meta: dict[str, Any] | None = None
    online: bool | None = None
    status: dict[str, Any] | None = None
    last: Decision | None = None
    n_decisions: int = 0
    n_faults: int = 0
    waiting: deque[Numbered] = field(default_factory=deque)
    ask_at_s: float = float("-inf")
    ask_every_s: float = _FIRST_ASK_S

    def decode(self, numbered: Numbered) -> Decision:
        """Return the decision with its label; "byte N" when meta is missing or does not fit."""
        decision = Decision(
            self.tenant,
            self.name,
            numbered.epoch,
            numbered.seq,
            numbered.result,
            numbered.time_s,
            numbered.quality,
            **self._meaning(numbered.result),
        )
        self.last = decision
        self.n_decisions += 1
        self.n_faults += decision.fault is not None
        return decision

    def _meaning(self, byte: int) -> dict[str, Any]:
        unknown = {"label": f"byte {byte}"}
        if self.meta is None:
            return unknown
        encoding = messages.ENCODINGS.index(self.meta["encoding"])
        try:
            class_id, level, novel, reason = result.parse(encoding, byte)
        except OnebyteError:
            return unknown
        if class_id < 0:
            name = result.REASONS[reason]
            return {"label": name, "fault": None if reason == result.UNDECIDED else name}
        if class_id >= len(self.meta["labels"]):
            return unknown
        meaning = {"label": self.meta["labels"][class_id], "class_id": class_id}
        return {**meaning, "level": level, "novel": novel} if encoding == result.A else meaning


class Monitor:
    """Takes messages of any number of devices, gives decisions and notes. No I/O, no clock.

    Args:
        meta_wait_s: how long decisions wait for the device's meta message.
        gap_wait_s: how long they wait behind a gap; 0 where nothing can be sent again.
    """

    def __init__(self, meta_wait_s: float = _META_WAIT_S, gap_wait_s: float = _GAP_WAIT_S) -> None:
        self.devices: dict[tuple[str, str], Device] = {}
        self._meta_wait_s = meta_wait_s
        self._gap_wait_s = gap_wait_s
        self._connection = 1

    def take(self, message: Message) -> list[Decision | Note]:
        """Return what a message leads to; data that are refused lead to a note."""
        try:
            tenant, name, kind = topics.parse(message.topic)
        except OnebyteError:
            return []  # a neighbour on the same broker
        if message.connection != self._connection:
            self._connection = message.connection
            for device in self.devices.values():
                device.reconciler.disconnected()
        new = Device(tenant, name, Reconciler(self._gap_wait_s))
        device = self.devices.setdefault((tenant, name), new)
        try:
            return self._take_kind(device, kind, message)
        except OnebyteError as error:
            return [Note(tenant, name, f"refused a message on /{kind}: {error}")]

    def _take_kind(self, device: Device, kind: str, message: Message) -> list[Decision | Note]:
        if not message.payload and kind in (topics.META, topics.STATUS):
            return []  # somebody cleared the retained message
        if kind == topics.META:
            device.meta = messages.parse_meta(message.payload)
            return self._due(device, message.time_s)
        if kind == topics.STATUS:
            return self._take_status(device, messages.parse_status(message.payload))
        if kind in (topics.RESULT, topics.BATCH):
            found = device.reconciler.feed(kind, message.payload, message.dup, message.time_s)
            device.waiting.extend(found)
            return self._due(device, message.time_s)
        return []

    def _take_status(self, device: Device, status: dict[str, Any]) -> list[Decision | Note]:
        before, device.online = device.online, status["online"]
        notes = []
        if device.online:
            notes = [energy.held(device.status, status)]
            device.status = status
            device.reconciler.seen_status(status["epoch"], status["next_seq"])
        else:
            device.reconciler.disconnected()
        if before != device.online:
            change = ["online", energy.describe(status)] if device.online else ["offline"]
            notes.insert(0, ", ".join(filter(None, change)))
        return [Note(device.tenant, device.name, note) for note in notes if note]

    def tick(self, now_s: float) -> list[Decision | Note]:
        """Return what only time makes due: gaps given up, decisions whose labels never came."""
        due: list[Decision | Note] = []
        for device in self.devices.values():
            device.waiting.extend(device.reconciler.tick(now_s))
            due += self._due(device, now_s)
        return due

    def finish(self) -> list[Decision | Note]:
        """Return everything that still waits."""
        due: list[Decision | Note] = []
        for device in self.devices.values():
            device.waiting.extend(device.reconciler.finish())
            due += self._due(device, float("inf"))
        return due

    def commands(self, now_s: float) -> list[tuple[Device, bytes]]:
        """Return the resend commands to publish now.

        A device that does not answer is asked again after 5, 10, 20 .. 320 seconds: the broker may
        be keeping the commands for one that sleeps.
        """
        asked = []
        for device in self.devices.values():
            command = device.reconciler.resend_command()
            if command is None:
                device.ask_every_s = _FIRST_ASK_S
            elif device.online is not False and now_s >= device.ask_at_s:
                device.ask_at_s = now_s + device.ask_every_s
                device.ask_every_s = min(2 * device.ask_every_s, _LAST_ASK_S)
                asked.append((device, command))
        return asked

    def _due(self, device: Device, now_s: float) -> list[Decision | Note]:
        due: list[Decision | Note] = []
        waiting = device.waiting
        while waiting and (
            device.meta is not None or now_s - waiting[0].arrived_s >= self._meta_wait_s
        ):
            due.append(device.decode(waiting.popleft()))
        lost = device.reconciler.lost
        while lost:
            due.append(Note(device.tenant, device.name, f"lost: {lost.popleft()}"))
        return due
