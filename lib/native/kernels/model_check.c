#include "model_checks.h"

/* docs/SPEC.md, "Order of checks": formats.model returns the same first reason for every input. */

enum {
    N_KINDS = 10, /* kinds are 1..9 */
    FLAG_CRITICAL = 1,
    CRC_BYTES = 4,
};

static int check_header(const uint8_t *file, uint32_t len) {
    if (len < OB_MIN_FILE_BYTES) {
        return OB_TOO_SHORT;
    }
    if (file[0] != 'O' || file[1] != 'B' || file[2] != 'M' || file[3] != 0x1a) {
        return OB_MAGIC;
    }
    if (file[4] != OB_FORMAT_VERSION) {
        return OB_VERSION;
    }
    if (ob_read_u16(file + 12) != OB_KERNEL_VERSION) {
        return OB_REASON_KERNEL_VERSION;
    }
    uint32_t header_bytes = OB_HEADER_BYTES + (uint32_t)OB_SECTION_ENTRY_BYTES * file[5];
    if (file[5] < 1 || file[5] > OB_MAX_SECTIONS || ob_read_u16(file + 6) != header_bytes
        || ob_read_u16(file + 14) != 0 || ob_read_u32(file + 36) != 0) {
        return OB_HEADER;
    }
    if (ob_read_u32(file + 8) != len || len % 4 != 0 || len > OB_MAX_FILE_BYTES
        || len < header_bytes + CRC_BYTES) {
        return OB_SIZE;
    }
    if (ob_crc32(file, len - CRC_BYTES) != ob_read_u32(file + len - CRC_BYTES)) {
        return OB_CRC;
    }
    return OB_OK;
}

static int is_valid_flags(uint32_t kind, uint32_t flags) {
    if (kind >= N_KINDS) {
        return flags <= FLAG_CRITICAL;
    }
    return flags == (kind == OB_SECTION_NAME ? 0 : FLAG_CRITICAL);
}

/* Fills sections[kind] for the known kinds that are present. */
static int check_section_table(const uint8_t *file, uint32_t len, ob_section *sections) {
    uint32_t limit = len - CRC_BYTES;
    uint32_t last_kind = 0;
    uint32_t next = OB_HEADER_BYTES + (uint32_t)OB_SECTION_ENTRY_BYTES * file[5];
    int reason = OB_OK;
    for (uint32_t i = 0; i < file[5]; i++) {
        const uint8_t *entry = file + OB_HEADER_BYTES + OB_SECTION_ENTRY_BYTES * i;
        uint32_t kind = entry[0];
        uint32_t length = ob_read_u32(entry + 8);
        if (kind <= last_kind || !is_valid_flags(kind, entry[1]) || ob_read_u16(entry + 2) != 0
            || ob_read_u32(entry + 4) != next || length < 1 || length > limit - next) {
            return OB_SECTION_TABLE;
        }
        if (kind < N_KINDS) {
            sections[kind].data = file + next;
            sections[kind].length = length;
        } else if (entry[1] & FLAG_CRITICAL) {
            reason = OB_SECTION_UNKNOWN; /* unless a later entry is worse */
        }
        last_kind = kind;
        next += length;
        for (; next % 4 != 0; next++) {
            if (file[next] != 0) {
                return OB_SECTION_TABLE;
            }
        }
    }
    return next == limit ? reason : OB_SECTION_TABLE;
}

static int is_complete(const ob_section *sections) {
    return sections[OB_SECTION_SAMPLES].data && sections[OB_SECTION_FEATURES].data
        && sections[OB_SECTION_CLASSIFIER].data && sections[OB_SECTION_DECISION].data
        && sections[OB_SECTION_LABELS].data;
}

static int check_sections(const ob_section *sections, ob_model *m) {
    int reason = ob_check_samples(sections[OB_SECTION_SAMPLES], m);
    if (!reason) {
        ob_section program = sections[OB_SECTION_FEATURES];
        reason = ob_program_check(program.data, program.length, m->program.n_channels,
            m->program.window, &m->program);
    }
    if (!reason) {
        reason = ob_check_classifier(sections[OB_SECTION_CLASSIFIER], m);
    }
    if (!reason && sections[OB_SECTION_NOVELTY].data) {
        reason = ob_check_novelty(sections[OB_SECTION_NOVELTY], m);
    }
    if (!reason) {
        reason = ob_check_decision(sections[OB_SECTION_DECISION], m);
    }
    if (!reason) {
        reason = ob_check_labels(sections[OB_SECTION_LABELS], m);
    }
    if (!reason && sections[OB_SECTION_GOLDEN].data) {
        reason = ob_check_golden(sections[OB_SECTION_GOLDEN], m);
    }
    if (!reason && sections[OB_SECTION_NAME].data) {
        reason = ob_check_name(sections[OB_SECTION_NAME]);
    }
    if (!reason) {
        reason = ob_check_custom(sections[OB_SECTION_CUSTOM], m);
    }
    return reason;
}

int ob_model_check(const uint8_t *model, uint32_t len, ob_model *out) {
    ob_section sections[N_KINDS];
    if ((uintptr_t)model % 4 != 0) {
        return OB_ALIGNMENT;
    }
    for (uint32_t kind = 0; kind < N_KINDS; kind++) {
        sections[kind].data = NULL;
        sections[kind].length = 0;
    }
    int reason = check_header(model, len);
    if (!reason) {
        reason = check_section_table(model, len, sections);
    }
    if (!reason && !is_complete(sections)) {
        reason = OB_SECTION_MISSING;
    }
    if (reason) {
        return reason;
    }
    out->ranges = NULL;
    out->golden = NULL;
    reason = check_sections(sections, out);
    if (!reason) {
        out->work_bytes = ob_program_work_bytes(&out->program);
    }
    return reason;
}
