"""Objects from the broker, a chunk at a time: subscribes to its topic, takes it, unsubscribes.

The uplink carries the packets when it has nothing more urgent: it asks `next_packet`, sends that,
tells `settled` when the broker has answered, and hands what arrives to `take`. States: nothing is
wanted -> asked for -> granted (the broker was asked and has agreed) -> the piece is there. Which
topic the broker still holds for us is kept beside that, so that it is always given back.
"""

from formats import errors, objects
from formats.errors import OnebyteError

_ETIMEDOUT = 110
_EACCES = 13
_TICKS_MASK = 0x3FFFFFFF  # millisecond ticks wrap at 2^30 on the boards


class MqttSource:
    """One object after the other, one packet in flight.

    Args:
        tenant: whose objects they are.
        deadline_ms: from the broker's consent to the chunk, which lies retained and so comes at
            once or never.
    """

    def __init__(self, tenant: str, deadline_ms: int) -> None:
        self._tenant = tenant
        self._deadline_ms = deadline_ms
        self._held = b""  # topic that the broker has for us, or may have
        self._is_used = False  # what lay there has come, or nobody waits for it any more
        self._is_subscribing = False  # the packet in flight is a SUBSCRIBE
        self.close()

    # For the updater.

    def begin(self, object_id: str, offset: int, n_bytes: int) -> None:
        """Ask for bytes from `offset` on.

        Args:
            object_id: see `formats.objects`.
            offset: any.
            n_bytes: at most so many; no more than the chunk that holds `offset` come at once.

        Raises:
            OnebyteError: TOPIC: there is no such object.
        """
        self.close()
        chunk = offset // objects.CHUNK_BYTES
        self._topic = objects.pack_topic(self._tenant, object_id, chunk).encode()
        self._skip = offset - chunk * objects.CHUNK_BYTES
        self._n_bytes = n_bytes

    def step(self, now_ms: int):
        """Return a view of the bytes, 1 or more, or None while they are on their way.

        Raises:
            OSError: the broker does not let us, or has no such chunk.
            OnebyteError: SOURCE_SIZE: the chunk has nothing at the offset, or is too large.
        """
        if self._piece is not None:
            piece = self._piece
            self.close()
            return self._cut(piece)
        if self._is_refused:
            self.close()
            raise OSError(_EACCES)
        if not self._is_granted:
            self._granted_ms = now_ms
        elif (now_ms - self._granted_ms) & _TICKS_MASK >= self._deadline_ms:
            self.close()
            raise OSError(_ETIMEDOUT)
        return None

    def close(self) -> None:
        """Want nothing any more."""
        self._topic = b""
        self._piece = None
        self._is_used = True
        self._is_granted = self._is_refused = False
        self._granted_ms = 0

    def _cut(self, piece):
        if not self._skip < len(piece) <= objects.CHUNK_BYTES:
            raise OnebyteError(errors.SOURCE_SIZE, "chunk of %d bytes" % len(piece))
        return memoryview(piece)[self._skip : self._skip + self._n_bytes]

    # For the uplink.

    def next_packet(self):
        """Return (whether to subscribe, topic) of the packet to send, None for none."""
        if self._held and self._is_used:
            return False, self._held
        if self._topic and not self._held:
            return True, self._topic
        return None

    def sending(self, is_subscribe: bool, topic) -> None:
        """Learn that the packet is on its way."""
        self._is_subscribing = is_subscribe
        if is_subscribe:
            self._held = topic
            self._is_used = False

    def settled(self, was_refused: bool) -> None:
        """Learn that the broker has answered the packet.

        Args:
            was_refused: it does not allow the subscription.
        """
        if not self._is_subscribing:
            self._held = b""
        elif not self._is_used:
            self._is_granted = not was_refused
            self._is_refused = was_refused
        if was_refused:
            self._held = b""

    def take(self, topic, payload) -> bool:
        """Take a message if it is a chunk's; one that nobody waits for is forgotten."""
        if not self._held or topic != self._held:
            return False
        if not self._is_used:
            self._piece = payload
            self._is_used = True
        return True

    def lost(self) -> None:
        """Learn that the connection is over, and with it every subscription."""
        self._held = b""
        self._is_subscribing = self._is_granted = False
