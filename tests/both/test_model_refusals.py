"""A model file whose header or sections are wrong is refused with the right reason."""

import struct

import sample_model
from check import raises
from damaged_model import patched, resealed, section_at, with_section

from formats import errors, model, model_pack


def test_header_faults_have_their_reasons():
    file = sample_model.pack()
    for at, value, code in (
        (0, b"X", errors.MAGIC),
        (3, b"\n", errors.MAGIC),
        (4, b"\x02", errors.VERSION),
        (12, b"\x02", errors.KERNEL_VERSION),
        (13, b"\x01", errors.KERNEL_VERSION),
        (5, b"\x00", errors.HEADER),
        (5, b"\x11", errors.HEADER),
        (6, b"\x00", errors.HEADER),
        (14, b"\x01", errors.HEADER),
        (39, b"\x01", errors.HEADER),
        (8, b"\x00", errors.SIZE),
        (11, b"\x80", errors.SIZE),
    ):
        raises(code, model.parse, patched(file, at, value))
    raises(errors.CRC, model.parse, file[:-1] + bytes([file[-1] ^ 1]))
    raises(errors.TOO_SHORT, model.parse, b"")
    tall = bytearray(56)
    tall[:16] = b"OBM\x1a\x01\x02\x40\x00\x38\x00\x00\x00\x01\x00\x00\x00"
    raises(errors.SIZE, model.parse, resealed(tall))


def test_files_above_the_limit_are_refused():
    file = bytearray(sample_model.pack()) + bytes(262144)
    struct.pack_into("<I", file, 8, len(file))
    raises(errors.SIZE, model.parse, file)


def test_section_table_faults_have_their_reasons():
    file = sample_model.pack()
    entry = 40 + 12 * 2
    for at, value in (
        (40, b"\x00"),
        (entry, b"\x02"),
        (entry, b"\x04"),
        (entry + 1, b"\x00"),
        (entry + 1, b"\x03"),
        (entry + 2, b"\x01"),
        (entry + 4, b"\x00"),
        (entry + 8, b"\x00\x00\x00\x00"),
        (entry + 8, b"\xff\xff\xff\xff"),
        (entry + 11, b"\x01"),
        (40 + 12 * 7 + 1, b"\x01"),
        (40 + 12 * 7 + 8, b"\x01"),
    ):
        raises(errors.SECTION_TABLE, model.parse, patched(file, at, value))
    padding = with_section(model.LABELS, b"\x03\x01a\x01b\x01c\0")
    raises(errors.LABELS, model.parse, padding)
    at = section_at(file, model.LABELS) + model.parse(file).section(model.LABELS)[1]
    assert at & 3
    raises(errors.SECTION_TABLE, model.parse, patched(file, at, b"\x01"))


def test_needed_sections_are_needed():
    for kind in (1, 2, 3, 5, 6):
        raises(errors.SECTION_MISSING, model.parse, with_section(kind, None))
    for kind in (4, 7, 8):
        assert model.check(with_section(kind, None)) == 0


def test_section_faults_have_their_reasons():
    file = sample_model.pack()
    for kind, offset, value, code in (
        (1, 0, b"\x00", errors.SAMPLES),
        (1, 0, b"\x11", errors.SAMPLES),
        (1, 1, b"\x01", errors.SAMPLES),
        (1, 2, b"\x07\x00", errors.SAMPLES),
        (1, 2, b"\x01\x04", errors.SAMPLES),
        (1, 4, b"\x00\x00", errors.SAMPLES),
        (1, 4, b"\x41\x00", errors.SAMPLES),
        (1, 6, b"\x01", errors.SAMPLES),
        (1, 8, b"\x00\x00\x00\x00", errors.SAMPLES),
        (1, 12, b"\x00", errors.SAMPLES),
        (1, 12, b"A", errors.SAMPLES),
        (1, 15, b"x", errors.SAMPLES),
        (1, 13, b"y", errors.SAMPLES),
        (1, 22, b"\x09", errors.SAMPLES),
        (1, 23, b"\x01", errors.SAMPLES),
        (1, 24, b"\x00\x00\x00\x00", errors.SAMPLES),
        (2, 0, b"\x19", errors.FEATURES),
        (2, 1, b"\x00", errors.FEATURES),
        (2, 1, b"\x80", errors.FEATURES),
        (2, 2, b"\x05", errors.FEATURES),
        (2, 2, b"\x0b", errors.FEATURES),
        (2, 3, b"\x02", errors.FEATURES),
        (2, 4, b"\x01", errors.FEATURES),
        (2, 0, b"\x02", errors.FEATURES),
        (2, 8, b"\x43", errors.STREAM),
        (2, 9, b"\x04", errors.STREAM),
        (2, 12, b"\x01", errors.STREAM),
        (2, 18, b"\x01", errors.STREAM),
        (2, 25, b"\x04", errors.STREAM),
        (2, 27, b"\x01", errors.STREAM),
        (2, 32, b"\x00", errors.FEATURES),
        (2, 32, b"\x1b", errors.FEATURES),
        (2, 32, b"\x1a", errors.CUSTOM),
        (2, 32, b"\x1a\x01", errors.FEATURES),
        (2, 32, b"\x1a\0\x7f", errors.FEATURES),
        (2, 32, b"\x1a\0\0\x01", errors.FEATURES),
        (2, 32, b"\x1a\0\0\0\x01", errors.FEATURES),
        (2, 33, b"\x07", errors.FEATURES),
        (2, 34, b"\x01", errors.FEATURES),
        (3, 0, b"\x02", errors.CLASSIFIER),
        (3, 1, b"\x01", errors.CLASSIFIER),
        (3, 1, b"\x04", errors.CLASSIFIER),
        (3, 2, b"\x09", errors.CLASSIFIER),
        (3, 3, b"\x04", errors.CLASSIFIER),
        (3, 4, b"\x00", errors.CLASSIFIER),
        (3, 6, b"\x00", errors.CLASSIFIER),
        (3, 8, b"\x02\x00", errors.CLASSIFIER),
        (3, 10, b"\x21", errors.CLASSIFIER),
        (3, 11, b"\x01", errors.CLASSIFIER),
        (4, 0, b"\x02", errors.NOVELTY),
        (4, 1, b"\x09", errors.NOVELTY),
        (4, 2, b"\x01", errors.NOVELTY),
        (4, 8, b"\x01", errors.NOVELTY),
        (5, 0, b"\x01", errors.DECISION),
        (5, 1, b"\x00", errors.DECISION),
        (5, 1, b"\x04", errors.DECISION),
        (5, 2, b"\x10", errors.DECISION),
        (5, 6, b"\x01", errors.DECISION),
        (5, 9, b"\x02\x01", errors.DECISION),
        (5, 15, b"\x01", errors.DECISION),
        (6, 0, b"\x02", errors.LABELS),
        (6, 1, b"\x00", errors.LABELS),
        (6, 1, b"\x19", errors.LABELS),
        (6, 2, b"\x1f", errors.LABELS),
        (6, 2, b"\xff", errors.LABELS),
        (7, 0, b"\x21", errors.GOLDEN),
        (7, 1, b"\x01", errors.GOLDEN),
        (7, 3, b"\x01", errors.GOLDEN),
        (7, 4, b"\x03", errors.GOLDEN),
        (7, 28, b"\0\0\0\0", errors.GOLDEN),
        (7, 36, b"\x03", errors.GOLDEN),
        (8, 0, b"\x7f", errors.NAME),
        (8, 0, b"\xe0\x80", errors.NAME),
    ):
        error = raises(code, model.parse, patched(file, section_at(file, kind) + offset, value))
        assert str(error).startswith(errors.name(code))


