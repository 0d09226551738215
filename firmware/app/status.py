"""What a node says about itself: the meta and the status message."""

import gc
import hashlib
from binascii import hexlify

from app import power
from formats import messages

_HASHED_BYTES = messages.HASH_DIGITS // 2


def pack_meta(content, info) -> bytes:
    """Returns the meta message of a valid model file and its `formats.model.Model`."""
    digest = hashlib.sha256(content).digest()
    return messages.pack_meta(
        {
            "encoding": messages.ENCODINGS[info.encoding],
            "labels": info.labels,
            "model": hexlify(digest[:_HASHED_BYTES]).decode(),
            "name": info.name,
            "window_ms": info.window * 1000000 // info.rate_mhz,
            "hop_ms": info.hop * 1000000 // info.rate_mhz,
        }
    )


def pack_refused_meta() -> bytes:
    """Returns the meta message of a node without a valid model.

    It replaces the one of an earlier model: with that one's encoding the fault byte might read as
    a class.
    """
    return messages.pack_meta(
        {
            "encoding": messages.ENCODINGS[0],
            "labels": ["-", "--"],
            "model": "0" * messages.HASH_DIGITS,
            "name": "no valid model",
            "window_ms": 0,
            "hop_ms": 0,
        }
    )


class Status:
    """Collects the status message from the node's parts.

    Args:
        outbox: Outbox.
        sensing: Sensing or Refused.
        clock: object with `ticks_ms()` and `quality`.
        duty: Duty.

    Attributes:
        uptime_ms: since the boot that began the epoch.
    """

    def __init__(self, outbox, sensing, clock, duty):
        self._outbox = outbox
        self._sensing = sensing
        self._clock = clock
        self._duty = duty
        self._last_ms = duty.started_ms  # proving the model takes its time
        self.uptime_ms = 0

    def watch(self, sensing) -> None:
        """Takes another Sensing, which counts on from the one before."""
        self._sensing = sensing

    def tick(self, now_ms: int) -> None:
        """Lets the uptime grow; call it at least once before the ticks wrap (12 days)."""
        self.uptime_ms += (now_ms - self._last_ms) & 0x3FFFFFFF
        self._last_ms = now_ms

    def go_on(self, uptime_ms: int) -> None:
        """Adds what passed before this wake from deep sleep."""
        self.uptime_ms += uptime_ms

    def values(self, connects: int) -> dict:
        """Returns the content of the status message."""
        self.tick(self._clock.ticks_ms())
        values = {
            "epoch": self._outbox.epoch,
            "next_seq": self._outbox.next_seq,
            "queued": self._outbox.queued(),
            "dropped": self._outbox.dropped,
            "windows": self._sensing.windows,
            "faults": self._sensing.faults,
            "connects": connects,
            "uptime_s": self.uptime_ms // 1000,
            "heap_free": gc.mem_free(),
            "time_quality": self._clock.quality,
            "flash_errors": self._outbox.flash_errors,
        }
        self._add_power(values)
        return values

    def _add_power(self, values: dict) -> None:
        duty = self._duty
        if not duty.has_chip:
            return
        values["reset"] = duty.cause
        values["wakes"] = duty.wakes
        supply_mv = duty.supply_mv()
        if supply_mv != power.UNKNOWN_MV:
            values["supply_mv"] = supply_mv
            values["flash_held"] = self._outbox.flash_held
        ledger = duty.ledger
        for phase in range(len(power.PHASES)):
            if ledger.is_known(phase):
                values["uah_" + power.PHASES[phase]] = ledger.charge_uah[phase]

    def pack(self, connects: int) -> bytes:
        """Returns the status message."""
        return messages.pack_status(self.values(connects))
