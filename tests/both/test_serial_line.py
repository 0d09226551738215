"""The serial line: what is packed is parsed, everything else has its reason."""

from check import Random, raises

from formats import errors, record, serial_line


def _record():
    buf = bytearray(record.RECORD_BYTES)
    record.pack_into(buf, 0, 3, 0x25, 0, 70000, 12, 345)
    return bytes(buf)


def test_a_record_is_this_line():
    line = serial_line.pack(serial_line.RECORD, _record())
    assert line == b"ob1 r 03002500701101000c0000005901a2cb de08", line
    for end in (b"", b"\n", b"\r\n"):
        assert serial_line.parse(line + end) == ("r", _record())


def test_messages_travel_whole():
    for kind in (serial_line.META, serial_line.STATUS):
        for payload in (b"{}", b'{"a":"b c  d"}', '{"n":"für 1"}'.encode(), b"x" * 16000):
            assert serial_line.parse(serial_line.pack(kind, payload)) == (kind, payload)


def test_every_damage_is_seen():
    line = serial_line.pack(serial_line.RECORD, _record())
    for i in range(len(line)):
        for flip in (1, 4, 32):
            damaged = bytearray(line)
            damaged[i] ^= flip
            code = errors.LINE_MARK if i < 4 else errors.LINE_CRC
            raises(errors.LINE_SIZE if i == len(line) - 5 else code, serial_line.parse, damaged)


def test_refusals_have_reasons():
    good = serial_line.pack(serial_line.RECORD, _record())
    for line in (b"", b"\n", b"onebyte node: hello", b">>> ", b"ob2" + good[3:], b" " + good):
        raises(errors.LINE_MARK, serial_line.parse, line)
    short = good[:-5] + good[-4:]
    for line in (b"ob1 ", b"ob1 r 0000", good[:-1], good + b" ", good + b"\n\n", short):
        raises(errors.LINE_SIZE, serial_line.parse, line)
    raises(errors.LINE_SIZE, serial_line.parse, serial_line.pack("m", b"x" * 17000))
    raises(errors.LINE_SIZE, serial_line.parse, serial_line.pack("r", _record() + b"x"))
    raises(errors.LINE_CRC, serial_line.parse, good[:-4] + good[-4:].upper())
    raises(errors.LINE_KIND, serial_line.parse, serial_line.pack("x", b"{}"))
    raises(errors.RECORD_CRC, serial_line.parse, serial_line.pack("r", bytes(15) + b"x"))


def test_noise_never_raises_anything_else():
    random = Random(3)
    good = serial_line.pack(serial_line.RECORD, _record())
    for _ in range(2000):
        line = bytearray(good[: random.below(len(good) + 1)])
        for _ in range(random.below(4)):
            if line:
                line[random.below(len(line))] = random.below(256)
        try:
            serial_line.parse(line)
        except errors.OnebyteError:
            pass
