"""The strict checks of a model's sections, apart from the trees in the classifier.

A section is an (offset, length) pair inside the file, length at least 1. A check reads no further
than that length.
"""

from formats import errors, features_table, model
from formats.errors import OnebyteError
from formats.fields import i16, is_text, is_zero, u16

_NAME_LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789_"
_MAX_LABEL_BYTES = 24
_MAX_NAME_BYTES = 64
_MAX_GOLDEN = 32


def check_samples(buf, section):
    """Raise SAMPLES unless the section is right; return (n_channels, window)."""
    at, length = section
    n_channels = buf[at]
    if length != 12 + model.CHANNEL_BYTES * n_channels or not 1 <= n_channels <= 16:
        raise OnebyteError(errors.SAMPLES, "n_channels or length")
    window = u16(buf, at + 2)
    hop = u16(buf, at + 4)
    if not 8 <= window <= 1024 or not 1 <= hop <= window:
        raise OnebyteError(errors.SAMPLES, "window %d, hop %d" % (window, hop))
    if is_zero(buf, at + 8, at + 12):
        raise OnebyteError(errors.SAMPLES, "rate_mhz")
    if buf[at + 1] or not is_zero(buf, at + 6, at + 8):
        raise OnebyteError(errors.SAMPLES, "reserved")
    names = set()
    for i in range(n_channels):
        name = _check_channel(buf, at + 12 + model.CHANNEL_BYTES * i)
        if name in names:
            raise OnebyteError(errors.SAMPLES, "two channels of one name")
        names.add(name)
    return n_channels, window


def _check_channel(buf, at):
    """Check one channel; return its name, zero padded."""
    name = bytes(buf[at : at + model.CHANNEL_NAME_BYTES])
    letters = name.rstrip(b"\0")
    if not letters:
        raise OnebyteError(errors.SAMPLES, "channel without a name")
    for letter in letters:
        if letter not in _NAME_LETTERS:
            raise OnebyteError(errors.SAMPLES, "name of a channel")
    if buf[at + 10] >= len(model.UNITS) or buf[at + 11] or is_zero(buf, at + 12, at + 16):
        raise OnebyteError(errors.SAMPLES, "unit or lsb_nano of a channel")
    return name


def check_features(buf, section, n_channels, window):
    """Raise FEATURES or STREAM unless the section is right.

    Returns:
        The number of features.
    """
    at, length = section
    if length < 8:
        raise OnebyteError(errors.FEATURES, "too short")
    n_derived = buf[at]
    n_features = buf[at + 1]
    fft_log2 = buf[at + 2]
    _check_features_header(buf, at, window)
    if length != 8 + 8 * (n_derived + n_features):
        raise OnebyteError(errors.FEATURES, "length")
    n_streams = n_channels + n_derived
    at += 8
    for number in range(n_channels, n_streams):
        if not is_zero(buf, at + 4, at + 8):
            raise OnebyteError(errors.STREAM, "stream %d: reserved" % number)
        features_table.check_stream((buf[at], buf[at + 1], buf[at + 2], buf[at + 3]), number)
        at += 8
    for _ in range(n_features):
        feature = buf[at], buf[at + 1], u16(buf, at + 2), u16(buf, at + 4), u16(buf, at + 6)
        features_table.check_feature(feature, n_streams, window, fft_log2)
        at += 8
    return n_features


def _check_features_header(buf, at, window):
    if buf[at] > 24 or not 1 <= buf[at + 1] <= 127 or not is_zero(buf, at + 4, at + 8):
        raise OnebyteError(errors.FEATURES, "a number is out of range")
    fft_log2 = buf[at + 2]
    if fft_log2 and (not 4 <= fft_log2 <= 10 or 1 << fft_log2 < window):
        raise OnebyteError(errors.FEATURES, "fft_log2 %d" % fft_log2)
    if buf[at + 3] > (1 if fft_log2 else 0):
        raise OnebyteError(errors.FEATURES, "fft_window")


def check_novelty(buf, section, n_features):
    """Raise NOVELTY unless the section is right."""
    at, length = section
    if length != 4 + 4 * n_features or buf[at] != 1 or buf[at + 1] != n_features:
        raise OnebyteError(errors.NOVELTY, "kind, n_features or length")
    if not is_zero(buf, at + 2, at + 4):
        raise OnebyteError(errors.NOVELTY, "reserved")
    for i in range(n_features):
        if i16(buf, at + 4 + 4 * i) > i16(buf, at + 6 + 4 * i):
            raise OnebyteError(errors.NOVELTY, "feature %d: high below low" % i)


