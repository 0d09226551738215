"""Attacks on what stands around the updates: topics, packets, lines, modules."""

import gc
import sys

from fake_net import Clock, Net
from lab import NEW, TENANT

from app.update_channel import UpdateChannel
from formats import errors, objects, serial_line, update_messages
from mqtt.client import Client
from mqtt.session import Limits
from ota import loader
from ota.mqtt_source import MqttSource

_ID = "0123456789abcdef" * 4


def topic_escape(lab):
    """Messages on topics that are not this node's, and names that would make other topics."""
    row = "topic or ACL escape"
    other_topics(lab, row)
    other_chunks(lab, row)
    bad_wants(lab, row)
    for tenant, name, chunk in (
        ("+", _ID, 0), ("#", _ID, 0), ("a/b", _ID, 0), ("", _ID, 0), (TENANT, "+", 0),
        (TENANT, "#", 0), (TENANT, _ID + "/0/../x", 0), (TENANT, "root0", 0),
        (TENANT, "root-1", 0), (TENANT, _ID, -1), (TENANT, _ID, 1 << 20), (TENANT, _ID + ".z0", 0),
        (TENANT, _ID.upper(), 0), (TENANT, "root1/#", 0), (TENANT, "\x00", 0),
    ):  # fmt: skip
        found = 0
        try:
            objects.pack_topic(tenant, name, chunk)
        except errors.OnebyteError as error:
            found = error.code
        what = "%s %s %d" % (tenant, name[:12], chunk)
        lab.judge.note(row, what, found == 0, (found, errors.TOPIC))


def other_topics(lab, row):
    """Wants and acknowledgements for somebody else, or for everybody."""
    world = lab.world("trial")
    source = MqttSource(TENANT, 1000)
    channel = UpdateChannel("ob/%s/node-1" % TENANT, world.updater, source)
    status, before = world.updater.status(), world.kept()
    ack = update_messages.pack_ack(status["pending_seq"], status["record"])
    for topic in (
        "ob/farm-7/node-2/ack", "ob/farm-8/node-1/ack", "ob/farm-7/node-1/ack/", "ack", "",
        "ob/farm-7/node-1", "ob/farm-7/node-1/ACK", "ob/+/+/ack", "ob/#", "#",
        "$SYS/broker/ack", "ob/farm-7/node-1/u", "ob/farm-7/node-1/cmd", "ob/farm-7/~/ack/0",
        "ob/farm-7/node-1/ack\x00", "/ob/farm-7/node-1/ack", "ob/farm-7//node-1/ack",
    ):  # fmt: skip
        channel.take(topic.encode(), ack)
        for _ in range(10):
            world.turn()
        is_accepted = world.updater.status()["installed_seq"] == NEW
        lab.judge.note(row, topic, is_accepted, (0, 0), world.kept() != before)
    channel.take(b"ob/%s/node-1/ack" % TENANT.encode(), ack)
    world.now_ms += 200
    for _ in range(100):
        world.turn()
    assert world.updater.status()["installed_seq"] == NEW, "its own topic is not heard either"


def other_chunks(lab, row):
    """Chunks that nobody has asked for."""
    for topic in (
        "ob/farm-8/~/%s/0" % _ID, "ob/farm-7/~/%s/1" % _ID, "ob/farm-7/~/root2/0",
        "ob/farm-7/~/%s/00" % _ID, "ob/farm-7/~/%s" % _ID, "ob/+/~/%s/0" % _ID, "",
    ):  # fmt: skip
        source = MqttSource(TENANT, 1000)
        source.begin(_ID, 0, 100)
        _, asked = source.next_packet()
        source.sending(True, asked)
        source.settled(False)
        source.take(topic.encode(), b"evil")
        lab.judge.note(row, "chunk on " + topic[:20], source.step(0) is not None)


def bad_wants(lab, row):
    """Addresses and hashes that would make a node ask elsewhere or in another way."""
    world = lab.world()
    before = world.kept()
    text = b'{"v":1,"seq":6,"manifest":"%s","bytes":428,"root":1,"url":"%s"}'
    cases = [(_ID.encode(), url, errors.SOURCE_URL) for url in (
        b"http://h/../", b"http://u@h/", b"file:///etc/", b"http://h/?q/", b"ftp://h/",
        b"http://[::1]/", b"https://h", b"http:///", b"http://h:0/", b"http://h:65536/",
        b"http://h/%2e/", b"http://h/a b/", b"//h/", b"http://h//a/", b"http://h/a#/",
        b"http://-h/", b"HTTP://h/", b"http://h:80:80/", b"x" * 201,
    )]  # fmt: skip
    cases += [(name, b"", errors.MESSAGE_RANGE) for name in (
        b"", b"+", b"#", b"../" * 21 + b"x", b"g" * 64, _ID.upper().encode(), b"a" * 63,
        b"a" * 65,
    )]  # fmt: skip
    for digest, url, expected in cases:
        payload = text.replace(b"%s", digest, 1).replace(b"%s", url, 1)
        found = 0
        try:
            update_messages.parse_want(payload)
        except errors.OnebyteError as error:
            found = error.code
        n_bad = world.updater.bad_messages
        world.updater.on_want(payload)
        is_accepted = world.updater.bad_messages == n_bad or world.updater.wants_link
        what = (digest if url == b"" else url)[:20].decode()
        lab.judge.note(row, what, is_accepted and found == 0, (found, expected))
    lab.judge_refused(row, "all of them", world, (world.until_refused(), 0), before)


