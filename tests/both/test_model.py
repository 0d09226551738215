"""The model file: what is packed is read again, and what is wrong gets the right reason."""

import struct

import sample_model
from check import Random, raises

from formats import errors, model, model_pack
from formats.crc import crc32

ATTRIBUTES = (
    "recipe_hash",
    "model_version",
    "window",
    "hop",
    "rate_mhz",
    "fft_log2",
    "fft_window",
    "k",
    "n",
    "min_confidence",
    "novelty_threshold",
    "levels",
    "name",
    "custom",
)
LISTS = ("channels", "streams", "program", "labels", "golden_vectors", "golden_windows")


def assert_same(parsed, fields):
    values = dict(model_pack.OPTIONAL)
    values.update(fields)
    for name in ATTRIBUTES:
        assert getattr(parsed, name) == values[name], name
    for name in LISTS:
        assert getattr(parsed, name) == list(values[name]), name
    assert parsed.novelty_ranges == values["novelty_ranges"]
    tables = parsed.trees
    assert [tables.nodes(i) for i in range(parsed.n_trees)] == list(values["trees"])
    assert [tables.row(i) for i in range(parsed.n_rows)] == list(values["rows"])
    assert parsed.n_channels == len(values["channels"])
    assert parsed.n_streams == len(values["streams"])
    assert parsed.n_features == len(values["program"])
    assert parsed.n_classes == len(values["labels"])


def resealed(file):
    """Return the file with the CRC that fits its other bytes."""
    return bytes(file[:-4]) + struct.pack("<I", crc32(bytes(file[:-4])))


def patched(file, at, replacement):
    """Return the file with other bytes at `at` and the CRC that fits."""
    return resealed(file[:at] + replacement + file[at + len(replacement) :])


def section_at(file, kind):
    return model.parse(file).section(kind)[0]


def with_section(kind, content, fields=None):
    """Return a sealed but unchecked file in which one section was replaced (None: removed)."""
    parsed = model.parse(file := model_pack.pack(fields or sample_model.fields()))
    sections = []
    for k in range(1, model.LAST_KIND + 1):
        at, length = parsed.section(k)
        if k != kind and length:
            sections.append((k, file[at : at + length]))
        elif k == kind and content is not None:
            sections.append((k, content))
    return model_pack.pack_file(sections, bytes(16), 1)


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


def classifier(words, roots=(0,), max_depth=1, n_rows=0, rows=b""):
    """Return a smallest model whose classifier has these words, sealed but unchecked."""
    section = struct.pack(
        "<BBBBHHHBB", 1, 2, 1, 8 if n_rows else 0, len(roots), n_rows, len(words), max_depth, 0
    )
    for word in tuple(roots) + tuple(words):
        section += struct.pack("<H", word)
    return with_section(3, section + rows, sample_model.smallest())


LEAF = 0x8000


def test_tree_tables_are_checked_in_order():
    assert model.check(classifier((3, 0, LEAF, LEAF | 1))) == 0
    for code, arguments in (
        (errors.ROOT, ((LEAF, LEAF), (1,), 0)),
        (errors.ROOT, ((LEAF, LEAF), (0, 0), 0)),
        (errors.ROOT, ((LEAF, LEAF), (0, 2), 0)),
        (errors.ROOT, ((3, 0, LEAF | 9, LEAF), (0, 4), 0)),
        (errors.NODE, ((0x100 | 3, 0, LEAF, LEAF),)),
        (errors.NODE, ((3,),)),
        (errors.NODE, ((0, 0),)),
        (errors.NODE, ((1, 0, LEAF, LEAF),)),
        (errors.NODE, ((2, 0, LEAF, LEAF),)),
        (errors.NODE, ((4, 0, LEAF, LEAF),)),
        (errors.NODE, ((0, 0, 255) + (LEAF,) * 260,)),
        (errors.NODE, ((0, 0, 260) + (LEAF,) * 257,)),
        (errors.NODE, ((4, 0, LEAF, LEAF, LEAF),)),
        (errors.NODE, ((3, 0, LEAF, LEAF, LEAF),)),
        (errors.NODE, ((LEAF, LEAF), (0,), 0)),
        (errors.NODE, ((3, 0, LEAF, LEAF, LEAF), (0, 3), 1)),
        (errors.LEAF, ((3, 0, LEAF | 2, LEAF),)),
        (errors.LEAF, ((3, 0, LEAF | 2, 0x100),)),
        (errors.DEPTH, ((3, 0, LEAF, LEAF), (0,), 0)),
        (errors.DEPTH, ((3, 0, LEAF, LEAF), (0,), 2)),
        (errors.DEPTH, ((3, 0, LEAF, 3, 0, LEAF, LEAF), (0,), 1)),
        (errors.LEAF, ((LEAF | 1,), (0,), 0, 1, b"\1\0")),
        (errors.LEAF, ((LEAF,), (0,), 0, 2, b"\1\0\0\0")),
    ):
        raises(code, model.parse, classifier(*arguments))


def test_tree_cut_off_by_the_next_root_is_refused():
    # Root 1 stands inside the first tree, whose right child would begin behind it.
    raises(errors.NODE, model.parse, classifier((3, 0, LEAF, LEAF), (0, 2)))


def test_long_splits_begin_where_short_ones_end():
    def chain(n_leaves):
        return [(0, 7), 0] * (n_leaves - 1) + [1]

    def balanced(depth):
        return [(0, depth)] + 2 * balanced(depth - 1) if depth else [1]

    for n_leaves in (20, 21, 22, 23):
        left = [(0, 0)] + balanced(6) + chain(n_leaves)
        left_words = 2 + (3 * 64 - 2) + (3 * n_leaves - 2)
        words = model_pack.pack_tree([(0, 5)] + left + [0])
        if 2 + left_words <= 255:
            assert words[0] == 2 + left_words and len(words) == 3 + left_words
        else:
            assert words[0] == 0 and words[2] == 3 + left_words and len(words) == 4 + left_words
        fields = sample_model.smallest()
        fields["trees"] = [[(0, 5)] + left + [0]]
        assert_same(model.parse(model_pack.pack(fields)), fields)


def test_deepest_tree_is_accepted_and_no_deeper():
    fields = sample_model.smallest()
    for depth, code in ((32, 0), (33, errors.CLASSIFIER)):
        fields["trees"] = [[0], [(0, 1), 0] * depth + [1], [(0, 1)] * depth + [1] + [0] * depth]
        if code:
            raises(code, model_pack.pack, fields)
        else:
            assert model.parse(model_pack.pack(fields)).max_depth == depth


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
            for name in LISTS:
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
