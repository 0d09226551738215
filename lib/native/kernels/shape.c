/* Skewness and kurtosis from 32-bit sums.
 *
 * The stream is scaled by a power of two so that its standard deviation lies in 64..128; a sample
 * further than 2047 (16 to 32 standard deviations) counts as 2047.
 */
#include "window_features.h"

static int32_t shape_shift(uint64_t v, uint32_t n) {
    uint64_t target = (uint64_t)(n * n) << 12; /* v of a stream with standard deviation 64 */
    int32_t shift = 0;
    for (; v < target; v <<= 2) {
        shift++;
    }
    for (; v >= target << 2; v >>= 2) {
        shift--;
    }
    return shift;
}

static const ob_shape *shape_of(ob_context *c, uint32_t stream) {
    ob_shape *shape = &c->shape;
    if (c->shape_stream == stream) {
        return shape;
    }
    const ob_moments *m = ob_moments_of(c, stream);
    const int16_t *x = ob_stream(c, stream);
    ob_scaling s;
    ob_scaling_shift(m, c->n, shape_shift(m->v, c->n), 2047, &s);
    shape->sum_zz = 0;
    shape->sum_zq = 0;
    shape->sum_qq = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        int32_t z = ob_scale(&s, x[i]);
        uint32_t square = (uint32_t)(z * z);
        uint32_t q = (square + 32) >> 6;     /* at most 65472 */
        shape->sum_zz += square;             /* n * 128.5^2 at most */
        shape->sum_zq += z * (int32_t)q;     /* at most 2047 * sum of q */
        shape->sum_qq += q * q;              /* one 32-bit product, added with carry */
    }
    c->shape_stream = (uint8_t)stream;
    return shape;
}

/* Mean square in Q4: 2^16 - 100 .. 2^18 + 2100. */
static uint32_t mean_square_q4(const ob_shape *shape, uint32_t n) {
    return shape->sum_zz * 16 / n;
}

int32_t ob_skewness(ob_context *c, uint32_t stream) {
    if (ob_moments_of(c, stream)->v == 0) {
        return 0;
    }
    const ob_shape *shape = shape_of(c, stream);
    uint32_t m2_q4 = mean_square_q4(shape, c->n);
    uint32_t std_q8 = ob_isqrt32(m2_q4 << 12);
    uint32_t cube_q9 = (m2_q4 >> 3) * std_q8;             /* 2^27 .. 2^30.1 */
    int32_t m3 = shape->sum_zq / (int32_t)c->n;           /* |.| < 2^19.1 */
    return ob_sat16(m3 * 2048 / (int32_t)(cube_q9 >> 12));
}

int32_t ob_kurtosis(ob_context *c, uint32_t stream) {
    if (ob_moments_of(c, stream)->v == 0) {
        return 0;
    }
    const ob_shape *shape = shape_of(c, stream);
    uint32_t m2_q1 = mean_square_q4(shape, c->n) >> 3;
    uint32_t square_q2 = m2_q1 * m2_q1;                   /* 2^26 .. 2^30.1 */
    uint32_t m4 = ob_div64(shape->sum_qq, c->n);          /* < 2^24.1 */
    return ob_sat16((int32_t)((m4 << 7) / ((square_q2 + 16384) >> 15)));
}
