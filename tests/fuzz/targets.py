"""What is fuzzed: readers of updates and messages, each with valid inputs and what it promises.

A target's `run(data)` returns what it has accepted and raises what it may for the rest. What is
accepted packs to the same bytes again, or `Mismatch` is raised; a JSON message, whose spaces are
nobody's business, to bytes that read as the same message.
"""

import binascii
import io
import struct

import sample_release
from mutations import (
    mend_json,
    mend_line,
    mend_manifest,
    mend_packet,
    mend_root,
    mend_sealed,
    mend_signed,
    mend_state,
)

from formats import (
    errors,
    json_fields,
    manifest,
    manifest_pack,
    messages,
    objects,
    root_document,
    root_pack,
    sealed,
    serial_line,
    signed,
    signed_pack,
    slot_state,
    topics,
    update_messages,
    url,
)
from mqtt import packets
from ota import http_reply, trust

OnebyteError = errors.OnebyteError

UNPACKED_BYTES = 920
OBJECT = "0123456789abcdef" * 4
PACKED = binascii.unhexlify(
    b"2bc94855282ccd4cce56482aca2fcf5348cbaf50504d512819151e151e151e386100"
)


# What a target may raise, where it is not OnebyteError alone.
_ALLOWED = {
    "mqtt": (OSError,),
    "http": (OSError, OnebyteError),
    "http_source": (OSError, OnebyteError),
}


class Mismatch(Exception):
    """What was accepted packs to other bytes."""


class Target:
    """One reader.

    Attributes:
        name: for the output.
        run: see the module.
        seeds: valid inputs.
        mend: changes an input so that the reader looks further into it, or None.
        allowed: exceptions that are an answer.
        plant: takes one check away and returns how to put it back.
    """

    def __init__(self, name, run, seeds, plant, mend=None):
        self.name = name
        self.run = run
        self.seeds = [bytes(seed) for seed in seeds]
        self.plant = plant
        self.mend = mend
        self.allowed = _ALLOWED.get(name, (OnebyteError,))


def same(data, packed):
    """Raise `Mismatch` unless these bytes are the same."""
    if bytes(data) != bytes(packed):
        raise Mismatch


def replaced(module, name, value):
    """Replace a name of a module; return what puts it back."""
    kept = getattr(module, name)
    setattr(module, name, value)
    return lambda: setattr(module, name, kept)


# Readers.


def _fields(found, names):
    return {name: getattr(found, name) for name in names}


def run_manifest(data):
    """The body of a manifest."""
    found = manifest.parse(data)
    names = list(manifest_pack.NEEDED) + list(manifest_pack.OPTIONAL)
    same(data, manifest_pack.pack(_fields(found, names)))
    return found


def run_root(data):
    """The body of a root document."""
    found = root_document.parse(data)
    same(data, root_pack.pack(_fields(found, root_pack.NEEDED)))
    return found


def run_signed(data):
    """The envelope."""
    kind = signed.ROOT if len(data) > 5 and data[5] == signed.ROOT else signed.MANIFEST
    found = signed.parse(data, kind)
    packed = signed.MAGIC + bytes([signed.VERSION, kind, len(found.signatures), 0])
    for name, signature in found.signatures:
        packed += name + signature
    same(data, packed + found.body)
    return found


def _all_are_valid(public_key, signature, message):
    return True


_ROOT = sample_release.root()
_DEVICE = sample_release.device(partition_bytes=100000)
_STATE = sample_release.state()


def run_release(data):
    """A signed release, whose signer has signed whatever it is."""
    return trust.open_manifest(data, _ROOT, _DEVICE, _STATE, _all_are_valid)


def run_rotation(data):
    """A signed root document, whose signers have signed whatever it is."""
    return trust.open_root(data, _ROOT, _all_are_valid)


def run_state(data):
    """The state record."""
    found = slot_state.parse(data)
    same(data, slot_state.pack(found))
    return found


def run_sealed(data):
    """A copy of the configuration."""
    number, content = sealed.parse(data)
    same(data, sealed.pack(number, content))
    return content


def run_want(data):
    """Want messages."""
    found = update_messages.parse_want(data)
    if update_messages.parse_want(update_messages.pack_want(found)) != found:
        raise Mismatch
    return found


