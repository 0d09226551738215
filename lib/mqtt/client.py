"""umqtt.simple's client, hardened: every wait has a deadline, every packet is checked.

The names and arguments are upstream's, and so is the state kept by its __init__, set_callback and
set_last_will. What an override cures in umqtt.simple 1.3.4 stands at the override. Beside the
calls that wait there are some that never do, for a loop that samples meanwhile: connect_start,
subscribe_start, unsubscribe_start, publish_start; then poll() until `is_open`, or until `awaits`
is 0.

Errors: OSError, the link failed and is closed: connect again. OnebyteError, the broker refused us
or has the wrong certificate: the same attempt will fail again. ValueError, a caller's mistake.
"""

import errno
import socket
import time

from umqtt.simple import MQTTClient

from . import packets, session
from .session import Limits, Session


class Client(MQTTClient):
    """An MQTT 3.1.1 client with at most one publish or subscription in flight."""

    def __init__(  # noqa: PLR0913, PLR0917 (upstream's signature)
        self,
        client_id,
        server,
        port=0,
        user=None,
        password=None,
        keepalive=0,
        ssl=None,
        server_hostname=None,
        limits=None,
        net=socket,
        clock=time,
    ):
        """Take the settings; connects to nothing.

        Args:
            client_id, server, port, user, password, keepalive: As upstream; keepalive in s.
            ssl: None, or an SSL context, such as `link.tls_context` makes.
            server_hostname: Name the certificate must carry; `server` when None.
            limits: Limits.
            net: Module with getaddrinfo, socket and SOCK_STREAM.
            clock: Module with ticks_ms, ticks_add and ticks_diff.
        """
        # Upstream: ssl=True encrypted without asking who is there.
        if ssl is not None and not hasattr(ssl, "wrap_socket"):
            raise ValueError("ssl has to be an SSL context")
        if not 0 <= keepalive <= packets.MAX_FIELD_BYTES:
            raise ValueError("keepalive of %d s" % keepalive)
        super().__init__(client_id, server, port, user, password, keepalive, ssl is not None)
        self._tls = None if ssl is None else (ssl, server_hostname or server)
        self._limits = limits or Limits()
        self._clock = clock
        self._session = Session(net, clock, self._limits)

    @property
    def is_open(self):
        """The broker has accepted the connection, and nothing has failed since."""
        return self._session.state == session.OPEN

    @property
    def is_closed(self):
        """Neither connected nor connecting."""
        return self._session.state == session.CLOSED

    @property
    def awaits(self):
        """Packet id whose acknowledgement is awaited, or 0."""
        return self._session.awaits

    @property
    def n_refused(self):
        """Topics that the broker has refused with its last consent to a subscription."""
        return self._session.n_refused

    @property
    def n_passed_over(self):
        """Messages so far that were too large to be delivered."""
        return self._session.n_passed_over

    # Connecting. Upstream: no deadline, bytes by the piece, lengths in characters, IndexError
    # when the broker closes instead of answering, assert on what it answers, a leaked socket
    # after a failure, `import ussl` that fails on today's MicroPython, no certificate check.

    def connect(self, clean_session=True):
        """Connect and return whether the broker has kept a session."""
        self.connect_start(clean_session)
        while not self.is_open:
            self._session.turn(self._deliver)
        self.sock = self._session.sock
        return self._session.session_present

    def connect_start(self, clean_session=True):
        """Begin to connect; poll() goes on with it. Only the name lookup waits."""
        hello = self._pack_connect(clean_session)
        self._session.open((self.server, self.port), self._tls, hello, self.keepalive)

    def _pack_connect(self, clean_session):
        login = None
        if self.user is not None:
            password = None if self.pswd is None else packets.field(self.pswd)
            login = (packets.field(self.user), password)
        will = None
        if self.lw_topic:
            topic, payload = packets.field(self.lw_topic), packets.field(self.lw_msg)
            will = (topic, payload, self.lw_qos, self.lw_retain)
        client_id = packets.field(self.client_id)
        return packets.pack_connect(client_id, self.keepalive, clean_session, login, will)

    def disconnect(self):
        """Say goodbye, so that the broker drops the last will, and close."""
        if self.is_open:
            try:
                self._session.send(b"\xe0\0")
            except OSError:
                pass  # the link is closed in either case
        self.close()

    def close(self):
        """Close without a goodbye; may be called at any time."""
        self._session.close()
        self.sock = None

    # Sending. Upstream: 5-6 writes a packet, of which Nagle's algorithm held back all but the
    # first for 44 ms; an endless wait for PUBACK, also after one for another packet; packet ids
    # past 65535; subscriptions longer than 122 bytes and non-ASCII names malformed.

    def publish(self, topic, msg, retain=False, qos=0):
        """Publish; with QoS 1 wait for the acknowledgement and deliver what arrives meanwhile."""
        if qos not in (0, 1):
            raise ValueError("QoS 2 is not supported")
        if qos:
            self.publish_start(topic, msg, retain)
            self._wait_for_reply()
        else:
            self._publish(topic, msg, retain, 0)

    def publish_start(self, topic, msg, retain=False):
        """Publish with QoS 1 without waiting for the acknowledgement."""
        self._publish(topic, msg, retain, self._next_id())
        self._session.expect(self.pid, packets.PUBACK)

    def _publish(self, topic, msg, retain, packet_id):
        topic = packets.field(topic)
        # The broker would close the connection without a word about the reason.
        if not topic or b"+" in topic or b"#" in topic or b"\0" in topic:
            raise ValueError("no topic to publish to: %r" % topic)
        payload = msg.encode() if isinstance(msg, str) else msg
        flags = (2 if packet_id else 0) | (1 if retain else 0)
        packet = self._session.buffer(packets.publish_bytes(topic, payload, packet_id))
        packets.publish_into(packet, topic, payload, flags, packet_id)
        self._session.send(packet)

    def subscribe(self, topic, qos=0):
        """Subscribe and wait for the broker's consent."""
        self.subscribe_start(topic, qos)
        self._wait_for_reply()

    def subscribe_start(self, topic, qos=0, n_needed=1):
        """Subscribe without waiting for the broker's consent.

        Args:
            topic: One filter, or a tuple of them for one packet.
            qos: 0 or 1.
            n_needed: The broker has to grant so many of them, from the first on; what else it
                refuses is only counted in `n_refused`.
        """
        topics = _fields(topic)
        if self.cb is None or not topics or qos not in (0, 1):
            raise ValueError("subscribe needs a callback, a topic and QoS 0 or 1")
        self._session.send(packets.pack_subscribe(self._next_id(), topics, qos))
        self._session.expect_suback(self.pid, len(topics), n_needed)

    def unsubscribe_start(self, topic):
        """Unsubscribe without waiting for the broker's word. Upstream has no such thing.

        Args:
            topic: One filter, or a tuple of them for one packet.
        """
        topics = _fields(topic)
        if not topics:
            raise ValueError("unsubscribe needs a topic")
        self._session.send(packets.pack_unsubscribe(self._next_id(), topics))
        self._session.expect(self.pid, packets.UNSUBACK)

    def _next_id(self):
        if self.awaits:
            raise ValueError("packet %d is still in flight" % self.awaits)
        self.pid = self.pid % 65535 + 1
        return self.pid

    def _wait_for_reply(self):
        while self.awaits:
            self._session.turn(self._deliver)
        if self.is_closed:
            raise OSError(errno.ENOTCONN, "closed by the callback")

    # Receiving. Upstream: setblocking(True) in wait_msg cancelled every timeout; a PUBLISH cut
    # short was delivered as if whole; a length of 268 MB was asked from the heap; a packet of an
    # unknown type stayed in the stream and was read as the next one; keepalive was only told to
    # the broker, never kept.

    def wait_msg(self):
        """Wait at most read_ms and return the type of the packet that came, None without one."""
        until = self._clock.ticks_add(self._clock.ticks_ms(), self._limits.read_ms)
        kind = None
        while kind is None and self._clock.ticks_diff(until, self._clock.ticks_ms()) > 0:
            kind = self._session.turn(self._deliver)
        return kind

    def check_msg(self):
        """Handle what has arrived, without waiting."""
        return self.poll()

    def poll(self):
        """Go on with everything that goes on without waiting: `Session.poll`."""
        return self._session.poll(self._deliver)

    def wait(self, timeout_ms):
        """Sleep until poll() has something to do, at most `timeout_ms`; not while closed."""
        self._session.wait(timeout_ms)

    def ping(self):
        """Ask for a sign of life now; keepalive does so by itself in every wait and poll()."""
        self._session.ping()

    def _deliver(self, topic, payload):
        if self.cb is None:
            raise packets.malformed("PUBLISH without a subscription")
        self.cb(topic, payload)


def _fields(topic):
    """Return one topic or several as a tuple of bytes, empty when one of them is."""
    topics = topic if isinstance(topic, tuple) else (topic,)
    fields = tuple([packets.field(topic) for topic in topics])
    return () if b"" in fields else fields
