"""Builds a model file from plain values; the same values always give the same bytes.

Only the host needs it, so a device does not load it.
"""

import struct

from formats import errors, model, model_checks, result, trees
from formats.crc import crc32

OPTIONAL = {
    "recipe_hash": bytes(16),
    "model_version": 0,
    "streams": (),
    "fft_log2": 0,
    "fft_window": 0,
    "rows": (),
    "novelty_ranges": None,
    "golden_vectors": (),
    "golden_windows": (),
    "name": "",
    "custom": None,
}
NEEDED = (
    "channels",
    "window",
    "hop",
    "rate_mhz",
    "program",
    "trees",
    "labels",
    "k",
    "n",
    "min_confidence",
    "novelty_threshold",
    "levels",
)


def pack(fields: dict) -> bytes:
    """Return a model file that `model.check` accepts.

    Args:
        fields: A dict with all of `NEEDED` and any of `OPTIONAL`, named and shaped like the
            attributes of `model.Model`; `trees` is a list of trees, each a list of nodes in
            preorder as `Trees.nodes` returns, `rows` a list of votes: with rows a leaf names a
            row, without rows it names a class.

    Raises:
        OnebyteError: The values do not make a valid model; the code says where.
        ValueError: A key is missing or unknown.
    """
    missing = [key for key in NEEDED if key not in fields]
    unknown = [key for key in fields if key not in NEEDED and key not in OPTIONAL]
    if missing or unknown:
        raise ValueError("missing %s, unknown %s" % (missing, unknown))
    values: dict = dict(OPTIONAL)
    values.update(fields)
    n_features = len(values["program"])
    sections = [
        (model.SAMPLES, pack_samples(values)),
        (model.FEATURES, pack_features(values)),
        (model.CLASSIFIER, pack_classifier(values, n_features)),
        (model.DECISION, pack_decision(values)),
        (model.LABELS, pack_labels(values["labels"])),
    ]
    if values["novelty_ranges"] is not None:
        sections.append((model.NOVELTY, pack_novelty(values["novelty_ranges"])))
    if values["golden_vectors"] or values["golden_windows"]:
        sections.append((model.GOLDEN, pack_golden(values, n_features)))
    if values["name"]:
        sections.append((model.NAME, values["name"].encode()))
    if values["custom"] is not None:
        sections.append((model.CUSTOM, pack_custom(*values["custom"])))
    sections.sort()
    file = pack_file(sections, values["recipe_hash"], values["model_version"])
    model_checks.check_file(file)
    return file


def pack_file(sections, recipe_hash: bytes, model_version: int) -> bytes:
    """Return header, section table, sections, (kind, bytes) in order of kind, and CRC."""
    offset = model.entry_at(len(sections))
    table = _Bytes(errors.SECTION_TABLE)
    body = bytearray()
    for kind, section in sections:
        padded = (len(section) + 3) & ~3
        table.u8(kind, int(kind != model.NAME), 0, 0).u32(offset + len(body), len(section))
        body += section + bytes(padded - len(section))
    head = _Bytes(errors.HEADER)
    head.data += model.MAGIC
    head.u8(model.VERSION, len(sections)).u16(offset)
    head.u32(offset + len(body) + model.CRC_BYTES).u16(model.KERNEL_VERSION, 0)
    head.data += recipe_hash
    head.u32(model_version, 0)
    file = bytes(head.data) + bytes(table.data) + bytes(body)
    return file + struct.pack("<I", crc32(file))


def pack_samples(values: dict) -> bytes:
    """Return section 1."""
    channels = values["channels"]
    out = _Bytes(errors.SAMPLES)
    out.u8(len(channels), 0).u16(values["window"], values["hop"], 0).u32(values["rate_mhz"])
    for name, unit, lsb_nano in channels:
        encoded = name.encode()
        if len(encoded) > model.CHANNEL_NAME_BYTES:
            raise errors.OnebyteError(errors.SAMPLES, "channel name %s is too long" % name)
        out.data += encoded + bytes(model.CHANNEL_NAME_BYTES - len(encoded))
        out.u8(unit, 0).u32(lsb_nano)
    return bytes(out.data)


def pack_features(values: dict) -> bytes:
    """Return section 2 from `streams`, `program`, `fft_log2` and `fft_window`; not checked."""
    out = _Bytes(errors.FEATURES)
    out.u8(len(values["streams"]), len(values["program"]))
    out.u8(values["fft_log2"], values["fft_window"]).u32(0)
    for op, a, b, c in values["streams"]:
        out.u8(op, a, b, c).u32(0)
    for op, stream, arg0, arg1, arg2 in values["program"]:
        out.u8(op, stream).u16(arg0, arg1, arg2)
    return bytes(out.data)


def pack_classifier(values: dict, n_features: int) -> bytes:
    """Return section 3."""
    n_classes = len(values["labels"])
    rows = values["rows"]
    tables = [pack_tree(nodes) for nodes in values["trees"]]
    out = _Bytes(errors.CLASSIFIER)
    out.u8(trees.VOTING_TREES, n_classes, n_features, trees.SOFT if rows else trees.HARD)
    out.u16(len(tables), len(rows), sum([len(words) for words in tables]))
    out.u8(max([depth_of(nodes) for nodes in values["trees"]] or [0]), 0)
    root = 0
    for words in tables:
        out.u16(root)
        root += len(words)
    for words in tables:
        out.u16(*words)
    for row in rows:
        if len(row) != n_classes:
            raise errors.OnebyteError(errors.LEAF, "a row needs a vote for each class")
        out.u8(*row)
    return bytes(out.data)


