#include "onebyte.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "model files are little-endian and are read in place"
#endif

/* 1: walk four trees at once, which pays on wide out-of-order processors only. */
#ifndef OB_LOCKSTEP
#if defined(__x86_64__) || defined(__aarch64__)
#define OB_LOCKSTEP 1
#else
#define OB_LOCKSTEP 0
#endif
#endif

#if defined(__thumb__) && !defined(__thumb2__)
#include "walk_thumb1.h"
#define OB_THUMB1 1
#else
#define OB_THUMB1 0
#endif

int32_t ob_novelty_score(const int16_t *ranges, const int16_t *features, uint32_t n_features);

enum {
    LEAF_FLAG = 0x8000,
    LEAF_INDEX = 0x7fff,
    SKIP_MASK = 0xff,
    SPLIT_WORDS = 2,
    LONG_SPLIT_WORDS = 3,
    ROWS = 32, /* of votes that are added in one pass on Thumb-1 */
    GROUP = 4, /* trees whose leaves are found before their votes are added */
};

#if OB_THUMB1

/* Adds the votes of four classes from row[0..n) on: as many sums as there are registers. Of the
 * last group only three may exist; the byte behind the row is read then (a file goes on for at least
 * four bytes, its CRC) and its sum is dropped. */
static void add_four(const uint8_t *const *row, uint32_t n, uint32_t first, int32_t *votes,
    uint32_t n_votes) {
    const uint8_t *const *end = row + n;
    int32_t a = 0, b = 0, c = 0, d = 0;
    do {
        const uint8_t *part = *row++ + first;
        a += part[0];
        b += part[1];
        c += part[2];
        d += part[3];
    } while (row < end);
    votes[0] += a;
    votes[1] += b;
    votes[2] += c;
    if (n_votes > 3) {
        votes[3] += d;
    }
}

static void add_rows(const uint8_t *const *row, uint32_t n, uint32_t n_classes, int32_t *votes) {
    uint32_t i = 0;
    for (; i + 3 <= n_classes; i += 4) {
        add_four(row, n, i, votes + i, n_classes - i);
    }
    for (; i < n_classes; i++) {
        for (uint32_t j = 0; j < n; j++) {
            votes[i] += row[j][i];
        }
    }
}

static void add_all_votes(const ob_model *m, const int16_t *features, int32_t *votes) {
    const uint8_t *rows[ROWS];
    const uint16_t *root = m->roots, *end = root + m->n_trees;
    walk w = {m->words, features, root, end, votes, rows, m->n_classes};
    if (!m->leaf_bits) {
        walk_and_count(&w);
        return;
    }
    w.votes = (void *)(uintptr_t)m->rows;
    for (; w.root < end; w.root = w.end) {
        uint32_t n = (uint32_t)(end - w.root) < ROWS ? (uint32_t)(end - w.root) : ROWS;
        w.end = w.root + n;
        walk_to_rows(&w);
        add_rows(rows, n, m->n_classes, votes);
    }
}

#else

/* Walks one tree and returns its leaf: a class id or the index of a row of votes. */
static uint32_t find_leaf(const uint16_t *entry, const int16_t *features) {
    uint32_t head = *entry;
    while (head < LEAF_FLAG) {
        uint32_t skip = head & SKIP_MASK;
        int32_t x = features[head >> 8], threshold = (int16_t)entry[1];
        if (!skip) {
            entry += x < threshold ? LONG_SPLIT_WORDS : entry[2];
        } else {
            const uint16_t *right = entry + skip;
            entry += SPLIT_WORDS;
            if (x >= threshold) {
                entry = right;
            }
        }
        head = *entry;
    }
    return head & LEAF_INDEX;
}

#if OB_LOCKSTEP

/* One step down a tree: the entry after a split, or the leaf itself. Without a branch, since a
 * split's direction is as good as random: is_split and is_left are masks, -1 or 0. */
static inline const uint16_t *step_down(const uint16_t *entry, const int16_t *features) {
    intptr_t head = *entry;
    intptr_t is_split = (head >> 15) - 1;
    intptr_t x = features[(head >> 8) & is_split];
    intptr_t is_left = (x - (int16_t)entry[is_split & 1]) >> 31;
    intptr_t skip = head & SKIP_MASK;
    if ((head & (LEAF_FLAG | SKIP_MASK)) == 0) {
        return entry + (is_left ? LONG_SPLIT_WORDS : entry[2]);
    }
    return entry + ((SPLIT_WORDS + ((skip - SPLIT_WORDS) & ~is_left)) & is_split);
}

