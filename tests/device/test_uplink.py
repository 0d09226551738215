"""The uplink with the real client and the real outbox over a fake network: what goes out, when."""

import vfs
from check import Random
from fake_broker import BrokerNet
from fake_net import Clock
from nor_flash import NorFlash

from app.outbox import Outbox
from app.uplink import Identity, Pace, Uplink
from formats import batch, messages
from mqtt import packets
from mqtt.client import Client
from mqtt.session import Limits

PREFIX = "ob/test/node"
LIMITS = Limits(connect_ms=400, read_ms=300, write_ms=300, max_packet_bytes=256)
PACE = Pace(base_ms=100, cap_ms=1000, refused_ms=60000, status_ms=100000, batch_records=8)


class Node:
    """One uplink with everything around it."""

    def __init__(self, pace=PACE):
        self.clock = Clock()
        self.net = BrokerNet(self.clock)
        flash = NorFlash(n_blocks=64, block_bytes=512)
        vfs.VfsLfs2.mkfs(flash)
        self.files = vfs.VfsLfs2(flash)
        self.pauses = []
        self.pause_ms = 0
        self.boot(pace)

    def boot(self, pace=PACE):
        """Start with what is on flash."""
        self.outbox = Outbox(self.files, "/q", 500, 32, 16)
        client = Client("id", "broker", limits=LIMITS, net=self.net, clock=self.clock)
        identity = Identity(PREFIX, b"meta", lambda: b"status")
        self.uplink = Uplink(client, self.outbox, identity, pace, self.randint)

    def randint(self, low, high):
        """Note the range and return a fixed choice within it."""
        self.pauses.append((low, high))
        return min(max(low, self.pause_ms), high)

    def decide(self, count=1):
        """Make decisions whose byte follows from their number."""
        for _ in range(count):
            seq = self.outbox.next_seq
            self.outbox.append(seq & 127, 0, seq, 0)

    def steps(self, count=30):
        """Let the uplink work; none of its steps may wait."""
        for _ in range(count):
            before = self.clock.now
            self.uplink.step(self.clock.now)
            assert self.clock.now - before <= 5, "a step that waits"

    def sent(self):
        """Return and forget what was published, as short words."""
        words = []
        for topic, payload, retained in self.net.log:
            kind = topic[len(PREFIX) + 1 :]
            if kind == "b":
                parsed = batch.parse(payload)
                words.append("b%d:%d+%d" % (parsed.epoch, parsed.first_seq, parsed.count))
            elif kind == "r":
                words.append("r%d" % payload[0])
            else:
                words.append("%s=%s%s" % (kind, payload.decode(), " retained" * retained))
        self.net.log.clear()
        return words


HELLO = ["meta=meta retained", "s=status retained"]


def test_connects_announces_and_anchors():
    node = Node()
    assert not node.uplink.online
    node.steps()
    assert node.net.subscribed == [PREFIX + "/cmd"]
    assert node.sent() == HELLO + ["b1:0+0"]
    assert node.uplink.online and node.uplink.connects == 1


def test_fresh_decisions_are_single_bytes():
    node = Node()
    node.steps()
    node.sent()
    for _ in range(5):
        node.decide()
        node.steps(2)
    assert node.sent() == ["r0", "r1", "r2", "r3", "r4"]
    assert node.outbox.queued() == 0


def test_backlog_goes_in_batches_then_bytes():
    node = Node()
    node.decide(20)
    node.steps()
    assert node.sent() == HELLO + ["b1:0+8", "b1:8+8", "b1:16+4"]
    node.decide()
    node.steps(2)
    assert node.sent() == ["r20"]


def test_decisions_that_pile_up_during_a_byte_make_a_batch():
    node = Node()
    node.steps()
    node.sent()
    node.net.answers = False
    node.decide()
    node.steps(2)
    node.decide(3)
    node.steps(2)
    assert node.sent() == ["r0"]
    node.net.answers = True
    node.net.sockets[0].feed(b"\x40\x02\x00\x05")  # subscription, meta, status, anchor, byte
    node.steps(3)
    assert node.sent() == ["b1:1+3"]


def test_byte_without_acknowledgement_travels_in_the_next_batch():
    node = Node()
    node.steps()
    node.sent()
    node.net.answers = False
    node.decide()
    node.steps(2)
    node.clock.now += LIMITS.read_ms
    node.steps(2)
    assert node.uplink.failures == 1 and not node.uplink.online
    node.net.answers = True
    node.steps()
    assert node.sent() == ["r0"] + HELLO + ["b1:0+1"]
    node.decide()
    node.steps(2)
    assert node.sent() == ["r1"]


