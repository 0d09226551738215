"""The way out of a node without a network: lines on its serial console.

The same interface as `app.uplink.Uplink`. docs/SPEC.md, "Serial line", says what a line is.
"""

import time

from formats import record, serial_line

_RECORDS_PER_STEP = 8  # a console takes about 1 ms for each
_REST_MS = 1000


class SerialUplink:
    """Writes the outbox of one node out.

    Args:
        write: function that takes the bytes of a line with its end.
        outbox: `Outbox`.
        meta: meta message.
        status: function that returns the status message of now.
        status_ms: time between two status messages.

    Attributes:
        connects, failures, refusals, last_error, statuses: as those of `Uplink`; a console has no
            failures.
    """

    last_error = ""
    failures = 0
    refusals = 0

    def __init__(self, write, outbox, meta: bytes, status, status_ms: int):
        self._write = write
        self._outbox = outbox
        self._meta = meta
        self._status = status
        self._status_ms = status_ms
        self._status_at = 0
        self._record = bytearray(record.RECORD_BYTES)
        self.connects = 0
        self.statuses = 0

    def step(self, now_ms: int) -> None:
        """Writes what is new."""
        if not self.connects or time.ticks_diff(now_ms, self._status_at) >= 0:
            self.connects = 1
            self._introduce(now_ms)
        records = self._outbox.peek_batch(_RECORDS_PER_STEP) if self._outbox.queued() else ()
        for epoch, result, quality, seq, time_s, time_ms in records:
            record.pack_into(self._record, 0, epoch, result, quality, seq, time_s, time_ms)
            self._say(serial_line.RECORD, self._record)
            self._outbox.acked(epoch, seq)

    def rest_ms(self, now_ms: int) -> int:
        """Returns how long `step` has nothing to do."""
        return 0 if self._outbox.queued() else min(_REST_MS, self._until_status_ms(now_ms))

    @property
    def is_done(self) -> bool:
        """Whether the node has introduced itself; what is written has arrived."""
        return self.connects > 0

    def begin(self) -> None:
        """Nothing to do."""

    def wait(self, _duration_ms: int) -> bool:
        """Returns False: nothing arrives here."""
        return False

    def close(self) -> None:
        """The next step introduces the node again."""
        self.connects = 0

    def _introduce(self, now_ms) -> None:
        """Writes who it is, again and again: nobody may have listened the first time."""
        self._status_at = time.ticks_add(now_ms, self._status_ms)
        self.statuses += 1
        self._say(serial_line.META, self._meta)
        self._say(serial_line.STATUS, self._status())

    def _until_status_ms(self, now_ms) -> int:
        return max(0, time.ticks_diff(self._status_at, now_ms))

    def _say(self, kind, payload) -> None:
        self._write(serial_line.pack(kind, payload) + b"\n")
