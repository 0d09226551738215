"""The lines by which a node without a network speaks: one message a line, with a checksum."""

from binascii import hexlify, unhexlify

from formats import errors, record
from formats.crc import crc16

META = "m"
STATUS = "s"
RECORD = "r"

MAX_BYTES = 16640  # the longest meta message and what is around it

_MARK = b"ob1 "
_JSON_KINDS = (META, STATUS)
_RECORD_DIGITS = 2 * record.RECORD_BYTES
_LOWER_HEX = b"0123456789abcdef"


def pack(kind: str, payload) -> bytes:
    """Return a line without its end.

    Args:
        kind: META or STATUS, a JSON message; RECORD, an outbox record.
        payload: The message's or the record's bytes.
    """
    body = hexlify(payload) if kind == RECORD else bytes(payload)
    text = _MARK + kind.encode() + b" " + body
    return text + b" " + ("%04x" % crc16(text, 0, len(text))).encode()


def parse(line) -> tuple:
    """Return (kind, payload) of a line, with or without its end.

    Args:
        line: Bytes of one line.

    Raises:
        OnebyteError: LINE_MARK, it is something else that the node or its interpreter printed;
            LINE_SIZE, LINE_CRC or LINE_KIND, it is damaged or from another version.
    """
    text = bytes(line)
    if text.endswith(b"\r\n"):
        text = text[:-2]
    elif text.endswith(b"\n"):
        text = text[:-1]
    if not text.startswith(_MARK):
        raise errors.OnebyteError(errors.LINE_MARK)
    if not len(_MARK) + 7 <= len(text) <= MAX_BYTES or text[-5:-4] != b" ":
        raise errors.OnebyteError(errors.LINE_SIZE)
    end = len(text) - 5
    if text[-4:] != ("%04x" % crc16(text, 0, end)).encode():
        raise errors.OnebyteError(errors.LINE_CRC)
    kind, space, body = text[4:5], text[5:6], text[6:end]
    if space != b" ":
        raise errors.OnebyteError(errors.LINE_KIND)
    name = chr(kind[0])
    if name in _JSON_KINDS:
        return name, body
    if name != RECORD:
        raise errors.OnebyteError(errors.LINE_KIND)
    if len(body) != _RECORD_DIGITS:
        raise errors.OnebyteError(errors.LINE_SIZE)
    for digit in body:
        if digit not in _LOWER_HEX:
            raise errors.OnebyteError(errors.LINE_KIND)
    payload = unhexlify(body)
    record.parse(payload)
    return name, payload