def test_records_of_an_earlier_boot_go_first():
    node = Node()
    node.decide(10)
    node.outbox.flush()
    node.boot()
    node.decide(2)
    node.steps()
    assert node.sent() == HELLO + ["b1:0+8", "b1:8+2", "b2:0+2"]
    node.decide()
    node.steps(2)
    assert node.sent() == ["r2"]


def test_records_of_an_earlier_boot_alone_do_not_number_live_bytes():
    node = Node()
    node.decide(3)
    node.outbox.flush()
    node.boot()
    node.steps()
    assert node.sent() == HELLO + ["b1:0+3"]
    node.decide()
    node.steps(2)
    # A byte would be taken for number 3 of epoch 1.
    assert node.sent() == ["b2:0+1"]


def test_pauses_have_full_jitter_and_start_over_after_success():
    node = Node()
    node.net.accepts = False
    for _ in range(6):
        node.steps(1)
        assert node.uplink.failures == len(node.pauses)
    assert node.pauses == [(0, 100), (0, 200), (0, 400), (0, 800), (0, 1000), (0, 1000)]
    node.net.accepts = True
    node.steps()
    assert node.uplink.online
    node.net.break_link()
    node.steps(2)
    assert node.pauses[6:] == [(0, 100)]


def test_pause_is_kept():
    node = Node()
    node.pause_ms = 70
    node.net.accepts = False
    node.steps(1)
    node.net.accepts = True
    node.clock.now += 60
    node.steps(9)
    assert node.net.n_connections == 0
    node.clock.now += 10
    node.steps(2)
    assert node.net.n_connections == 1


def test_an_accepting_broker_that_fails_does_not_reset_the_pause():
    node = Node()
    node.net.answers = False
    for _ in range(4):
        node.steps(2)
        node.clock.now += LIMITS.read_ms
        node.steps(1)
    assert node.pauses == [(0, 100), (0, 200), (0, 400), (0, 800)]
    assert node.uplink.connects == 4 and not node.uplink.online


def test_refused_credentials_do_not_hammer():
    node = Node()
    node.net.return_code = 5
    node.steps()
    assert node.uplink.refusals == 1 and node.uplink.reason == 105
    assert node.uplink.last_error == "BROKER_NOT_AUTHORISED(105)"
    assert node.pauses == [(0, 30000)]
    node.clock.now += 29000
    node.steps(9)
    assert node.net.n_connections == 1
    node.clock.now += 1100
    node.net.return_code = 0
    node.steps()
    assert node.uplink.online and node.uplink.reason == 0


def test_status_comes_again_after_its_interval():
    node = Node()
    node.steps()
    node.sent()
    node.clock.now += PACE.status_ms - 1000
    node.steps(3)
    assert node.sent() == []
    node.clock.now += 1000
    node.steps(3)
    assert node.sent() == ["s=status retained"]


def test_resend_sends_again_what_is_still_there():
    node = Node()
    node.steps()
    for _ in range(6):
        node.decide()
        node.steps(2)
    node.sent()
    node.net.send(PREFIX + "/cmd", messages.pack_resend(1, 2))
    node.steps(4)
    assert node.sent() == ["b1:2+4"]
    node.decide()
    node.steps(2)
    assert node.sent() == ["r6"]
    node.net.send(PREFIX + "/cmd", messages.pack_resend(1, 7))
    node.steps(4)
    assert node.sent() == ["b1:7+0"], "an anchor answers when nothing is there"


def test_resend_during_a_byte_waits_for_its_acknowledgement():
    node = Node()
    node.steps()
    node.decide()
    node.steps(2)
    node.net.answers = False
    node.decide()
    node.steps(2)
    node.sent()
    for seq in (1, 0, 1):
        node.net.send(PREFIX + "/cmd", messages.pack_resend(1, seq))
    node.steps(3)
    assert node.sent() == []
    node.net.answers = True
    node.net.sockets[0].feed(b"\x40\x02\x00\x06")
    node.steps(4)
    assert node.sent() == ["b1:0+2"], "the earliest command covers the others"


