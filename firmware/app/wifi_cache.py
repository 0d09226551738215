"""What a node remembers of its Wi-Fi, so that the next connect needs neither a scan nor DHCP."""

import struct

from formats.crc import crc16

CACHE_BYTES = 26

_VERSION = 1
_FORMAT = "<BB6s4s4s4s4s"
_BODY_BYTES = 24
_NO_LEASE = b"\0\0\0\0"


class Known:
    """An access point, and the address that its network gave us.

    Args:
        bssid: 6 bytes.
        channel: of the access point.
        lease: (address, netmask, gateway, name server) as texts, None without one.
    """

    def __init__(self, bssid: bytes, channel: int, lease):
        self.bssid = bssid
        self.channel = channel
        self.lease = lease


def network_mark(ssid: str, password: str) -> int:
    """Returns 16 bits that another network or password changes."""
    text = ssid.encode() + b"\0" + password.encode()
    return crc16(text, 0, len(text))


def pack(known: Known, mark: int) -> bytes:
    """Returns what `parse` takes.

    Args:
        known: Known.
        mark: `network_mark` of the configuration.
    """
    addresses = [_number(text) for text in known.lease] if known.lease else [_NO_LEASE] * 4
    body = struct.pack(_FORMAT, _VERSION, known.channel, known.bssid, *addresses)
    # The mark only begins the checksum: nothing of the password is kept.
    return body + struct.pack("<H", crc16(body, 0, _BODY_BYTES, mark))


def parse(content, mark: int):
    """Returns Known, or None: empty, damaged, or of another network."""
    if len(content) != CACHE_BYTES or content[0] != _VERSION:
        return None
    if struct.unpack_from("<H", content, _BODY_BYTES)[0] != crc16(content, 0, _BODY_BYTES, mark):
        return None
    fields = struct.unpack_from(_FORMAT, content, 0)
    _, channel, bssid = fields[:3]
    lease = None if fields[3] == _NO_LEASE else tuple([_text(field) for field in fields[3:]])
    return Known(bytes(bssid), channel, lease)


def _number(text: str) -> bytes:
    return bytes([int(part) for part in text.split(".")])


def _text(number: bytes) -> str:
    return ".".join([str(part) for part in number])
