"""The MQTT client against brokers that misbehave, beside umqtt.simple as published.

Every defect of umqtt.simple 1.3.4 that lib/mqtt cures is shown twice: the plain client hangs,
misreads or sends nonsense, so the test can fail, and ours keeps its deadline. How exactly
it keeps it is shown by a clock of its own in tests/device/test_mqtt_session.py: here the machine
may be slow.
"""

import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import bad_broker as bad
import pytest
from bad_broker import BadBroker, Packet, Peer
from mqtt_process import Report, probe, probe_ours

CONNECT_MS, READ_MS = 600, 400
LATE_MS = 15000  # a machine that stalls; who has no deadline waits for ever
TIMED_OUT = 110
# Where it is no deadline that ends the action.
PATIENT_MS = 15000
PATIENT = {"connect_ms": PATIENT_MS, "read_ms": PATIENT_MS, "write_ms": PATIENT_MS}
# Connected in any case; what comes then meets its deadline.
SHORT = {**PATIENT, "read_ms": READ_MS, "write_ms": READ_MS}
IDLE_MS = 30000  # it ends when the deadline is met
N_FLOOD = 50
TCPI_DATA_SEGS_IN = 152  # offset in struct tcp_info of linux/tcp.h


def both(
    script: Callable[[Peer], None], do: str, hangs: bool = False, **job: Any
) -> tuple[Report | None, Report]:
    """Run the plain client, which may hang, and ours against the same script."""
    with BadBroker(script) as broker:
        plain = probe("plain", broker.port, do, hangs=hangs, **job)
    with BadBroker(script) as broker:
        ours = probe_ours(broker.port, do, **job)
    return plain, ours


def honest(client: str, do: str, **job: Any) -> tuple[Report | None, Packet | None]:
    """Run one client against an honest broker; return its report and the last packet it sent.

    The packet is None when the broker found something malformed.
    """
    for _ in range(10):  # a client that this machine has stalled is taken for one that hangs
        with BadBroker(Peer.serve) as broker:
            hangs = client == "plain"
            report = probe(client, broker.port, do, hangs=hangs, limits=PATIENT, **job)
        packets = broker.peers[0].packets if broker.peers else []
        if broker.problems or len(packets) > 1:
            break
    return report, None if broker.problems else packets[-1]


def assert_timed_out(report: Report, limit_ms: int) -> None:
    assert (report["error"], report["errno"]) == ("OSError", TIMED_OUT), report
    assert limit_ms <= report["ms"] + 1 <= limit_ms + LATE_MS, report


def assert_at_once(report: Report) -> None:
    """The link failed, and no deadline of PATIENT was waited for."""
    assert report["error"] == "OSError" and report["errno"] != TIMED_OUT, report
    assert report["ms"] < PATIENT_MS - 5000, report


def accepted(then: Callable[[Peer], None]) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        peer.accept()
        then(peer)

    return script


def test_silent_broker_ends_at_the_connect_deadline() -> None:
    plain, ours = both(Peer.silence, "connect", hangs=True)
    assert plain is None
    assert_timed_out(ours, CONNECT_MS)


def test_silence_in_the_middle_of_connack() -> None:
    def script(peer: Peer) -> None:
        peer.read()
        peer.send(bad.CONNACK[:3])
        peer.silence()

    plain, ours = both(script, "connect", hangs=True)
    assert plain is None
    assert_timed_out(ours, READ_MS)


@pytest.mark.parametrize("n_bytes", [0, 1, 3])
def test_end_of_stream_in_connack_is_an_oserror(n_bytes: int) -> None:
    def script(peer: Peer) -> None:
        peer.read()
        peer.send(bad.CONNACK[:n_bytes])

    plain, ours = both(script, "connect", limits=PATIENT)
    assert plain and plain["error"] == "IndexError"
    assert_at_once(ours)


def test_connack_is_checked_without_assert() -> None:
    def script(peer: Peer) -> None:
        peer.read()
        peer.send(b"\x90\x03\x00\x01\x00")

    plain, ours = both(script, "connect", limits=PATIENT)
    assert plain and plain["error"] == "AssertionError"
    assert (ours["error"], "instead of CONNACK" in ours["text"]) == ("OSError", True)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (1, "BROKER_PROTOCOL(101)"),
        (2, "BROKER_CLIENT_ID(102)"),
        (4, "BROKER_CREDENTIALS(104)"),
        (5, "BROKER_NOT_AUTHORISED(105)"),
    ],
)
def test_refusal_is_named(code: int, name: str) -> None:
    def script(peer: Peer) -> None:
        peer.read()
        peer.send(b"\x20\x02\x00" + bytes([code]))

    with BadBroker(script) as broker:
        ours = probe_ours(broker.port, "connect", limits=PATIENT)
    assert (ours["error"], ours["text"]) == ("OnebyteError", name)


