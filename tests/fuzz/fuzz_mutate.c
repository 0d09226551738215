#include "fuzz_mutate.h"

#include <string.h>

#include "model_checks.h"

/* Where one section lies, as far as the file still has sections. */
typedef struct {
    uint8_t *entry;
    uint32_t kind;
    uint32_t offset;
    uint32_t length;
} span;

uint32_t next_bits(fuzz_random *random) {
    random->state ^= random->state << 13;
    random->state ^= random->state >> 7;
    random->state ^= random->state << 17;
    return (uint32_t)(random->state * 0x2545f4914f6cdd1du >> 32);
}

uint32_t below(fuzz_random *random, uint32_t end) {
    return end ? (uint32_t)((uint64_t)next_bits(random) * end >> 32) : 0;
}

static void put_u32(uint8_t *p, uint32_t value) {
    memcpy(p, &value, 4);
}

static void put_u16(uint8_t *p, uint32_t value) {
    uint16_t low = (uint16_t)value;
    memcpy(p, &low, 2);
}

/* A section of this kind, any one for kind 0; length 0 when there is none. */
static span find_section(file_buffer *file, uint32_t kind, fuzz_random *random) {
    span found = {file->bytes, 0, 0, 0};
    uint32_t n = file->bytes[5] <= OB_MAX_SECTIONS ? file->bytes[5] : OB_MAX_SECTIONS;
    uint32_t chosen = below(random, n);
    for (uint32_t i = 0; i < n && OB_HEADER_BYTES + 12 * (i + 1) <= file->length; i++) {
        uint8_t *entry = file->bytes + OB_HEADER_BYTES + 12 * i;
        span s = {entry, entry[0], ob_read_u32(entry + 4), ob_read_u32(entry + 8)};
        if ((kind ? s.kind == kind : i == chosen) && s.offset < file->length
            && s.length <= file->length - s.offset) {
            return s;
        }
    }
    return found;
}

static uint8_t interesting(fuzz_random *random) {
    static const uint8_t values[] = {0, 1, 2, 3, 7, 8, 15, 16, 24, 32, 64, 66, 127, 128, 240, 255};
    return values[below(random, sizeof(values))];
}

static void change_byte(file_buffer *file, fuzz_random *random) {
    span s = find_section(file, 0, random);
    uint32_t reach = below(random, 2) ? s.length : s.length < 16 ? s.length : 16;
    uint8_t *p = s.length ? file->bytes + s.offset + below(random, reach)
        : file->bytes + below(random, file->length);
    *p = below(random, 2) ? interesting(random) : (uint8_t)(*p + below(random, 7) - 3);
}

static void change_anywhere(file_buffer *file, fuzz_random *random) {
    file->bytes[below(random, file->length)] ^= (uint8_t)(1u << below(random, 8));
}

static void change_table(file_buffer *file, fuzz_random *random) {
    span s = find_section(file, 0, random);
    if (s.length) {
        uint8_t *p = s.entry + below(random, 12);
        *p = (uint8_t)(*p + below(random, 9) - 4);
    }
}

/* A 16-bit value of the classifier: a root, a split, a threshold, a skip or a leaf. */
static void change_tree_word(file_buffer *file, fuzz_random *random) {
    span s = find_section(file, OB_SECTION_CLASSIFIER, random);
    if (s.length < 16) {
        return;
    }
    uint8_t *p = file->bytes + s.offset + 12 + 2 * below(random, (s.length - 12) / 2);
    uint32_t word = ob_read_u16(p);
    switch (below(random, 4)) {
        case 0: put_u16(p, word + below(random, 5) - 2); break;
        case 1: put_u16(p, word ^ 1u << below(random, 16)); break;
        case 2: put_u16(p, (word & 0x80ff) | below(random, 128) << 8); break;
        default: put_u16(p, word & 0x8000 ? 0x8000 | below(random, 300) : next_bits(random));
    }
}