def run_ack(data):
    """The server's acknowledgement."""
    found = update_messages.parse_ack(data)
    if update_messages.parse_ack(update_messages.pack_ack(*found)) != found:
        raise Mismatch
    return found


def run_report(data):
    """What a node says of its slots."""
    found = update_messages.parse_report(data)
    if update_messages.parse_report(update_messages.pack_report(found)) != found:
        raise Mismatch
    return found


def run_command(data):
    """A command to a node."""
    found = messages.parse_command(data)
    if messages.parse_command(messages.pack_resend(found["epoch"], found["seq"])) != found:
        raise Mismatch
    return found


def run_line(data):
    """A line of the serial transport."""
    kind, payload = serial_line.parse(data)
    same(bytes(data).rstrip(b"\r\n"), serial_line.pack(kind, payload))
    return payload


def _text(data):
    """Every byte is a letter, so that no decoder stands before the reader."""
    return "".join([chr(byte) for byte in data])


def run_topic(data):
    """The topic of an object's chunk, or of a device."""
    text = _text(data)
    if text[:1] == "o" and text.count("/") == 3:
        same(text.encode(), topics.pack(*topics.parse(text)).encode())
    else:
        same(text.encode(), objects.pack_topic(*objects.parse_topic(text)).encode())
    return text


def run_url(data):
    """An address in a want."""
    text = _text(data)
    is_https, host, port, path = url.parse(text)
    start = "http%s://%s" % ("s" if is_https else "", host)
    if text not in ("%s:%d%s" % (start, port, path), start + path):
        raise Mismatch
    return text


class _Pieces:
    """Hands out bytes in pieces whose lengths the bytes themselves choose."""

    def __init__(self, data):
        self._data = data
        self._at = 0

    def readinto(self, view):
        """As a socket that is not blocking; the end is the end of the connection."""
        left = len(self._data) - self._at
        n = min(left, len(view), 1 + (self._data[self._at] & 31) if left else 0)
        view[:n] = self._data[self._at : self._at + n]
        self._at += n
        return n


def run_mqtt(data):
    """A stream of packets from a broker, as the session reads them."""
    reader = packets.Reader(128, 300)
    pieces = _Pieces(data)
    n_packets = 0
    for _ in range(4 * len(data) + 8):
        try:
            if not reader.read(pieces.readinto):
                continue
        except OSError:
            if not n_packets:
                raise
            return n_packets
        _read_packet(reader)
        n_packets += 1
    raise RuntimeError("more packets than bytes")


def _read_packet(reader):
    head, body = reader.head, reader.body
    if head & 0xF0 == packets.PUBLISH:
        topic, payload, packet_id = packets.parse_publish(head, body)
        qos = head >> 1 & 3
        buf = bytearray(packets.publish_bytes(topic, payload, qos))
        packets.publish_into(buf, topic, payload, head & 15, packet_id)
        same(body, buf[len(buf) - len(body) :])
    elif head == packets.CONNACK:
        present, code = packets.parse_connack(body)
        same(body, bytes([present, code]))
    elif head in (packets.PUBACK, packets.UNSUBACK):
        packet_id = packets.parse_packet_id(body)
        same(body, bytes([packet_id >> 8, packet_id & 255]))
    elif head == packets.SUBACK:
        packet_id, codes = packets.parse_suback(body)
        same(body, bytes([packet_id >> 8, packet_id & 255]) + codes)


def run_http(data):
    """The head of a web server's reply."""
    reply = http_reply.parse(bytes(data))
    if not 0 <= reply.first < reply.end or (reply.total and reply.end > reply.total):
        raise Mismatch
    return reply


def run_http_source(data):
    """Everything that a web server sends, to the source of objects; in pieces, then the end."""
    import fake_net

    from ota.http_source import HttpSource

    clock = fake_net.Clock()
    net = fake_net.Net(clock)
    net.script = [bytes(data[at : at + 97]) for at in range(0, len(data), 97)]
    net.then_end = True
    source = HttpSource(net, 5000)
    source.locate("http://host/r/")
    source.begin(OBJECT, 100, 400)
    piece = None
    for _ in range(len(data) + 600):
        piece = source.step(clock.now)
        if piece is not None:
            break
    if piece is not None and not 0 < len(piece) <= 400:
        raise Mismatch
    if piece is None:
        raise Mismatch  # neither bytes nor an error in five seconds
    return piece


