"""Updates as guest of the uplink: real client, uplink and source, over a fake network."""

import hashlib

import vfs
from check import Random, raises, raises_kind
from fake_broker import BrokerNet
from fake_net import Clock
from fake_updater import Updater
from nor_flash import NorFlash

from app.outbox import Outbox
from app.update_channel import UpdateChannel
from app.uplink import Identity, Pace, Uplink
from formats import batch, errors, messages, objects
from mqtt.client import Client
from mqtt.session import Limits
from ota.mqtt_source import MqttSource

PREFIX = "ob/test/node"
LIMITS = Limits(connect_ms=400, read_ms=300, write_ms=300, max_packet_bytes=1280)
PACE = Pace(base_ms=100, cap_ms=1000, refused_ms=60000, status_ms=100000, batch_records=8)
DEADLINE_MS = 5000


class Node:
    """An uplink with its guest, and everything around it."""

    def __init__(self, content=b"", has_guest=True):
        self.clock = Clock()
        self.net = BrokerNet(self.clock)
        flash = NorFlash(n_blocks=64, block_bytes=512)
        vfs.VfsLfs2.mkfs(flash)
        self.outbox = Outbox(vfs.VfsLfs2(flash), "/q", 500, 32, 16)
        client = Client("id", "broker", limits=LIMITS, net=self.net, clock=self.clock)
        self.identity = Identity(PREFIX, b"meta", lambda: b"status")
        self.uplink = Uplink(client, self.outbox, self.identity, PACE, lambda low, high: low)
        self.object_id = publish(self.net, content)
        self.updater = Updater([(self.object_id, 0, len(content))] if content else ())
        self.source = MqttSource("test", DEADLINE_MS)
        self.updater.sources = (self.source, None)
        self.channel = UpdateChannel(PREFIX, self.updater, self.source)
        if has_guest:
            self.uplink.guest = self.channel

    def decide(self, count=1):
        """Make decisions whose byte follows from their number."""
        for _ in range(count):
            self.outbox.append(self.outbox.next_seq & 127, 0, 0, 0)

    def steps(self, count=30):
        """Let uplink and updater work; none of their steps may wait."""
        for _ in range(count):
            before = self.clock.now
            self.uplink.step(self.clock.now)
            self.updater.step(self.clock.now)
            assert self.clock.now - before <= 5, "a step that waits"

    def published(self):
        """Return and forget the kinds of what was published."""
        kinds = [topic[len(PREFIX) + 1 :] for topic, _, _ in self.net.log]
        self.net.log.clear()
        return kinds


