"""The MQTT session over a fake network and a fake clock: order, deadlines, single writes."""

import gc

import mqtt_noise
from check import Random, raises
from fake_net import Clock, Net

from formats import errors
from mqtt import packets, session
from mqtt.client import Client
from mqtt.session import Limits

CONNACK = b"\x20\x02\x00\x00"
LIMITS = Limits(connect_ms=1000, read_ms=500, write_ms=300, max_packet_bytes=256)
ETIMEDOUT = 110


def open_client(keepalive=0, net=None):
    """Return (client, its socket, clock, delivered) after a connect."""
    clock = Clock()
    net = net or Net(clock)
    net.clock = clock
    net.script = [CONNACK]
    client = Client("id", "broker", keepalive=keepalive, limits=LIMITS, net=net, clock=clock)
    delivered = []
    client.set_callback(lambda topic, payload: delivered.append((topic, payload)))
    client.connect()
    return client, net.sockets[-1], clock, delivered


def expect_oserror(number, function, *args):
    """Fail unless function(*args) raises an OSError with this errno."""
    try:
        function(*args)
    except OSError as error:
        assert error.errno == number, error
        return
    raise AssertionError("no OSError")


def test_every_packet_is_one_write():
    client, sock, _, _ = open_client()
    assert len(sock.writes) == 1 and sock.writes[0][:8] == b"\x10\x0e\0\4MQTT"
    client.publish_start("t", b"x")
    sock.feed(b"\x40\x02\x00\x01")
    client.poll()
    client.subscribe_start("s/#", 1)
    sock.feed(b"\x90\x03\x00\x02\x01")
    client.poll()
    client.unsubscribe_start("s/#")
    client.ping()
    client.disconnect()
    assert sock.writes[1:] == [
        b"\x32\x06\x00\x01t\x00\x01x",
        b"\x82\x08\x00\x02\x00\x03s/#\x01",
        b"\xa2\x07\x00\x03\x00\x03s/#",
        b"\xc0\x00",
        b"\xe0\x00",
    ], sock.writes


def test_only_its_own_unsuback_ends_an_unsubscribe():
    client, sock, clock, _ = open_client()
    client.unsubscribe_start("s/#")
    for other in (b"\xb0\x02\x00\x02", b"\x40\x02\x00\x01", b"\x90\x03\x00\x01\x01"):
        sock.feed(other)
        client.poll()
        assert client.awaits == 1, other
    sock.feed(b"\xb0\x02\x00\x01")
    client.poll()
    assert client.awaits == 0 and client.is_open
    client.unsubscribe_start("s/#")
    clock.now += LIMITS.read_ms
    expect_oserror(ETIMEDOUT, client.poll)
    client, sock, _, _ = open_client()
    client.unsubscribe_start("s/#")
    sock.feed(b"\xb0\x03\x00\x01\x01")
    expect_oserror(71, client.poll)


def test_only_the_needed_topics_have_to_be_granted():
    for n_needed, codes, code in (
        (1, b"\x01\x80\x80", 0),
        (2, b"\x01\x80\x01", errors.BROKER_SUBSCRIPTION),
        (1, b"\x80\x01\x01", errors.BROKER_SUBSCRIPTION),
        (0, b"\x80\x80\x80", 0),
    ):
        client, sock, _, _ = open_client()
        client.subscribe_start(("a", "b", "c"), 1, n_needed)
        sock.feed(bytes((0x90, 2 + len(codes), 0, 1)) + codes)
        if code:
            raises(code, client.poll)
            assert client.is_closed
        else:
            client.poll()
            assert client.is_open and not client.awaits
            assert client.n_refused == codes.count(b"\x80")
    client, sock, _, _ = open_client()
    client.subscribe_start(("a", "b"), 1, 1)
    sock.feed(b"\x90\x03\x00\x01\x01")
    expect_oserror(71, client.poll)


