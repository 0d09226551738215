#include "onebyte.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "model files are little-endian and are read in place"
#endif

int32_t ob_novelty_score(const int16_t *ranges, const int16_t *features, uint32_t n_features);

enum {
    LEAF_FLAG = 0x8000,
    LEAF_INDEX = 0x7fff,
    SKIP_MASK = 0xff,
    SPLIT_WORDS = 2,
    LONG_SPLIT_WORDS = 3,
};

/* Walks one tree and returns its leaf: a class id or the index of a row of votes.
 *
 * The direction of a split is as good as random, so choosing the step by arithmetic beats a branch
 * on processors that predict them and costs the others nothing. Long splits are rare. */
static inline uint32_t find_leaf(const uint16_t *entry, const int16_t *features) {
    int32_t head = *entry;
    while (!(head & LEAF_FLAG)) {
        int32_t is_left = (features[head >> 8] - (int16_t)entry[1]) >> 31; /* -1 or 0 */
        int32_t left = SPLIT_WORDS;
        int32_t right = head & SKIP_MASK;
        if (right == 0) {
            left = LONG_SPLIT_WORDS;
            right = entry[2];
        }
        entry += right + ((left - right) & is_left);
        head = *entry;
    }
    return (uint32_t)head & LEAF_INDEX;
}

static void vote_hard(const ob_model *m, const int16_t *features, int32_t *votes) {
    for (uint32_t tree = 0; tree < m->n_trees; tree++) {
        votes[find_leaf(m->words + m->roots[tree], features)]++;
    }
}

static void vote_soft(const ob_model *m, const int16_t *features, int32_t *votes) {
    uint32_t n_classes = m->n_classes;
    for (uint32_t tree = 0; tree < m->n_trees; tree++) {
        const uint8_t *row = m->rows + n_classes * find_leaf(m->words + m->roots[tree], features);
        for (uint32_t class_id = 0; class_id < n_classes; class_id++) {
            votes[class_id] += row[class_id];
        }
    }
}

/* votes * 255 / sum for 0 <= votes <= sum, votes <= 2^18, 0 < sum < 2^26 (1024 rows of 240 votes of
 * 255): eight steps of a long division, since the quotient is at most 255 and Cortex-M0+ divides
 * only by a library call. Shifting the rest instead of the sum keeps everything in 32 bits. */
static int32_t confidence_of(uint32_t votes, uint32_t sum) {
    uint32_t rest = votes * 255;
    int32_t quotient = 0;
    for (int bit = 7; bit >= 0; bit--) {
        if (rest >> bit >= sum) {
            rest -= sum << bit;
            quotient |= 1 << bit;
        }
    }
    return quotient;
}

void ob_predict(const ob_model *m, const int16_t *features, int32_t *result) {
    int32_t *votes = result + OB_RESULT_VOTES;
    uint32_t best = 0;
    int32_t sum = 0;
    for (uint32_t class_id = 0; class_id < m->n_classes; class_id++) {
        votes[class_id] = 0;
    }
    if (m->leaf_bits) {
        vote_soft(m, features, votes);
    } else {
        vote_hard(m, features, votes);
    }
    for (uint32_t class_id = 0; class_id < m->n_classes; class_id++) {
        sum += votes[class_id];
        if (votes[class_id] > votes[best]) {
            best = class_id;
        }
    }
    result[OB_RESULT_CLASS_ID] = (int32_t)best;
    result[OB_RESULT_CONFIDENCE] = confidence_of((uint32_t)votes[best], (uint32_t)sum);
    result[OB_RESULT_NOVELTY] =
        m->ranges ? ob_novelty_score(m->ranges, features, m->program.n_features) : 0;
    result[OB_RESULT_SUM] = sum;
}