def test_sections_of_a_wrong_length_have_their_reasons():
    codes = (0, 10, 11, 13, 18, 19, 20, 21)
    file = sample_model.pack()
    for kind in range(1, 8):
        at, length = model.parse(file).section(kind)
        for size in list(range(1, min(length, 40))) + [length - 1, length + 1, length + 40]:
            content = (file[at : at + length] + bytes(40))[:size]
            if size != length:
                raises(codes[kind], model.parse, with_section(kind, content))
    raises(errors.NAME, model.parse, with_section(8, b"x" * 65))
    assert model.check(with_section(8, b"x" * 64)) == 0


def test_channel_and_label_twice_are_refused():
    channels = [("same", 0, 1), ("same", 0, 1)]
    fields = sample_model.smallest()
    fields["channels"] = channels
    raises(errors.SAMPLES, model_pack.pack, fields)
    fields = sample_model.smallest()
    fields["labels"] = ["a", "a"]
    raises(errors.LABELS, model_pack.pack, fields)


def test_text_is_strict_utf8():
    for good in ("a", "ÿ", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff"):
        raw = good.encode()
        assert model.check(with_section(8, raw)) == 0, raw
    for bad in (
        b"\x80",
        b"\xc1\x80",
        b"\xc3",
        b"\xc3\x28",
        b"\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xef\xbf",
        b"\xef\xbf\x7f",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xff",
        b"a\x00",
        b"a\nb",
    ):
        raises(errors.NAME, model.parse, with_section(8, bad))


def test_custom_features_and_their_section_belong_together():
    fields = sample_model.with_custom()
    file = model_pack.pack(fields)
    assert model.check(file) == 0
    assert model.parse(file).custom_outputs == [(0, 0), (4, 2), (6, 2), (9, 1)]
    raises(errors.CUSTOM, model.parse, with_section(model.CUSTOM, None, fields))
    content = bytes([3, 0, 0, 0]) + bytes(16)
    raises(errors.CUSTOM, model.parse, with_section(model.CUSTOM, content))
    for good in (content, b"\x7f" + content[1:]):
        assert model.check(with_section(model.CUSTOM, good, fields)) == 0
    for bad in (
        b"\x02" + content[1:],
        b"\x00" + content[1:],
        b"\x80" + content[1:],
        b"\x03\0\0\x01" + bytes(16),
        b"\x03\x01\0\0" + bytes(16),
        b"\x03\0\x01\0" + bytes(16),
        content[:-1],
        content + b"\0",
        b"\x03",
    ):
        raises(errors.CUSTOM, model.parse, with_section(model.CUSTOM, bad, fields))
    for wrong in ((3, bytes(15)), (256, bytes(16)), (2, bytes(16))):
        raises(errors.CUSTOM, model_pack.pack, sample_model.with_custom(custom=wrong))


def test_the_section_of_custom_features_is_critical():
    # Older software, which does not know it, must refuse the file.
    file = model_pack.pack(sample_model.with_custom())
    last = 40 + 12 * (file[5] - 1)
    assert bytes(file[last : last + 2]) == b"\x09\x01"
    raises(errors.SECTION_TABLE, model.parse, patched(file, last + 1, b"\0"))
