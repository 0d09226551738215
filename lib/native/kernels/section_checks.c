#include "model_checks.h"

enum {
    SAMPLES_BYTES = 12,
    CHANNEL_BYTES = 16,
    CHANNEL_NAME_BYTES = 10,
    MAX_UNIT = 8,
    NOVELTY_KIND_RANGES = 1,
    DECISION_BYTES = 16,
    ENCODING_A_CLASSES = 15,
    N_LEVELS = 7,
    MAX_LABEL_BYTES = 24,
    MAX_NAME_BYTES = 64,
    GOLDEN_BYTES = 4,
    GOLDEN_WINDOW_BYTES = 12,
    CUSTOM_BYTES = 20,
};

static int is_equal(const uint8_t *a, const uint8_t *b, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        if (a[i] != b[i]) {
            return 0;
        }
    }
    return 1;
}

/* Length of the well-formed UTF-8 character (RFC 3629) at text, 0 when there is none. */
static uint32_t character_bytes(const uint8_t *text, uint32_t length) {
    uint8_t first = text[0];
    uint8_t low = 0x80; /* bounds of the second byte: narrower after E0, ED, F0 and F4 */
    uint8_t high = 0xbf;
    uint32_t n_bytes = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first < 0x80) {
        return first >= 0x20 && first != 0x7f;
    }
    if (first < 0xc2 || first > 0xf4 || n_bytes > length) {
        return 0;
    }
    if (first == 0xe0) {
        low = 0xa0;
    } else if (first == 0xed) {
        high = 0x9f;
    } else if (first == 0xf0) {
        low = 0x90;
    } else if (first == 0xf4) {
        high = 0x8f;
    }
    if (text[1] < low || text[1] > high) {
        return 0;
    }
    for (uint32_t i = 2; i < n_bytes; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n_bytes;
}

static int is_text(const uint8_t *text, uint32_t length) {
    while (length > 0) {
        uint32_t n_bytes = character_bytes(text, length);
        if (n_bytes == 0) {
            return 0;
        }
        text += n_bytes;
        length -= n_bytes;
    }
    return 1;
}

static int is_channel(const uint8_t *channel) {
    uint32_t n_letters = 0;
    while (n_letters < CHANNEL_NAME_BYTES && channel[n_letters] != 0) {
        uint8_t c = channel[n_letters++];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) {
            return 0;
        }
    }
    for (uint32_t i = n_letters; i < CHANNEL_NAME_BYTES; i++) {
        if (channel[i] != 0) {
            return 0;
        }
    }
    return n_letters > 0 && channel[10] <= MAX_UNIT && channel[11] == 0
        && ob_read_u32(channel + 12) != 0;
}

int ob_check_samples(ob_section section, ob_model *m) {
    const uint8_t *p = section.data;
    if (section.length < SAMPLES_BYTES || p[0] < 1 || p[0] > OB_MAX_CHANNELS || p[1] != 0
        || section.length != SAMPLES_BYTES + (uint32_t)CHANNEL_BYTES * p[0]) {
        return OB_SAMPLES;
    }
    uint32_t window = ob_read_u16(p + 2);
    uint32_t hop = ob_read_u16(p + 4);
    if (window < OB_MIN_WINDOW || window > OB_MAX_WINDOW || hop < 1 || hop > window
        || ob_read_u16(p + 6) != 0 || ob_read_u32(p + 8) == 0) {
        return OB_SAMPLES;
    }
    for (uint32_t i = 0; i < p[0]; i++) {
        const uint8_t *channel = p + SAMPLES_BYTES + CHANNEL_BYTES * i;
        if (!is_channel(channel)) {
            return OB_SAMPLES;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (is_equal(channel, p + SAMPLES_BYTES + CHANNEL_BYTES * j, CHANNEL_NAME_BYTES)) {
                return OB_SAMPLES;
            }
        }
    }
    m->program.n_channels = p[0];
    m->program.window = (uint16_t)window;
    m->hop = (uint16_t)hop;
    m->rate_mhz = ob_read_u32(p + 8);
    return OB_OK;
}