@pytest.mark.parametrize("code", [3, 6, 255])
def test_unavailable_broker_is_worth_another_try(code: int) -> None:
    def script(peer: Peer) -> None:
        peer.read()
        peer.send(b"\x20\x02\x00" + bytes([code]))

    with BadBroker(script) as broker:
        ours = probe_ours(broker.port, "connect", limits=PATIENT)
    assert_at_once(ours)


def test_silence_before_puback() -> None:
    plain, ours = both(accepted(Peer.silence), "publish", hangs=True, limits=SHORT)
    assert plain is None
    assert_timed_out(ours, READ_MS)


def test_puback_with_another_id_does_not_hang() -> None:
    def answer(peer: Peer) -> None:
        peer.send(bad.puback(peer.read(bad.PUBLISH).packet_id + 1))
        peer.silence()

    plain, ours = both(accepted(answer), "publish", hangs=True, limits=SHORT)
    assert plain is None
    assert_timed_out(ours, READ_MS)


def test_puback_with_another_id_is_passed_over() -> None:
    def answer(peer: Peer) -> None:
        packet_id = peer.read(bad.PUBLISH).packet_id
        peer.send(bad.puback(packet_id + 1) + bad.puback(packet_id))

    with BadBroker(accepted(answer)) as broker:
        ours = probe_ours(broker.port, "publish", limits=PATIENT)
    assert ours["error"] is None, ours


def test_flood_of_messages_does_not_postpone_the_puback_deadline() -> None:
    def answer(peer: Peer) -> None:
        peer.read(bad.CONNECT)
        # Some are there in any case when the wait begins, however slow this thread is.
        peer.send(bad.CONNACK + N_FLOOD * bad.publish("t", b"flood"))
        while True:
            peer.send(bad.publish("t", b"flood"))
            time.sleep(0.001)

    plain, ours = both(answer, "publish", hangs=True, limits=SHORT)
    assert plain is None
    assert_timed_out(ours, READ_MS)
    assert len(ours["delivered"]) >= N_FLOOD


def test_messages_are_delivered_while_puback_is_awaited() -> None:
    def answer(peer: Peer) -> None:
        packet_id = peer.read(bad.PUBLISH).packet_id
        peer.send(bad.publish("t", b"meanwhile", 7) + bad.puback(packet_id))
        peer.read(bad.PUBACK)

    with BadBroker(accepted(answer)) as broker:
        ours = probe_ours(broker.port, "publish", limits=PATIENT)
        assert ours["delivered"] == [["t", 9]] and ours["error"] is None
    assert broker.peers[0].packets[-1].body == b"\0\7"


def test_check_msg_does_not_wait_for_the_rest_of_a_packet() -> None:
    def half(peer: Peer) -> None:
        peer.send(bad.publish("t", b"payload")[:1])
        peer.silence()

    # The plain client's wait_msg makes the socket blocking again after the first byte.
    with BadBroker(accepted(half)) as broker:
        assert probe("plain", broker.port, "idle", hangs=True, ms=1000) is None
    with BadBroker(accepted(half)) as broker:
        ours = probe_ours(broker.port, "idle", ms=IDLE_MS, limits=SHORT)
    assert_timed_out(ours, READ_MS)


def test_truncated_publish_is_never_delivered() -> None:
    def cut(peer: Peer) -> None:
        peer.send(bad.publish("t", b"0123456789")[:-4])

    plain, ours = both(accepted(cut), "receive", limits=PATIENT)
    assert plain and plain["delivered"] == [["t", 6]]
    assert_at_once(ours)
    assert ours["delivered"] == []


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\0", b"\0\5top", b"\xff\xffx"])
def test_publish_too_short_for_its_topic(body: bytes) -> None:
    def send(peer: Peer) -> None:
        peer.send(bytes([0x30, len(body)]) + body)
        peer.silence()

    with BadBroker(accepted(send)) as broker:
        ours = probe_ours(broker.port, "receive", limits=PATIENT)
    assert_at_once(ours)
    assert ours["delivered"] == []