/* An entry of the feature program; mostly one that may be valid. */
static void change_feature(file_buffer *file, fuzz_random *random) {
    span s = find_section(file, OB_SECTION_FEATURES, random);
    if (s.length < 16) {
        return;
    }
    uint32_t n_derived = file->bytes[s.offset];
    uint32_t n_entries = s.length / 8 - 1;
    uint32_t i = below(random, n_entries);
    uint8_t *p = file->bytes + s.offset + 8 + 8 * i;
    if (i < n_derived) {
        p[0] = (uint8_t)(OB_OP_MAGNITUDE + below(random, 3));
        for (int k = 1; k < 4; k++) {
            p[k] = p[0] == OB_OP_MAGNITUDE || (k < 2 || (k == 2 && p[0] == OB_OP_PROJECT))
                ? (uint8_t)below(random, i + 4) : 0;
        }
        return;
    }
    p[0] = (uint8_t)(1 + below(random, OB_OP_CUSTOM));
    p[1] = (uint8_t)(p[0] == OB_OP_CUSTOM ? 0 : below(random, n_derived + 5));
    int has_two = p[0] == OB_OP_SHARE || (p[0] >= OB_OP_AUTOCORR_LAG && p[0] <= OB_OP_BAND_SHARE);
    int has_one = has_two || p[0] == OB_OP_QUANTILE || p[0] == OB_OP_CORRELATION
        || p[0] == OB_OP_TILT || p[0] == OB_OP_GOERTZEL || p[0] == OB_OP_CUSTOM;
    uint32_t arg0 = has_one ? below(random, p[0] == OB_OP_GOERTZEL ? 32769 : 34) : 0;
    put_u16(p + 2, arg0);
    put_u16(p + 4, has_two ? arg0 + below(random, 20) : 0);
}

static void change_window(file_buffer *file, fuzz_random *random) {
    span samples = find_section(file, OB_SECTION_SAMPLES, random);
    span features = find_section(file, OB_SECTION_FEATURES, random);
    if (samples.length < 12 || features.length < 8) {
        return;
    }
    uint32_t window = below(random, 50) ? 8 + below(random, 70) : 8 + below(random, 1020);
    put_u16(file->bytes + samples.offset + 2, window);
    put_u16(file->bytes + samples.offset + 4, 1 + below(random, window));
    uint32_t log2 = 4;
    while ((1u << log2) < window) {
        log2++;
    }
    if (file->bytes[features.offset + 2]) {
        file->bytes[features.offset + 2] = (uint8_t)(log2 + below(random, 2) * below(random, 2));
        file->bytes[features.offset + 3] = (uint8_t)below(random, 2);
    }
}

static void change_novelty(file_buffer *file, fuzz_random *random) {
    span s = find_section(file, OB_SECTION_NOVELTY, random);
    if (s.length >= 8) {
        uint8_t *p = file->bytes + s.offset + 4 * below(random, s.length / 4);
        put_u16(p, below(random, 4) ? 0x8000 : next_bits(random));
        put_u16(p + 2, below(random, 4) ? 0x7fff : next_bits(random));
    }
}

/* Inserts or removes bytes at the end of a section and moves everything behind it. */
static void resize_section(file_buffer *file, fuzz_random *random) {
    span s = find_section(file, 0, random);
    uint32_t grown = s.length + below(random, 33);
    uint32_t length = grown > 16 ? grown - 16 : 1;
    uint32_t end = s.offset + ((s.length + 3) & ~3u);
    uint32_t new_end = s.offset + ((length + 3) & ~3u);
    if (!s.length || end > file->length || file->length - end + new_end > MAX_FUZZ_BYTES) {
        return;
    }
    memmove(file->bytes + new_end, file->bytes + end, file->length - end);
    for (uint32_t at = s.offset + s.length; at < new_end; at++) {
        file->bytes[at] = at < s.offset + length ? (uint8_t)next_bits(random) : 0;
    }
    for (uint32_t at = s.offset + length; at < new_end; at++) {
        file->bytes[at] = 0;
    }
    file->length = file->length - end + new_end;
    put_u32(s.entry + 8, length);
    uint8_t *table_end = file->bytes + OB_HEADER_BYTES + 12 * file->bytes[5];
    for (uint8_t *entry = s.entry + 12; entry < table_end; entry += 12) {
        put_u32(entry + 4, ob_read_u32(entry + 4) + new_end - end);
    }
}

static void cut(file_buffer *file, fuzz_random *random) {
    file->length = 1 + below(random, file->length);
}

static void (*const mutations[])(file_buffer *, fuzz_random *) = {
    change_byte, change_tree_word, change_tree_word, change_feature, change_feature, change_feature,
    change_window, change_novelty, change_byte, change_tree_word, resize_section, change_anywhere,
    change_table, cut,
};

void mutate(file_buffer *file, fuzz_random *random) {
    uint32_t n_mutations = sizeof(mutations) / sizeof(mutations[0]);
    /* The gentle ones stand first; one file in four meets the rough ones too. */
    uint32_t n_chosen = below(random, 4) ? n_mutations - 6 : n_mutations;
    for (uint32_t n = 1 + below(random, 4); n > 0 && file->length > 64; n--) {
        mutations[below(random, n_chosen)](file, random);
    }
    if (below(random, 64) == 0 || file->length < 64) {
        return;
    }
    if (below(random, 8)) {
        file->length &= ~3u;
        put_u32(file->bytes + 8, file->length);
    }
    put_u32(file->bytes + file->length - 4, ob_crc32(file->bytes, file->length - 4));
}
