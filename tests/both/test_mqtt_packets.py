"""MQTT packets: exact bytes, every length, and a reader that survives any stream."""

from check import Random
from mqtt_noise import Stream, check_reader, make_noise

from mqtt import packets


def refused(function, *args):
    """Return whether the packet is refused as a link failure."""
    try:
        function(*args)
    except OSError:
        return True
    return False


def pack_publish(topic, payload, flags=0, packet_id=0):
    buf = bytearray(packets.publish_bytes(topic, payload, packet_id))
    assert packets.publish_into(buf, topic, payload, flags, packet_id) == len(buf)
    return bytes(buf)


def test_publish_of_every_length():
    random = Random(3)
    for size in (0, 1, 100, 122, 123, 124, 125, 126, 16378, 16379, 16380, 16381, 20000):
        payload = random.bytes(min(size, 50)) + bytes(max(0, size - 50))
        packet = pack_publish(b"t", payload, 2, 0x1234)
        reader = packets.Reader(len(packet))
        assert reader.read(Stream(packet).readinto)
        assert reader.head == 0x32
        assert packets.parse_publish(reader.head, reader.body) == (b"t", payload, 0x1234)


def test_connect_bytes():
    packet = packets.pack_connect(b"id", 300, True, (b"user", b"pw"), (b"w", b"gone", 1, True))
    assert packet == (
        b"\x10\x21\x00\x04MQTT\x04\xee\x01\x2c"
        b"\x00\x02id\x00\x01w\x00\x04gone\x00\x04user\x00\x02pw"
    ), packet
    assert packets.pack_connect(b"", 0, False, None, None) == b"\x10\x0c\0\4MQTT\4\0\0\0\0\0"
    assert packets.pack_connect(b"", 0, True, (b"u", None), None)[9] == 0x82


def test_subscribe_beyond_one_length_byte():
    packet = packets.pack_subscribe(0xABCD, (b"x" * 130,), 1)
    assert packet[:7] == b"\x82\x87\x01\xab\xcd\x00\x82" and packet[-1] == 1
    assert len(packet) == 3 + 0x87
    packet = packets.pack_unsubscribe(0xABCD, (b"x" * 130,))
    assert packet[:7] == b"\xa2\x86\x01\xab\xcd\x00\x82" and packet[-1] == ord("x")
    assert len(packet) == 3 + 0x86
    packet = packets.pack_subscribe(1, (b"a", b"bc"), 1)
    assert packet == b"\x82\x0b\x00\x01\x00\x01a\x01\x00\x02bc\x01"
    packet = packets.pack_unsubscribe(1, (b"a", b"bc"))
    assert packet == b"\xa2\x09\x00\x01\x00\x01a\x00\x02bc"


def test_replies_are_strict():
    assert packets.parse_connack(b"\x01\x00") == (True, 0)
    assert packets.parse_packet_id(b"\x12\x34") == 0x1234
    assert packets.parse_suback(b"\x12\x34\x80\x01") == (0x1234, b"\x80\x01")
    for function, body in (
        (packets.parse_connack, b"\x02\x00"),
        (packets.parse_connack, b"\x00"),
        (packets.parse_packet_id, b"\x00\x01\x00"),
        (packets.parse_suback, b"\x00\x01"),
        (packets.parse_suback, b"\x00\x01\x03"),
        (packets.parse_suback, b"\x00\x01\x01\x03"),
        (packets.parse_suback, b"\x00"),
    ):
        assert refused(function, body), (function, body)


def test_publish_is_strict():
    for head, body in (
        (0x30, b""),
        (0x30, b"\x00"),
        (0x30, b"\x00\x00x"),
        (0x30, b"\x00\x02t"),
        (0x32, b"\x00\x01t\x00"),
        (0x32, b"\x00\x01t\x00\x00x"),
        (0x34, b"\x00\x01t\x00\x01x"),
        (0x36, b"\x00\x01t\x00\x01x"),
    ):
        assert refused(packets.parse_publish, head, memoryview(body)), (head, body)


def test_fields_are_measured_in_bytes():
    assert len(packets.field("é" * 32767)) == 65534
    try:
        packets.field("é" * 32768)
    except ValueError:
        return
    raise AssertionError("field of 65536 bytes")


def test_reader_takes_packets_one_by_one_from_any_pieces():
    random = Random(11)
    sent = [
        (random.between(1, 15) << 4 | random.below(16), random.bytes(random.below(300)))
        for _ in range(300)
    ]
    data = b""
    for head, body in sent:
        length = len(body)
        low = bytes((length & 127 | (128 if length > 127 else 0),))
        data += bytes((head,)) + low + (bytes((length >> 7,)) if length > 127 else b"") + body
    reader = packets.Reader(310)
    stream = Stream(data, random)
    for head, body in sent:
        assert reader.read(stream.readinto)
        assert (reader.head, bytes(reader.body)) == (head, body)
    assert not reader.read(stream.readinto) and not reader.is_inside


def test_reader_refuses_a_length_before_it_reads_what_it_announces():
    reader = packets.Reader(100)
    assert refused(reader.read, Stream(b"\x30\xff\xff\xff\x7f").readinto)
    reader.reset()
    assert refused(reader.read, Stream(b"\x30\x63").readinto)
    reader.reset()
    assert refused(reader.read, Stream(b"\x30\x80\x80\x80\x80\x00").readinto)
    reader.reset()
    assert reader.read(Stream(b"\x30\x62" + bytes(98)).readinto)


def test_reader_cuts_a_publish_beyond_its_buffer_and_finds_the_next_packet():
    random = Random(13)
    for size in (57, 58, 59, 63, 64, 65, 96, 97, 128, 129, 200, 992):
        payload = random.bytes(size)
        sent = pack_publish(b"topic", payload, 2, 0x1234)
        for pieces in (None, random):
            reader = packets.Reader(64, 1004)
            stream = Stream(sent + b"\x40\x02\x00\x07", pieces)
            n_calls = 1
            while not reader.read(stream.readinto):
                assert reader.is_inside
                n_calls += 1
            assert n_calls > (len(sent) - 64) // 32, "each call takes a part of it"
            assert reader.is_cut == (len(sent) > 64), size
            topic, kept, packet_id = packets.parse_publish(reader.head, reader.body)
            assert (topic, packet_id) == (b"topic", 0x1234)
            assert payload.startswith(kept) and (len(kept) == size or reader.is_cut)
            assert reader.read(stream.readinto)
            assert (reader.head, bytes(reader.body)) == (0x40, b"\x00\x07")
            assert not reader.is_cut


def test_reader_cuts_nothing_but_a_publish_and_nothing_beyond_its_limit():
    for head, size, is_refused in ((0x30, 298, True), (0x30, 297, False), (0x40, 100, True)):
        reader = packets.Reader(64, 300)
        data = bytes((head, size & 127 | 128, size >> 7)) + bytes(50)
        assert refused(reader.read, Stream(data).readinto) == is_refused, (head, size)


def test_reader_survives_any_stream():
    random = Random(12)
    n_packets = n_refused = 0
    reader = packets.Reader(64, 300)
    for turn in range(4000):
        noise = make_noise(random) if turn & 1 else random.bytes(random.between(1, 120))
        found, is_refused = check_reader(reader, noise, random)
        n_packets += found
        n_refused += is_refused
    assert min(n_packets, n_refused) > 1000, (n_packets, n_refused)
