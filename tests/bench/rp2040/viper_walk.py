"""The classifier in viper, MicroPython's native code: what goes without a C compiler."""

from formats import model as model_file


class Walk:
    """A model's trees, soft votes only, and no novelty."""

    def __init__(self, data):
        parsed = model_file.parse(data, True)
        trees = parsed.trees
        assert parsed.leaf_bits == 8
        self._data = data
        self._entries = memoryview(data)[trees.words_at - 2 * parsed.n_trees : trees.words_at]
        self._words = memoryview(data)[trees.words_at :]
        self._rows = memoryview(data)[trees.rows_at :]
        self._n_trees = parsed.n_trees
        self._n_classes = parsed.n_classes
        self._novelty = parsed.novelty_ranges
        self._n_features = parsed.n_features

    def predict_into(self, features, result):
        """Fill the result as the kernels do."""
        for i in range(self._n_classes):
            result[4 + i] = 0
        add_votes(self._words, self._entries, features, (self._rows, result), self._n_trees)
        votes = result[4:]
        best = max(votes)
        result[0] = self._index(votes, best)
        result[3] = sum(votes)
        result[1] = best * 255 // result[3]

    def _index(self, votes, best):
        for i in range(self._n_classes):
            if votes[i] == best:
                return i
        return -1


@micropython.viper  # noqa: F821 - the compiler knows it
def add_votes(words, entries, features, rows_and_result, n_trees: int):
    """Add the rows of all trees' leaves to the votes behind the result's first four numbers."""
    word = ptr16(words)  # noqa: F821
    root = ptr16(entries)  # noqa: F821
    x = ptr16(features)  # noqa: F821
    rows = ptr8(rows_and_result[0])  # noqa: F821
    votes = ptr32(rows_and_result[1])  # noqa: F821
    n_classes = int(len(rows_and_result[1])) - 4  # noqa: RUF046 - viper needs it
    for tree in range(n_trees):
        at = root[tree]
        head = word[at]
        while head < 0x8000:
            value = x[head >> 8]
            threshold = word[at + 1]
            # Turning the sign bit makes the order of unsigned numbers that of signed ones.
            is_left = (value ^ 0x8000) < (threshold ^ 0x8000)
            skip = head & 0xFF
            if skip:
                at += 2 if is_left else skip
            else:
                at += 3 if is_left else word[at + 2]
            head = word[at]
        row = (head & 0x7FFF) * n_classes
        for i in range(n_classes):
            votes[4 + i] += rows[row + i]
