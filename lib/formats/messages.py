"""The JSON messages: meta and status from the device, commands to it."""

from formats import errors, flatjson, result
from formats.json_fields import (
    VERSION,
    check_integers,
    check_keys,
    is_hex,
    parse_message,
)

MAX_BYTES = 4096
MAX_META_BYTES = 16384  # 240 labels of 24 bytes, each escaped
MAX_LABEL_BYTES = 24
MAX_NAME_BYTES = 64
HASH_DIGITS = 16
U32_MAX = 0xFFFFFFFF

ENCODINGS = ("A", "B")
META_KEYS = ("encoding", "labels", "model", "name", "window_ms", "hop_ms")
STATUS_KEYS = (
    "epoch",
    "next_seq",
    "queued",
    "dropped",
    "windows",
    "faults",
    "connects",
    "uptime_s",
    "heap_free",
    "time_quality",
    "flash_errors",
)
# What not every node says: how the chip started, and integers.
RESET_CAUSES = ("power_on", "reset", "watchdog", "brownout", "deep_sleep", "unknown")
CHARGE_KEYS = ("uah_sleep", "uah_active", "uah_connect", "uah_radio", "uah_flash")
OPTIONAL_KEYS = ("reset", "wakes", "supply_mv", "flash_held") + CHARGE_KEYS
RESEND_KEYS = ("cmd", "epoch", "seq")

# Range of the integers that not every counter fits; the others are 0 to COUNTER_MAX.
_RANGES = {"epoch": (1, 65535), "seq": (0, U32_MAX), "time_quality": (0, 2)}

WILL = b'{"v":1,"online":false}'


def pack_meta(meta: dict) -> bytes:
    """Return the meta message of a dict with the keys META_KEYS.

    Raises:
        OnebyteError: `parse_meta` would refuse it.
    """
    _check_meta(check_keys(meta, META_KEYS))
    return flatjson.pack([("v", VERSION)] + [(key, meta[key]) for key in META_KEYS])


def parse_meta(payload) -> dict:
    """Return the dict with the keys META_KEYS in a meta message.

    Raises:
        OnebyteError: MESSAGE_SIZE and on: it is not one.
    """
    meta = parse_message(payload, MAX_META_BYTES)
    _check_meta(check_keys(meta, META_KEYS))
    return meta


def pack_status(status: dict) -> bytes:
    """Return the status message of a device that is online.

    Args:
        status: A dict with the keys STATUS_KEYS and any of OPTIONAL_KEYS.

    Raises:
        OnebyteError: `parse_status` would refuse it.
    """
    _check_status(status, STATUS_KEYS)
    pairs = [("v", VERSION), ("online", True)]
    keys = [key for key in STATUS_KEYS + OPTIONAL_KEYS if key in status]
    return flatjson.pack(pairs + [(key, status[key]) for key in keys])


def parse_status(payload) -> dict:
    """Return a dict with `online` and, when that is true, the keys STATUS_KEYS.

    Those of OPTIONAL_KEYS are there when the node says them.

    Raises:
        OnebyteError: It is not a status message.
    """
    status = parse_message(payload, MAX_BYTES)
    if "online" not in status:
        raise errors.OnebyteError(errors.MESSAGE_KEYS, "online")
    if not isinstance(status["online"], bool):
        raise errors.OnebyteError(errors.MESSAGE_TYPE, "online")
    if status["online"]:
        _check_status(status, ("online",) + STATUS_KEYS)
    else:
        check_keys(status, ("online",))
    return status


def pack_resend(epoch: int, seq: int) -> bytes:
    """Return the command that asks for everything from record (epoch, seq) on."""
    command = {"cmd": "resend", "epoch": epoch, "seq": seq}
    check_integers(command, ("epoch", "seq"), _RANGES)
    return flatjson.pack([("v", VERSION)] + [(key, command[key]) for key in RESEND_KEYS])


def parse_command(payload) -> dict:
    """Return a dict with `cmd` ("resend"), `epoch` and `seq`.

    Raises:
        OnebyteError: It is not a command message.
    """
    command = check_keys(parse_message(payload, MAX_BYTES), RESEND_KEYS)
    if not isinstance(command["cmd"], str):
        raise errors.OnebyteError(errors.MESSAGE_TYPE, "cmd")
    if command["cmd"] != "resend":
        raise errors.OnebyteError(errors.MESSAGE_RANGE, "cmd %s" % command["cmd"])
    check_integers(command, ("epoch", "seq"), _RANGES)
    return command


def _check_status(status: dict, keys) -> None:
    check_keys(status, keys, OPTIONAL_KEYS)
    if "flash_held" in status and "supply_mv" not in status:
        raise errors.OnebyteError(errors.MESSAGE_KEYS, "flash_held without supply_mv")
    check_integers(status, [key for key in status if key not in ("online", "reset")], _RANGES)
    if "reset" not in status:
        return
    if not isinstance(status["reset"], str):
        raise errors.OnebyteError(errors.MESSAGE_TYPE, "reset")
    if status["reset"] not in RESET_CAUSES:
        raise errors.OnebyteError(errors.MESSAGE_RANGE, "reset")


def _check_meta(meta):
    for key in ("encoding", "model", "name"):
        if not isinstance(meta[key], str):
            raise errors.OnebyteError(errors.MESSAGE_TYPE, key)
    if not isinstance(meta["labels"], list):
        raise errors.OnebyteError(errors.MESSAGE_TYPE, "labels")
    check_integers(meta, ("window_ms", "hop_ms"), _RANGES)
    labels = meta["labels"]
    for label in labels:
        if not isinstance(label, str):
            raise errors.OnebyteError(errors.MESSAGE_TYPE, "labels")
        if not 1 <= len(label.encode()) <= MAX_LABEL_BYTES:
            raise errors.OnebyteError(errors.MESSAGE_RANGE, "a label")
    count = len(labels)
    if not 2 <= count <= result.MAX_CLASSES[result.B] or len(set(labels)) != count:
        raise errors.OnebyteError(errors.MESSAGE_RANGE, "labels")
    if meta["encoding"] != ENCODINGS[result.encoding_of(count)]:
        raise errors.OnebyteError(errors.MESSAGE_RANGE, "encoding")
    if len(meta["name"].encode()) > MAX_NAME_BYTES:
        raise errors.OnebyteError(errors.MESSAGE_RANGE, "name")
    if len(meta["model"]) != HASH_DIGITS or not is_hex(meta["model"]):
        raise errors.OnebyteError(errors.MESSAGE_RANGE, "model")
