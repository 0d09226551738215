"""Changes valid inputs, blindly and by knowing where lengths, counts and checksums stand.

Runs on MicroPython and on CPython; the same seed gives the same inputs on the same runtime.
"""

import random
import struct

from formats.crc import crc16, crc32

_EDGES = (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF)
_EDGES_32 = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x1000000, 0x1000001, 65536)
_EDGES_16 = (0, 1, 0x7FFF, 0x8000, 0xFFFF, 48, 49, 720, 721)
_TEXTS = (
    b'"',
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"-1",
    b"1e9",
    b"9999999999999999",
    b"99999999999999999",
    b"4294967296",
    b"00",
    b"true",
    b"null",
    b" ",
    b"../",
    b"%2e",
    b"\x00",
    b"+",
    b"#",
    b"http://",
    b"//",
    b"@",
    b"\r\n",
    b"\r\n\r\n",
    b"Content-Length: 9",
    b"Transfer-Encoding: chunked",
    b"-",
    b"/",
    b"*",
    b"404",
    b"302",
    b"\x30\xff\xff\xff\x7f",
    b"\x30\xff\xff\xff\xff\x7f",
)


def below(n):
    """Return a number from 0 to n - 1."""
    return random.getrandbits(30) % n


def mutate(data, seeds):
    """Return `data` with one to six changes that know nothing of its format."""
    data = bytearray(data)
    for _ in range(1 + (below(6) if below(3) == 0 else below(2))):
        if not data:
            return data
        data = _CHANGES[below(len(_CHANGES))](data, below(len(data)), seeds)
    return data


def _flip(data, at, _):
    data[at] ^= 1 << below(8)
    return data


def _byte(data, at, _):
    data[at] = _EDGES[below(len(_EDGES))] if below(2) else random.getrandbits(8)
    return data


def _half(data, at, _):
    value = struct.pack("<H", _EDGES_16[below(len(_EDGES_16))])
    return data[:at] + value + data[at + 2 :]


def _word(data, at, _):
    at &= ~3
    value = struct.pack("<I", _EDGES_32[below(len(_EDGES_32))])
    return data[:at] + value + data[at + 4 :]


def _truncate(data, at, _):
    return data[:at]


def _remove(data, at, _):
    return data[:at] + data[at + 1 + below(8) :]


def _repeat(data, at, _):
    part = data[at : at + 1 + below(80)]
    return data[:at] + part + data[at:]


def _insert(data, at, _):
    return data[:at] + bytes([random.getrandbits(8) for _ in range(1 + below(6))]) + data[at:]


def _splice(data, at, seeds):
    other = seeds[below(len(seeds))]
    start = below(len(other)) if other else 0
    return data[:at] + other[start:]


def _text(data, at, _):
    part = _TEXTS[below(len(_TEXTS))]
    return data[:at] + part + data[at + below(len(part) + 1) :]


def _extend(data, _, __):
    return data + bytes([random.getrandbits(8)]) * (1 + below(300))


_CHANGES = (
    _flip,
    _flip,
    _byte,
    _byte,
    _half,
    _word,
    _truncate,
    _remove,
    _repeat,
    _insert,
    _splice,
    _text,
    _extend,
)


# Repairs: what a parser asks first is made right again, so that it asks on.


def mend_manifest(data):
    """Make magic, version and lengths fit the number of files that there are."""
    if len(data) < 144:
        return data
    n_files = (len(data) - 144) // 68
    data = data[: 144 + 68 * n_files]
    data[:5] = b"OBU\x1a\x01"
    data[5] = n_files & 0xFF
    data[6:8] = struct.pack("<H", len(data) & 0xFFFF)
    if below(2):
        data[60:64] = bytes(4)
        data[128:144] = bytes(16)
        data[47] = data[47] % 100 + 1
    return data


def mend_root(data):
    """Make magic, version and length fit the counts."""
    if len(data) < 20:
        return data
    data[:5] = b"OBK\x1a\x01"
    for at, most in ((6, 8), (7, 8), (8, 64)):
        data[at] %= most + 1
    data[6] = max(1, data[6])
    data[5] = data[5] % data[6] + 1
    total = 20 + 32 * data[6] + 40 * data[7] + 8 * data[8]
    data = (data + bytes(total))[:total]
    data[10:12] = struct.pack("<H", total)
    data[9] = data[18] = data[19] = 0
    return data


def mend_signed(data):
    """Make magic, version and the number of signatures fit."""
    if len(data) < 80:
        return data
    data[:5] = b"OBG\x1a\x01"
    data[5] = 1 + below(2)
    data[6:8] = struct.pack("<H", 1 + below(min(16, (len(data) - 8) // 72)))
    return data


def mend_state(data):
    """Make magic, version, length and checksum fit."""
    data = (data + bytes(44))[:44]
    data[:5] = b"OBT\x1a\x01"
    data[40:44] = struct.pack("<I", crc32(bytes(data[:40])))
    return data


def mend_line(data):
    """Make the checksum at the end of a line fit."""
    if len(data) < 12:
        return data
    text = b"ob1 " + bytes(data[4:-5])
    return bytearray(text + b" " + ("%04x" % crc16(text, 0, len(text))).encode())


def mend_packet(data):
    """Make an MQTT packet's length fit what follows it, when that takes one byte."""
    if 2 <= len(data) <= 129:
        data[1] = len(data) - 2
    return data


def mend_sealed(data):
    """Make magic, version, length and checksum fit."""
    if len(data) < 20:
        return data
    data[:5] = b"OBC\x1a\x01"
    data[12:16] = struct.pack("<I", len(data) - 20)
    data[-4:] = struct.pack("<I", crc32(bytes(data[:-4])))
    return data


def mend_json(data):
    """Make an object of members that are whole again: in another order, with other numbers."""
    members = [bytes(part).strip() for part in bytes(data).strip(b"{} ").split(b",")]
    members = [part for part in members if part.count(b'"') in (2, 4) and b":" in part]
    for _ in range(below(3)):
        if members:
            at = below(len(members))
            members.append(members.pop(at))
            name, _, value = members[-1].partition(b":")
            if value.isdigit():
                number = _EDGES_32[below(len(_EDGES_32))] if below(2) else below(10)
                members[-1] = name + b":" + b"%d" % number
    gap = b" " * below(2)
    return bytearray(b"{" + gap + (b"," + gap).join(members) + b"}" + gap)