def pack_tree(nodes) -> list:
    """Return the words of a tree given as a list of nodes in preorder."""
    subtrees = []  # of the nodes behind this one, nearest last
    for node in reversed(nodes):
        if isinstance(node, tuple):
            if len(subtrees) < 2:
                raise errors.OnebyteError(errors.NODE, "a split without two children")
            left = subtrees.pop()
            subtrees.append(_split_words(node, left) + left + subtrees.pop())
        elif 0 <= node < trees.LEAF_BIT:
            subtrees.append([trees.LEAF_BIT | node])
        else:
            raise errors.OnebyteError(errors.LEAF, "leaf %d" % node)
    if len(subtrees) != 1:
        raise errors.OnebyteError(errors.NODE, "%d trees in one" % len(subtrees))
    return subtrees[0]


def _split_words(node, left):
    feature, threshold = node
    if not 0 <= feature <= 127 or not -32768 <= threshold <= 32767:
        raise errors.OnebyteError(errors.NODE, "feature %d, threshold %d" % node)
    short = 2 + len(left)
    if short <= trees.SHORT_SKIP_MAX:
        return [feature << 8 | short, threshold & 0xFFFF]
    return [feature << 8, threshold & 0xFFFF, 3 + len(left)]


def depth_of(nodes) -> int:
    """Return how many splits lie above the deepest leaf of a tree in preorder."""
    open_children = [1]  # how many children each level still expects, root first
    deepest = 0
    for node in nodes:
        open_children[-1] -= 1
        if isinstance(node, tuple):
            open_children.append(2)
        else:
            deepest = max(deepest, len(open_children) - 1)
            while open_children and open_children[-1] == 0:
                open_children.pop()
            if not open_children:
                break
    return deepest


def pack_novelty(ranges) -> bytes:
    """Return section 4."""
    out = _Bytes(errors.NOVELTY)
    out.u8(1, len(ranges), 0, 0)
    for low, high in ranges:
        out.i16(low, high)
    return bytes(out.data)


def pack_decision(values: dict) -> bytes:
    """Return section 5; the encoding follows from the number of labels."""
    levels = values["levels"]
    if len(levels) != model.N_LEVELS:
        raise errors.OnebyteError(errors.DECISION, "seven levels")
    out = _Bytes(errors.DECISION)
    out.u8(result.encoding_of(len(values["labels"])), values["k"], values["n"])
    out.u8(values["min_confidence"]).u16(values["novelty_threshold"], 0).u8(*levels).u8(0)
    return bytes(out.data)


def pack_labels(labels) -> bytes:
    """Return section 6."""
    out = _Bytes(errors.LABELS)
    out.u8(len(labels))
    for label in labels:
        encoded = label.encode()
        out.u8(len(encoded))
        out.data += encoded
    return bytes(out.data)


def pack_golden(values: dict, n_features: int) -> bytes:
    """Return section 7."""
    out = _Bytes(errors.GOLDEN)
    out.u8(len(values["golden_vectors"]), len(values["golden_windows"]), 0, 0)
    for class_id, confidence, novelty, features in values["golden_vectors"]:
        if len(features) != n_features:
            raise errors.OnebyteError(errors.GOLDEN, "a vector needs every feature")
        out.u8(class_id, confidence).u16(novelty).i16(*features)
    for seed, crc, class_id, confidence, novelty in values["golden_windows"]:
        out.u32(seed, crc).u8(class_id, confidence).u16(novelty)
    return bytes(out.data)


def pack_custom(n_outputs: int, digest: bytes) -> bytes:
    """Return section 9; `digest` are the first 16 bytes of the SHA-256 of custom.py."""
    if len(digest) != model.CUSTOM_HASH_BYTES:
        raise errors.OnebyteError(errors.CUSTOM, "a hash of %d bytes" % len(digest))
    out = _Bytes(errors.CUSTOM)
    out.u8(n_outputs, 0, 0, 0)
    return bytes(out.data) + digest


class _Bytes:
    """Collects fields; a value that does not fit raises `code`.

    MicroPython's struct would cut it.
    """

    def __init__(self, code):
        self.data = bytearray()
        self._code = code

    def _put(self, format_, low, high, values):
        for value in values:
            if not low <= value <= high:
                raise errors.OnebyteError(self._code, "%d is out of range" % value)
            self.data += struct.pack(format_, value)
        return self

    def u8(self, *values):
        """Append bytes."""
        return self._put("<B", 0, 0xFF, values)

    def u16(self, *values):
        """Append unsigned 16-bit integers."""
        return self._put("<H", 0, 0xFFFF, values)

    def i16(self, *values):
        """Append signed 16-bit integers."""
        return self._put("<h", -0x8000, 0x7FFF, values)

    def u32(self, *values):
        """Append unsigned 32-bit integers."""
        return self._put("<I", 0, 0xFFFFFFFF, values)