def test_hostile_length_allocates_nothing() -> None:
    def announce(peer: Peer) -> None:
        peer.send(b"\x30\xff\xff\xff\x7f\x00\x01t" + bytes(64))
        peer.silence()

    plain, ours = both(accepted(announce), "receive", limits=PATIENT)
    assert plain and plain["error"] == "MemoryError"
    assert_at_once(ours)
    assert "268435455" in ours["text"] and ours["heap"] < 20000, ours


def test_message_beyond_the_limit_is_passed_over() -> None:
    def too_much(peer: Peer) -> None:
        peer.send(bad.publish("t", bytes(50000), 7) + bad.publish("t", b"next", 8))
        peer.read(bad.PUBACK)
        peer.read(bad.PUBACK)
        peer.silence()

    with BadBroker(accepted(too_much)) as broker:
        ours = probe_ours(broker.port, "receive", limits=PATIENT)
    assert (ours["error"], ours["delivered"]) == (None, [["t", 4]]), ours
    assert ours["heap"] < 20000
    acknowledged = [p.body for p in broker.peers[0].packets if p.kind == bad.PUBACK]
    assert acknowledged == [b"\0\7", b"\0\x08"]


def test_length_of_more_than_four_bytes() -> None:
    def endless(peer: Peer) -> None:
        peer.send(b"\x30" + b"\x80" * 40)
        peer.silence()

    plain, ours = both(accepted(endless), "receive", hangs=True, limits=PATIENT)
    assert plain is None
    assert_at_once(ours)


def test_slow_bytes_do_not_extend_the_deadline() -> None:
    def slowly(peer: Peer) -> None:
        peer.dribble(bad.publish("t", bytes(100)), 0.05)

    plain, ours = both(accepted(slowly), "receive", hangs=True, timeout_s=0.2, limits=SHORT)
    assert plain is None
    assert_timed_out(ours, READ_MS)


@pytest.mark.parametrize("gap_s", [0.0, 0.002])
def test_a_packet_in_pieces_is_whole(gap_s: float) -> None:
    def slowly(peer: Peer) -> None:
        peer.dribble(bad.publish("t/ü", bytes(100), 9), gap_s)
        peer.silence()

    with BadBroker(accepted(slowly)) as broker:
        ours = probe_ours(broker.port, "receive", limits=PATIENT)
    assert (ours["error"], ours["delivered"]) == (None, [["t/ü", 100]])


def test_reset_is_an_oserror() -> None:
    with BadBroker(accepted(Peer.reset)) as broker:
        ours = probe_ours(broker.port, "publish", limits=PATIENT)
    assert_at_once(ours)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00",
        b"\x20\x02\x00\x00",
        b"\xf0\x00",
        b"\xd0\x01\x00",
        b"\x34\x03\x00\x01t",
        b"HTTP/1.1",
    ],
)
def test_unknown_packet_ends_the_connection(data: bytes) -> None:
    def send(peer: Peer) -> None:
        peer.send(data)
        peer.silence()

    with BadBroker(accepted(send)) as broker:
        ours = probe_ours(broker.port, "receive", limits=SHORT)
    assert ours["error"] == "OSError" and ours["delivered"] == [], ours
    assert ours["ms"] < READ_MS + LATE_MS


def test_unknown_packet_is_misread_by_the_plain_client() -> None:
    def send(peer: Peer) -> None:
        # A PUBREC whose packet id looks like the head of a message.
        peer.send(b"\x50\x02\x30\x04" + bad.publish("t", b"real"))
        peer.silence()

    plain, ours = both(accepted(send), "receive", hangs=True, limits=PATIENT)
    assert plain is None or plain["delivered"] != [["t", 4]]
    assert (ours["error"], ours["delivered"]) == ("OSError", [])


def test_packet_id_wraps() -> None:
    assert honest("plain", "publish", pid=65535)[1] is None
    ours, packet = honest("ours", "publish", pid=65535)
    assert packet and ours["error"] is None
    assert ours["pid"] == packet.packet_id == 1


@pytest.mark.parametrize("topic", ["t/" + "x" * 200, "t/" + "x" * 20000, "räume/küche", "µ" * 130])
def test_subscribe_to_any_legal_topic(topic: str) -> None:
    assert honest("plain", "subscribe", topic=topic)[1] is None
    ours, packet = honest("ours", "subscribe", topic=topic)
    assert packet and ours["error"] is None
    assert packet.topic == topic


