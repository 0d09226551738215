/* Power at one frequency by Goertzel's recursion, in Reinsch's form.
 *
 * With w = 2 * pi * frequency / 65536 the recursion is s = z + 2 * cos(w) * s1 - s2. Written with
 * K = 2 - 2 * cos(w) = 4 * sin(w / 2)^2 it keeps its precision at low frequencies, where cos(w) is
 * close to 1: s = z + (s1 - K * s1) + (s1 - s2). Frequencies above a quarter of the sample rate
 * are mirrored by turning the sign of every other sample.
 */
#include "window_features.h"

typedef struct feedback {
    int32_t mantissa; /* K = mantissa * 2^-(13 + down), 2^14 <= mantissa < 2^15 */
    uint32_t down;    /* 0..28 */
    int32_t half;     /* rounds the shift by down */
} feedback;

/* K = w^2 * (1 - w^2/12 * (1 - w^2/30 * (1 - w^2/56 * (1 - w^2/90)))) for w <= pi / 2. */
static feedback feedback_for(uint32_t frequency) {
    uint32_t square = frequency * frequency;        /* <= 2^28; w^2 = square * 4 * pi^2 / 2^32 */
    uint32_t w2_q14 = (square >> 13) * 20213 >> 14; /* 20213 = 4 * pi^2 * 2^9; <= 40426 */
    uint32_t series_q15 = 32768 - w2_q14 * 2 / 90;
    series_q15 = 32768 - (w2_q14 * series_q15 >> 14) / 56;
    series_q15 = 32768 - (w2_q14 * series_q15 >> 14) / 30;
    series_q15 = 32768 - (w2_q14 * series_q15 >> 14) / 12; /* 26500..32768 */
    uint32_t shift = 0;
    for (; square < 1u << 28; square <<= 1) {
        shift++;
    }
    uint32_t product = ((square >> 13) * series_q15 >> 16) * 20213; /* K * 2^(27 + shift) */
    uint32_t cut = ob_bits32(product) - 15;
    feedback k = {(int32_t)(product >> cut), 14 + shift - cut, 0};
    k.half = k.down == 0 ? 0 : 1 << (k.down - 1);
    return k;
}

/* K * s for |s| <= 2^28, in two 32-bit products. */
static inline int32_t feed(const feedback *k, int32_t s) {
    int32_t product = (s >> 13) * k->mantissa + ((s & 8191) * k->mantissa >> 13);
    return (product + k->half) >> k->down;
}

/* Largest bits for which |s| stays within 2^28: |s| <= max|z| * sum over i < n of
 * |sin((i + 1) * w) / sin(w)|, each term at most i + 1 and at most pi / (2 * w) (+ rounding). */
static uint32_t input_bits(uint32_t n, uint32_t frequency) {
    uint32_t ramp = n * (n + 1) / 2, flat = n * (16384 / frequency + 1);
    uint32_t bits = 28 - ob_bits32(ramp < flat ? ramp : flat);
    return bits > 14 ? 14 : bits;
}

int32_t ob_goertzel(ob_context *c, uint32_t stream, uint32_t frequency) {
    int32_t sign = 0; /* -1 turns the sign of the odd samples */
    if (frequency > 16384) {
        frequency = 32768 - frequency;
        sign = -1;
    }
    ob_scaling scaling;
    if (!ob_scaling_bits(ob_moments_of(c, stream), c->n, input_bits(c->n, frequency), &scaling)) {
        return 0;
    }
    const feedback k = feedback_for(frequency);
    const int16_t *x = ob_stream(c, stream);
    int32_t s1 = 0, s2 = 0, turn = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        int32_t z = (ob_scale(&scaling, x[i]) ^ turn) - turn;
        turn ^= sign;
        int32_t s = z + (s1 - feed(&k, s1)) + (s1 - s2);
        s2 = s1;
        s1 = s;
    }
    /* |s1 - s2 * e^(-jw)|^2 = (s1 - s2)^2 + K * s1 * s2; two 64-bit products a feature */
    int32_t fed = feed(&k, s1);
    uint32_t step = ob_abs32(s1 - s2);
    int64_t cross = (int64_t)ob_mul32(ob_abs32(fed), ob_abs32(s2));
    int64_t power = (int64_t)ob_mul32(step, step) + ((fed < 0) != (s2 < 0) ? -cross : cross);
    return power <= 0 ? 0 : ob_log2_scaled((uint64_t)power, -2 * scaling.shift);
}