def run_deflate(data):
    """A packed file: what comes out of it is bounded by its signed size."""
    from ota import unpack

    target = io.BytesIO()
    buffer = memoryview(bytearray(1024))
    for _ in unpack.unpack_into(io.BytesIO(data), target, UNPACKED_BYTES, buffer):
        pass
    if len(target.getvalue()) != UNPACKED_BYTES:
        raise Mismatch
    return target


# Planted mistakes: each takes one check away.


def _nothing(*_):
    return None


def _plant_json(module=json_fields):
    undo_1 = replaced(module, "check_integers", _nothing)
    undo_2 = replaced(module, "check_keys", lambda message, *_: message)

    def undo():
        undo_1()
        undo_2()

    return undo


def _low_byte(buf, at):
    return buf[at]


def _short_publish(head, body):
    end = 2 + (body[0] << 8 | body[1])
    return bytes(body[2:end]), bytes(body[end:]), 0


def _is_anything(buf, start, end):
    return True


def _unsealed(copy):
    if len(copy) < sealed.HEADER_BYTES + 4:
        raise OnebyteError(errors.SEALED_SIZE)
    return int.from_bytes(copy[8:12], "little"), bytes(copy[sealed.HEADER_BYTES : -4])


# Valid inputs.


def _want(**changes):
    want = {"seq": 7, "manifest": "0123456789abcdef" * 4, "bytes": 500, "root": 2, "url": ""}
    want.update(changes)
    return update_messages.pack_want(want)


def _report(**changes):
    report = {key: 3 for key in update_messages.REPORT_KEYS}
    report.update({"phase": "trial", "slot": "b", "done_bytes": 2})
    report.update(changes)
    return update_messages.pack_report(report)


def _manifests():
    return [
        manifest_pack.pack(sample_release.fields()),
        manifest_pack.pack(sample_release.model_fields()),
        manifest_pack.pack(
            sample_release.model_fields(
                files=[sample_release.file_entry(10, "f.bin")], golden_hash=bytes(32)
            )
        ),
    ]


def _roots():
    keys = [sample_release.key("r%d" % i) for i in range(8)]
    many = [sample_release.key("x%d" % i)[:8] for i in range(20)]
    return [
        root_pack.pack(sample_release.root_fields()),
        root_pack.pack(sample_release.root_fields(epoch=2, root_keys=keys, revoked=sorted(many))),
        root_pack.pack(sample_release.root_fields(release_keys=[], revoked=[])),
    ]


def _envelopes():
    bodies = _manifests()
    found = [sample_release.seal(signed.MANIFEST, body, "release") for body in bodies]
    # Of a next epoch that a node could take.
    fields = sample_release.root_fields(epoch=2)
    found.append(sample_release.seal(signed.ROOT, root_pack.pack(fields), "r1", "r2"))
    fields.update({"release_keys": [], "revoked": sorted(fields["revoked"] + [bytes(8)])})
    found.append(sample_release.seal(signed.ROOT, root_pack.pack(fields), "r1", "r3"))
    names = [(sample_release.key("k%d" % i), bytes(64)) for i in range(16)]
    found.append(signed_pack.pack(signed.ROOT, names, b"body"))
    return found


def _states():
    trial = sample_release.state(
        pending=slot_state.SLOT_B, tries_left=3, pending_seq=12, pending_floor=9
    )
    return [slot_state.pack(found) for found in (sample_release.state(), trial)]


def _lines():
    from formats import record

    content = bytearray(record.RECORD_BYTES)
    record.pack_into(content, 0, 7, 1, 0, 100, 12, 5)
    return [
        serial_line.pack(serial_line.STATUS, messages.WILL),
        serial_line.pack(serial_line.RECORD, content),
    ]