def test_incoming_qos_1_is_acknowledged_after_the_callback():
    client, sock, _, _ = open_client()
    order = []
    client.set_callback(lambda topic, payload: order.append(len(sock.writes)))
    before = len(sock.writes)
    sock.feed(b"\x32\x06\x00\x01t\x12\x34x")
    client.poll()
    assert order == [before]
    assert sock.writes[before:] == [b"\x40\x02\x12\x34"]


def test_message_that_the_callback_cannot_take_is_not_acknowledged():
    client, sock, _, _ = open_client()

    def refuse(topic, payload):
        raise ValueError("full")

    client.set_callback(refuse)
    before = len(sock.writes)
    sock.feed(b"\x32\x06\x00\x01t\x12\x34x")
    try:
        client.poll()
    except ValueError:
        assert len(sock.writes) == before
        return
    raise AssertionError("the callback's own error was swallowed")


def oversized(size, packet_id=0x1234):
    """Return a PUBLISH with QoS 1 and a payload of `size` bytes."""
    packet = bytearray(packets.publish_bytes(b"t", bytes(size), packet_id))
    packets.publish_into(packet, b"t", bytes(size), 2, packet_id)
    return bytes(packet)


def poll_all(client, sock):
    """Poll until everything that arrived was read; return how often."""
    n_polls = 0
    while sock.incoming:
        client.poll()
        n_polls += 1
    return n_polls


def test_message_beyond_the_limit_is_passed_over():
    client, sock, _, delivered = open_client()
    client.publish_start("t", b"x")
    before = len(sock.writes)
    gc.collect()
    heap = gc.mem_alloc()
    for part in (oversized(20000), b"\x40\x02\x00\x01", b"\x30\x04\x00\x01tx"):
        sock.feed(part)
    sock.feed(oversized(300, 0x1235))
    assert poll_all(client, sock) > 20000 // 256, "no poll takes more than a part of it"
    assert sock.writes[before:] == [b"\x40\x02\x12\x34", b"\x40\x02\x12\x35"]
    assert client.is_open and client.awaits == 0 and client.n_passed_over == 2
    assert delivered == [(b"t", b"x")]
    gc.collect()
    assert gc.mem_alloc() - heap < 1000


def test_message_that_is_passed_over_has_a_deadline():
    client, sock, clock, _ = open_client()
    data = oversized(40000)
    start = clock.now
    for i in range(0, len(data), 100):
        sock.feed(data[i : i + 100])
        try:
            client.poll()
        except OSError as error:
            assert error.errno == ETIMEDOUT and client.is_closed
            assert start + LIMITS.read_ms <= clock.now <= start + LIMITS.read_ms + 20
            assert client.n_passed_over == 0
            return
    raise AssertionError("bytes that trickle in kept the connection")


def test_message_far_beyond_the_limit_ends_the_connection():
    client, sock, _, _ = open_client()
    sock.feed(oversized(session.MAX_PASSED_OVER_BYTES - 9))  # 9: all but the payload
    poll_all(client, sock)
    assert client.is_open and client.n_passed_over == 1
    sock.feed(oversized(session.MAX_PASSED_OVER_BYTES - 8))
    expect_oserror(71, client.poll)
    assert client.is_closed


def test_callback_may_close():
    client, sock, _, _ = open_client()
    client.set_callback(lambda topic, payload: client.close())
    sock.feed(b"\x32\x06\x00\x01t\x12\x34x" * 3)
    assert client.poll() == packets.PUBLISH
    assert client.is_closed
    expect_oserror(107, client.poll)


def test_publish_does_not_return_after_the_callback_closed():
    client, sock, _, _ = open_client()
    client.set_callback(lambda topic, payload: client.close())
    sock.feed(b"\x30\x03\x00\x01t")
    expect_oserror(107, client.publish, "t", b"x", False, 1)


