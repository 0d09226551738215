"""Blocks of samples: their bytes, their lines, and what is refused."""

import struct

from check import Random, raises

from formats import errors, sample_block
from formats.crc import crc32

ROWS = struct.pack("<6h", 1, -2, 3, 4, 5, -32768)
BLOCK = sample_block.pack_samples(7, 1000, (12, 345678), (1, 2, 65539), (3, ROWS))


def test_a_block_is_as_the_spec_says():
    expected = (
        b"OS\x01\x02\x07\x00\x00\x00\x20\x00\x00\x00"
        b"\xe8\x03\x00\x00\x0c\x00\x00\x00\x4e\x46\x05\x00\x01\x00\x02\x00\x03\x00\x03\x02" + ROWS
    )
    assert expected + struct.pack("<I", crc32(expected)) == BLOCK
    block = sample_block.pack_end(8, 0x12345678, 40, (1, 2, 65539), sample_block.QUOTA)
    assert block[12:-4] == b"\x78\x56\x34\x12\x28\0\0\0\x01\0\x02\0\x03\0\x03\0"
    assert sample_block.pack_mark(0x12345678, "at")[12:-4] == b"\x78\x56\x34\x12at"


def test_what_is_packed_is_parsed():
    kind, counter, body, end = sample_block.parse(b"x" + BLOCK, 1)
    assert (kind, counter, end) == (sample_block.SAMPLES, 7, 1 + len(BLOCK))
    assert sample_block.parse_samples(body) == (1000, 12345678, 1, 2, 3, 3, ROWS)
    block = sample_block.pack_end(8, 5000, 40, (1, 2, 3), sample_block.QUOTA)
    kind, counter, body, _ = sample_block.parse(block)
    assert (kind, counter) == (sample_block.END, 8)
    assert sample_block.parse_end(body) == (5000, 40, 1, 2, 3, sample_block.QUOTA)
    kind, counter, body, _ = sample_block.parse(sample_block.pack_mark(99, "at-rest"))
    assert (kind, counter) == (sample_block.MARK, 0)
    assert sample_block.parse_mark(body) == (99, "at-rest")


def test_a_line_fills_packets_and_survives_a_console():
    line = sample_block.pack_line(BLOCK)
    assert len(line) % 64 == 0 and line.endswith(b"\n") and b"\n" not in line[:-1]
    for end in (b"\n", b"\r\n", b"", b"\r"):
        assert sample_block.parse_line(line[:-1] + end) == BLOCK
    assert len(sample_block.pack_line(BLOCK + b"12")) % 64 == 0


def test_the_largest_block_fits_its_line():
    block = sample_block.pack(sample_block.INFO, 0, bytes(sample_block.MAX_BODY_BYTES))
    line = sample_block.pack_line(block)
    assert len(line) == sample_block.MAX_LINE_BYTES
    assert sample_block.parse_line(line) == block
    raises(errors.LINE_SIZE, sample_block.parse_line, b"obs1 " + b"A" * 1404)


def test_rows_of_a_block():
    assert [sample_block.rows_per_block(n) for n in (1, 3, 6, 16)] == [255, 85, 42, 16]


def _sealed(content):
    return content + struct.pack("<I", crc32(content))


def test_a_block_is_refused_for_what_is_wrong():
    start = BLOCK[:-4]
    parse = sample_block.parse
    for length in range(len(BLOCK)):
        raises(errors.BLOCK_SIZE, parse, BLOCK[:length])
    raises(errors.BLOCK_MAGIC, parse, b"P" + BLOCK[1:])
    raises(errors.BLOCK_VERSION, parse, _sealed(start[:2] + b"\x02" + start[3:]))
    for kind in (0, 5):
        raises(errors.BLOCK_RANGE, parse, _sealed(start[:3] + bytes([kind]) + start[4:]))
    raises(errors.BLOCK_RANGE, parse, _sealed(start[:10] + b"\x01" + start[11:]))
    raises(errors.BLOCK_RANGE, parse, start[:8] + b"\x01\x04" + start[10:] + bytes(2000))
    for at in range(12, len(BLOCK)):
        damaged = bytearray(BLOCK)
        damaged[at] ^= 4
        raises(errors.BLOCK_CRC, parse, damaged)


def test_a_body_is_refused_for_what_is_wrong():
    body = sample_block.parse(BLOCK)[2]
    for wrong in (body[:19], body[:-1], body + b"12", body[:19] + b"\x03" + body[20:]):
        raises(errors.BLOCK_SIZE, sample_block.parse_samples, wrong)
    second = sample_block.pack_samples(0, 0, (0, 1000000), (0, 0, 0), (3, ROWS))
    raises(errors.BLOCK_RANGE, sample_block.parse_samples, second[12:-4])
    for at, value in ((18, 0), (18, 17), (19, 0), (10, 0xFF)):
        wrong = bytearray(body)
        wrong[at] = value
        raises(errors.BLOCK_RANGE, sample_block.parse_samples, bytes(wrong))
    end = sample_block.parse(sample_block.pack_end(8, 5, 0, (0, 0, 0), 0))[2]
    raises(errors.BLOCK_SIZE, sample_block.parse_end, end + b"1")
    raises(errors.BLOCK_RANGE, sample_block.parse_end, end[:14] + b"\x05\x00")
    raises(errors.BLOCK_RANGE, sample_block.parse_end, end[:14] + b"\x00\x01")
    raises(errors.BLOCK_SIZE, sample_block.parse_mark, b"123")
    raises(errors.BLOCK_SIZE, sample_block.parse_mark, bytes(29))
    raises(errors.BLOCK_RANGE, sample_block.parse_mark, b"1234\xff\xfe")


def test_a_line_is_refused_for_what_is_wrong():
    line = sample_block.pack_line(BLOCK).rstrip()
    raises(errors.LINE_MARK, sample_block.parse_line, b"ob1 r 00")
    raises(errors.LINE_KIND, sample_block.parse_line, line[:-1])
    raises(errors.LINE_KIND, sample_block.parse_line, line[:9] + b"*" + line[10:])
    raises(errors.LINE_KIND, sample_block.parse_line, b"obs1 A===")


def test_noise_is_never_a_block():
    random = Random(5)
    for _ in range(300):
        noise = bytearray(BLOCK)
        for _ in range(1 + random.below(4)):
            noise[random.below(len(noise))] = random.bits(8)
        if noise == BLOCK:
            continue
        try:
            sample_block.parse(noise)
        except errors.OnebyteError as error:
            assert 220 <= error.code <= 224
        else:
            raise AssertionError("damage was not seen")