@pytest.mark.parametrize(
    ("topic", "payload"), [("räume/küche", "x"), ("t", "größe"), ("ü" * 999, "ü")]
)
def test_publish_beyond_ascii(topic: str, payload: str) -> None:
    _, packet = honest("plain", "publish", topic=topic, payload=payload)
    assert packet is None or packet.payload != payload.encode()
    ours, packet = honest("ours", "publish", topic=topic, payload=payload)
    assert packet and ours["error"] is None
    assert (packet.topic, packet.payload) == (topic, payload.encode())


def test_refused_subscription_is_named() -> None:
    def refuse(peer: Peer) -> None:
        peer.send(bad.suback(peer.read(bad.SUBSCRIBE).packet_id, 0x80))
        peer.silence()

    with BadBroker(accepted(refuse)) as broker:
        ours = probe_ours(broker.port, "subscribe", limits=PATIENT)
    assert ours["text"] == "BROKER_SUBSCRIPTION(106)"


def test_silence_before_suback() -> None:
    plain, ours = both(accepted(Peer.silence), "subscribe", hangs=True, limits=SHORT)
    assert plain is None
    assert_timed_out(ours, READ_MS)


def test_keepalive_is_kept() -> None:
    """That each ping comes in time is shown by the clock of tests/device/test_mqtt_session.py."""

    def until_the_third_ping(peer: Peer) -> None:
        for _ in range(2):
            peer.read(bad.PINGREQ)
            peer.send(bad.PINGRESP)
        peer.read(bad.PINGREQ)

    with BadBroker(accepted(until_the_third_ping)) as broker:
        ours = probe_ours(broker.port, "idle", ms=IDLE_MS, keepalive=2, limits=PATIENT)
    assert_at_once(ours)
    assert ours["ms"] >= 3 * 1000 - 50, "pings at half the keepalive, not at every turn"
    kinds = [packet.kind for packet in broker.peers[0].packets]
    assert kinds == [bad.CONNECT, *3 * [bad.PINGREQ]]
    with BadBroker(accepted(Peer.serve)) as broker:
        probe("plain", broker.port, "idle", ms=2500, keepalive=2)
    assert bad.PINGREQ not in [packet.kind for packet in broker.peers[0].packets]


def test_dead_peer_is_noticed_without_traffic() -> None:
    def dead(peer: Peer) -> None:
        peer.silence()

    with BadBroker(accepted(dead)) as broker:
        ours = probe_ours(broker.port, "idle", ms=IDLE_MS, keepalive=1, limits=SHORT)
    assert_timed_out(ours, 500 + READ_MS)
    assert "PINGRESP" in ours["text"]


def test_full_send_buffer_ends_at_the_write_deadline() -> None:
    job = {"count": 20000, "size": 1000, "qos": 0}
    with BadBroker(accepted(lambda peer: peer.stall(broker.stop))) as broker:
        assert probe("plain", broker.port, "publish_many", hangs=True, **job) is None
    with BadBroker(accepted(lambda peer: peer.stall(broker.stop))) as broker:
        ours = probe_ours(broker.port, "publish_many", limits=SHORT, **job)
    assert (ours["error"], ours["errno"]) == ("OSError", TIMED_OUT)
    assert "write" in ours["text"]


def segments_received(peer: Peer) -> int:
    """Return how many segments with data the kernel has taken, however late somebody reads."""
    info = peer.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    return int(struct.unpack_from("I", info, TCPI_DATA_SEGS_IN)[0])


def count_segments(client: str) -> int:
    """Return in how many segments a QoS 1 message of 200 bytes arrives."""
    seen: list[int] = []

    def look(peer: Peer) -> None:
        peer.read(bad.CONNECT)
        before = segments_received(peer)
        peer.send(bad.CONNACK)
        packet = peer.read(bad.PUBLISH)
        seen.append(segments_received(peer) - before)
        peer.send(bad.puback(packet.packet_id))

    with BadBroker(look) as broker:
        probe(client, broker.port, "publish", payload="x" * 200, limits=PATIENT)
    return seen[0]


def test_a_publish_is_one_segment() -> None:
    assert count_segments("ours") == 1
    assert count_segments("plain") > 1


def test_publishing_does_not_wait_for_delayed_acknowledgements() -> None:
    job = {"count": 500, "size": 1, "qos": 1}
    with BadBroker(Peer.serve) as broker:
        ours = probe_ours(broker.port, "publish_many", limits=PATIENT, **job)
    assert ours["error"] is None
    assert ours["action_ms"] < 500 * 40, "the plain client needs 44 ms each"
