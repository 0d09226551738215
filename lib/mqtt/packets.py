"""MQTT 3.1.1 packets: bytes out, bytes in. No socket and no clock, so it runs everywhere.

Whatever the peer sends wrongly ends in an OSError: the link is not usable, connect again.
"""

CONNECT = 0x10
CONNACK = 0x20
PUBLISH = 0x30
PUBACK = 0x40
SUBSCRIBE = 0x82
SUBACK = 0x90
UNSUBSCRIBE = 0xA2
UNSUBACK = 0xB0
PINGREQ = 0xC0
PINGRESP = 0xD0
DISCONNECT = 0xE0

SUBACK_REFUSED = 0x80
MAX_FIELD_BYTES = 65535

_EPROTO = 71  # missing from MicroPython's errno
_ECONNRESET = 104
_MAX_LENGTH = 268435455  # what four length bytes can say
_MAX_FIXED_BYTES = 5


def malformed(text):
    """Return the error for a packet that no broker may send."""
    return OSError(_EPROTO, "MQTT: " + text)


def field(value):
    """Return str or bytes as the bytes of a field. Upstream counted characters, not bytes."""
    data = value.encode() if isinstance(value, str) else value
    if len(data) > MAX_FIELD_BYTES:
        raise ValueError("MQTT field of %d bytes" % len(data))
    return data


def publish_bytes(topic, payload, qos):
    """Return the size of the whole PUBLISH packet."""
    return 1 + _sized(2 + len(topic) + (2 if qos else 0) + len(payload))


def publish_into(buf, topic, payload, flags, packet_id):
    """Write a PUBLISH packet to the start of `buf` and return its size.

    Args:
        buf: At least `publish_bytes` long.
        topic: Bytes.
        payload: Bytes.
        flags: Low half of the first byte: qos << 1 | retain.
        packet_id: 1-65535, 0 with qos 0.
    """
    length = 2 + len(topic) + (2 if packet_id else 0) + len(payload)
    at = _head_into(buf, PUBLISH | flags, length)
    at = _field_into(buf, at, topic)
    if packet_id:
        buf[at] = packet_id >> 8
        buf[at + 1] = packet_id & 255
        at += 2
    buf[at : at + len(payload)] = payload
    return at + len(payload)


def pack_subscribe(packet_id, topics, qos):
    """Return a SUBSCRIBE packet for topic filters of any length."""
    return _pack_filters(SUBSCRIBE, packet_id, topics, bytes((qos,)))


def pack_unsubscribe(packet_id, topics):
    """Return an UNSUBSCRIBE packet for topic filters of any length."""
    return _pack_filters(UNSUBSCRIBE, packet_id, topics, b"")


def _pack_filters(head, packet_id, topics, options):
    length = 2 + sum([2 + len(topic) + len(options) for topic in topics])
    buf = bytearray(1 + _sized(length))
    at = _head_into(buf, head, length)
    buf[at] = packet_id >> 8
    buf[at + 1] = packet_id & 255
    at += 2
    for topic in topics:
        at = _field_into(buf, at, topic)
        buf[at : at + len(options)] = options
        at += len(options)
    return buf


def pack_connect(client_id, keepalive_s, clean_session, login, will):
    """Return a CONNECT packet.

    Args:
        client_id: Bytes.
        keepalive_s: 0-65535, 0 for none.
        clean_session: Whether the broker forgets the session at the end.
        login: None or (user, password or None), bytes.
        will: None or (topic, payload, qos, retain), topic and payload bytes.
    """
    flags = 2 if clean_session else 0
    fields = [client_id]
    if will:
        flags |= 0x04 | will[2] << 3 | (0x20 if will[3] else 0)
        fields += will[:2]
    if login:
        flags |= 0x80 | (0x40 if login[1] is not None else 0)
        fields += [part for part in login if part is not None]
    length = 10 + sum([2 + len(part) for part in fields])
    buf = bytearray(1 + _sized(length))
    at = _head_into(buf, CONNECT, length)
    buf[at : at + 10] = b"\0\4MQTT\4" + bytes((flags, keepalive_s >> 8, keepalive_s & 255))
    at += 10
    for part in fields:
        at = _field_into(buf, at, part)
    return buf


def parse_connack(body):
    """Return (session_present, return code)."""
    if len(body) != 2 or body[0] > 1:
        raise malformed("CONNACK")
    return body[0] == 1, body[1]


def parse_packet_id(body):
    """Return the packet id that is all there is in a PUBACK or UNSUBACK."""
    if len(body) != 2:
        raise malformed("acknowledgement of %d bytes" % len(body))
    return body[0] << 8 | body[1]