def _packets():
    buf = bytearray(packets.publish_bytes(b"ob/t/d/want", b"payload", 1))
    packets.publish_into(buf, b"ob/t/d/want", b"payload", 2, 7)
    found = [b"\x20\x02\x00\x00", b"\x40\x02\x00\x01", b"\x90\x04\x00\x01\x01\x80", bytes(buf)]
    found += [b"\xb0\x02\x00\x01", b"\xd0\x00", b"\x30\x06\x00\x01tabc"]
    found.append(b"\x30\x98\x01\x00\x01t" + bytes(149))  # it is cut
    return found + [found[0] + found[2] + found[3]]


def _replies():
    head = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 100-199/500\r\n"
    return [
        head + b"Content-Length: 100\r\nContent-Type: application/octet-stream",
        b"HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: 500",
    ]


def _unbounded(source, target, n_bytes, buffer, room=None):
    import deflate

    target.write(deflate.DeflateIO(source, deflate.RAW, 12).read())
    yield


def device_targets():
    """Return those that only MicroPython can run."""
    from ota import unpack

    stored = struct.pack("<BHH", 1, UNPACKED_BYTES, UNPACKED_BYTES ^ 0xFFFF) + bytes(
        UNPACKED_BYTES
    )
    return [
        Target("deflate", run_deflate, [stored, PACKED],
               lambda: replaced(unpack, "unpack_into", _unbounded)),
        Target("http_source", run_http_source,
               [head + b"\r\n\r\n" + bytes(500) for head in _replies()][1:]
               + [_replies()[0] + b"\r\n\r\n" + bytes(100)],
               lambda: replaced(http_reply, "_number", int)),
    ]  # fmt: skip


def all_targets():
    """Return every target."""
    digest = "0123456789abcdef" * 4
    topics_of = ["ob/t/~/%s/0" % digest, "ob/t/~/%s.z77/12" % digest, "ob/t/~/root3/1"]
    topics_of += ["ob/tenant/device/want", "ob/t/d/u"]
    urls = ["http://host/", "https://host.example:8443/a/b-1/", "http://10.0.0.1:80/"]
    envelopes = _envelopes()
    return [
        Target("manifest", run_manifest, _manifests(),
               lambda: replaced(manifest, "is_zero", _is_anything), mend_manifest),
        Target("signed", run_signed, envelopes,
               lambda: replaced(signed, "u16", _low_byte), mend_signed),
        Target("root", run_root, _roots(),
               lambda: replaced(root_document, "is_zero", _is_anything), mend_root),
        Target("release", run_release, envelopes[:3],
               lambda: replaced(manifest, "_check_name", _nothing), None),
        Target("rotation", run_rotation, envelopes[3:5],
               lambda: replaced(root_document, "_check_header", _nothing), None),
        Target("state", run_state, _states(),
               lambda: replaced(slot_state, "_OFFLINE", 255), mend_state),
        Target("sealed", run_sealed, [sealed.pack(1, b"{}"), sealed.pack(9, b'{"a":1}')],
               lambda: replaced(sealed, "parse", _unsealed), mend_sealed),
        Target("want", run_want, [_want(), _want(url="http://host:8080/r/")], _plant_json,
               mend_json),
        Target("ack", run_ack, [update_messages.pack_ack(7, 3)], _plant_json, mend_json),
        Target("report", run_report, [_report(), _report(refused=0, refused_seq=0)], _plant_json,
               mend_json),
        Target("command", run_command, [messages.pack_resend(7, 3)],
               lambda: _plant_json(messages), mend_json),
        Target("line", run_line, _lines(),
               lambda: replaced(serial_line, "_LOWER_HEX", b"0123456789abcdefABCDEF"), mend_line),
        Target("topic", run_topic, [text.encode() for text in topics_of],
               lambda: replaced(objects, "_is_number", lambda text: text.isdigit())),
        Target("url", run_url, [text.encode() for text in urls],
               lambda: replaced(url, "_is_of", lambda text, letters: True)),
        Target("mqtt", run_mqtt, _packets(),
               lambda: replaced(packets, "parse_publish", _short_publish), mend_packet),
        Target("http", run_http, _replies(), lambda: replaced(http_reply, "_number", int)),
    ]  # fmt: skip
