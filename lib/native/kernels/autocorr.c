/* Autocorrelation r(k) = sum of z[i] * z[i + k], i = 0..n-1-k, of the centred stream. */
#include "window_features.h"

/* r(lag) and r(lag + 1) in one walk, which loads each sample once for both. lag < n. */
static void lag_products(const int16_t *z, uint32_t n, uint32_t lag, int32_t products[2]) {
    int32_t first = 0, second = 0; /* |r(k)| <= r(0) < 2^31 by the choice of bits */
    const int16_t *shifted = z + lag, *end = z + n;
    int32_t value = *shifted++;
    while (end - shifted >= 2) {
        int32_t factor = *z++, next = *shifted++;
        first += factor * value;
        second += factor * next;
        factor = *z++;
        value = *shifted++;
        first += factor * next;
        second += factor * value;
    }
    if (shifted < end) {
        int32_t factor = *z++, next = *shifted;
        first += factor * value;
        second += factor * next;
        value = next;
    }
    products[0] = first + *z * value;
    products[1] = second;
}

/* Leaves the lag of the largest r(k), low <= k <= high, and r(k) / r(0) in the context. */
void ob_autocorr(ob_context *c, uint32_t stream, uint32_t low, uint32_t high) {
    if (c->autocorr_stream == stream && c->autocorr_low == low && c->autocorr_high == high) {
        return;
    }
    c->autocorr_stream = (uint8_t)stream;
    c->autocorr_low = (uint16_t)low;
    c->autocorr_high = (uint16_t)high;
    c->autocorr_lag = (uint16_t)low;
    c->autocorr_peak = 0;
    ob_scaling s;
    /* n * 2^(2 * bits) <= 2^31, so no sum of products leaves 32 bits */
    uint32_t bits = (31 - ob_bits32(c->n - 1)) / 2;
    if (!ob_scaling_bits(ob_moments_of(c, stream), c->n, bits, &s)) {
        return;
    }
    const int16_t *x = ob_stream(c, stream);
    int16_t *z = c->centred;
    for (uint32_t i = 0; i < c->n; i++) {
        z[i] = (int16_t)ob_scale(&s, x[i]);
    }
    int32_t products[2], best = 0;
    for (uint32_t lag = low; lag <= high; lag += 2) {
        lag_products(z, c->n, lag, products);
        for (uint32_t j = 0; j < 2 && lag + j <= high; j++) {
            if (products[j] > best || lag + j == low) {
                best = products[j];
                c->autocorr_lag = (uint16_t)(lag + j);
            }
        }
    }
    lag_products(z, c->n, 0, products);
    int32_t share = ob_share_q15(ob_abs32(best), (uint32_t)products[0]);
    c->autocorr_peak = best < 0 ? -share : share;
}
