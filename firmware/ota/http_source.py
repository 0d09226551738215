"""Objects from a web server: ranges of a file over one connection, without waiting.

States: closed -> connecting -> asking (the request leaves) -> head (of the reply) -> body -> open,
with nothing asked. Plain HTTP is no risk to what is installed: signatures and hashes decide.
docs/SPEC.md: Objects.
"""

from formats import errors, url
from formats.errors import OnebyteError
from mqtt.link import Link
from ota import http_reply

PIECE_BYTES = 2048  # also the longest head of a reply

_CLOSED = 0
_CONNECTING = 1
_ASKING = 2
_HEAD = 3
_BODY = 4
_OPEN = 5

_ECONNRESET = 104
_ETIMEDOUT = 110
_TICKS_MASK = 0x3FFFFFFF  # millisecond ticks wrap at 2^30 on the boards


class HttpSource:
    """One object after the other, one range at a time.

    Args:
        net: the `socket` module, or something with its `getaddrinfo` and `socket`.
        deadline_ms: from `begin` to the piece, name lookup and handshake included.
        context: SSL context for https, None: there is none, and such addresses are refused.
    """

    def __init__(self, net, deadline_ms: int, context=None) -> None:
        self._link = Link(net)
        self._deadline_ms = deadline_ms
        self._context = context
        self._place: tuple = ()
        self._object_id = ""
        self._state = _CLOSED
        self._have = 0  # bytes in the buffer: of the head, then of the object
        self._at = self._end = 0  # of the object: where the buffer begins, where the reply ends
        self._began_ms = None
        self._out = self._buf = memoryview(b"")
        self.close()

    def locate(self, address: str) -> None:
        """Say where the objects are; the same address again keeps the connection.

        Raises:
            OnebyteError: SOURCE_URL.
        """
        place = url.parse(address)
        if place[0] and self._context is None:
            raise OnebyteError(errors.SOURCE_URL, "https needs update_ca_path or broker_ca_path")
        if place != self._place:
            self.close()
            self._place = place

    def begin(self, object_id: str, offset: int, n_bytes: int) -> None:
        """Ask for bytes from `offset` on, at most `n_bytes`, and at most PIECE_BYTES at once.

        Args:
            object_id: see `formats.objects`.
            offset: where to begin.
            n_bytes: no object reaches further.
        """
        has_rest = self._state == _OPEN and self._at < self._end
        # The rest of a whole file, from a server that knows no ranges.
        goes_on = has_rest and object_id == self._object_id and self._at <= offset < self._end
        if self._state != _OPEN or (has_rest and not goes_on):
            self.close()
        self._object_id = object_id
        self._offset = offset
        self._n_bytes = n_bytes
        self._piece_bytes = min(n_bytes, PIECE_BYTES)
        self._began_ms = None
        self._is_wanted = True
        if goes_on:
            self._drop()
            self._state = _BODY
        elif self._state == _OPEN:
            self._is_used_again = True
            self._ask()

    def step(self, now_ms: int):
        """Return the bytes, 1 or more, or None while they are on their way.

        Raises:
            OSError: the connection failed, the server has no such object now, or it took too long.
            OnebyteError: SOURCE_REPLY, SOURCE_SIZE, or TLS_CERTIFICATE.
        """
        try:
            return self._step(now_ms)
        except (OSError, OnebyteError):
            self.close()
            raise

    def close(self) -> None:
        """Close the connection and want nothing any more."""
        self._link.close()
        self._state = _CLOSED
        self._buf = memoryview(b"")
        self._have = 0
        self._is_wanted = self._is_used_again = self._keeps_open = False

    def _step(self, now_ms):
        if not self._is_wanted:
            return None
        if self._began_ms is None:
            self._began_ms = now_ms
        if (now_ms - self._began_ms) & _TICKS_MASK >= self._deadline_ms:
            raise OSError(_ETIMEDOUT)
        if self._state == _CLOSED:
            self._buf = memoryview(bytearray(PIECE_BYTES))
            self._link.open(self._place[1], self._place[2])
            self._state = _CONNECTING
        if self._state == _CONNECTING and self._link.is_connected():
            if self._place[0]:
                self._link.secure(self._context, self._place[1])
            self._ask()
        if self._state == _ASKING:
            self._send()
        if self._state == _HEAD:
            self._read_head()
        return self._read_body() if self._state == _BODY else None

    def _ask(self):
        is_https, host, port, path = self._place
        if port != (443 if is_https else 80):
            host = "%s:%d" % (host, port)
        text = "GET %s%s HTTP/1.1\r\nHost: %s\r\nRange: bytes=%d-%d\r\nAccept-Encoding: identity%s"
        last = self._offset + self._piece_bytes - 1
        end = http_reply.END.decode()
        text = text % (path, self._object_id, host, self._offset, last, end)
        self._out = memoryview(text.encode())
        self._state = _ASKING

    def _send(self):
        try:
            n = self._link.write(self._out)
        except OSError:
            self._retry_or_raise()
            return
        self._out = self._out[n:]
        if not len(self._out):
            self._state = _HEAD

    def _retry_or_raise(self):
        """Connect once more where the server may have closed what had served it before."""
        if not self._is_used_again or self._have:
            raise OSError(_ECONNRESET)
        self.close()
        self._is_wanted = True

    def _read_head(self):
        try:
            n = self._link.readinto(self._buf[self._have :])
        except OSError:
            n = 0
        if n is None:
            return
        if n == 0:
            self._retry_or_raise()
            return
        self._have += n
        content = bytes(self._buf[: self._have])
        at = content.find(http_reply.END)
        if at >= 0:
            self._take_head(content[:at], content[at + len(http_reply.END) :])
        elif self._have == PIECE_BYTES:
            raise OnebyteError(errors.SOURCE_REPLY, "a head of more than %d bytes" % PIECE_BYTES)

    def _take_head(self, head, body):
        reply = http_reply.parse(head)
        if reply.total > self._offset + self._n_bytes or reply.end <= self._offset:
            raise OnebyteError(errors.SOURCE_SIZE, "%d bytes" % reply.total)
        is_whole = reply.first == 0 and reply.end == reply.total
        asked_end = self._offset + self._piece_bytes
        if not is_whole and (reply.first != self._offset or reply.end > asked_end):
            raise OnebyteError(errors.SOURCE_REPLY, "another range")
        if len(body) > reply.end - reply.first:
            raise OnebyteError(errors.SOURCE_REPLY, "more than the range")
        self._keeps_open = reply.keeps_open
        self._at, self._end = reply.first, reply.end
        self._have = len(body)
        self._buf[: len(body)] = body
        self._drop()
        self._state = _BODY

    def _drop(self):
        """Forget what the buffer holds from before the offset."""
        n = min(self._have, self._offset - self._at)
        if n > 0:
            self._forget(n)

    def _forget(self, n):
        rest = bytes(self._buf[n : self._have])
        self._have = len(rest)
        self._buf[: self._have] = rest
        self._at += n

    def _read_body(self):
        end = min(self._end, self._offset + self._piece_bytes)
        while self._at + self._have < end:
            n = self._link.readinto(self._buf[self._have : self._end - self._at])
            if n is None:
                return None
            if n == 0:
                raise OSError(_ECONNRESET)
            self._have += n
            self._drop()
        piece = bytes(self._buf[: end - self._at])
        self._forget(len(piece))
        self._is_wanted = False
        self._state = _OPEN
        if self._at == self._end and not self._keeps_open:
            self.close()
        return piece