def check_decision(buf, section, n_classes):
    """Raise DECISION unless the section is right."""
    at, length = section
    if length != 16:
        raise OnebyteError(errors.DECISION, "length")
    if buf[at] != (0 if n_classes <= 15 else 1):
        raise OnebyteError(errors.DECISION, "encoding %d" % buf[at])
    if not 1 <= buf[at + 2] <= 15 or not 1 <= buf[at + 1] <= buf[at + 2]:
        raise OnebyteError(errors.DECISION, "k or n")
    if not is_zero(buf, at + 6, at + 8) or buf[at + 15]:
        raise OnebyteError(errors.DECISION, "reserved")
    for i in range(at + 8, at + 7 + model.N_LEVELS):
        if buf[i] > buf[i + 1]:
            raise OnebyteError(errors.DECISION, "levels descend")


def check_labels(buf, section, n_classes):
    """Raise LABELS unless the section is right."""
    at, length = section
    if buf[at] != n_classes:
        raise OnebyteError(errors.LABELS, "n_classes")
    end = at + length
    at += 1
    labels = set()
    for i in range(n_classes):
        size = buf[at] if at < end else 0
        at += 1
        if not 1 <= size <= _MAX_LABEL_BYTES or size > end - at or not is_text(buf, at, at + size):
            raise OnebyteError(errors.LABELS, "label %d" % i)
        label = bytes(buf[at : at + size])
        if label in labels:
            raise OnebyteError(errors.LABELS, "label %d is there twice" % i)
        labels.add(label)
        at += size
    if at != end:
        raise OnebyteError(errors.LABELS, "bytes after the last label")


def check_golden(buf, section, n_features, n_classes):
    """Raise GOLDEN unless the section is right."""
    at, length = section
    if length < 4 or buf[at] > _MAX_GOLDEN or buf[at + 1] > _MAX_GOLDEN:
        raise OnebyteError(errors.GOLDEN, "n_vectors or n_windows")
    if not is_zero(buf, at + 2, at + 4):
        raise OnebyteError(errors.GOLDEN, "reserved")
    n_vectors = buf[at]
    n_windows = buf[at + 1]
    vector_bytes = 4 + 2 * n_features
    if length != 4 + vector_bytes * n_vectors + model.GOLDEN_WINDOW_BYTES * n_windows:
        raise OnebyteError(errors.GOLDEN, "length")
    at += 4
    for i in range(n_vectors):
        if buf[at] >= n_classes:
            raise OnebyteError(errors.GOLDEN, "vector %d: class_id" % i)
        at += vector_bytes
    for i in range(n_windows):
        if is_zero(buf, at, at + 4) or buf[at + 8] >= n_classes:
            raise OnebyteError(errors.GOLDEN, "window %d: seed or class_id" % i)
        at += model.GOLDEN_WINDOW_BYTES


def check_name(buf, section):
    """Raise NAME unless the section is right."""
    at, length = section
    if length > _MAX_NAME_BYTES or not is_text(buf, at, at + length):
        raise OnebyteError(errors.NAME)


def check_custom(buf, section, features_at, n_features):
    """Raise CUSTOM unless the section fits the program, which is checked already.

    Args:
        buf: The file.
        section: None when there is none.
        features_at: Where section 2 begins.
        n_features: Features of the program.
    """
    at = features_at + 8 + 8 * buf[features_at]
    needed = 0
    for i in range(at, at + 8 * n_features, 8):
        if buf[i] == features_table.CUSTOM:
            needed = max(needed, buf[i + 2] + 1)
    if section is None:
        if needed:
            raise OnebyteError(errors.CUSTOM, "custom features without their section")
        return
    at, length = section
    if length != model.CUSTOM_BYTES or not is_zero(buf, at + 1, at + 4):
        raise OnebyteError(errors.CUSTOM, "length or reserved")
    if not needed or not needed <= buf[at] <= features_table.MAX_OUTPUTS:
        raise OnebyteError(errors.CUSTOM, "%d outputs, the features use %d" % (buf[at], needed))
