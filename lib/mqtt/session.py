"""One connection to a broker as a state machine that never waits longer than it is told to.

State: CLOSED -> CONNECTING (TCP) -> GREETING (TLS handshake, CONNECT, until CONNACK) -> OPEN, and
back to CLOSED from anywhere when something fails.
"""

import errno

from formats import errors

from . import packets
from .link import Link

CLOSED = 0
CONNECTING = 1
GREETING = 2
OPEN = 3

MAX_PASSED_OVER_BYTES = 65536  # of a whole packet

_SLICE_MS = 50  # longest single wait, so that no wait needs arithmetic over all deadlines
_PACKETS_PER_POLL = 8
_FIRST_TX_BYTES = 64
_SERVER_UNAVAILABLE = 3  # return codes of a CONNACK
_LAST_RETURN_CODE = 5


class Limits:
    """How long and how much: deadlines in ms, sizes in bytes.

    Args:
        connect_ms: From the start to the broker's CONNACK: TCP, TLS and MQTT together.
        read_ms: For a reply, and for the rest of a packet that has begun.
        write_ms: For one packet to leave.
        max_packet_bytes: Largest incoming packet; also the size of the buffer made once. A larger
            PUBLISH is passed over, since a retained one would come again with every connection.
            Beyond `MAX_PASSED_OVER_BYTES` it ends the connection.
    """

    def __init__(self, connect_ms=15000, read_ms=10000, write_ms=10000, max_packet_bytes=1024):
        self.connect_ms = connect_ms
        self.read_ms = read_ms
        self.write_ms = write_ms
        self.max_packet_bytes = max_packet_bytes


