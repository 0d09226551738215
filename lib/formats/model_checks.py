"""The strict check of a model file, in the order docs/SPEC.md gives under "Order of checks".

The C kernels hold its twin; both name the same first reason for every input.
"""

from formats import errors, model, model_sections, trees
from formats.crc import crc32
from formats.errors import OnebyteError
from formats.fields import is_zero, u16, u32

_CRITICAL = 1
_NEEDED = (model.SAMPLES, model.FEATURES, model.CLASSIFIER, model.DECISION, model.LABELS)


def check_file(buf):
    """Raise an `OnebyteError` with the first reason that applies unless `buf` is a valid model."""
    check_header(buf)
    sections = check_section_table(buf)
    n_streams, window = model_sections.check_samples(buf, sections[model.SAMPLES])
    n_features = model_sections.check_features(buf, sections[model.FEATURES], n_streams, window)
    at, length = sections[model.CLASSIFIER]
    trees.check_header(buf, at, length, n_features)
    trees.check_tables(buf, at)
    n_classes = buf[at + 1]
    if model.NOVELTY in sections:
        model_sections.check_novelty(buf, sections[model.NOVELTY], n_features)
    model_sections.check_decision(buf, sections[model.DECISION], n_classes)
    model_sections.check_labels(buf, sections[model.LABELS], n_classes)
    if model.GOLDEN in sections:
        model_sections.check_golden(buf, sections[model.GOLDEN], n_features, n_classes)
    if model.NAME in sections:
        model_sections.check_name(buf, sections[model.NAME])
    program = sections[model.FEATURES]
    model_sections.check_custom(buf, sections.get(model.CUSTOM), program[0], n_features)


def check_header(buf):
    """Raise unless the 40 bytes of the header, the length and the CRC are right."""
    if len(buf) < model.MIN_BYTES:
        raise OnebyteError(errors.TOO_SHORT)
    if bytes(buf[:4]) != model.MAGIC:
        raise OnebyteError(errors.MAGIC)
    if buf[4] != model.VERSION:
        raise OnebyteError(errors.VERSION, "version %d" % buf[4])
    if u16(buf, 12) != model.KERNEL_VERSION:
        raise OnebyteError(errors.KERNEL_VERSION, "kernel version %d" % u16(buf, 12))
    n_sections = buf[5]
    header_bytes = u16(buf, 6)
    if n_sections < 1 or n_sections > model.MAX_SECTIONS:
        raise OnebyteError(errors.HEADER, "%d sections" % n_sections)
    if header_bytes != model.entry_at(n_sections):
        raise OnebyteError(errors.HEADER, "header_bytes")
    if not is_zero(buf, 14, 16) or not is_zero(buf, 36, 40):
        raise OnebyteError(errors.HEADER, "reserved")
    size = u32(buf, 8)
    if size != len(buf) or size & 3 or size > model.MAX_BYTES:
        raise OnebyteError(errors.SIZE, "%d bytes, the header says %d" % (len(buf), size))
    if size < header_bytes + model.CRC_BYTES:
        raise OnebyteError(errors.SIZE, "no room for the section table")
    if crc32(memoryview(buf)[: size - model.CRC_BYTES]) != u32(buf, size - model.CRC_BYTES):
        raise OnebyteError(errors.CRC)


def check_section_table(buf):
    """Raise unless the table is right; return {kind: (offset, length)} of the known sections."""
    n_sections = buf[5]
    end = len(buf) - model.CRC_BYTES
    offset = model.entry_at(n_sections)
    kind = 0
    for i in range(n_sections):
        offset = _check_entry(buf, i, kind, offset, end)
        kind = buf[model.entry_at(i)]
    if offset != end:
        raise OnebyteError(errors.SECTION_TABLE, "bytes after the last section")
    sections = {}
    for i in range(n_sections):
        at = model.entry_at(i)
        if buf[at] <= model.LAST_KIND:
            sections[buf[at]] = (u32(buf, at + 4), u32(buf, at + 8))
        elif buf[at + 1] & _CRITICAL:
            raise OnebyteError(errors.SECTION_UNKNOWN, "kind %d" % buf[at])
    for kind in _NEEDED:
        if kind not in sections:
            raise OnebyteError(errors.SECTION_MISSING, "kind %d" % kind)
    return sections


def _check_entry(buf, index, kind_before, expected_offset, end):
    """Check one entry of the section table; return where the next section must begin."""
    at = model.entry_at(index)
    kind = buf[at]
    flags = buf[at + 1]
    offset = u32(buf, at + 4)
    length = u32(buf, at + 8)
    if kind <= kind_before:
        raise OnebyteError(errors.SECTION_TABLE, "entry %d: kind" % index)
    if flags > 1 or (kind <= model.LAST_KIND and flags != (kind != model.NAME)):
        raise OnebyteError(errors.SECTION_TABLE, "entry %d: flags" % index)
    if not is_zero(buf, at + 2, at + 4):
        raise OnebyteError(errors.SECTION_TABLE, "entry %d: reserved" % index)
    if offset != expected_offset or length < 1 or length > end - offset:
        raise OnebyteError(errors.SECTION_TABLE, "entry %d: offset or length" % index)
    following = (offset + length + 3) & ~3
    if not is_zero(buf, offset + length, following):
        raise OnebyteError(errors.SECTION_TABLE, "entry %d: padding" % index)
    return following
