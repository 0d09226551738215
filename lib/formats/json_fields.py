"""What the JSON messages have in common: a version, a fixed set of keys, integers with ranges."""

from formats import errors, flatjson

VERSION = 1
COUNTER_MAX = (1 << 53) - 1  # what every JSON reader holds exactly


def parse_message(payload, max_bytes: int) -> dict:
    """Return the message without its version, which comes first: it says what the keys are.

    Raises:
        OnebyteError: MESSAGE_SIZE, MESSAGE_SYNTAX, MESSAGE_KEYS, MESSAGE_TYPE or MESSAGE_VERSION.
    """
    message = flatjson.parse(payload, max_bytes)
    if "v" not in message:
        raise errors.OnebyteError(errors.MESSAGE_KEYS, "v")
    version = message.pop("v")
    if not _is_integer(version):
        raise errors.OnebyteError(errors.MESSAGE_TYPE, "v")
    if version != VERSION:
        raise errors.OnebyteError(errors.MESSAGE_VERSION, "version %d" % version)
    return message


def check_keys(message: dict, keys, optional=()) -> dict:
    """Return the message; MESSAGE_KEYS unless it has all of `keys` and else only `optional`."""
    for key in keys:
        if key not in message:
            raise errors.OnebyteError(errors.MESSAGE_KEYS, "no %s" % key)
    for key in message:
        if key not in keys and key not in optional:
            raise errors.OnebyteError(errors.MESSAGE_KEYS, "unknown %s" % key)
    return message


def check_integers(message: dict, keys, ranges: dict) -> None:
    """Raise MESSAGE_TYPE or MESSAGE_RANGE unless these keys hold integers in their ranges.

    Args:
        message: The message.
        keys: The keys to look at.
        ranges: (lowest, highest) by key; 0 to COUNTER_MAX for those that are not in it.
    """
    for key in keys:
        if not _is_integer(message[key]):
            raise errors.OnebyteError(errors.MESSAGE_TYPE, key)
        low, high = ranges.get(key, (0, COUNTER_MAX))
        if not low <= message[key] <= high:
            raise errors.OnebyteError(errors.MESSAGE_RANGE, key)


def check_text(message: dict, key: str) -> str:
    """Return the string under `key`; MESSAGE_TYPE when it is something else."""
    if not isinstance(message[key], str):
        raise errors.OnebyteError(errors.MESSAGE_TYPE, key)
    return message[key]


def is_hex(text: str) -> bool:
    """Return whether a text has lower-case hex digits only."""
    for character in text:  # noqa: SIM110 - all() would allocate a generator
        if character not in "0123456789abcdef":
            return False
    return True


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)
