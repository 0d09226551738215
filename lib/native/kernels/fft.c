/* Complex FFT of 2^log2 int16 points in place, forward, block floating point, radix 4.
 *
 * Every point has a magnitude of at most 2^14.5 (components within 2^14 at the start). A pass of
 * radix 4 at most quadruples magnitudes; it divides its results by 4, 2 or 1 depending on the
 * largest component before it, so that the bound holds after every pass.
 *
 * A point is read and written as one word, re in its low half: the Cortex-M0+ loads a word as fast
 * as a half and has registers for few values.
 */
#include "window_features.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the halves of a point are taken from a little-endian word"
#endif

/* cosine - j * sine of three angles, Q15 */
typedef struct factors {
    int32_t cosine[3];
    int32_t sine[3];
} factors;

static inline int32_t re_of(uint32_t point) {
    return (int16_t)point;
}

static inline int32_t im_of(uint32_t point) {
    return (int32_t)point >> 16;
}

/* Stores a point and returns a word with the bit above the highest one of each half's size. */
static inline uint32_t store(ob_bin *bin, int32_t re, int32_t im) {
    uint32_t point = ((uint32_t)im << 16) | (uint16_t)re;
    bin->power = point;
    return point ^ (point << 1);
}

/* How often a pass of radix 4 has to halve, from the or of what `store` returned: twice when a
 * component v has v ^ (v >> 31) >= 8192, once from 4096 on. Bit 16 mixes the halves, but counts
 * for neither limit. */
static uint32_t halvings_for(uint32_t sizes) {
    return (sizes & 0xC000C000u) != 0 ? 2 : (sizes & 0xE000E000u) != 0 ? 1 : 0;
}

/* Puts the points into bit-reversed order; returns the or of their sizes. */
static uint32_t reverse_bits(ob_bin *bins, uint32_t n) {
    uint32_t j = 0, sizes = bins[0].power ^ (bins[0].power << 1);
    for (uint32_t i = 1; i < n; i++) {
        uint32_t bit = n >> 1;
        for (; j & bit; bit >>= 1) {
            j ^= bit;
        }
        j ^= bit;
        uint32_t point = bins[i].power, other = bins[j].power;
        sizes |= point ^ (point << 1);
        if (i < j) {
            sizes |= other ^ (other << 1); /* at j stands the first of the two later */
            bins[i].power = other;
            bins[j].power = point;
        }
    }
    return sizes;
}

/* A pass of radix 2 over neighbours, for an odd log2. */
static uint32_t pass_of_pairs(ob_bin *p, const ob_bin *end, uint32_t down) {
    uint32_t sizes = 0;
    int32_t half = (int32_t)down;
    for (; p < end; p += 2) {
        uint32_t a = p[0].power, b = p[1].power;
        int32_t ar = re_of(a) + half, ai = im_of(a) + half, br = re_of(b), bi = im_of(b);
        sizes |= store(p, (ar + br) >> down, (ai + bi) >> down);
        sizes |= store(p + 1, (ar - br) >> down, (ai - bi) >> down);
    }
    return sizes;
}

/* The butterflies of a pass of radix 4 that have no factors: a, b, c, d become a + b + c + d,
 * a - b - j (c - d), a + b - c - d, a - b + j (c - d). */
static uint32_t plain_butterflies(ob_bin *p, const ob_bin *end, uint32_t span, uint32_t down) {
    uint32_t sizes = 0;
    int32_t half = (1 << down) >> 1;
    for (; p < end; p += 4 * span) {
        ob_bin *q = p + span, *r = q + span, *s = r + span;
        uint32_t a = p->power, b = q->power;
        int32_t ur = re_of(a) + re_of(b) + half, ui = im_of(a) + im_of(b) + half;
        int32_t vr = re_of(a) - re_of(b) + half, vi = im_of(a) - im_of(b) + half;
        uint32_t c = r->power, d = s->power;
        int32_t tr = re_of(c) + re_of(d), ti = im_of(c) + im_of(d);
        sizes |= store(p, (ur + tr) >> down, (ui + ti) >> down);
        sizes |= store(r, (ur - tr) >> down, (ui - ti) >> down);
        tr = re_of(c) - re_of(d);
        ti = im_of(c) - im_of(d);
        sizes |= store(q, (vr + ti) >> down, (vi - tr) >> down);
        sizes |= store(s, (vr - ti) >> down, (vi + tr) >> down);
    }
    return sizes;
}