def test_commands_that_are_none_are_counted_and_passed_over():
    node = Node()
    node.steps()
    bad = (
        b"",
        b"{}",
        b"\xff\xfe",
        b'{"v":1,"cmd":"resend","epoch":0,"seq":0}',
        b'{"v":1,"cmd":"reboot","epoch":1,"seq":0}',
        b'{"v":2,"cmd":"resend","epoch":1,"seq":0}',
    )
    for payload in bad:
        node.net.send(PREFIX + "/cmd", payload)
    node.steps(9)
    assert node.uplink.bad_commands == len(bad)
    assert node.uplink.online and node.uplink.failures == 0


def test_a_command_too_large_to_be_one_is_counted_and_passed_over():
    node = Node()
    node.steps()
    node.decide()
    name = (PREFIX + "/cmd").encode()
    packet = bytearray(packets.publish_bytes(name, bytes(30000), 1))
    packets.publish_into(packet, name, bytes(30000), 3, 1)
    for _ in range(2):
        node.net.sockets[0].feed(bytes(packet))
        while node.net.sockets[0].incoming:
            node.steps(1)
    node.steps(2)
    assert node.uplink.bad_commands == 2
    assert node.uplink.online and node.uplink.failures == 0 and not node.outbox.queued()


def test_close_leaves_the_last_word_to_the_broker():
    node = Node()
    node.steps()
    sock = node.net.sockets[0]
    hello = sock.writes[0]
    assert messages.WILL in hello and hello[9] & 0x2C == 0x2C  # retained, QoS 1
    node.uplink.close()
    assert sock.closed and sock.writes[-1] != b"\xe0\x00"
    assert not node.uplink.online


class Receiver:
    """Numbers live bytes as SPEC, Delivery, says, and notes every record it got."""

    def __init__(self, net):
        self._net = net
        self._n_connections = 0
        self._got = {}  # epoch: one byte for each number

    def look(self):
        """Take what was published, once a connection has ended: the next one has only begun."""
        if self._net.n_connections != self._n_connections:
            self._n_connections = self._net.n_connections
            self.take()

    def take(self):
        """Take what was published; all of it came over one connection."""
        number = None
        for topic, payload, _ in self._net.log:
            if topic.endswith("/b"):
                parsed = batch.parse(payload)
                for entry in parsed.records:
                    self._keep(entry[0], entry[3], entry[1])
                number = (parsed.epoch, parsed.next_seq)
            elif topic.endswith("/r"):
                assert number is not None, "a byte before a batch or an anchor"
                self._keep(number[0], number[1], payload[0])
                number = (number[0], number[1] + 1)
        self._net.log.clear()

    def _keep(self, epoch, seq, byte):
        assert byte == seq & 127, "number %d of epoch %d has another byte" % (seq, epoch)
        if epoch not in self._got:
            self._got[epoch] = bytearray(4000)
        self._got[epoch][seq] = 1

    def count(self, epoch):
        """Return how many numbers of an epoch arrived."""
        return sum(self._got[epoch]) if epoch in self._got else 0


def disturb(node, event, random):
    """Let one of the things happen that happen to a node."""
    if event == 0:
        node.net.answers = not node.net.answers
    elif event == 1:
        node.net.accepts = not node.net.accepts
    elif event == 2 and node.net.sockets:
        node.net.break_link()
    elif event == 3:
        node.clock.now += 400
    elif event == 4 and node.uplink.online:
        seq = max(0, node.outbox.next_seq - random.between(0, 40))
        node.net.send(PREFIX + "/cmd", messages.pack_resend(node.outbox.epoch, seq))
    elif event == 5 and node.outbox.queued() < 300:
        node.decide(random.between(1, 60))


def test_every_decision_arrives_whatever_the_broker_does():
    random = Random(5)
    node = Node()
    receiver = Receiver(node.net)
    made = {}
    for turn in range(7000):
        if random.below(4) == 0 and node.outbox.queued() < 300:
            node.decide()
        disturb(node, random.below(60), random)
        node.steps(1)
        receiver.look()
        node.pauses.clear()
        if turn % 1500 == 1499:
            node.outbox.flush()  # so that the reboot itself loses nothing
            assert node.outbox.dropped == 0
            made[node.outbox.epoch] = node.outbox.next_seq
            node.boot()
    made[node.outbox.epoch] = node.outbox.next_seq
    node.net.answers = node.net.accepts = True
    for _ in range(50):
        node.clock.now += 400
        node.steps(20)
        receiver.look()
    receiver.take()
    assert (node.outbox.queued(), node.outbox.dropped) == (0, 0)
    assert node.net.n_connections > 100 and len(made) == 5
    for epoch, count in made.items():
        assert receiver.count(epoch) == count > 0, (epoch, count, receiver.count(epoch))
