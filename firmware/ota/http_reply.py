"""The head of a web server's reply, as far as ranges of a file need it: bytes in, values out.

What is unclear is refused: a length said twice, an encoding, a redirect.
"""

from formats import errors
from formats.errors import OnebyteError

END = b"\r\n\r\n"

_ENOENT = 2
_EBUSY = 16
_MAX_DIGITS = 10
_OK = 200
_PARTIAL = 206
_MISSING = (404, 410)
_NOT_SATISFIABLE = 416
_LATER = (408, 425, 429)
_SERVER_FAILED = 500
_COUNTED = (b"content-length", b"content-range", b"transfer-encoding", b"connection")


class Reply:
    """What a reply promises.

    Attributes:
        first, end: the bytes of the object that follow: from `first` to before `end`.
        total: length of the object, 0 when the server does not know.
        keeps_open: whether another request may follow on this connection.
    """

    def __init__(self, first: int, end: int, total: int, keeps_open: bool) -> None:
        self.first = first
        self.end = end
        self.total = total
        self.keeps_open = keeps_open


def parse(head: bytes) -> Reply:
    """Return the `Reply` of a head, without the empty line that ends it.

    Raises:
        OSError: the object is not there, or the server cannot serve it now.
        OnebyteError: SOURCE_SIZE: the object ends before the range; SOURCE_REPLY: everything else
            that is no part of the object.
    """
    lines = head.split(b"\r\n")
    status, is_new = _status(lines[0])
    if status in _MISSING:
        raise OSError(_ENOENT, "HTTP %d" % status)
    if status in _LATER or status >= _SERVER_FAILED:
        raise OSError(_EBUSY, "HTTP %d" % status)
    if status == _NOT_SATISFIABLE:
        raise OnebyteError(errors.SOURCE_SIZE, "HTTP 416")
    fields = _fields(lines[1:])
    if status not in (_OK, _PARTIAL) or b"transfer-encoding" in fields:
        raise _unusable("HTTP %d" % status)
    length = -1
    if b"content-length" in fields:
        length = _number(fields[b"content-length"])
    if status == _PARTIAL:
        first, end, total = _range(fields.get(b"content-range", b""))
    else:
        first, end, total = 0, length, length
    # Sizes are known before bytes: what lasts until the server hangs up has none.
    if end <= first or length not in (end - first, -1):
        raise _unusable("%d bytes for %d to %d" % (length, first, end))
    word = fields.get(b"connection", b"").lower()
    return Reply(first, end, total, is_new and b"close" not in word)


def _unusable(text):
    return OnebyteError(errors.SOURCE_REPLY, text)


def _status(line):
    """Return (status, whether the server speaks HTTP/1.1)."""
    parts = line.split(b" ")
    if len(parts) < 2 or parts[0] not in (b"HTTP/1.1", b"HTTP/1.0") or len(parts[1]) != 3:
        raise _unusable("no HTTP")
    return _number(parts[1]), parts[0] == b"HTTP/1.1"


def _fields(lines) -> dict:
    fields: dict = {}
    for line in lines:
        at = line.find(b":")
        name = bytes(line[:at]).lower()
        if at < 1 or name.strip() != name:
            raise _unusable("a field without a name")
        if name not in _COUNTED:
            continue
        if name in fields:
            raise _unusable("a field twice")
        fields[name] = line[at + 1 :].strip()
    return fields


def _range(text) -> tuple:
    """Return (first, end, total or 0) of "bytes first-last/total"."""
    unit, _, rest = text.partition(b" ")
    span, slash, total = rest.partition(b"/")
    first, dash, last = span.partition(b"-")
    if unit != b"bytes" or not slash or not dash:
        raise _unusable("no range")
    n_total = 0 if total == b"*" else _number(total)
    end = _number(last) + 1
    if n_total and end > n_total:
        raise _unusable("a range beyond the end")
    return _number(first), end, n_total


def _number(text) -> int:
    if not 1 <= len(text) <= _MAX_DIGITS:
        raise _unusable("no number")
    for digit in text:
        if not 0x30 <= digit <= 0x39:
            raise _unusable("no number")
    return int(text.decode())