/* The same after multiplying c, b, d by the three factors. A product is at most 2^29.5; two of its
 * fraction bits are kept until the shift at the end. */
static uint32_t butterflies(ob_bin *p, const ob_bin *end, uint32_t span, const factors *w,
    uint32_t down) {
    uint32_t sizes = 0;
    int32_t half = (1 << down) >> 1;
    for (; p < end; p += 4 * span) {
        ob_bin *q = p + span, *r = q + span, *s = r + span;
        int32_t re = re_of(r->power), im = im_of(r->power);
        int32_t cr = (re * w->cosine[0] + im * w->sine[0]) >> 13;
        int32_t ci = (im * w->cosine[0] - re * w->sine[0]) >> 13;
        re = re_of(s->power);
        im = im_of(s->power);
        int32_t dr = (re * w->cosine[2] + im * w->sine[2]) >> 13;
        int32_t di = (im * w->cosine[2] - re * w->sine[2]) >> 13;
        int32_t sr = cr + dr, si = ci + di;
        dr = cr - dr;
        di = ci - di;
        re = re_of(q->power);
        im = im_of(q->power);
        int32_t br = (re * w->cosine[1] + im * w->sine[1]) >> 13;
        int32_t bi = (im * w->cosine[1] - re * w->sine[1]) >> 13;
        int32_t ar = re_of(p->power) * 4 + half, ai = im_of(p->power) * 4 + half;
        sizes |= store(p, (ar + br + sr) >> down, (ai + bi + si) >> down);
        sizes |= store(r, (ar + br - sr) >> down, (ai + bi - si) >> down);
        sizes |= store(q, (ar - br + di) >> down, (ai - bi - dr) >> down);
        sizes |= store(s, (ar - br - di) >> down, (ai - bi + dr) >> down);
    }
    return sizes;
}

/* at: an angle in 1/1024 of a turn, 0..767 */
static void set_factor(factors *w, int i, uint32_t at) {
    int32_t sine = ob_quarter_sine[at & 255u], cosine = ob_quarter_sine[256 - (at & 255u)];
    uint32_t quarter = at >> 8;
    w->cosine[i] = quarter == 0 ? cosine : quarter == 1 ? -sine : -cosine;
    w->sine[i] = quarter == 0 ? sine : quarter == 1 ? cosine : -sine;
}

/* Returns how often the points were halved: the transform is bins * 2^(returned). log2 is 2..9. */
int32_t ob_fft(ob_bin *bins, uint32_t log2) {
    uint32_t n = 1u << log2, span = 1;
    uint32_t sizes = reverse_bits(bins, n), halvings = 0;
    if (log2 & 1) {
        halvings = (sizes & 0xC000C000u) != 0; /* magnitudes at most double */
        sizes = pass_of_pairs(bins, bins + n, halvings);
        span = 2;
    }
    for (; span < n; span *= 4) {
        uint32_t down = halvings_for(sizes), step = 256 / span;
        halvings += down;
        sizes = plain_butterflies(bins, bins + n, span, down);
        for (uint32_t k = 1; k < span; k++) {
            factors w;
            set_factor(&w, 0, k * step);
            set_factor(&w, 1, 2 * k * step);
            set_factor(&w, 2, 3 * k * step);
            sizes |= butterflies(bins + k, bins + n, span, &w, down + 2);
        }
    }
    return (int32_t)halvings;
}
