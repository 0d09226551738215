/* Features that look at several streams. */
#include "window_features.h"

/* Means of three streams; returns the length of that vector. */
uint32_t ob_group_means(ob_context *c, uint32_t base, int32_t means[3]) {
    uint32_t sum = 0; /* at most 3 * 2^30 */
    for (uint32_t j = 0; j < 3; j++) {
        means[j] = ob_moments_of(c, base + j)->mean;
        sum += (uint32_t)(means[j] * means[j]);
    }
    return ob_isqrt32(sum);
}

int32_t ob_tilt(ob_context *c, uint32_t stream, uint32_t base) {
    int32_t means[3];
    uint32_t length = ob_group_means(c, base, means);
    return length == 0 ? 0 : 32767 * means[stream - base] / (int32_t)length;
}

int32_t ob_share(ob_context *c, uint32_t stream, uint32_t base, uint32_t count) {
    uint64_t sum = 0; /* at most 6 * 2^50 */
    for (uint32_t j = 0; j < count; j++) {
        sum += ob_moments_of(c, base + j)->v;
    }
    return ob_share_q15(ob_moments_of(c, stream)->v, sum);
}

/* sqrt(v) = root * 2^exponent with root in 2^15..2^16. */
static uint32_t normal_root(uint64_t v, int32_t *exponent) {
    int32_t shift = ((int32_t)ob_bits64(v) - 31) & ~1; /* even, so that its half is exact */
    uint32_t top = shift < 0 ? (uint32_t)v << -shift : ob_shr64(v, (uint32_t)shift);
    *exponent = shift / 2;
    return ob_isqrt32(top);
}

static int64_t covariance(ob_context *c, uint32_t stream, uint32_t other) {
    const int16_t *x = ob_stream(c, stream), *y = ob_stream(c, other);
    int64_t sum = 0; /* |.| <= 2^40 */
    for (uint32_t i = 0; i < c->n; i++) {
        sum += x[i] * y[i];
    }
    int32_t sx = ob_moments_of(c, stream)->s1, sy = ob_moments_of(c, other)->s1;
    int64_t scaled = (int64_t)ob_mul64(ob_abs64(sum), c->n);
    int64_t means = (int64_t)ob_mul32(ob_abs32(sx), ob_abs32(sy));
    return (sum < 0 ? -scaled : scaled) - ((sx < 0) != (sy < 0) ? -means : means);
}

int32_t ob_correlation(ob_context *c, uint32_t stream, uint32_t other) {
    uint64_t vx = ob_moments_of(c, stream)->v, vy = ob_moments_of(c, other)->v;
    if (vx == 0 || vy == 0) {
        return 0;
    }
    int32_t ex, ey;
    uint32_t den = normal_root(vx, &ex) * normal_root(vy, &ey) >> 15; /* 2^15..2^17 */
    int64_t cov = covariance(c, stream, other);
    int32_t shift = ex + ey + 15;
    uint32_t num = shift < 0 ? (uint32_t)ob_abs64(cov) << -shift
                             : ob_shr64(ob_abs64(cov), (uint32_t)shift);
    num = num > den ? den : num; /* the roots are floors */
    int32_t value = (int32_t)(num * 32767u / den);
    return cov < 0 ? -value : value;
}
