"""Which decisions are worth a message."""

from formats import result

ALL = "all"  # every decision
ON_CHANGE = "on_change"  # another class, reason or novelty; the same one every heartbeat_s
HEARTBEAT = "heartbeat"  # the latest decision every heartbeat_s, whatever it is
KINDS = (ALL, ON_CHANGE, HEARTBEAT)

# Millisecond ticks wrap at 2^30 on the boards; their distance is right modulo that.
_TICKS_MASK = 0x3FFFFFFF
_MAX_HEARTBEAT_S = 604800


class Policy:
    """Decides for each result byte whether it is published.

    Args:
        kind: `ALL`, `ON_CHANGE` or `HEARTBEAT`.
        heartbeat_s: 1-604800.
        encoding: of the result bytes; with A a change of the confidence level alone is no change.

    Attributes:
        last: what was published last, without a level; -1: nothing yet.
        published_ms: and when, in millisecond ticks.
    """

    def __init__(self, kind: str, heartbeat_s: int, encoding: int = result.B):
        if kind not in KINDS or not 1 <= heartbeat_s <= _MAX_HEARTBEAT_S:
            raise ValueError("policy or heartbeat_s out of range")
        self._all = kind == ALL
        self._on_change = kind == ON_CHANGE
        self._encoding = encoding
        self._heartbeat_ms = heartbeat_s * 1000
        self.last = -1
        self.published_ms = 0

    def should_publish(self, byte: int, now_ms: int) -> bool:
        """Takes one decision and millisecond ticks; True when it is to be published."""
        key = byte
        if self._encoding == result.A and byte & 15 != 15:
            key = byte & 0x8F
        if (
            self._all
            or self.last < 0
            or (self._on_change and key != self.last)
            or (now_ms - self.published_ms) & _TICKS_MASK >= self._heartbeat_ms
        ):
            self.last = key
            self.published_ms = now_ms
            return True
        return False