int ob_check_novelty(ob_section section, ob_model *m) {
    const uint8_t *p = section.data;
    uint32_t n_features = m->program.n_features;
    if (section.length != 4 + 4 * n_features || p[0] != NOVELTY_KIND_RANGES || p[1] != n_features
        || ob_read_u16(p + 2) != 0) {
        return OB_NOVELTY;
    }
    const int16_t *ranges = (const int16_t *)(const void *)(p + 4);
    for (uint32_t i = 0; i < n_features; i++) {
        if (ranges[2 * i + 1] < ranges[2 * i]) {
            return OB_NOVELTY;
        }
    }
    m->ranges = ranges;
    return OB_OK;
}

int ob_check_decision(ob_section section, ob_model *m) {
    const uint8_t *p = section.data;
    if (section.length != DECISION_BYTES || p[0] > 1
        || (p[0] == 0) != (m->n_classes <= ENCODING_A_CLASSES) || p[2] < 1 || p[2] > OB_MAX_VOTES
        || p[1] < 1 || p[1] > p[2] || ob_read_u16(p + 6) != 0 || p[15] != 0) {
        return OB_DECISION;
    }
    for (uint32_t i = 1; i < N_LEVELS; i++) {
        if (p[8 + i] < p[7 + i]) {
            return OB_DECISION;
        }
    }
    m->decision = p;
    return OB_OK;
}

/* Whether one of the n labels that begin at first equals the one at label (length byte included). */
static int is_repeated(const uint8_t *first, uint32_t n, const uint8_t *label) {
    for (uint32_t i = 0; i < n; i++) {
        if (is_equal(first, label, 1u + label[0])) {
            return 1;
        }
        first += 1 + first[0];
    }
    return 0;
}

int ob_check_labels(ob_section section, ob_model *m) {
    const uint8_t *first = section.data + 1;
    const uint8_t *end = section.data + section.length;
    const uint8_t *label = first;
    if (section.data[0] != m->n_classes) {
        return OB_LABELS;
    }
    for (uint32_t class_id = 0; class_id < m->n_classes; class_id++) {
        if (label == end || label[0] < 1 || label[0] > MAX_LABEL_BYTES
            || label[0] >= (uint32_t)(end - label) || !is_text(label + 1, label[0])
            || is_repeated(first, class_id, label)) {
            return OB_LABELS;
        }
        label += 1 + label[0];
    }
    return label == end ? OB_OK : OB_LABELS;
}

int ob_check_golden(ob_section section, ob_model *m) {
    const uint8_t *p = section.data;
    if (section.length < GOLDEN_BYTES || p[0] > OB_MAX_GOLDEN || p[1] > OB_MAX_GOLDEN
        || ob_read_u16(p + 2) != 0) {
        return OB_GOLDEN;
    }
    uint32_t vector_bytes = 4 + 2u * m->program.n_features;
    const uint8_t *windows = p + GOLDEN_BYTES + p[0] * vector_bytes;
    if (section.length != GOLDEN_BYTES + p[0] * vector_bytes + GOLDEN_WINDOW_BYTES * (uint32_t)p[1]) {
        return OB_GOLDEN;
    }
    for (uint32_t i = 0; i < p[0]; i++) {
        if (p[GOLDEN_BYTES + i * vector_bytes] >= m->n_classes) {
            return OB_GOLDEN;
        }
    }
    for (uint32_t i = 0; i < p[1]; i++) {
        const uint8_t *window = windows + GOLDEN_WINDOW_BYTES * i;
        if (ob_read_u32(window) == 0 || window[8] >= m->n_classes) {
            return OB_GOLDEN;
        }
    }
    m->golden = p;
    return OB_OK;
}

int ob_check_name(ob_section section) {
    return section.length <= MAX_NAME_BYTES && is_text(section.data, section.length) ? OB_OK : OB_NAME;
}

/* The section is there exactly when the program has custom features, and holds their outputs. */
int ob_check_custom(ob_section section, const ob_model *m) {
    const uint8_t *p = section.data;
    uint32_t needed = 0;
    for (uint32_t i = 0; i < m->program.n_features; i++) {
        const uint8_t *feature = m->program.features + 8 * i;
        if (feature[0] == OB_OP_CUSTOM && feature[2] >= needed) {
            needed = feature[2] + 1u;
        }
    }
    if (p == NULL) {
        return needed == 0 ? OB_OK : OB_CUSTOM;
    }
    return section.length == CUSTOM_BYTES && needed > 0 && p[0] >= needed
            && p[0] <= OB_MAX_FEATURES && (p[1] | p[2] | p[3]) == 0
        ? OB_OK
        : OB_CUSTOM;
}
