#include "onebyte.h"

/* 1 + min(15, 4 * excess / span). Counting up replaces a division, which Cortex-M0+ has only as a
 * library call: 4 * excess < 2^18 and 15 * span < 2^20, so nothing overflows. */
static int32_t outlier_score(uint32_t excess, uint32_t span) {
    int32_t score = 1;
    for (uint32_t limit = span; score < 16 && limit <= 4 * excess; limit += span) {
        score++;
    }
    return score;
}

/* Sum over the features of how far each lies outside its range in training. */
int32_t ob_novelty_score(const int16_t *ranges, const int16_t *features, uint32_t n_features) {
    int32_t score = 0;
    for (uint32_t i = 0; i < n_features; i++) {
        int32_t x = features[i];
        int32_t low = ranges[2 * i];
        int32_t high = ranges[2 * i + 1];
        if (x < low) {
            score += outlier_score((uint32_t)(low - x), (uint32_t)(high - low + 1));
        } else if (x > high) {
            score += outlier_score((uint32_t)(x - high), (uint32_t)(high - low + 1));
        }
    }
    return score;
}
