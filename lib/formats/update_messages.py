"""The JSON messages about updates: what is wanted, what a node says, what the server acknowledges.

They are hints and reports. Nothing is installed because of them: signatures decide. docs/SPEC.md:
Update messages.
"""

from formats import errors, flatjson, json_fields, objects, signed, url
from formats.errors import OnebyteError

MAX_WANT_BYTES = 448
MAX_ACK_BYTES = 128
MAX_REPORT_BYTES = 1024
U32_MAX = 0xFFFFFFFF

# What a node says of its slots, see `ota.slots`; "off" cannot be said.
PHASES = ("idle", "fetch", "verify", "armed", "trial", "confirm", "revert", "recovery")
NO_SLOT = "-"
SLOTS = (NO_SLOT, "a", "b")

WANT_KEYS = ("seq", "manifest", "bytes", "root", "url")
ACK_KEYS = ("seq", "record")
REPORT_KEYS = (
    "phase",
    "slot",
    "seq",
    "content",
    "installed_seq",
    "pending_seq",
    "bad_seq",
    "floor",
    "root",
    "record",
    "reason",
    "refused",
    "refused_seq",
    "firmware",
    "done_bytes",
    "total_bytes",
)
_REPORT_INTEGERS = REPORT_KEYS[2:]

_U32 = (0, U32_MAX)
_FROM_1 = (1, U32_MAX)
_WANT_RANGES = {"seq": _FROM_1, "bytes": (1, signed.MAX_BYTES), "root": _FROM_1}
_ACK_RANGES = {"seq": _FROM_1, "record": _FROM_1}
_REPORT_RANGES = {key: _U32 for key in _REPORT_INTEGERS}
_REPORT_RANGES["reason"] = _REPORT_RANGES["refused"] = (0, 0xFFFF)


def pack_want(want: dict) -> bytes:
    """Return the message on /want with the keys WANT_KEYS.

    Raises:
        OnebyteError: `parse_want` would refuse it.
    """
    _check_want(want)
    return _pack(want, WANT_KEYS)


def parse_want(payload) -> dict:
    """Return a dict: `seq`, `manifest` (64 hex digits), `bytes`, `root` and `url` ("": MQTT).

    Raises:
        OnebyteError: A MESSAGE_* code, or SOURCE_URL.
    """
    want = json_fields.parse_message(payload, MAX_WANT_BYTES)
    _check_want(want)
    return want


def pack_ack(seq: int, record: int) -> bytes:
    """Return the message on /ack: the server has seen the trial of `seq` under this record.

    Args:
        seq: The manifest_seq that is on trial.
        record: What the node reported as `record`: an old acknowledgement means nothing to it.
    """
    ack = {"seq": seq, "record": record}
    json_fields.check_integers(ack, ACK_KEYS, _ACK_RANGES)
    return _pack(ack, ACK_KEYS)


def parse_ack(payload) -> tuple:
    """Return (seq, record).

    Raises:
        OnebyteError: A MESSAGE_* code.
    """
    ack = json_fields.parse_message(payload, MAX_ACK_BYTES)
    json_fields.check_keys(ack, ACK_KEYS)
    json_fields.check_integers(ack, ACK_KEYS, _ACK_RANGES)
    return ack["seq"], ack["record"]


def pack_report(report: dict) -> bytes:
    """Return the message on /u with the keys REPORT_KEYS.

    Raises:
        OnebyteError: `parse_report` would refuse it.
    """
    _check_report(report)
    return _pack(report, REPORT_KEYS)


def parse_report(payload) -> dict:
    """Return the dict with the keys REPORT_KEYS in a message on /u.

    Raises:
        OnebyteError: A MESSAGE_* code.
    """
    report = json_fields.parse_message(payload, MAX_REPORT_BYTES)
    _check_report(report)
    return report


def _pack(message: dict, keys) -> bytes:
    return flatjson.pack([("v", json_fields.VERSION)] + [(key, message[key]) for key in keys])


def _check_want(want: dict) -> None:
    json_fields.check_keys(want, WANT_KEYS)
    json_fields.check_integers(want, ("seq", "bytes", "root"), _WANT_RANGES)
    digest = json_fields.check_text(want, "manifest")
    if len(digest) != objects.HASH_DIGITS or not json_fields.is_hex(digest):
        raise OnebyteError(errors.MESSAGE_RANGE, "manifest")
    if json_fields.check_text(want, "url"):
        url.parse(want["url"])


def _check_report(report: dict) -> None:
    json_fields.check_keys(report, REPORT_KEYS)
    json_fields.check_integers(report, _REPORT_INTEGERS, _REPORT_RANGES)
    for key, choices in (("phase", PHASES), ("slot", SLOTS)):
        if json_fields.check_text(report, key) not in choices:
            raise OnebyteError(errors.MESSAGE_RANGE, key)
    is_running = report["slot"] != NO_SLOT
    if is_running != bool(report["seq"]) or (report["content"] and not is_running):
        raise OnebyteError(errors.MESSAGE_RANGE, "slot %s" % report["slot"])
    if report["done_bytes"] > report["total_bytes"]:
        raise OnebyteError(errors.MESSAGE_RANGE, "done_bytes")
    if bool(report["refused"]) != bool(report["refused_seq"]):
        raise OnebyteError(errors.MESSAGE_RANGE, "refused_seq")
