"""The result byte in both encodings."""

from check import heap_lock, raises

from formats import errors, result


def test_every_value_of_encoding_a_survives():
    seen = set()
    for class_id in range(15):
        for level in range(8):
            for novel in (False, True):
                byte = result.pack_class(result.A, class_id, level, novel)
                assert result.parse(result.A, byte) == (class_id, level, novel, -1)
                seen.add(byte)
    for reason in range(8):
        byte = result.pack_fault(result.A, reason)
        assert result.parse(result.A, byte) == (-1, 0, False, reason)
        seen.add(byte)
    assert len(seen) == 248 and min(seen) == 0 and max(seen) < 256
    for byte in range(256):
        if byte not in seen:
            raises(errors.RESULT_RESERVED, result.parse, result.A, byte)


def test_every_value_of_encoding_b_survives():
    for class_id in range(240):
        byte = result.pack_class(result.B, class_id, 7, True)
        assert byte == class_id
        assert result.parse(result.B, byte) == (class_id, 0, False, -1)
    for reason in range(8):
        byte = result.pack_fault(result.B, reason)
        assert byte == 240 + reason
        assert result.parse(result.B, byte) == (-1, 0, False, reason)
    for byte in range(248, 256):
        raises(errors.RESULT_RESERVED, result.parse, result.B, byte)


def test_bits_stand_where_the_spec_says():
    assert result.pack_class(result.A, 5, 3, False) == 0x35
    assert result.pack_class(result.A, 14, 7, True) == 0xFE
    assert result.pack_fault(result.A, result.SENSOR_STUCK) == 0x2F
    assert result.pack_fault(result.B, result.INTERNAL) == 247


def test_what_an_encoding_cannot_carry_is_refused():
    for arguments in ((result.A, 15, 0), (result.A, -1, 0), (result.A, 0, 8), (result.A, 0, -1)):
        raises(errors.RESULT_VALUE, result.pack_class, *(arguments + (False,)))
    raises(errors.RESULT_VALUE, result.pack_class, result.B, 240, 0, False)
    raises(errors.RESULT_VALUE, result.pack_fault, result.A, 8)
    raises(errors.RESULT_VALUE, result.pack_fault, result.B, -1)
    raises(errors.RESULT_VALUE, result.parse, result.B, 256)
    for encoding in (-1, 2):
        raises(errors.RESULT_ENCODING, result.pack_class, encoding, 0, 0, False)
        raises(errors.RESULT_ENCODING, result.pack_fault, encoding, 0)
        raises(errors.RESULT_ENCODING, result.parse, encoding, 0)


def test_encoding_follows_from_the_number_of_classes():
    assert [result.encoding_of(n) for n in (2, 15, 16, 240)] == [0, 0, 1, 1]
    assert len(result.REASONS) == 8 and result.REASONS[result.INTERNAL] == "internal"


def test_packing_allocates_nothing():
    lock, unlock = heap_lock()
    pack_class = result.pack_class
    pack_fault = result.pack_fault
    lock()
    try:
        byte = pack_class(0, 7, 3, True)
        fault = pack_fault(1, 2)
    finally:
        unlock()
    assert byte == 0xB7 and fault == 242
