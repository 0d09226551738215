"""The MQTT topics ob/<tenant>/<device>/<kind>."""

from formats import errors

RESULT = "r"
BATCH = "b"
META = "meta"
STATUS = "s"
COMMAND = "cmd"
WANT = "want"  # these three belong to updates, see `formats.update_messages`
ACK = "ack"
REPORT = "u"
KINDS = (RESULT, BATCH, META, STATUS, COMMAND, WANT, ACK, REPORT)
MAX_NAME_LETTERS = 32

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"


def pack(tenant: str, device: str, kind: str) -> str:
    """Return the topic.

    Raises:
        OnebyteError: TOPIC: a name or the kind is not allowed.
    """
    if not is_name(tenant) or not is_name(device) or kind not in KINDS:
        raise errors.OnebyteError(errors.TOPIC, "%s %s %s" % (tenant, device, kind))
    return "ob/%s/%s/%s" % (tenant, device, kind)


def parse(topic: str) -> tuple:
    """Return (tenant, device, kind) of a topic given as str.

    Raises:
        OnebyteError: TOPIC: it is not one of ours.
    """
    parts = topic.split("/")
    if len(parts) != 4 or parts[0] != "ob" or parts[3] not in KINDS:
        raise errors.OnebyteError(errors.TOPIC)
    if not is_name(parts[1]) or not is_name(parts[2]):
        raise errors.OnebyteError(errors.TOPIC)
    return parts[1], parts[2], parts[3]


def is_name(name: str) -> bool:
    """Return whether a tenant or device may be called that: [a-z0-9_-]{1,32}."""
    if not 1 <= len(name) <= MAX_NAME_LETTERS:
        return False
    for letter in name:  # noqa: SIM110 - all() would allocate a generator
        if letter not in _LETTERS:
            return False
    return True
