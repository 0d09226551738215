"""Section 3 of a model file: the ensemble of trees and its table of 16-bit words."""

from formats import errors
from formats.fields import is_zero, u16

HEADER_BYTES = 12
VOTING_TREES = 1  # classifier kind
HARD = 0  # leaf_bits: a leaf names a class
SOFT = 8  # a leaf names a row of votes
MAX_DEPTH = 32
MAX_TREES = 1024
MAX_ROWS = 32768
LEAF_BIT = 0x8000
SHORT_SKIP_MAX = 255


class Trees:
    """Where the parts of the section lie in the buffer; reads 12 bytes at `at`."""

    def __init__(self, buf, at: int) -> None:
        self._buf = buf
        self.kind = buf[at]
        self.n_classes = buf[at + 1]
        self.n_features = buf[at + 2]
        self.leaf_bits = buf[at + 3]
        self.n_trees = u16(buf, at + 4)
        self.n_rows = u16(buf, at + 6)
        self.n_words = u16(buf, at + 8)
        self.max_depth = buf[at + 10]
        self.roots_at = at + HEADER_BYTES
        self.words_at = self.roots_at + 2 * self.n_trees
        self.rows_at = self.words_at + 2 * self.n_words
        self.end = self.rows_at + self.n_rows * self.n_classes

    @property
    def n_leaf_values(self) -> int:
        """How many different leaves there can be: classes, or rows of votes."""
        return self.n_rows if self.leaf_bits else self.n_classes

    def root(self, index: int) -> int:
        """Return the word index where a tree begins; of tree `n_trees` the end of the table."""
        if index == self.n_trees:
            return self.n_words
        return u16(self._buf, self.roots_at + 2 * index)

    def word(self, pos: int) -> int:
        """Return a word of the node table."""
        return u16(self._buf, self.words_at + 2 * pos)

    def row(self, index: int) -> bytes:
        """Return a row of votes as bytes."""
        start = self.rows_at + index * self.n_classes
        return bytes(self._buf[start : start + self.n_classes])

    def nodes(self, index: int) -> list:
        """Return a checked tree as a list in preorder.

        Each entry is a leaf, an integer (class id or row), or a split, a (feature, threshold)
        tuple, followed by its left and then its right subtree.
        """
        nodes: list = []
        pos = self.root(index)
        end = self.root(index + 1)
        while pos < end:
            word = self.word(pos)
            if word & LEAF_BIT:
                nodes.append(word & 0x7FFF)
                pos += 1
            else:
                threshold = (self.word(pos + 1) ^ 0x8000) - 0x8000
                nodes.append((word >> 8, threshold))
                pos += 2 if word & SHORT_SKIP_MAX else 3
        return nodes


def check_header(buf, at: int, length: int, n_features: int) -> None:
    """Raise CLASSIFIER unless the section at buf[at:] has a valid header and length."""
    if length < HEADER_BYTES:
        raise errors.OnebyteError(errors.CLASSIFIER, "too short")
    trees = Trees(buf, at)
    if trees.kind != VOTING_TREES:
        raise errors.OnebyteError(errors.CLASSIFIER, "kind %d" % trees.kind)
    if trees.leaf_bits not in (HARD, SOFT):
        raise errors.OnebyteError(errors.CLASSIFIER, "leaf_bits %d" % trees.leaf_bits)
    good = (
        2 <= trees.n_classes <= 240
        and trees.n_features == n_features
        and 1 <= trees.n_trees <= MAX_TREES
        and (trees.n_rows == 0) == (trees.leaf_bits == HARD)
        and trees.n_rows <= MAX_ROWS
        and trees.n_words >= trees.n_trees
        and trees.max_depth <= MAX_DEPTH
        and buf[at + 11] == 0
    )
    if not good:
        raise errors.OnebyteError(errors.CLASSIFIER, "a size is out of range")
    if trees.end != at + length:
        raise errors.OnebyteError(errors.CLASSIFIER, "length")


def check_tables(buf, at: int) -> None:
    """Raise ROOT, NODE, LEAF or DEPTH unless every tree is well formed; the header was checked."""
    trees = Trees(buf, at)
    _check_roots(trees)
    deepest = 0
    for i in range(trees.n_trees):
        deepest = max(deepest, _check_tree(trees, trees.root(i), trees.root(i + 1)))
    if deepest != trees.max_depth:
        raise errors.OnebyteError(errors.DEPTH, "deepest leaf at %d" % deepest)
    for i in range(trees.n_rows):
        start = trees.rows_at + i * trees.n_classes
        if is_zero(buf, start, start + trees.n_classes):
            raise errors.OnebyteError(errors.LEAF, "row %d has no votes" % i)


def _check_roots(trees):
    before = -1
    for i in range(trees.n_trees):
        root = trees.root(i)
        if root <= before or (i == 0 and root != 0) or root >= trees.n_words:
            raise errors.OnebyteError(errors.ROOT, "tree %d" % i)
        before = root


def _check_tree(trees, pos, end):
    """Check the tree in words pos to end; return the depth of its deepest leaf."""
    rights = []  # where the right children begin that were not visited yet, innermost last
    depths = []  # and how deep they are
    depth = 0
    deepest = 0
    while True:
        if pos >= end:
            raise errors.OnebyteError(errors.NODE, "word %d: tree is cut off" % pos)
        word = trees.word(pos)
        if not word & LEAF_BIT:
            right = _check_split(trees, pos, end)
            if depth >= trees.max_depth:
                raise errors.OnebyteError(errors.DEPTH, "word %d" % pos)
            depth += 1
            rights.append(right)
            depths.append(depth)
            pos += 2 if word & SHORT_SKIP_MAX else 3
            continue
        if word & 0x7FFF >= trees.n_leaf_values:
            raise errors.OnebyteError(errors.LEAF, "word %d" % pos)
        deepest = max(deepest, depth)
        pos += 1
        if pos != (rights[-1] if rights else end):
            raise errors.OnebyteError(errors.NODE, "word %d: not where a subtree ends" % pos)
        if not rights:
            return deepest
        rights.pop()
        depth = depths.pop()


def _check_split(trees, pos, end):
    """Check the split at word `pos`; return where its right child begins."""
    word = trees.word(pos)
    if word >> 8 >= trees.n_features:
        raise errors.OnebyteError(errors.NODE, "word %d: feature" % pos)
    distance = word & SHORT_SKIP_MAX
    if pos + (2 if distance else 3) > end:
        raise errors.OnebyteError(errors.NODE, "word %d: split is cut off" % pos)
    least = 3
    if distance == 0:
        distance = trees.word(pos + 2)
        least = SHORT_SKIP_MAX + 1
    if distance < least or pos + distance >= end:
        raise errors.OnebyteError(errors.NODE, "word %d: skip" % pos)
    return pos + distance
