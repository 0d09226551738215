/* Complex FFT of 2^log2 int16 points in place, forward, block floating point.
 *
 * Every point has a magnitude of at most 2^14.5 (components within 2^14 at the start). A pass at
 * most doubles magnitudes, so it halves its results when any component has reached 2^13; the
 * bound then holds after every pass, and sums of products stay within 2^30.6.
 */
#include "window_features.h"

#define OB_HALVE_AT 8192

static uint32_t size_of(int32_t value) {
    return (uint32_t)(value ^ (value >> 31));
}

static uint32_t largest(const ob_bin *bins, uint32_t n) {
    uint32_t bits = 0; /* the or of all sizes has the highest bit of the largest */
    for (uint32_t i = 0; i < n; i++) {
        bits |= size_of(bins[i].z.re) | size_of(bins[i].z.im);
    }
    return bits;
}

static void reverse_bits(ob_bin *bins, uint32_t n) {
    uint32_t j = 0;
    for (uint32_t i = 1; i < n; i++) {
        uint32_t bit = n >> 1;
        for (; j & bit; bit >>= 1) {
            j ^= bit;
        }
        j ^= bit;
        if (i < j) {
            uint32_t other = bins[i].power;
            bins[i].power = bins[j].power;
            bins[j].power = other;
        }
    }
}

/* The first two passes at once: groups of four points, no products. Quadruples magnitudes. */
static uint32_t first_passes(ob_bin *bins, uint32_t n, uint32_t down) {
    uint32_t bits = 0;
    int32_t half = (1 << down) >> 1;
    for (ob_bin *p = bins; p < bins + n; p += 4) {
        int32_t ar = p[0].z.re + p[1].z.re + half, ai = p[0].z.im + p[1].z.im + half;
        int32_t br = p[0].z.re - p[1].z.re + half, bi = p[0].z.im - p[1].z.im + half;
        int32_t cr = p[2].z.re + p[3].z.re, ci = p[2].z.im + p[3].z.im;
        int32_t dr = p[2].z.re - p[3].z.re, di = p[2].z.im - p[3].z.im;
        int32_t out[8] = {
            (ar + cr) >> down, (ai + ci) >> down, (br + di) >> down, (bi - dr) >> down,
            (ar - cr) >> down, (ai - ci) >> down, (br - di) >> down, (bi + dr) >> down,
        };
        for (uint32_t k = 0; k < 8; k++) {
            p[k >> 1].part[k & 1] = (int16_t)out[k];
            bits |= size_of(out[k]);
        }
    }
    return bits;
}

/* All butterflies of one pass that share the factor cosine - j * sine (Q15). */
static uint32_t butterflies(ob_bin *p, const ob_bin *end, uint32_t span, int32_t cosine,
    int32_t sine, uint32_t down) {
    uint32_t bits = 0;
    int32_t half = 1 << (down - 1);
    for (; p < end; p += 2 * span) {
        ob_bin *q = p + span;
        int32_t qr = q->z.re, qi = q->z.im;
        int32_t tr = qr * cosine + qi * sine, ti = qi * cosine - qr * sine;
        int32_t pr = p->z.re * 32768 + half, pi = p->z.im * 32768 + half;
        int32_t ur = (pr + tr) >> down, ui = (pi + ti) >> down;
        int32_t vr = (pr - tr) >> down, vi = (pi - ti) >> down;
        p->z.re = (int16_t)ur;
        p->z.im = (int16_t)ui;
        q->z.re = (int16_t)vr;
        q->z.im = (int16_t)vi;
        bits |= size_of(ur) | size_of(ui) | size_of(vr) | size_of(vi);
    }
    return bits;
}

/* Returns how often the points were halved: the transform is bins * 2^(returned). log2 >= 2. */
int32_t ob_fft(ob_bin *bins, uint32_t log2) {
    uint32_t n = 1u << log2;
    uint32_t bits = largest(bins, n);
    uint32_t halvings = bits >= OB_HALVE_AT ? 2 : bits >= OB_HALVE_AT / 2 ? 1 : 0;
    reverse_bits(bins, n);
    bits = first_passes(bins, n, halvings);

    for (uint32_t span = 4; span < n; span *= 2) {
        uint32_t halve = bits >= OB_HALVE_AT, down = 15 + halve;
        halvings += halve;
        bits = 0;
        uint32_t table_step = 512 / span; /* 1024 table points a turn, 2 * span of them used */
        for (uint32_t k = 0; k < span / 2; k++) {
            int32_t sine = ob_quarter_sine[k * table_step];
            int32_t cosine = ob_quarter_sine[256 - k * table_step];
            bits |= butterflies(bins + k, bins + n, span, cosine, sine, down);
            /* a quarter turn further: the factor times -j */
            bits |= butterflies(bins + k + span / 2, bins + n, span, -sine, cosine, down);
        }
    }
    return (int32_t)halvings;
}