def parse_suback(body):
    """Return (packet id, bytes with a granted QoS or SUBACK_REFUSED for each topic)."""
    codes = bytes(body[2:])
    for code in codes:
        if code not in (0, 1, 2, SUBACK_REFUSED):
            raise malformed("SUBACK")
    if not codes:
        raise malformed("SUBACK")
    return body[0] << 8 | body[1], codes


def parse_publish(head, body):
    """Return (topic, payload, packet id), the id 0 with QoS 0, of a whole PUBLISH packet.

    Args:
        head: First byte of the packet.
        body: Everything after the length, a memoryview.
    """
    qos = head >> 1 & 3
    if qos > 1:  # nobody here subscribes with QoS 2
        raise malformed("PUBLISH with QoS %d" % qos)
    start = 2 + (body[0] << 8 | body[1]) if len(body) >= 2 else 0
    at = start + 2 * qos
    if start < 3 or at > len(body):
        raise malformed("PUBLISH too short for its topic")
    packet_id = 0
    if qos:
        packet_id = body[start] << 8 | body[start + 1]
        if packet_id == 0:
            raise malformed("PUBLISH with packet id 0")
    return bytes(body[2:start]), bytes(body[at:]), packet_id


class Reader:
    """Collects one packet at a time in a buffer made once; nothing a peer says makes it grow.

    Args:
        max_bytes: Size of the buffer, and so of the largest whole packet.
        max_cut_bytes: A PUBLISH beyond the buffer, up to this, is read to its end and cut. What is
            larger still ends the connection.

    Attributes:
        head: First byte of the complete packet.
        body: memoryview of what follows the length; valid until the next `read`.
        is_cut: It was too large: `body` holds only its beginning, the rest is lost.
        is_inside: A packet has begun and is not complete.
    """

    def __init__(self, max_bytes, max_cut_bytes=0):
        self._buf = bytearray(max(max_bytes, 16))
        self._view = memoryview(self._buf)
        self._max_cut_bytes = max_cut_bytes
        self._kept = len(self._buf) // 2  # of a packet that is cut; the rest passes behind it
        self.reset()

    def reset(self):
        """Forget a packet that has begun."""
        self.head = 0
        self.body = self._view[0:0]
        self.is_cut = False
        self.is_inside = False
        self._have = 0
        self._want = 2  # no packet is shorter
        self._body_at = 0
        self._excess = 0  # bytes of the packet beyond `_want`

    def read(self, readinto):
        """Take bytes until a packet is complete; return whether it is.

        Of a packet that is cut, one call takes no more than a buffer full.

        Args:
            readinto: Fills a memoryview: how many bytes, 0 at the end, None when none wait.

        Raises:
            OSError: The peer closed, a length is malformed, or the packet is too large.
        """
        if not self.is_inside:
            self.reset()
        while True:
            while self._have < self._want:
                n = readinto(self._view[self._have : self._want])
                if n is None:
                    return False
                if n == 0:
                    raise OSError(_ECONNRESET, "closed by the peer")
                self._have += n
                self.is_inside = True
            if not self._body_at:
                self._read_length()
            elif self._excess:
                self._have = self._kept
                self._want = min(self._kept + self._excess, len(self._buf))
                self._excess -= self._want - self._have
                return False
            else:
                break
        self.head = self._buf[0]
        self.body = self._view[self._body_at : self._kept if self.is_cut else self._want]
        self.is_inside = False
        return True

    def _read_length(self):
        if self._buf[self._have - 1] & 0x80:
            if self._have == _MAX_FIXED_BYTES:
                raise malformed("length of more than 4 bytes")
            self._want += 1
            return
        length = 0
        for i in range(self._have - 1, 0, -1):
            length = length << 7 | self._buf[i] & 0x7F
        # Checked before a single byte of it is read or stored: upstream allocated what it said.
        self._body_at = self._have
        self._want = self._have + length
        if self._want <= len(self._buf):
            return
        if self._want > self._max_cut_bytes or self._buf[0] & 0xF0 != PUBLISH:
            limit = max(len(self._buf), self._max_cut_bytes)
            raise malformed("packet of %d bytes, limit %d" % (length, limit))
        self.is_cut = True
        self._excess = self._want - len(self._buf)
        self._want = len(self._buf)


def _sized(length):
    """Bytes of the length field and what it counts."""
    if length > _MAX_LENGTH:
        raise ValueError("MQTT packet of %d bytes" % length)
    n = 1
    while length >> 7 * n:
        n += 1
    return n + length


def _head_into(buf, head, length):
    buf[0] = head
    at = 1
    while length > 0x7F:
        buf[at] = length & 0x7F | 0x80
        length >>= 7
        at += 1
    buf[at] = length
    return at + 1


def _field_into(buf, at, data):
    n = len(data)
    buf[at] = n >> 8
    buf[at + 1] = n & 255
    buf[at + 2 : at + 2 + n] = data
    return at + 2 + n
