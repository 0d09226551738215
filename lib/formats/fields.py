"""Little-endian fields and text in a buffer; the caller has checked that they lie inside."""


def u16(buf, at: int) -> int:
    """Return the unsigned 16-bit integer at buf[at:]."""
    return buf[at] | buf[at + 1] << 8


def i16(buf, at: int) -> int:
    """Return the signed 16-bit integer at buf[at:]."""
    return ((buf[at] | buf[at + 1] << 8) ^ 0x8000) - 0x8000


def u32(buf, at: int) -> int:
    """Return the unsigned 32-bit integer at buf[at:]."""
    return buf[at] | buf[at + 1] << 8 | buf[at + 2] << 16 | buf[at + 3] << 24


def is_zero(buf, start: int, end: int) -> bool:
    """Return whether buf[start:end] holds only zeros."""
    for i in range(start, end):  # noqa: SIM110 - any() would allocate a generator
        if buf[i]:
            return False
    return True


def is_text(buf, start: int, end: int) -> bool:
    """Return whether buf[start:end] is UTF-8 (RFC 3629) without control characters 00-1F and 7F.

    MicroPython's own decoder accepts overlong forms and surrogates.
    """
    i = start
    while i < end:
        first = buf[i]
        if first < 0x20 or first == 0x7F:
            return False
        i += 1
        if first < 0x80:
            continue
        more = _continuation(first)
        if more == 0 or more > end - i or not _is_second(first, buf[i]):
            return False
        for k in range(i + 1, i + more):
            if buf[k] & 0xC0 != 0x80:
                return False
        i += more
    return True


def _continuation(first):
    """Number of bytes that follow a first byte from 80 up, 0 when it cannot be one."""
    if first < 0xC2 or first > 0xF4:
        return 0
    return 1 if first < 0xE0 else 2 if first < 0xF0 else 3


def _is_second(first, second):
    """Whether the pair is neither overlong, nor a surrogate, nor above U+10FFFF."""
    low = 0xA0 if first == 0xE0 else 0x90 if first == 0xF0 else 0x80
    high = 0x9F if first == 0xED else 0x8F if first == 0xF4 else 0xBF
    return low <= second <= high
