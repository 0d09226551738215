"""Which release is wanted, and whether it is worth fetching. Its message is only a hint."""

import hashlib

from formats import errors, update_messages
from ota.downloads import Tried
from ota.pace import elapsed_ms


class Wanted:
    """The newest want, and what came of it.

    Args:
        downloads: `ota.downloads.Downloads`, which remembers over a restart what was in vain.
        limits: `ota.pace.Limits`.

    Attributes:
        want: what `update_messages.parse_want` returned, or None.
        refused, refused_seq: why a wanted release was not taken, and which; 0, 0 none.
        uptime_s: function: seconds since the start that no sleep interrupts, deep sleep included.
    """

    def __init__(self, downloads, limits):
        self.want = None
        self.uptime_s = _no_uptime
        self._downloads = downloads
        self._limits = limits
        self._tried = downloads.read_tried()
        self._idle_attempts = 0
        self._settled_ms = None
        self._digest = b""
        self.refused = self._tried.reason if self._tried.is_settled else 0
        self.refused_seq = self._tried.seq if self._tried.is_settled else 0

    @property
    def is_open(self) -> bool:
        """Whether there is a release to fetch."""
        return self.want is not None and not self._tried.is_settled

    @property
    def seq(self) -> int:
        """The seq that is wanted, 0 none."""
        return self.want["seq"] if self.want else 0

    def take(self, payload, floor_seq: int) -> bool:
        """Take a message on /want; return whether it changes anything.

        Args:
            payload: empty: nothing is wanted any more.
            floor_seq: seq that is being fetched, 0 none: a lower one is ignored meanwhile.

        Raises:
            OnebyteError: it is malformed.
        """
        if not payload:
            had = self.want is not None
            self.want = None
            self._digest = b""
            return had
        want = update_messages.parse_want(payload)
        digest = hashlib.sha256(payload).digest()
        if digest == self._digest or want["seq"] < floor_seq:
            return False
        self.want = want
        self._digest = digest
        self._idle_attempts = 0
        if self._tried.digest != digest:
            self._tried = Tried(digest, want["seq"])
            self.refused = self.refused_seq = 0
        return True

    def look(self, record, now_ms: int) -> bool:
        """Return whether there is something to fetch now; settle what needs no look at it.

        Args:
            record: the slot state, or None.
            now_ms: millisecond ticks.
        """
        if self.want is None:
            return False
        if self._tried.is_settled:
            # What can change by itself is tried again after a day.
            if self._tried.attempts < self._limits.attempts:
                return False
            if self._settled_ms is None:
                self._settled_ms = now_ms - self._waited_ms()  # before this start
            if elapsed_ms(now_ms, self._settled_ms) < self._limits.forget_ms:
                return False
            self._tried = Tried(self._digest, self.want["seq"])
            self._idle_attempts = 0
        seq = self.want["seq"]
        if record is None or seq > max(record.installed_seq, record.last_bad_seq):
            return record is None or seq != record.pending_seq
        if seq == record.installed_seq:
            self._tried.is_settled = True
        else:
            is_old = seq < record.installed_seq
            self._settle(errors.UPDATE_SEQ if is_old else errors.UPDATE_KNOWN_BAD, now_ms)
        return False

    def _waited_ms(self) -> int:
        """Return for how long it was settled before this start, if that is a wake."""
        uptime_s = self.uptime_s()
        if uptime_s < self._tried.since_s:
            # The power was gone meanwhile, and nobody knows how long.
            self._tried.since_s = uptime_s
            try:
                self._downloads.write_tried(self._tried)
            except OSError:
                pass  # the next start does it
        return min(1000 * (uptime_s - self._tried.since_s), self._limits.forget_ms)

    def refuse(self, reason: int, now_ms: int) -> None:
        """Do not try this release again before another is wanted.

        Raises:
            OSError: that is not remembered over a restart.
        """
        self._settle(reason, now_ms)
        self._downloads.write_tried(self._tried)

    def failed(self, reason: int, was_content: bool, now_ms: int) -> bool:
        """Count an attempt that ended badly; return whether it was the last one.

        Args:
            reason: why.
            was_content: bytes came and were wrong, otherwise none came.
            now_ms: millisecond ticks.

        Raises:
            OSError: it is not remembered over a restart.
        """
        self._tried.reason = reason
        self._idle_attempts += not was_content
        self._tried.attempts += was_content
        is_last = max(self._tried.attempts, self._idle_attempts) >= self._limits.attempts
        if is_last:
            self._tried.attempts = self._limits.attempts
            self._settle(reason, now_ms)
        if was_content or is_last:
            self._downloads.write_tried(self._tried)
        return is_last

    def got_on(self) -> None:
        """Note that something came: a link that breaks often is no reason to give up."""
        self._idle_attempts = 0

    def _settle(self, reason: int, now_ms: int) -> None:
        self._tried.reason = reason
        self._tried.is_settled = True
        self._tried.since_s = self.uptime_s()
        self._settled_ms = now_ms
        self.refused = reason
        self.refused_seq = self.want["seq"]


def _no_uptime() -> int:
    return 0
