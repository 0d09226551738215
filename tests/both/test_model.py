"""The model file: what is packed is read again, and nothing damaged is taken."""

import struct

import sample_model
from check import Random, raises
from damaged_model import resealed
from sample_model import assert_same

from formats import errors, model, model_pack


def test_models_survive():
    for fields in (
        sample_model.fields(),
        sample_model.smallest(),
        sample_model.with_custom(),
    ):
        file = model_pack.pack(fields)
        assert model.check(file) == 0
        assert_same(model.parse(file), fields)
        assert_same(model.parse(bytearray(file)), fields)
        assert_same(model.parse(memoryview(file)), fields)
        assert_same(model.parse(file, True), fields)
        assert model_pack.pack(fields) == file


def test_random_models_survive():
    for seed in range(1, 25):
        fields = sample_model.random_fields(seed)
        assert_same(model.parse(model_pack.pack(fields)), fields)


def test_smallest_model_has_the_bytes_of_the_spec():
    file = model_pack.pack(sample_model.smallest())
    assert len(file) == 40 + 5 * 12 + 28 + 16 + 16 + 16 + 8 + 4
    assert file[:16] == b"OBM\x1a\x01\x05\x64\x00" + bytes([len(file), 0, 0, 0, 1, 0, 0, 0])
    assert file[40:52] == b"\x01\x01\0\0\x64\0\0\0\x1c\0\0\0"
    assert file[100:128] == b"\x01\0\x08\0\x01\0\0\0\x01\0\0\0x" + bytes(11) + b"\x01\0\0\0"
    assert file[128:144] == b"\0\x01\0\0\0\0\0\0\x01" + bytes(7)
    assert file[144:160] == b"\x01\x02\x01\0\x01\0\0\0\x01\0\0\0\0\0\0\x80"
    assert file[160:176] == b"\0\x01\x01\0\xff\xff" + bytes(10)
    assert file[176:184] == b"\x02\x01a\x01b\0\0\0"
    assert file == resealed(file)


def test_absent_sections_are_absent():
    parsed = model.parse(model_pack.pack(sample_model.smallest()))
    assert parsed.novelty_ranges is None and not parsed.has_novelty
    assert parsed.golden_vectors == [] and parsed.golden_windows == []
    assert parsed.name == "" and parsed.section(model.NAME) == (0, 0)


def test_any_flipped_bit_is_refused():
    file = bytearray(model_pack.pack(sample_model.smallest()))
    for bit in range(8 * len(file)):
        file[bit >> 3] ^= 1 << (bit & 7)
        assert model.check(file) != 0, bit
        file[bit >> 3] ^= 1 << (bit & 7)
    assert model.check(file) == 0


def test_every_truncation_is_refused():
    file = sample_model.pack()
    for length in range(len(file)):
        assert model.check(file[:length]) in (errors.TOO_SHORT, errors.SIZE), length
    raises(errors.SIZE, model.parse, file + bytes(4))


def add_section(file, kind, flags, content):
    """Return the file with one more section at the end."""
    count = file[5]
    head = bytearray(file[: 40 + 12 * count])
    for i in range(count):
        offset = struct.unpack_from("<I", head, 40 + 12 * i + 4)[0]
        struct.pack_into("<I", head, 40 + 12 * i + 4, offset + 12)
    body = file[40 + 12 * count : -4]
    head += struct.pack("<BBHII", kind, flags, 0, len(file) - 4 + 12, len(content))
    padded = content + bytes(-len(content) & 3)
    head[5] = count + 1
    struct.pack_into("<HI", head, 6, len(head), len(head) + len(body) + len(padded) + 4)
    return resealed(head + body + padded + bytes(4))


def test_unknown_sections_are_skipped_unless_critical():
    file = sample_model.pack()
    longer = add_section(file, 10, 0, b"whatever")
    assert_same(model.parse(longer), sample_model.fields())
    assert model.parse(longer, True).section(10) == (0, 0)
    raises(errors.SECTION_UNKNOWN, model.parse, add_section(file, 200, 1, b"x"))


def test_packer_refuses_what_does_not_fit():
    for name, value, code in (
        ("channels", [("much_too_long", 0, 1)], errors.SAMPLES),
        ("channels", [("x", 256, 1)], errors.SAMPLES),
        ("window", 65536 + 8, errors.SAMPLES),
        ("program", [(1, 0, 65536, 0, 0)], errors.FEATURES),
        ("trees", [], errors.CLASSIFIER),
        ("trees", [[]], errors.NODE),
        ("trees", [[0, 0]], errors.NODE),
        ("trees", [[(0, 0), 0]], errors.NODE),
        ("trees", [[(0, 32768), 0, 1]], errors.NODE),
        ("trees", [[(128, 0), 0, 1]], errors.NODE),
        ("trees", [[-1]], errors.LEAF),
        ("trees", [[32768]], errors.LEAF),
        ("trees", [[2]], errors.LEAF),
        ("rows", [b"\x01"], errors.LEAF),
        ("levels", bytes(6), errors.DECISION),
        ("min_confidence", 256, errors.DECISION),
        ("labels", ["x" * 25, "y"], errors.LABELS),
        ("novelty_ranges", [(0, 32768)], errors.NOVELTY),
        ("novelty_ranges", [(1, 0)], errors.NOVELTY),
        ("golden_vectors", [(0, 0, 0, (1, 2))], errors.GOLDEN),
        ("golden_windows", [(0, 0, 0, 0, 0)], errors.GOLDEN),
    ):
        fields = sample_model.smallest()
        fields[name] = value
        raises(code, model_pack.pack, fields)
    for fields in ({}, dict(sample_model.smallest(), colour=1)):
        try:
            model_pack.pack(fields)
        except ValueError:
            continue
        raise AssertionError("accepted %s" % fields)


def test_mutated_files_raise_nothing_else():
    random = Random(11)
    file = sample_model.pack()
    seen = set()
    for _ in range(3000):
        bad = bytearray(file)
        for _ in range(random.between(1, 3)):
            bad[random.between(4, len(bad) - 5)] = random.bits(8)
        bad = resealed(bad)
        code = model.check(bad)
        seen.add(code)
        if code == 0:
            parsed = model.parse(bad)
            for name in sample_model.LISTS:
                getattr(parsed, name)
            for i in range(parsed.n_trees):
                parsed.trees.nodes(i)
        else:
            assert 1 <= code < 40 and errors.name(code) != "UNKNOWN"
    assert {errors.NODE, errors.LEAF, errors.SAMPLES, errors.FEATURES, errors.STREAM} <= seen
    assert {errors.DECISION, errors.LABELS, errors.SECTION_TABLE, errors.HEADER} <= seen


def test_noise_raises_nothing_else():
    random = Random(12)
    for _ in range(300):
        noise = model.MAGIC + b"\x01\x01\x34\x00" + random.bytes(random.below(100))
        assert 1 <= model.check(noise) < 40


def test_errors_say_their_name():
    assert errors.name(255) == "UNKNOWN"
    assert str(errors.OnebyteError(errors.CRC)) == "CRC(5)"
    assert str(errors.OnebyteError(errors.CRC, "why")) == "CRC(5): why"
