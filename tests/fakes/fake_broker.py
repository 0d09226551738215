"""An honest broker behind tests/fakes/fake_net.py, with switches to make it fail."""

from fake_net import Net, Socket

from mqtt import packets

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, UNSUBSCRIBE = 0x10, 0x30, 0x40, 0x80, 0xA0


class BrokerNet(Net):
    """Hands out sockets with a broker behind them.

    Attributes:
        log: (topic, payload, retained) of everything published, in order.
        n_connections: how many clients connected.
        subscribed: every topic that was subscribed to, in order.
        unsubscribed: and given back.
        retained: payload by topic; a subscription gets it.
        refused: topics that nobody may subscribe to.
        accepts: False: connections are refused.
        return_code: of every CONNACK.
        answers: False: nothing is acknowledged any more.
    """

    def __init__(self, clock):
        super().__init__(clock, 1)
        self.log = []
        self.subscribed = []
        self.unsubscribed = []
        self.retained = {}
        self.refused = []
        self.n_connections = 0
        self.accepts = True
        self.return_code = 0
        self.answers = True

    def socket(self, family, kind, proto):
        """Return the next socket."""
        sock = BrokerSocket(self, [], False)
        self.sockets = [sock]
        return sock

    def send(self, topic, payload):
        """Publish to the client with QoS 0."""
        name = topic.encode()
        packet = bytearray(packets.publish_bytes(name, payload, 0))
        packets.publish_into(packet, name, payload, 0, 0)
        self.sockets[0].feed(bytes(packet))

    def break_link(self):
        """End the connection after what the client has still to read."""
        self.sockets[0].then_end = True


class BrokerSocket(Socket):
    """One connection to the broker. Every write is one packet, which other tests prove."""

    def connect(self, address):
        """Answer as a non-blocking socket does."""
        if not self.net.accepts:
            raise OSError(111)
        super().connect(address)

    def write(self, data):
        """Take one packet and answer it."""
        n = super().write(data)
        self._take(bytes(data))
        return n

    def _take(self, packet):
        at = 1
        while packet[at] & 0x80:
            at += 1
        body = packet[at + 1 :]
        kind = packet[0] & 0xF0
        if kind == CONNECT:
            self.net.n_connections += 1
            self.feed(bytes((0x20, 2, 0, self.net.return_code)))
        elif kind == PUBLISH:
            end = 2 + (body[0] << 8 | body[1])
            topic, packet_id = body[2:end].decode(), body[end : end + 2]
            self.net.log.append((topic, body[end + 2 :], bool(packet[0] & 1)))
            if self.net.answers:
                self.feed(b"\x40\x02" + packet_id)
        elif kind == SUBSCRIBE:
            topics = _filters(body[2:], 1)
            self.net.subscribed += topics
            if self.net.answers:
                codes = bytes([0x80 if name in self.net.refused else 1 for name in topics])
                self.feed(bytes((0x90, 2 + len(codes))) + body[:2] + codes)
                for name in topics:
                    if name in self.net.retained and name not in self.net.refused:
                        self.net.send(name, self.net.retained[name])
        elif kind == UNSUBSCRIBE:
            self.net.unsubscribed += _filters(body[2:], 0)
            if self.net.answers:
                self.feed(b"\xb0\x02" + body[:2])


def _filters(body, n_options):
    """Return the topics of a SUBSCRIBE or UNSUBSCRIBE."""
    found = []
    at = 0
    while at < len(body):
        end = at + 2 + (body[at] << 8 | body[at + 1])
        found.append(body[at + 2 : end].decode())
        at = end + n_options
    return found
