#include "model_checks.h"

enum {
    HEADER_BYTES = 12,
    KIND_TREES = 1,
    LEAF_BITS_ROWS = 8,
    LEAF_FLAG = 0x8000,
    LEAF_INDEX = 0x7fff,
    SPLIT_WORDS = 2,
    LONG_SPLIT_WORDS = 3,
    MIN_LONG_SKIP = 256,
};

static int check_header(ob_section section, ob_model *m) {
    const uint8_t *p = section.data;
    if (section.length < HEADER_BYTES || p[0] != KIND_TREES || p[1] < 2 || p[1] > OB_MAX_CLASSES
        || p[2] != m->program.n_features || (p[3] != 0 && p[3] != LEAF_BITS_ROWS)
        || p[10] > OB_MAX_DEPTH || p[11] != 0) {
        return OB_CLASSIFIER;
    }
    m->n_classes = p[1];
    m->leaf_bits = p[3];
    m->n_trees = (uint16_t)ob_read_u16(p + 4);
    m->n_rows = (uint16_t)ob_read_u16(p + 6);
    m->n_words = (uint16_t)ob_read_u16(p + 8);
    m->max_depth = p[10];
    if (m->n_trees < 1 || m->n_trees > OB_MAX_TREES || m->n_words < m->n_trees
        || m->n_rows > OB_MAX_ROWS || (m->n_rows != 0) != (m->leaf_bits != 0)) {
        return OB_CLASSIFIER;
    }
    /* At most 12 + 2 * 1024 + 2 * 65535 + 32768 * 240 bytes: no overflow. */
    uint32_t words_at = HEADER_BYTES + 2u * m->n_trees;
    uint32_t rows_at = words_at + 2u * m->n_words;
    if (section.length != rows_at + (uint32_t)m->n_rows * m->n_classes) {
        return OB_CLASSIFIER;
    }
    m->roots = (const uint16_t *)(const void *)(p + HEADER_BYTES);
    m->words = (const uint16_t *)(const void *)(p + words_at);
    m->rows = p + rows_at;
    return OB_OK;
}

static int check_roots(const ob_model *m) {
    if (m->roots[0] != 0) {
        return OB_ROOT;
    }
    for (uint32_t tree = 1; tree < m->n_trees; tree++) {
        if (m->roots[tree] <= m->roots[tree - 1]) {
            return OB_ROOT;
        }
    }
    return m->roots[m->n_trees - 1] < m->n_words ? OB_OK : OB_ROOT;
}

/* Right children that were announced by a split and not reached yet. There is at most one for every
 * level above the entry, and check_split refuses more levels than max_depth, so it cannot overflow. */
typedef struct {
    uint16_t at[OB_MAX_DEPTH];
    uint8_t depth[OB_MAX_DEPTH];
    uint32_t count;
} pending_rights;

/* Checks the split at words[at] and pushes its right child; *width is the split's own length. */
static int check_split(const ob_model *m, uint32_t at, uint32_t end, uint32_t depth,
    pending_rights *rights, uint32_t *width) {
    uint32_t skip = m->words[at] & 0xff;
    if ((uint32_t)(m->words[at] >> 8) >= m->program.n_features) {
        return OB_NODE;
    }
    *width = skip ? SPLIT_WORDS : LONG_SPLIT_WORDS;
    if (*width > end - at) {
        return OB_NODE;
    }
    if (!skip) {
        skip = m->words[at + 2];
        if (skip < MIN_LONG_SKIP) {
            return OB_NODE;
        }
    }
    /* The left subtree needs a word, and so does the right one. */
    if (skip <= *width || skip >= end - at) {
        return OB_NODE;
    }
    if (depth >= m->max_depth) {
        return OB_DEPTH;
    }
    rights->at[rights->count] = (uint16_t)(at + skip);
    rights->depth[rights->count] = (uint8_t)(depth + 1);
    rights->count++;
    return OB_OK;
}

/* Reads one tree entry by entry, as preorder stores it. Every entry is visited exactly once and
 * every right child must begin where the left one ended, so there is neither a cycle nor a gap. */
static int check_tree(const ob_model *m, uint32_t at, uint32_t end, uint32_t *deepest) {
    uint32_t n_leaves = m->leaf_bits ? m->n_rows : m->n_classes;
    uint32_t depth = 0;
    pending_rights rights;
    rights.count = 0;
    while (at < end) {
        if (!(m->words[at] & LEAF_FLAG)) {
            uint32_t width;
            int reason = check_split(m, at, end, depth, &rights, &width);
            if (reason) {
                return reason;
            }
            at += width;
            depth++;
            continue;
        }
        if ((uint32_t)(m->words[at] & LEAF_INDEX) >= n_leaves) {
            return OB_LEAF;
        }
        if (depth > *deepest) {
            *deepest = depth;
        }
        at++;
        if (rights.count == 0) {
            return at == end ? OB_OK : OB_NODE;
        }
        rights.count--;
        if (rights.at[rights.count] != at) {
            return OB_NODE;
        }
        depth = rights.depth[rights.count];
    }
    return OB_NODE;
}

static int check_rows(const ob_model *m) {
    const uint8_t *votes = m->rows;
    for (uint32_t row = 0; row < m->n_rows; row++) {
        uint32_t sum = 0;
        for (uint32_t class_id = 0; class_id < m->n_classes; class_id++) {
            sum += *votes++;
        }
        if (sum == 0) {
            return OB_LEAF;
        }
    }
    return OB_OK;
}

int ob_check_classifier(ob_section section, ob_model *m) {
    uint32_t deepest = 0;
    int reason = check_header(section, m);
    if (!reason) {
        reason = check_roots(m);
    }
    for (uint32_t tree = 0; !reason && tree < m->n_trees; tree++) {
        uint32_t end = tree + 1u < m->n_trees ? m->roots[tree + 1] : m->n_words;
        reason = check_tree(m, m->roots[tree], end, &deepest);
    }
    if (!reason && deepest != m->max_depth) {
        reason = OB_DEPTH;
    }
    return reason ? reason : check_rows(m);
}