def oversized_packets(lab):
    """Packets beyond the buffer, up to what four length bytes can say, and lengths of five."""
    row = "oversized MQTT packets"
    for n_bytes in (1281, 2000, 5000, 65535, 1 << 20, 268435455):
        for head in (0x30, 0x32, 0x3D, 0x20, 0x90, 0xF0):
            _oversized(lab, row, head, n_bytes)
    for content in (b"\x30\xff\xff\xff\xff\x7f", b"\x30\x80\x80\x80\x80\x01", b"\x32\x01x",
                    b"\x32\x04\x00\xff\x00\x00", b"\x36\x04\x00\x01a\x00"):  # fmt: skip
        heard = _hear(content)
        lab.judge.note(row, "%r" % content, bool(heard))


def _length(n_bytes):
    out = b""
    while True:
        more = n_bytes > 127
        out += bytes([n_bytes & 127 | (128 if more else 0)])
        n_bytes >>= 7
        if not more:
            return out


def _oversized(lab, row, head, n_bytes):
    content = bytes([head]) + _length(n_bytes) + b"\x00\x01t" + bytes(min(n_bytes, 6000))
    gc.collect()
    before = gc.mem_alloc()
    heard = _hear(content)
    gc.collect()
    is_large = gc.mem_alloc() - before > 8192
    lab.judge.note(row, "%#x of %d bytes" % (head, n_bytes), bool(heard) or is_large)


def _hear(content):
    """Return what a client delivers of these bytes from a broker."""
    clock = Clock()
    net = Net(clock)
    net.script = [b"\x20\x02\x00\x00"]
    limits = Limits(connect_ms=1000, read_ms=500, write_ms=300, max_packet_bytes=1280)
    client = Client("node", "broker", limits=limits, net=net, clock=clock)
    heard = []
    client.set_callback(lambda topic, payload: heard.append(topic))
    client.connect()
    for at in range(0, len(content), 500):
        net.sockets[-1].feed(content[at : at + 500])
    try:
        for _ in range(200):
            client.poll()
            clock.now += 10
    except OSError:
        assert client.is_closed
    client.close()
    return heard


def serial_input(lab):
    """Lines that no node has sent: a host checks a serial line like a packet."""
    row = "malicious serial input"
    line = serial_line.pack(serial_line.STATUS, b'{"v":1,"online":false}')
    for at in range(len(line)):
        for mask in (0x01, 0x80):
            bad = line[:at] + bytes([line[at] ^ mask]) + line[at + 1 :]
            found = 0
            try:
                serial_line.parse(bad)
            except errors.OnebyteError as error:
                found = error.code
            expected = errors.LINE_CRC
            if at < 4:
                expected = errors.LINE_MARK
            elif at == len(line) - 5:
                expected = errors.LINE_SIZE
            lab.judge.note(row, "byte %d" % at, found == 0, (found, expected))
    for bad in (b"", b"ob1", b"ob1 " + bytes(20000), b"\xff" * 300, b"ob1 s ", line + b" 0000"):
        found = 0
        try:
            serial_line.parse(bad)
        except errors.OnebyteError as error:
            found = error.code
        expected = (errors.LINE_MARK, errors.LINE_SIZE, errors.LINE_CRC)
        lab.judge.note(row, "%r" % bad[:8], found == 0, (found, expected))


_NAMES = (
    "hashlib", "binascii", "struct", "json", "os", "io", "time", "errno", "random", "select",
    "socket", "deflate", "vfs", "collections", "formats", "ota", "product", "obed25519",
    "obed25519_twin", "app", "mqtt", "pipeline", "main", "board", "obkernels",
)  # fmt: skip


def shadow_modules(lab):
    """Files that are called like modules: with a product in the image (L2) none is imported."""
    row = "shadow modules"
    kept_path, kept_modules = list(sys.path), dict(sys.modules)
    evil = lab.folder + "/evil"
    n_without = 0
    for name in _NAMES:
        n_without += _is_evil(name, [evil, ".frozen"])
        path = loader.search_path("", True, ["", evil, "/lib"])
        lab.judge.note(row, name, _is_evil(name, path))
        path = loader.search_path("s/b", True, ["", evil, "/lib"])
        lab.judge.note(row, name + " beside a slot", _is_evil(name, path))
        sys.path[:] = kept_path
        for other, module in kept_modules.items():
            sys.modules[other] = module
    # Some modules of MicroPython cannot be replaced by a file at all.
    assert n_without >= len(_NAMES) - 4, "the attack does not work without the defence either"
    _replaced(lab, row)


def _is_evil(name, path):
    """Import a module by a search path; return whether the attacker's came."""
    sys.path[:] = path
    for loaded in list(sys.modules):
        if loaded.split(".")[0] == name:
            del sys.modules[loaded]
    try:
        module = __import__(name)
    except ImportError:
        return False
    return bool(getattr(module, "EVIL", False))


def _replaced(lab, row):
    """A release that brings the checker itself: it stays the one that has checked."""

    class Found:
        """As much of a manifest as the loader looks at."""

        files = [(7, 0, 1, 1, name + suffix, b"") for suffix in (".py", ".mpy")
                 for name in ("ota", "product", "obed25519", "obed25519_twin")]  # fmt: skip

    names = loader.replaced(Found)
    for name in ("ota", "product", "obed25519", "obed25519_twin"):
        lab.judge.note(row, "a release with " + name, name in names)


ROWS = (topic_escape, oversized_packets, serial_input, shadow_modules)
