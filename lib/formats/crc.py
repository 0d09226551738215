"""The two checksums of the byte formats."""

from binascii import crc32 as _crc32

CRC16_INIT = 0xFFFF


def crc32(data, crc: int = 0) -> int:
    """Return the CRC-32 (IEEE 802.3) of `data`, continued from `crc`."""
    return _crc32(data, crc)


def crc16(data, start: int, end: int, crc: int = CRC16_INIT) -> int:
    """Return the CRC-16/CCITT-FALSE of data[start:end], from `crc` on; allocates nothing."""
    for i in range(start, end):
        # The polynomial x^16 + x^12 + x^5 + 1 applied to eight bits at once.
        x = (crc >> 8) ^ data[i]
        x ^= x >> 4
        crc = ((crc << 8) ^ (x << 12) ^ (x << 5) ^ x) & 0xFFFF
    return crc