def publish(net, content):
    """Lay an object on the broker; return its id."""
    object_id = objects.hash_id(hashlib.sha256(content).digest())
    for at in range(0, len(content), objects.CHUNK_BYTES):
        topic = objects.pack_topic("test", object_id, at // objects.CHUNK_BYTES)
        net.retained[topic] = content[at : at + objects.CHUNK_BYTES]
    return object_id


def test_without_updates_a_node_says_what_it_always_said():
    node = Node(has_guest=False)
    node.decide(2)
    node.steps()
    assert b"".join(node.net.sockets[0].writes[1:2]) == (
        b"\x82\x15\x00\x01\x00\x10ob/test/node/cmd\x01"
    )
    assert node.published() == ["meta", "s", "b"]
    node.net.send(PREFIX + "/want", b"x")
    node.steps(2)
    assert node.uplink.bad_commands == 1


def test_topics_of_updates_come_with_the_commands():
    node = Node()
    node.net.retained[PREFIX + "/want"] = b"{}"
    node.decide()
    node.steps()
    assert node.net.subscribed == [PREFIX + "/cmd", PREFIX + "/want", PREFIX + "/ack"]
    assert len([data for data in node.net.sockets[0].writes if data[0] == 0x82]) == 1
    assert node.published() == ["meta", "s", "b", "u"], "decisions first, then the report"
    assert node.updater.noted == ["want {}", "link", "reported"]
    assert node.net.log == [] and not node.channel.is_due


def test_messages_go_to_the_updater_and_nobody_elses_do():
    node = Node()
    node.steps()
    node.updater.noted.clear()
    for kind in ("want", "ack", "u", "r", "x"):
        node.net.send(PREFIX + "/" + kind, kind.encode())
    node.net.send("ob/test/other/want", b"")
    node.net.send("ob/test/~/%s/0" % node.object_id, b"")
    node.steps(8)
    assert node.updater.noted == ["want want", "ack ack"]
    node.net.send(PREFIX + "/cmd", messages.pack_resend(1, 0))
    node.net.log.clear()
    node.steps(3)
    assert node.published() == ["b"], "commands are still the uplink's"
    assert node.uplink.bad_commands == 5 and node.uplink.online


def test_a_report_goes_out_whenever_it_is_due_and_is_confirmed():
    node = Node()
    node.steps()
    node.published()
    node.updater.noted.clear()
    node.net.answers = False
    node.updater.needs_report = True
    node.steps(3)
    assert node.published() == ["u"] and node.updater.noted == [] and node.channel.is_due
    node.clock.now += LIMITS.read_ms
    node.net.answers = True
    node.steps()
    assert node.published() == ["meta", "s", "b", "u"], "a new connection says it again"
    assert node.updater.noted == ["no link", "link", "reported"]
    topic, payload, retained = ("ob/test/node/u", b"report", True)
    node.updater.needs_report = True
    node.steps(3)
    assert node.net.log == [(topic, payload, retained)]


def test_an_object_comes_chunk_by_chunk_with_one_packet_in_flight():
    content = Random(1).bytes(2500)
    node = Node(content)
    node.steps(40)
    assert node.updater.got == {node.object_id: content}
    assert node.updater.n_fetched == len(content) and not node.updater.failures
    chunks = ["ob/test/~/%s/%d" % (node.object_id, i) for i in range(3)]
    assert node.net.subscribed[3:] == chunks == node.net.unsubscribed
    # A subscription to a chunk has QoS 0: nothing has to be acknowledged.
    assert node.net.sockets[0].writes.count(b"\x40\x02\x00\x00") == 0


def test_any_offset_can_be_asked_for():
    content = Random(2).bytes(2048)
    for at, end in ((0, 1), (1, 1024), (1000, 2048), (1024, 2048), (2047, 2048)):
        node = Node(content)
        node.updater.wanted = [[node.object_id, at, end]]
        node.steps(40)
        assert node.updater.got == {node.object_id: content[at:end]}


def test_decisions_go_before_chunks():
    node = Node(Random(3).bytes(5000))
    node.steps(8)
    node.published()
    n_before = node.updater.n_fetched
    for _ in range(6):
        node.decide()
        node.steps(1)
        assert node.published() in (["r"], ["b"], [])
    node.steps(2)
    assert node.outbox.queued() == 0
    assert node.updater.n_fetched <= n_before + 1024, "a chunk overtook decisions"
    node.steps(60)
    assert node.updater.got[node.object_id] and not node.updater.wanted


def test_decisions_without_end_do_not_starve_the_download():
    node = Node(Random(3).bytes(5000))
    for _ in range(600):
        node.decide()
        node.steps(1)
    assert not node.updater.wanted, node.updater.n_fetched
    assert node.outbox.queued() <= 3


def test_a_lost_link_costs_at_most_one_chunk():
    content = Random(4).bytes(9000)
    node = Node(content)
    random = Random(5)
    n_broken = 0
    for _ in range(4000):
        node.steps(1)
        if random.below(15) == 0 and node.net.sockets:
            node.net.break_link()
            n_broken += 1
        node.clock.now += 40
        if not node.updater.wanted:
            break
    assert node.updater.got == {node.object_id: content}
    assert n_broken > 10 and not node.updater.failures
    assert node.updater.n_fetched == len(content), "what was written is not asked for again"
    subscribed = [topic for topic in node.net.subscribed if "/~/" in topic]
    assert len(subscribed) <= 9 + n_broken


def test_a_chunk_that_is_not_there_ends_the_attempt():
    node = Node(b"content")
    node.net.retained.clear()
    node.steps(12)
    node.clock.now += DEADLINE_MS
    node.steps(2)
    assert [error.errno for error in node.updater.failures] == [110]
    assert node.uplink.online and node.uplink.failures == 0
    node.net.retained["ob/test/~/%s/0" % node.object_id] = b"content"
    node.updater.failures.clear()
    node.steps(12)
    assert node.updater.got == {node.object_id: b"content"}


def test_the_deadline_waits_for_the_brokers_consent():
    node = Node(b"content")
    node.source.begin(node.object_id, 0, 7)
    for _ in range(9):
        node.clock.now += DEADLINE_MS
        assert node.source.step(node.clock.now) is None  # the uplink has other things to do


def test_a_refused_chunk_ends_the_attempt_and_nothing_else():
    node = Node(b"content")
    node.net.refused = ["ob/test/~/%s/0" % node.object_id]
    node.steps(8)
    assert node.updater.failures and node.updater.failures[0].errno == 13
    assert node.uplink.online and node.uplink.refusals == 0
    node.decide()
    node.steps(4)
    assert node.outbox.queued() == 0


def test_refused_topics_of_updates_keep_no_decision_away():
    node = Node()
    node.net.refused = [PREFIX + "/want", PREFIX + "/ack"]
    node.decide(3)
    node.steps()
    assert node.outbox.queued() == 0 and node.uplink.refusals == 0
    assert node.channel.error == "the broker refuses 2 of 2 topics"
    node.net.refused = [PREFIX + "/cmd"]
    node.net.break_link()
    node.steps()
    assert node.uplink.reason == errors.BROKER_SUBSCRIPTION, "that one is needed"


def test_wrong_chunks_are_refused():
    for chunk in (b"", bytes(1025), bytes(1100)):
        node = Node(b"content")
        node.source.begin(node.object_id, 0, 2000)
        topic = "ob/test/~/%s/0" % node.object_id
        node.net.retained[topic] = chunk
        for _ in range(12):
            node.uplink.step(node.clock.now)
        raises(errors.SOURCE_SIZE, node.source.step, node.clock.now)
    node = Node(bytes(1024))
    node.source.begin(node.object_id, 5, 1019)
    node.net.retained["ob/test/~/%s/0" % node.object_id] = bytes(5)
    for _ in range(12):
        node.uplink.step(node.clock.now)
    raises(errors.SOURCE_SIZE, node.source.step, node.clock.now)


def test_a_chunk_too_large_for_the_buffer_is_passed_over():
    node = Node(b"content")
    node.net.retained["ob/test/~/%s/0" % node.object_id] = bytes(30000)
    node.steps(60)
    node.clock.now += DEADLINE_MS
    node.steps(2)
    assert len(node.updater.failures) == 1 and node.uplink.online
    assert node.uplink.failures == 0 and node.uplink.bad_commands == 1


def test_what_is_not_asked_for_is_not_taken():
    node = Node(b"content")
    source = node.source
    topic = ("ob/test/~/%s/0" % node.object_id).encode()
    assert not source.take(topic, b"early") and not source.take(b"", b"no topic")
    source.begin(node.object_id, 0, 7)
    assert source.next_packet() == (True, topic)
    assert not source.take(topic, b"early"), "nothing was subscribed to"
    source.sending(True, topic)
    assert not source.take(topic[:-1] + b"1", b"another chunk") and source.step(0) is None
    assert source.take(topic, b"content"), "a message may overtake the consent"
    assert source.take(topic, b"another")
    source.settled(False)
    assert source.step(0) == b"content" and source.step(0) is None
    assert source.next_packet() == (False, topic)
    source.begin(node.object_id, 0, 7)
    assert source.next_packet() == (False, topic), "only a new subscription brings it again"
    assert source.take(topic, b"what came late"), "it is known, and of no use"
    source.sending(False, topic)
    assert source.take(topic, b"what came later still")
    source.settled(False)
    assert source.next_packet() == (True, topic) and source.step(0) is None
    source.close()
    assert source.next_packet() is None


def test_what_has_come_is_not_asked_for_again():
    source = MqttSource("test", DEADLINE_MS)
    source.begin("root1", 0, 9)
    _, topic = source.next_packet()
    source.sending(True, topic)
    source.settled(False)
    assert source.take(topic, b"content") and source.step(0) == b"content"
    source.sending(*source.next_packet())
    source.settled(False)
    assert source.next_packet() is None


def test_the_chunk_has_the_whole_deadline_and_no_more():
    mask = 0x3FFFFFFF  # where the ticks wrap
    for began_ms in (0, 77777, mask - 100):
        source = MqttSource("test", DEADLINE_MS)
        source.begin("root1", 0, 9)
        source.sending(*source.next_packet())
        assert source.step(began_ms) is None
        source.settled(False)
        last_ms = (began_ms + DEADLINE_MS - 1) & mask
        assert source.step(last_ms) is None
        assert raises_kind(OSError, source.step, (last_ms + 1) & mask).errno == 110
        assert source.step((last_ms + 2) & mask) is None, "it is over"
        source.sending(*source.next_packet())
        source.settled(False)
        assert source.next_packet() is None


def test_no_deadline_runs_while_there_is_no_connection():
    source = MqttSource("test", DEADLINE_MS)
    source.begin("root1", 0, 9)
    subscribe = source.next_packet()
    source.sending(*subscribe)
    source.settled(False)
    source.lost()
    for now_ms in (0, DEADLINE_MS, 3 * DEADLINE_MS):
        assert source.step(now_ms) is None
    assert source.next_packet() == subscribe


def test_an_answer_about_the_chunk_before_says_nothing_about_this_one():
    for was_refused in (False, True):
        source = MqttSource("test", DEADLINE_MS)
        source.begin("root1", 0, 9)
        source.sending(*source.next_packet())
        source.begin("root2", 0, 9)
        source.settled(was_refused)
        for now_ms in (0, DEADLINE_MS):
            assert source.step(now_ms) is None
        if not was_refused:
            assert source.next_packet() == (False, b"ob/test/~/root1/0")
            source.sending(*source.next_packet())
            source.settled(False)
        assert source.next_packet() == (True, b"ob/test/~/root2/0")


def test_a_refusal_is_told_once_and_nothing_is_left_of_it():
    source = MqttSource("test", DEADLINE_MS)
    source.begin("root1", 0, 9)
    source.sending(*source.next_packet())
    source.settled(True)
    assert raises_kind(OSError, source.step, 0).errno == 13
    assert source.step(0) is None and source.next_packet() is None


def test_the_same_chunk_again_is_asked_for_again():
    node = Node(b"content")
    for _ in range(3):
        node.updater.wanted = [[node.object_id, 0, 7]]
        node.steps(12)
        assert node.updater.got.pop(node.object_id) == b"content"
    assert node.updater.failures == []


def test_an_object_that_cannot_be_is_refused():
    source = MqttSource("test", DEADLINE_MS)
    raises(errors.TOPIC, source.begin, "../" + "0" * 61, 0, 1)
    raises(errors.TOPIC, source.begin, "root1", 1 << 24, 1)


def test_what_the_guest_has_in_flight_is_not_what_a_session_waits_for():
    node = Node(b"content")
    node.decide()
    node.steps(5)
    assert node.published() == ["meta", "s", "b"]
    node.net.answers = False
    node.steps(2)
    assert node.published() == ["u"] and node.channel.is_due
    assert node.uplink.is_done and node.outbox.queued() == 0


def test_another_meta_message_goes_before_the_next_decision():
    for n_steps in range(12):
        node = Node()
        node.steps(n_steps)
        node.uplink.announce(b"new")
        node.decide()
        node.steps()
        log = [(topic[len(PREFIX) + 1 :], payload) for topic, payload, _ in node.net.log]
        assert ("meta", b"new") in log, n_steps
        at = log.index(("meta", b"new"))
        sent = [payload for kind, payload in log[:at] if kind in ("r", "b")]
        assert all([len(payload) > 1 and not batch.parse(payload).count for payload in sent])
        assert node.outbox.queued() == 0
        assert log[at + 1 :][-1][0] in ("r", "b", "u")
