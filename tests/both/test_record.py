"""The outbox record and the CRC it carries."""

from check import Random, heap_lock, raises

from formats import errors, record
from formats.crc import crc16, crc32

LIMITS = (
    (1, 0, 0, 0, 0, 0),
    (65535, 255, 2, 0xFFFFFFFF, 0xFFFFFFFF, 999),
    (258, 0x35, 1, 0x01020304, 1764000000, 250),
)


def packed(fields, offset=0):
    buf = bytearray(offset + record.RECORD_BYTES)
    record.pack_into(buf, offset, *fields)
    return buf


def test_crcs_have_their_published_check_values():
    assert crc16(b"123456789", 0, 9) == 0x29B1
    assert crc32(b"123456789") == 0xCBF43926
    assert crc32(b"6789", crc32(b"12345")) == 0xCBF43926
    assert crc16(b"xx123456789", 6, 11, crc16(b"xx123456789", 2, 6)) == 0x29B1


def test_records_survive():
    for fields in LIMITS:
        assert record.parse(packed(fields)) == fields
        assert record.parse(packed(fields, 7), 7) == fields
    random = Random(2)
    for _ in range(200):
        fields = (
            random.between(1, 65535),
            random.bits(8),
            random.below(3),
            random.bits(32),
            random.bits(32),
            random.below(1000),
        )
        assert record.parse(packed(fields)) == fields


def test_bytes_stand_where_the_spec_says():
    expected = b"\x02\x01\x35\x01\x04\x03\x02\x01\x00\x81\x24\x69\xfa\x00"
    buf = packed(LIMITS[2])
    assert buf[:14] == expected, bytes(buf)
    assert buf[14] | buf[15] << 8 == crc16(expected, 0, 14)


def test_any_flipped_bit_is_refused():
    good = packed(LIMITS[2])
    for bit in range(128):
        bad = bytearray(good)
        bad[bit >> 3] ^= 1 << (bit & 7)
        raises(errors.RECORD_CRC, record.parse, bad)


def test_erased_and_zeroed_flash_is_refused():
    raises(errors.RECORD_CRC, record.parse, b"\xff" * 16)
    raises(errors.RECORD_CRC, record.parse, bytes(16))


def test_short_buffers_and_bad_offsets_are_refused():
    buf = packed(LIMITS[0])
    raises(errors.RECORD_SIZE, record.parse, buf[:15])
    raises(errors.RECORD_SIZE, record.parse, buf, 1)
    raises(errors.RECORD_SIZE, record.parse, buf, -1)
    raises(errors.RECORD_SIZE, record.pack_into, *((bytearray(15), 0) + LIMITS[0]))
    raises(errors.RECORD_SIZE, record.pack_into, *((bytearray(32), -16) + LIMITS[0]))


def with_crc(body):
    crc = crc16(body, 0, 14)
    return body + bytes([crc & 255, crc >> 8])


def test_fields_out_of_range_are_refused_both_ways():
    good = bytes(packed(LIMITS[0])[:14])
    raises(errors.RECORD_EPOCH, record.parse, with_crc(bytes(2) + good[2:]))
    raises(errors.RECORD_QUALITY, record.parse, with_crc(good[:3] + b"\x03" + good[4:]))
    raises(errors.RECORD_TIME, record.parse, with_crc(good[:12] + b"\xe8\x03"))
    buf = bytearray(16)
    for epoch in (0, -1, 65536):
        raises(errors.RECORD_EPOCH, record.pack_into, buf, 0, epoch, 0, 0, 0, 0, 0)
    for quality in (-1, 3):
        raises(errors.RECORD_QUALITY, record.pack_into, buf, 0, 1, 0, quality, 0, 0, 0)
    for time_ms in (-1, 1000):
        raises(errors.RECORD_TIME, record.pack_into, buf, 0, 1, 0, 0, 0, 0, time_ms)
    for value in (-1, 1 << 32):
        raises(errors.RECORD_SEQ, record.pack_into, buf, 0, 1, 0, 0, value, 0, 0)
        raises(errors.RECORD_TIME, record.pack_into, buf, 0, 1, 0, 0, 0, value, 0)
    for result in (-1, 256):
        raises(errors.RESULT_VALUE, record.pack_into, buf, 0, 1, result, 0, 0, 0, 0)
    assert buf == bytes(16)


def test_packing_small_numbers_allocates_nothing():
    lock, unlock = heap_lock()
    buf = packed(LIMITS[2])
    lock()
    try:
        record.pack_into(buf, 0, 7, 0x35, 1, 9, 10, 11)
    finally:
        unlock()
    assert record.parse(buf) == (7, 0x35, 1, 9, 10, 11)
