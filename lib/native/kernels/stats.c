/* Statistics of one stream in the time domain. */
#include "window_features.h"

const ob_moments *ob_moments_of(ob_context *c, uint32_t stream) {
    ob_moments *m = c->moments + stream;
    if (m->valid) {
        return m;
    }
    const int16_t *x = ob_stream(c, stream);
    int32_t s1 = 0, low = x[0], high = x[0];
    uint64_t s2 = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        int32_t value = x[i];
        s1 += value;
        s2 += (uint32_t)(value * value); /* a 64-bit sum is an add with carry, no helper */
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    m->s1 = s1;
    m->s2 = s2;
    m->min = (int16_t)low;
    m->max = (int16_t)high;
    m->mean = s1 / (int32_t)c->n;
    uint32_t size = ob_abs32(s1);
    m->v = ob_mul64(s2, c->n) - ob_mul32(size, size);
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

/* Shell sort with Ciura's gaps: no recursion, no second buffer, about n^1.3 moves. */
void ob_sort(int16_t *x, uint32_t n) {
    static const uint16_t gaps[8] = {701, 301, 132, 57, 23, 10, 4, 1};
    for (uint32_t g = 0; g < 8; g++) {
        uint32_t gap = gaps[g];
        for (uint32_t i = gap; i < n; i++) {
            int16_t value = x[i];
            uint32_t j = i;
            for (; j >= gap && x[j - gap] > value; j -= gap) {
                x[j] = x[j - gap];
            }
            x[j] = value;
        }
    }
}

int32_t ob_quantile(ob_context *c, uint32_t stream, uint32_t q) {
    if (c->sorted_stream != stream) {
        const int16_t *x = ob_stream(c, stream);
        for (uint32_t i = 0; i < c->n; i++) {
            c->sorted[i] = x[i];
        }
        ob_sort(c->sorted, c->n);
        c->sorted_stream = (uint8_t)stream;
    }
    return c->sorted[(q * (c->n - 1) + 128) >> 8];
}
