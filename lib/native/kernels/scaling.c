/* Brings a stream to a known number of bits: z = (x - mean) * 2^shift.
 *
 * A small signal is shifted up with the fraction of its mean, a large one down and rounded, so
 * that spectrum, autocorrelation and shape see about the same precision whatever the amplitude.
 */
#include "window_features.h"

static int32_t floor_mean(const ob_moments *m, uint32_t n) {
    return m->s1 < m->mean * (int32_t)n ? m->mean - 1 : m->mean;
}

void ob_scaling_shift(const ob_moments *m, uint32_t n, int32_t shift, int32_t limit,
    ob_scaling *s) {
    int32_t count = (int32_t)n, mean = floor_mean(m, n);
    s->shift = shift;
    s->limit = limit;
    if (shift < 0) {
        s->multiplier = 1;
        s->down = (uint32_t)-shift;
        s->offset = mean - (1 << (s->down - 1)); /* rounds the right shift */
    } else {
        int32_t rest = m->s1 - mean * count; /* 0..n-1, so that rest << shift < 2^26 */
        s->multiplier = 1 << shift;
        s->down = 0;
        s->offset = mean * s->multiplier + (rest * s->multiplier + count / 2) / count;
    }
}

/* Chooses the shift so that |z| < 2^bits for bits <= 14 and as large as it can be. Returns 0 for a
 * constant stream, which has no scale. */
int ob_scaling_bits(const ob_moments *m, uint32_t n, uint32_t bits, ob_scaling *s) {
    if (m->min == m->max) {
        return 0;
    }
    int32_t mean = floor_mean(m, n);
    int32_t up = m->max - mean;
    int32_t down = mean - m->min + 1; /* the fraction of the mean takes up to one more */
    uint32_t size = ob_bits32((uint32_t)(up > down ? up : down));
    ob_scaling_shift(m, n, (int32_t)bits - (int32_t)size, (1 << bits) - 1, s);
    return 1;
}
