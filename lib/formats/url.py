"""The addresses that objects may have: http or https, a host, a folder, and nothing else."""

from formats import errors
from formats.errors import OnebyteError

MAX_BYTES = 200
MAX_HOST_LETTERS = 253

_PORTS = {"http": 80, "https": 443}
_HOST = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"
_PATH = _HOST + "/_~"


def parse(text: str) -> tuple:
    """Return (is_https, host, port, path) of the address of a folder.

    No user, no query, no escapes, no ".." and no IPv6 address: an address that a person or a
    program made for this, not one from anywhere.

    Args:
        text: "http://host[:port]/folder/", or https; it ends in "/".

    Raises:
        OnebyteError: SOURCE_URL.
    """
    scheme, separator, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    name, colon, digits = host.partition(":")
    good = (
        len(text) <= MAX_BYTES
        and scheme in _PORTS
        and separator
        and 1 <= len(name) <= MAX_HOST_LETTERS
        and _is_of(name, _HOST)
        and name[0] not in ".-"
        and slash
        and _is_of(path, _PATH)
        and (not path or path.endswith("/"))
        and ".." not in path
        and "//" not in slash + path
    )
    port = _PORTS[scheme] if good else 0
    if good and colon:
        port = int(digits) if 1 <= len(digits) <= 5 and _is_of(digits, "0123456789") else 0
        good = 1 <= port <= 65535 and digits[0] != "0"
    if not good:
        raise OnebyteError(errors.SOURCE_URL, text[:80])
    return scheme == "https", name, port, slash + path


def _is_of(text: str, letters: str) -> bool:
    for letter in text:  # noqa: SIM110 - all() would allocate a generator
        if letter not in letters:
            return False
    return True
