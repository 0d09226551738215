"""The classifier's tables in a model file: every word is checked, in the order of the spec."""

import struct

import sample_model
from check import raises
from damaged_model import with_section
from sample_model import assert_same

from formats import errors, model, model_pack


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
