"""The JSON of our messages: one object of strings, integers, booleans and arrays of strings.

The `json` modules differ: MicroPython's accepts missing commas and trailing bytes, and both keep
the last of two equal keys. This one is the same everywhere, strict, and never nests.
"""

from formats import errors
from formats.fields import is_text

MAX_DIGITS = 16

_WHITESPACE = b" \t\n\r"
_DIGITS = b"0123456789"
_QUOTE = 0x22
_BACKSLASH = 0x5C


def pack(pairs) -> bytes:
    """Return the object of (key, value) pairs as bytes, without spaces, in the given order."""
    members = [_quote(key) + ":" + _value(value) for key, value in pairs]
    return ("{%s}" % ",".join(members)).encode()


def _value(value) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, int):
        return "%d" % value
    return "[%s]" % ",".join([_quote(item) for item in value])


def _quote(text: str) -> str:
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def parse(payload, max_bytes: int) -> dict:
    """Return the object in `payload` as a dict.

    Raises:
        OnebyteError: MESSAGE_SIZE, MESSAGE_SYNTAX, or MESSAGE_KEYS when a key is there twice.
    """
    if len(payload) > max_bytes:
        raise errors.OnebyteError(errors.MESSAGE_SIZE, "%d bytes" % len(payload))
    scanner = _Scanner(payload)
    found = {}
    scanner.expect(b"{")
    while True:
        key = scanner.string()
        if key in found:
            raise errors.OnebyteError(errors.MESSAGE_KEYS, "%s twice" % key)
        scanner.expect(b":")
        found[key] = scanner.value()
        if scanner.expect(b",}") == b"}"[0]:
            break
    scanner.end()
    return found


class _Scanner:
    """Reads one token after the other; every method raises MESSAGE_SYNTAX at the first fault."""

    def __init__(self, payload):
        self._buf = payload
        self._at = 0

    def _fail(self):
        raise errors.OnebyteError(errors.MESSAGE_SYNTAX, "at byte %d" % self._at)

    def _peek(self):
        """Return the next byte that is not white space, -1 at the end."""
        while self._at < len(self._buf):
            byte = self._buf[self._at]
            if byte not in _WHITESPACE:
                return byte
            self._at += 1
        return -1

    def end(self):
        """Accept the end of the text."""
        if self._peek() >= 0:
            self._fail()

    def expect(self, choices):
        """Accept one of the bytes and return it."""
        byte = self._peek()
        if byte < 0 or byte not in choices:
            self._fail()
        self._at += 1
        return byte

    def value(self):
        """Accept a value of any kind that a message may hold."""
        byte = self._peek()
        if byte == _QUOTE:
            return self.string()
        if byte == b"["[0]:
            return self._array()
        if byte == b"t"[0]:
            return self._word(b"true", True)
        if byte == b"f"[0]:
            return self._word(b"false", False)
        return self._integer()

    def _word(self, word, value):
        if bytes(self._buf[self._at : self._at + len(word)]) != word:
            self._fail()
        self._at += len(word)
        return value

    def _array(self):
        self._at += 1
        items = []
        if self._peek() == b"]"[0]:
            self._at += 1
            return items
        while True:
            items.append(self.string())
            if self.expect(b",]") == b"]"[0]:
                return items

    def _integer(self):
        start = self._at
        if start < len(self._buf) and self._buf[start] == b"-"[0]:
            self._at += 1
        first = self._at
        while self._at < len(self._buf) and self._buf[self._at] in _DIGITS:
            self._at += 1
        digits = self._at - first
        if digits < 1 or digits > MAX_DIGITS or (digits > 1 and self._buf[first] == _DIGITS[0]):
            self._fail()
        # A fraction or an exponent fails at the next token: nothing may follow but , or }.
        return int(bytes(self._buf[start : self._at]).decode())

    def string(self):
        """Accept a string."""
        self.expect(b'"')
        parts = []
        start = self._at
        while True:
            if self._at >= len(self._buf):
                self._fail()
            byte = self._buf[self._at]
            if byte in (_QUOTE, _BACKSLASH):
                if not is_text(self._buf, start, self._at):
                    self._fail()
                parts.append(bytes(self._buf[start : self._at]).decode())
                self._at += 1
                if byte == _QUOTE:
                    return "".join(parts)
                parts.append(self._escape())
                start = self._at
            else:
                self._at += 1

    def _escape(self):
        r"""Accept what follows a backslash: " \ / or u and four digits; no control character."""
        byte = self._buf[self._at] if self._at < len(self._buf) else 0
        self._at += 1
        if byte in b'"\\/' and byte:
            return chr(byte)
        if byte != b"u"[0]:
            self._fail()
        code = self._hex4()
        if 0xD800 <= code < 0xDC00:
            if bytes(self._buf[self._at : self._at + 2]) != b"\\u":
                self._fail()
            self._at += 2
            low = self._hex4() - 0xDC00
            if not 0 <= low < 0x400:
                self._fail()
            return chr(0x10000 + ((code - 0xD800) << 10) + low)
        if code < 0x20 or code == 0x7F or 0xDC00 <= code < 0xE000:
            self._fail()
        return chr(code)

    def _hex4(self):
        digits = bytes(self._buf[self._at : self._at + 4])
        if len(digits) != 4:
            self._fail()
        for digit in digits:
            if digit not in b"0123456789abcdefABCDEF":
                self._fail()
        self._at += 4
        return int(digits.decode(), 16)
