/* Statistics of one stream in the time domain. */
#include "window_features.h"

const ob_moments *ob_moments_of(ob_context *c, uint32_t stream) {
    ob_moments *m = c->moments + stream;
    if (m->valid) {
        return m;
    }
    const int16_t *x = ob_stream(c, stream);
    int32_t s1 = 0, low = x[0], high = x[0];
    uint32_t s2_low = 0, s2_high = 0; /* in halves: a 64-bit sum does not fit the registers */
    for (uint32_t i = 0; i < c->n; i++) {
        int32_t value = x[i];
        s1 += value;
        uint32_t square = (uint32_t)(value * value);
        s2_low += square & 0xFFFFu;
        s2_high += square >> 16;
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    m->s1 = s1;
    m->s2 = ((uint64_t)s2_high << 16) + s2_low;
    m->min = (int16_t)low;
    m->max = (int16_t)high;
    m->mean = s1 / (int32_t)c->n;
    uint32_t size = ob_abs32(s1);
    m->v = ob_mul64(m->s2, c->n) - ob_mul32(size, size);
    m->valid = 1;
    return m;
}

int32_t ob_std(ob_context *c, uint32_t stream) {
    return ob_sat16((int32_t)(ob_isqrt64(ob_moments_of(c, stream)->v) / c->n));
}

int32_t ob_rms(ob_context *c, uint32_t stream) {
    return ob_sat16((int32_t)ob_isqrt32(ob_div64(ob_moments_of(c, stream)->s2, c->n)));
}

int32_t ob_mad(const int16_t *x, uint32_t n) {
    uint32_t sum = 0; /* at most 1023 * 65535 */
    for (uint32_t i = 1; i < n; i++) {
        sum += ob_abs32(x[i] - x[i - 1]);
    }
    return (int32_t)(sum / (n - 1) >> 1);
}

int32_t ob_crossings(const int16_t *x, uint32_t n, int32_t level) {
    int32_t count = 0, below = x[0] < level;
    for (uint32_t i = 1; i < n; i++) {
        int32_t now = x[i] < level;
        count += now ^ below;
        below = now;
    }
    return count;
}

int32_t ob_crest(ob_context *c, uint32_t stream) {
    const ob_moments *m = ob_moments_of(c, stream);
    int32_t std = ob_std(c, stream);
    if (std == 0) {
        return 0;
    }
    int32_t up = m->max - m->mean, down = m->mean - m->min;
    return ob_sat16(256 * (up > down ? up : down) / std);
}

/* Hoare's selection: reorders x until x[k] is what sorting would put there. About 3 n steps; sorted,
 * reversed and constant streams are no worse. */
static int16_t select_kth(int16_t *x, int32_t n, int32_t k) {
    int32_t left = 0, right = n - 1;
    while (left < right) {
        int16_t pivot = x[k];
        int32_t i = left, j = right;
        while (i <= j) {
            while (x[i] < pivot) {
                i++;
            }
            while (pivot < x[j]) {
                j--;
            }
            if (i <= j) {
                int16_t value = x[i];
                x[i++] = x[j];
                x[j--] = value;
            }
        }
        left = j < k ? i : left;
        right = k < i ? j : right;
    }
    return x[k];
}

int32_t ob_quantile(ob_context *c, uint32_t stream, uint32_t q) {
    if (c->ordered_stream != stream) {
        const int16_t *x = ob_stream(c, stream);
        for (uint32_t i = 0; i < c->n; i++) {
            c->ordered[i] = x[i];
        }
        c->ordered_stream = (uint8_t)stream; /* further quantiles start from its partial order */
    }
    return select_kth(c->ordered, (int32_t)c->n, (int32_t)((q * (c->n - 1) + 128) >> 8));
}