def test_reply_that_lies_ready_is_not_late():
    client, sock, clock, _ = open_client()
    client.publish_start("t", b"x")
    sock.feed(b"\x40\x02\x00\x01")
    clock.now += 100000  # the application was busy
    client.poll()
    assert client.awaits == 0 and client.is_open


def test_failure_after_the_reply_does_not_take_it_back():
    client, sock, _, _ = open_client()
    client.publish_start("t", b"x")
    sock.feed(b"\x40\x02\x00\x01")
    sock.then_end = True
    client.poll()
    assert client.awaits == 0
    expect_oserror(104, client.poll)


def test_poll_never_waits_and_ends_at_the_deadline():
    client, sock, clock, _ = open_client()
    client.publish_start("t", b"x")
    until = clock.now + LIMITS.read_ms
    while clock.now < until - 10:
        before = clock.now
        assert client.poll() is None
        assert clock.now - before <= 10
    clock.now = until
    expect_oserror(ETIMEDOUT, client.poll)
    assert client.is_closed and sock.closed


def test_only_one_packet_in_flight():
    client, _, _, _ = open_client()
    client.publish_start("t", b"x")
    for call in (lambda: client.publish_start("t", b"y"), lambda: client.subscribe_start("t")):
        try:
            call()
        except ValueError:
            continue
        raise AssertionError("a second packet in flight")


def test_write_in_pieces_and_its_deadline():
    client, sock, _, _ = open_client()
    sock.room = 3
    client.publish_start("topic", b"payload")
    assert len(sock.writes[-1]) == 3
    sock.room = None
    client.poll()
    assert sock.writes[-2] + sock.writes[-1] == b"\x32\x10\x00\x05topic\x00\x01payload"
    sock.feed(b"\x40\x02\x00\x01")
    client.poll()
    sock.room = 0
    client.publish("topic", b"payload")
    expect_oserror(ETIMEDOUT, client.publish, "topic", b"payload")


def test_keepalive_pings_after_half_of_it_and_fails_without_answer():
    client, sock, clock, _ = open_client(keepalive=10)
    clock.now += 4900
    client.poll()
    assert sock.writes[-1] != b"\xc0\x00"
    clock.now += 200
    client.poll()
    assert sock.writes[-1] == b"\xc0\x00"
    sock.feed(b"\xd0\x00")
    client.poll()
    clock.now += 5100
    client.poll()
    assert sock.writes[-1] == b"\xc0\x00" and client.is_open
    clock.now += LIMITS.read_ms
    expect_oserror(ETIMEDOUT, client.poll)


def test_keepalive_listens_also_while_it_sends():
    client, sock, clock, _ = open_client(keepalive=10)
    for _ in range(10):
        clock.now += 495
        client.publish("t", b"x")
        client.poll()
    assert sock.writes.count(b"\xc0\x00") == 1  # hears nothing, though it sends all the time


def test_keepalive_pings_also_while_it_listens():
    client, sock, clock, _ = open_client(keepalive=10)
    for _ in range(10):
        clock.now += 495
        sock.feed(b"\x30\x04\x00\x01tx")
        client.poll()
    assert sock.writes.count(b"\xc0\x00") == 1  # the broker counts what it hears, not what it says


def test_reply_to_something_else_is_passed_over():
    client, sock, _, _ = open_client()
    client.publish_start("t", b"x")
    sock.feed(b"\x40\x02\x00\x02")
    sock.feed(b"\x90\x03\x00\x01\x01")
    client.poll()
    assert client.awaits == 1
    sock.feed(b"\x40\x02\x00\x01")
    client.poll()
    assert client.awaits == 0


def test_rest_of_a_packet_has_a_deadline():
    client, sock, clock, _ = open_client()
    sock.feed(b"\x30\x06\x00\x01t")
    client.poll()
    clock.now += LIMITS.read_ms - 100
    sock.feed(b"a")
    client.poll()
    clock.now += 100
    expect_oserror(ETIMEDOUT, client.poll)


