"""Model files with something wrong, made from valid ones; the same on both runtimes."""

import struct

from formats.crc import crc32

EXTREMES = (0, 1, 2, 3, 7, 8, 9, 15, 16, 24, 32, 64, 127, 128, 240, 254, 255)
ODD_TEXT = (
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc3",
    b"\x7f",
    b"\xf0\x8f\xbf\xbf",
)
HEADER_BYTES = 40
ENTRY_BYTES = 12


def sealed(file):
    """Return the file with the CRC of its other bytes."""
    return bytes(file[:-4]) + struct.pack("<I", crc32(bytes(file[:-4])))


def _entry(file, random):
    """Return (offset of a section's table entry, section offset, section length)."""
    at = HEADER_BYTES + ENTRY_BYTES * random.below(max(1, min(file[5], 16)))
    if at + ENTRY_BYTES > len(file):
        return HEADER_BYTES, HEADER_BYTES, 1
    offset, length = struct.unpack("<II", bytes(file[at + 4 : at + 12]))
    if length == 0 or offset + length > len(file):
        return at, HEADER_BYTES, 1
    return at, offset, length


def set_byte(file, random):
    """Put an extreme byte anywhere."""
    file[random.below(len(file))] = EXTREMES[random.below(len(EXTREMES))]


def flip_bit(file, random):
    """Turn one bit."""
    file[random.below(len(file))] ^= 1 << random.below(8)


def nudge_section_byte(file, random):
    """Change a byte of a section a little, near its beginning more often."""
    _, offset, length = _entry(file, random)
    at = offset + random.below(length if random.below(2) else min(length, 16))
    file[at] = (file[at] + random.between(-3, 3)) & 0xFF


def nudge_word(file, random):
    """Change an aligned 16-bit value a little: a root, a split, a skip, a leaf."""
    _, offset, length = _entry(file, random)
    at = offset + 2 * random.below((length + 1) // 2)
    if at + 2 <= len(file):
        value = struct.unpack("<H", bytes(file[at : at + 2]))[0] + random.between(-2, 2)
        file[at : at + 2] = struct.pack("<H", value & 0xFFFF)


def swap_words(file, random):
    """Swap two 16-bit values of a section."""
    _, offset, length = _entry(file, random)
    if length >= 4:
        a = offset + 2 * random.below(length // 2)
        b = offset + 2 * random.below(length // 2)
        one, other = bytes(file[a : a + 2]), bytes(file[b : b + 2])
        file[a : a + 2], file[b : b + 2] = other, one


def nudge_table(file, random):
    """Change a byte of the section table."""
    at = _entry(file, random)[0] + random.below(ENTRY_BYTES)
    if at < len(file):
        file[at] = (file[at] + random.between(-4, 4)) & 0xFF


def resize_section(file, random):
    """Insert or remove bytes at a section's end and correct the table behind it."""
    at, offset, length = _entry(file, random)
    if (offset, length) == (HEADER_BYTES, 1):
        return
    new_length = max(0, length + random.between(-6, 6))
    content = bytes(file[offset : offset + length])
    content = content[:new_length] + random.bytes(max(0, new_length - length))
    end, new_end = (length + 3) & ~3, (new_length + 3) & ~3
    file[offset : offset + end] = content + bytes(new_end - new_length)
    file[at + 8 : at + 12] = struct.pack("<I", new_length)
    table_end = min(HEADER_BYTES + ENTRY_BYTES * file[5], len(file) - ENTRY_BYTES)
    for later in range(at + ENTRY_BYTES, table_end, ENTRY_BYTES):
        moved = struct.unpack("<I", bytes(file[later + 4 : later + 8]))[0] + new_end - end
        file[later + 4 : later + 8] = struct.pack("<I", moved & 0xFFFFFFFF)
    file[8:12] = struct.pack("<I", len(file))


def cut(file, random):
    """Remove bytes from the end."""
    del file[random.below(len(file)) :]


def extend(file, random):
    """Append bytes."""
    file.extend(random.bytes(random.between(1, 9)))


def change_text(file, random):
    """Put what is no text, or half of it, into a section."""
    _, offset, length = _entry(file, random)
    piece = ODD_TEXT[random.below(len(ODD_TEXT))][:length]
    at = offset + random.below(length - len(piece) + 1)
    file[at : at + len(piece)] = piece


MUTATIONS = (
    set_byte,
    flip_bit,
    nudge_section_byte,
    nudge_section_byte,
    nudge_word,
    nudge_word,
    swap_words,
    nudge_table,
    resize_section,
    resize_section,
    cut,
    extend,
    change_text,
)


def mutated(file, random):
    """Return a copy of a valid file with one to three mutations; in most the CRC is right."""
    changed = bytearray(file)
    for _ in range(1 + random.below(3) * random.below(2)):
        if len(changed) < 64:
            break
        MUTATIONS[random.below(len(MUTATIONS))](changed, random)
    if len(changed) >= 60 and random.below(16):
        if random.below(8):
            changed[8:12] = struct.pack("<I", len(changed))
        return sealed(changed)
    return bytes(changed)