class Session:
    """Sends packets, receives packets, keeps the deadlines and the keepalive.

    Attributes:
        state: CLOSED, CONNECTING, GREETING or OPEN.
        awaits: Packet id whose reply is awaited, or 0.
        session_present: What the last CONNACK said.
        n_passed_over: Messages, in all connections, that were larger than the limit.
        n_refused: Topics that the last SUBACK refused.
    """

    def __init__(self, net, clock, limits):
        self._link = Link(net)
        self._clock = clock
        self._limits = limits
        self._reader = packets.Reader(limits.max_packet_bytes, MAX_PASSED_OVER_BYTES)
        self._tx = bytearray(_FIRST_TX_BYTES)
        self.n_passed_over = 0
        self._reset()

    def _reset(self):
        self.state = CLOSED
        self.awaits = 0
        self.session_present = False
        self._awaited_kind = 0
        self._n_filters = self._n_needed = self.n_refused = 0
        self._out = None  # memoryview of what has not left yet
        self._pinged = False
        self._reader.reset()

    @property
    def sock(self):
        """The socket, None while closed."""
        return self._link.sock

    def open(self, address, tls, hello, keepalive_s):
        """Begin to connect; poll() goes on with it. Only the name lookup waits.

        Args:
            address: (host, port).
            tls: None or (SSL context, name the certificate must carry).
            hello: CONNECT packet.
            keepalive_s: What `hello` promises, 0 for nothing.
        """
        self.close()
        self._tls = tls
        self._hello = hello
        self._idle_ms = keepalive_s * 500  # half of it, for what we send as for what we hear
        self._reply_by = self._after(self._limits.connect_ms)
        try:
            self._link.open(*address)
        except BaseException:
            self.close()
            raise
        self.state = CONNECTING

    def close(self):
        """Close without a goodbye; may be called at any time."""
        self._link.close()
        self._reset()

    def expect(self, packet_id, kind):
        """The reply with this id, such as packets.PUBACK, has to come within read_ms."""
        self.awaits = packet_id
        self._awaited_kind = kind
        self._reply_by = self._after(self._limits.read_ms)

    def expect_suback(self, packet_id, n_filters, n_needed):
        """The SUBACK with this id has to come, and the first filters have to be granted."""
        self._n_filters = n_filters
        self._n_needed = n_needed
        self.expect(packet_id, packets.SUBACK)

    def ping(self):
        """Ask the broker for a sign of life; poll() fails when it does not come in time."""
        self.send(b"\xc0\0")
        if not self._pinged:
            self._pinged = True
            self._ping_by = self._after(self._limits.read_ms)

    def turn(self, deliver):
        """Wait a moment, at most 50 ms, then poll."""
        self.wait(_SLICE_MS)
        return self.poll(deliver)

    def wait(self, timeout_ms):
        """Wait until poll() has something to do, at most `timeout_ms`; knows no deadlines."""
        self._link.wait(timeout_ms, self.state == CONNECTING or self._out is not None)

    def poll(self, deliver):
        """Do whatever can be done without waiting, and check the deadlines.

        Args:
            deliver: Called with (topic, payload) of every message. What it raises goes through;
                an OSError or OnebyteError closes the link as the broker's own would.

        Returns:
            Type of the last packet handled (packets.PUBLISH, ...), None without one.

        Raises:
            OSError: The link failed or a deadline passed; it is closed.
            OnebyteError: The broker refused; the link is closed.
        """
        self._check_not_closed()
        kind = None
        try:
            if self.state == CONNECTING:
                self._greet()
            for _ in range(_PACKETS_PER_POLL):
                if self.state < GREETING or not self._flush() or not self._read():
                    break
                waiting = self.awaits or self.state == GREETING
                kind = self._handle(deliver)
                if waiting and not self.awaits:
                    break  # a link that fails right after the reply has still replied
            # Last, because a reply that already lies here is not late when we are.
            self._check_deadlines()
        except (OSError, errors.OnebyteError):
            self.close()
            raise
        return kind

    def _greet(self):
        if self._link.is_connected():
            if self._tls:
                self._link.secure(*self._tls)
            self.state = GREETING
            self._write(self._hello)

    def _read(self):
        was_inside = self._reader.is_inside
        is_complete = self._reader.read(self._link.readinto)
        if self._reader.is_inside and not was_inside:
            self._packet_by = self._after(self._limits.read_ms)
        return is_complete

    def _handle(self, deliver):
        head, body = self._reader.head, self._reader.body
        self._heard = self._clock.ticks_ms()
        if self.state == GREETING:
            if head != packets.CONNACK:
                raise packets.malformed("%#x instead of CONNACK" % head)
            self._connected(*packets.parse_connack(body))
        elif head & 0xF0 == packets.PUBLISH:
            topic, payload, packet_id = packets.parse_publish(head, body)
            if self._reader.is_cut:
                self.n_passed_over += 1
            else:
                deliver(topic, payload)
            # After the callback: a message that it could not take was not received. One that is
            # passed over is acknowledged, or the broker would send it again.
            if packet_id and self.state == OPEN:
                self.send(bytes((packets.PUBACK, 2, packet_id >> 8, packet_id & 255)))
            return packets.PUBLISH
        elif head in (packets.PUBACK, packets.UNSUBACK):
            self._replied(packets.parse_packet_id(body), head)
        elif head == packets.SUBACK:
            self._subscribed(*packets.parse_suback(body))
        elif head == packets.PINGRESP and not len(body):
            self._pinged = False
        else:
            raise packets.malformed("packet %#x" % head)
        return head

    def _connected(self, session_present, code):
        if code == _SERVER_UNAVAILABLE:
            raise OSError(errno.ECONNREFUSED, "broker unavailable")
        if code > _LAST_RETURN_CODE:
            raise packets.malformed("CONNACK with return code %d" % code)
        if code:
            raise errors.OnebyteError(100 + code)
        self.session_present = session_present
        self.state = OPEN

    def _subscribed(self, packet_id, codes):
        if packet_id == self.awaits and self._awaited_kind == packets.SUBACK:
            if len(codes) != self._n_filters:
                raise packets.malformed("SUBACK for %d topics" % len(codes))
            self.n_refused = codes.count(bytes((packets.SUBACK_REFUSED,)))
            if packets.SUBACK_REFUSED in codes[: self._n_needed]:
                raise errors.OnebyteError(errors.BROKER_SUBSCRIPTION)
        self._replied(packet_id, packets.SUBACK)

    def _replied(self, packet_id, kind):
        # A reply to something else is not ours to judge; the deadline of the awaited one runs on.
        if packet_id != self.awaits or kind != self._awaited_kind:
            return False
        self.awaits = 0
        return True

    def buffer(self, size):
        """Return a memoryview of `size` bytes for the next packet, once the last one has left."""
        self._check_not_closed()
        self._guarded(self._drain)
        if size > len(self._tx):
            self._tx = bytearray(size)
        return memoryview(self._tx)[:size]

    def send(self, packet):
        """Hand a whole packet to the network in one write; waits only for the one before."""
        self._check_not_closed()
        self._guarded(self._drain)
        self._guarded(self._write, packet)

    def _guarded(self, step, *args):
        try:
            step(*args)
        except (OSError, errors.OnebyteError):
            self.close()
            raise

    def _write(self, packet):
        self._out = memoryview(packet)
        self._write_by = self._after(self._limits.write_ms)
        self._flush()

    def _flush(self):
        """Write what fits; return whether everything has left."""
        while self._out is not None:
            n = self._link.write(self._out)
            if n == 0:
                return False
            self._sent = self._clock.ticks_ms()
            self._out = self._out[n:] if n < len(self._out) else None
        return True

    def _drain(self):
        while not self._flush():
            if self._is_past(self._write_by):
                raise OSError(errno.ETIMEDOUT, "write")
            self._link.wait(_SLICE_MS, True)

    def _check_not_closed(self):
        if self.state == CLOSED:
            raise OSError(errno.ENOTCONN, "not connected")

    def _after(self, duration_ms):
        return self._clock.ticks_add(self._clock.ticks_ms(), duration_ms)

    def _is_past(self, moment):
        return self._clock.ticks_diff(self._clock.ticks_ms(), moment) >= 0

    def _check_deadlines(self):
        if self.state == CLOSED:
            return  # by the callback
        if (self.state != OPEN or self.awaits) and self._is_past(self._reply_by):
            raise OSError(errno.ETIMEDOUT, "reply" if self.state == OPEN else "connect")
        if self._reader.is_inside and self._is_past(self._packet_by):
            raise OSError(errno.ETIMEDOUT, "rest of a packet")
        if self._pinged and self._is_past(self._ping_by):
            raise OSError(errno.ETIMEDOUT, "PINGRESP")
        if self.state != OPEN:
            return
        if self._out is not None:
            if self._is_past(self._write_by):
                raise OSError(errno.ETIMEDOUT, "write")
        elif self._idle_ms and not self._pinged and self._is_idle():
            self.ping()

    def _is_idle(self):
        now = self._clock.ticks_ms()
        diff = self._clock.ticks_diff
        return diff(now, self._sent) >= self._idle_ms or diff(now, self._heard) >= self._idle_ms