/* A walk waits for memory at every step; four wait at the same time. */
static void find_leaves(const ob_model *m, uint32_t tree, const int16_t *features,
    uint32_t leaves[GROUP]) {
    const uint16_t *a = m->words + m->roots[tree];
    const uint16_t *b = m->words + m->roots[tree + 1];
    const uint16_t *c = m->words + m->roots[tree + 2];
    const uint16_t *d = m->words + m->roots[tree + 3];
    while (!(*a & *b & *c & *d & LEAF_FLAG)) {
        a = step_down(a, features);
        b = step_down(b, features);
        c = step_down(c, features);
        d = step_down(d, features);
    }
    leaves[0] = *a & LEAF_INDEX;
    leaves[1] = *b & LEAF_INDEX;
    leaves[2] = *c & LEAF_INDEX;
    leaves[3] = *d & LEAF_INDEX;
}

#else

static void find_leaves(const ob_model *m, uint32_t tree, const int16_t *features,
    uint32_t leaves[GROUP]) {
    for (uint32_t i = 0; i < GROUP; i++) {
        leaves[i] = find_leaf(m->words + m->roots[tree + i], features);
    }
}

#endif

static const uint8_t *row_of(const ob_model *m, uint32_t leaf) {
    return m->rows + (uint32_t)m->n_classes * leaf;
}

/* The votes of four trees: one pass over the classes instead of four. */
static void add_group(const ob_model *m, const uint32_t leaves[GROUP], int32_t *votes) {
    if (OB_LOCKSTEP && !m->leaf_bits) {
        for (uint32_t i = 0; i < GROUP; i++) {
            votes[leaves[i]]++;
        }
        return;
    }
    const uint8_t *a = row_of(m, leaves[0]);
    const uint8_t *b = row_of(m, leaves[1]);
    const uint8_t *c = row_of(m, leaves[2]);
    const uint8_t *d = row_of(m, leaves[3]);
    for (uint32_t i = 0; i < m->n_classes; i++) {
        votes[i] += a[i] + b[i] + c[i] + d[i];
    }
}

static void add_one(const ob_model *m, uint32_t leaf, int32_t *votes) {
    if (OB_LOCKSTEP && !m->leaf_bits) {
        votes[leaf]++;
        return;
    }
    const uint8_t *row = row_of(m, leaf);
    for (uint32_t i = 0; i < m->n_classes; i++) {
        votes[i] += row[i];
    }
}

static void add_all_votes(const ob_model *m, const int16_t *features, int32_t *votes) {
    uint32_t tree = 0;
    if (!OB_LOCKSTEP && !m->leaf_bits) { /* nothing is gained by finding four leaves first */
        for (; tree < m->n_trees; tree++) {
            votes[find_leaf(m->words + m->roots[tree], features)]++;
        }
        return;
    }
    for (; tree + GROUP <= m->n_trees; tree += GROUP) {
        uint32_t leaves[GROUP];
        find_leaves(m, tree, features, leaves);
        add_group(m, leaves, votes);
    }
    for (; tree < m->n_trees; tree++) {
        add_one(m, find_leaf(m->words + m->roots[tree], features), votes);
    }
}

/* votes * 255 / sum for 0 <= votes <= sum, votes <= 2^18, 0 < sum < 2^26 (1024 rows of 240 votes of
 * 255): eight steps of a long division, since the quotient is at most 255 and Cortex-M0+ divides
 * only by a library call. Shifting the rest instead of the sum keeps everything in 32 bits. */
static int32_t confidence_of(uint32_t votes, uint32_t sum) {
    uint32_t rest = votes * 255;
    uint32_t quotient = 0;
    for (int bit = 7; bit >= 0; bit--) {
        uint32_t part = sum << bit;
        uint32_t fits = rest >= part;
        rest -= part & (0u - fits);
        quotient = quotient << 1 | fits;
    }
    return (int32_t)quotient;
}

#endif

void ob_predict(const ob_model *m, const int16_t *features, int32_t *result) {
    int32_t *votes = result + OB_RESULT_VOTES, *end = votes + m->n_classes;
    for (int32_t *vote = end; vote > votes;) { /* four at a time; what lies before is set later */
        vote -= 4;
        vote[0] = vote[1] = vote[2] = vote[3] = 0;
    }
    add_all_votes(m, features, votes);
    const int32_t *after_best = votes;
    int32_t most = -1, sum = 0;
    for (const int32_t *vote = votes; vote < end;) {
        int32_t value = *vote++;
        sum += value;
        if (value > most) {
            most = value;
            after_best = vote;
        }
    }
    result[OB_RESULT_CLASS_ID] = (int32_t)(after_best - votes) - 1;
    result[OB_RESULT_CONFIDENCE] = confidence_of((uint32_t)most, (uint32_t)sum);
    result[OB_RESULT_NOVELTY] =
        m->ranges ? ob_novelty_score(m->ranges, features, m->program.n_features) : 0;
    result[OB_RESULT_SUM] = sum;
}
