"""Model files with one thing wrong, and the CRC that fits all the same."""

import struct

import sample_model

from formats import model, model_pack
from formats.crc import crc32


def resealed(file):
    """Return the file with the CRC that fits its other bytes."""
    return bytes(file[:-4]) + struct.pack("<I", crc32(bytes(file[:-4])))


def patched(file, at, replacement):
    """Return the file with other bytes at `at` and the CRC that fits."""
    return resealed(file[:at] + replacement + file[at + len(replacement) :])


def section_at(file, kind):
    return model.parse(file).section(kind)[0]


def with_section(kind, content, fields=None):
    """Return a sealed but unchecked file in which one section was replaced (None: removed)."""
    parsed = model.parse(file := model_pack.pack(fields or sample_model.fields()))
    sections = []
    for k in range(1, model.LAST_KIND + 1):
        at, length = parsed.section(k)
        if k != kind and length:
            sections.append((k, file[at : at + length]))
        elif k == kind and content is not None:
            sections.append((k, content))
    return model_pack.pack_file(sections, bytes(16), 1)
