"""The result byte: a class, how sure, and whether the input is novel; or why there is none."""

from formats import errors

A = 0
B = 1
MAX_CLASSES = (15, 240)  # of encoding A and B

UNDECIDED = 0
SENSOR_SILENT = 1
SENSOR_STUCK = 2
SENSOR_SATURATED = 3
MODEL_INVALID = 4
SENSOR_OVERRUN = 5
SENSOR_ERROR = 6
INTERNAL = 7

REASONS = (
    "undecided",
    "sensor_silent",
    "sensor_stuck",
    "sensor_saturated",
    "model_invalid",
    "sensor_overrun",
    "sensor_error",
    "internal",
)

_NO_CLASS = 15
_FIRST_REASON = 240
_NOVEL = 0x80


def encoding_of(n_classes: int) -> int:
    """Return the encoding that a model with `n_classes` uses."""
    return A if n_classes <= MAX_CLASSES[A] else B


def pack_class(encoding: int, class_id: int, level: int, novel: int) -> int:
    """Return the byte of a decided class; allocates nothing.

    Args:
        encoding: A or B.
        class_id: 0-14 in A, 0-239 in B.
        level: Confidence level 0-7; B has no room for it.
        novel: Whether the input lies outside the training data; B has no room for it.

    Raises:
        OnebyteError: The encoding cannot carry these values.
    """
    check_encoding(encoding)
    if class_id < 0 or class_id >= MAX_CLASSES[encoding] or level < 0 or level > 7:
        raise errors.OnebyteError(errors.RESULT_VALUE)
    if encoding == B:
        return class_id
    return class_id | level << 4 | (_NOVEL if novel else 0)


def pack_fault(encoding: int, reason: int) -> int:
    """Return the byte that says why there is no class; allocates nothing.

    Raises:
        OnebyteError: The reason is not 0-7, or the encoding unknown.
    """
    check_encoding(encoding)
    if reason < 0 or reason > 7:
        raise errors.OnebyteError(errors.RESULT_VALUE)
    return _FIRST_REASON + reason if encoding == B else _NO_CLASS | reason << 4


def parse(encoding: int, byte: int) -> tuple:
    """Return (class_id or -1, level, novel, reason or -1) of a result byte.

    Raises:
        OnebyteError: The encoding does not use this byte.
    """
    check_encoding(encoding)
    if byte < 0 or byte > 255:
        raise errors.OnebyteError(errors.RESULT_VALUE, "not a byte")
    if encoding == B:
        if byte < _FIRST_REASON:
            return byte, 0, False, -1
        if byte > _FIRST_REASON + 7:
            raise errors.OnebyteError(errors.RESULT_RESERVED, "reason above 7")
        return -1, 0, False, byte - _FIRST_REASON
    novel = byte >= _NOVEL
    level = byte >> 4 & 7
    if byte & 15 != _NO_CLASS:
        return byte & 15, level, novel, -1
    if novel:
        raise errors.OnebyteError(errors.RESULT_RESERVED, "novelty without a class")
    return -1, 0, False, level


def check_encoding(encoding: int) -> None:
    """Raise an `OnebyteError` unless `encoding` is A or B."""
    if encoding < A or encoding > B:
        raise errors.OnebyteError(errors.RESULT_ENCODING)