def test_packet_id_wraps():
    client, sock, _, _ = open_client()
    client.pid = 65534
    for packet_id in (65535, 1):
        client.publish_start("t", b"x")
        assert client.awaits == packet_id
        sock.feed(bytes((0x40, 2, packet_id >> 8, packet_id & 255)))
        client.poll()
        assert client.awaits == 0


def test_every_failure_closes_the_socket():
    for bad in (b"\x20\x02\x00\x05", b"\x20\x02\x00\x03", b"\x00\x00", b"\xff\xff\xff\xff\xff"):
        clock = Clock()
        net = Net(clock)
        net.script = [bad]
        client = Client("id", "broker", limits=LIMITS, net=net, clock=clock)
        try:
            client.connect()
        except (OSError, errors.OnebyteError):
            assert net.sockets[-1].closed and client.is_closed
            continue
        raise AssertionError("connected")


def test_refusals_have_a_reason():
    for code, reason in ((1, 101), (2, 102), (4, 104), (5, 105)):
        clock = Clock()
        net = Net(clock)
        net.script = [bytes((0x20, 2, 0, code))]
        raises(reason, Client("id", "broker", limits=LIMITS, net=net, clock=clock).connect)


def test_mistakes_of_the_caller_are_value_errors():
    client, _, _, _ = open_client()
    calls = (
        lambda: client.publish("", b"x"),
        lambda: client.publish("a/+", b"x"),
        lambda: client.publish("a/#", b"x"),
        lambda: client.publish("t", b"x", False, 2),
        lambda: client.publish("t" * 65536, b"x"),
        lambda: client.subscribe_start("t", 2),
        lambda: client.unsubscribe_start(""),
        lambda: Client("id", "broker", ssl=True),
        lambda: Client("id", "broker", keepalive=65536),
    )
    for call in calls:
        try:
            call()
        except ValueError:
            continue
        raise AssertionError("no ValueError")
    assert client.is_open


def test_random_bytes_end_in_one_of_two_errors_within_the_deadline():
    random = Random(20)
    clock = Clock()
    net = Net(clock)
    n_acknowledged = n_failed = n_delivered = 0
    gc.collect()
    heap = gc.mem_alloc()
    for _ in range(3000):
        client, sock, clock, delivered = open_client(2, net)
        noise = mqtt_noise.make_noise(random)
        if mqtt_noise.check_session(client, sock, clock, noise, random):
            n_acknowledged += 1
        else:
            n_failed += 1
        for topic, payload in delivered:
            assert topic and len(topic) + len(payload) <= 256
        n_delivered += len(delivered)
        net.sockets.clear()
    assert min(n_acknowledged, n_failed, n_delivered) > 200, (
        n_acknowledged,
        n_failed,
        n_delivered,
    )
    client = sock = delivered = None
    gc.collect()
    assert gc.mem_alloc() - heap < 20000, gc.mem_alloc() - heap


def test_random_bytes_while_connecting():
    random = Random(21)
    n_open = n_failed = 0
    for _ in range(2000):
        clock = Clock()
        net = Net(clock)
        first = CONNACK if random.below(3) == 0 else mqtt_noise.make_noise(random)
        net.script = [first, mqtt_noise.make_noise(random)]
        net.then_end = random.below(2) == 0
        client = Client("id", "broker", limits=LIMITS, net=net, clock=clock)
        client.set_callback(lambda topic, payload: None)
        try:
            client.connect()
            n_open += 1
        except (OSError, errors.OnebyteError):
            n_failed += 1
            assert client.is_closed and net.sockets[-1].closed
        assert clock.now <= LIMITS.connect_ms + net.idle_ms
    assert min(n_open, n_failed) > 300, (n_open, n_failed)


def test_states():
    client, _, _, _ = open_client()
    assert client.is_open and not client.is_closed
    client.close()
    assert client.is_closed and client._session.state == session.CLOSED
