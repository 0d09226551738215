/* Power spectrum of one stream: a real FFT through a complex one of half the length. */
#include "window_features.h"

/* Hann weight 0.5 - 0.5 * cos(2 * pi * i / n) in Q15, the same for i and n - i. */
static void apply_hann(int16_t *z, uint32_t n) {
    uint32_t step = 0xFFFFFFFFu / n; /* a turn is 2^32 */
    for (uint32_t i = 0; i <= n / 2; i++) {
        uint32_t phase = (step * i + 32768) >> 16;
        int32_t weight = (32768 - ob_sin_q15(phase + 16384) + 1) >> 1;
        z[i] = (int16_t)((z[i] * weight + 16384) >> 15);
        if (i != 0 && i != n - i) {
            z[n - i] = (int16_t)((z[n - i] * weight + 16384) >> 15);
        }
    }
}

/* From the transform Z of the even (real) and odd (imaginary) samples to powers of the samples'
 * spectrum X: with E = Z[k] + conj(Z[m-k]) and O = (Z[k] - conj(Z[m-k])) / j,
 * X[k] = (E + w^k * O) / 2 and X[m-k] = conj(E - w^k * O) / 2. |X| <= 2 * 2^14.5, so a power
 * fits 32 bits. */
static void split_into_powers(ob_bin *bins, uint32_t log2) {
    uint32_t m = 1u << log2, table_step = 512 >> log2; /* 1024 table points a turn, 2 * m used */
    int32_t re = bins[0].z.re, im = bins[0].z.im;
    bins[0].power = (uint32_t)((re + im) * (re + im));
    bins[m].power = (uint32_t)((re - im) * (re - im));
    for (uint32_t k = 1; k <= m / 2; k++) {
        int32_t ar = bins[k].z.re, ai = bins[k].z.im;
        int32_t br = bins[m - k].z.re, bi = bins[m - k].z.im;
        int32_t er = ar + br, ei = ai - bi, or = ai + bi, oi = br - ar;
        int32_t sine = ob_quarter_sine[k * table_step];
        int32_t cosine = ob_quarter_sine[256 - k * table_step];
        int32_t tr = (cosine * or + sine * oi + 16384) >> 15;
        int32_t ti = (cosine * oi - sine * or + 16384) >> 15;
        int32_t ur = (er + tr + 1) >> 1, ui = (ei + ti + 1) >> 1;
        int32_t vr = (er - tr + 1) >> 1, vi = (ei - ti + 1) >> 1;
        bins[k].power = (uint32_t)(ur * ur) + (uint32_t)(ui * ui);
        bins[m - k].power = (uint32_t)(vr * vr) + (uint32_t)(vi * vi);
    }
}

/* The powers of 2^(log2 + 1) samples that stand in the bins one after another, and bin 2^log2 behind
 * them; each true power is 4^returned times as large. */
int32_t ob_powers(ob_bin *bins, uint32_t log2) {
    int32_t halvings = ob_fft(bins, log2);
    split_into_powers(bins, log2);
    return halvings;
}

static void sum_up(const ob_bin *bins, ob_spectrum *s) {
    s->total = 0;
    s->peak = 0;
    s->peak_bin = 1;
    for (uint32_t k = 1; k <= s->n_bins; k++) {
        uint32_t power = bins[k].power;
        s->total += power;
        if (power > s->peak) {
            s->peak = power;
            s->peak_bin = k;
        }
    }
}

/* Fills the context's bins and spectrum, unless they already are this stream's. */
void ob_spectrum_of(ob_context *c, uint32_t stream) {
    if (c->spectrum_stream == stream) {
        return;
    }
    c->spectrum_stream = (uint8_t)stream;
    ob_spectrum *s = &c->spectrum;
    ob_bin *bins = c->bins;
    uint32_t log2 = c->program->fft_log2 - 1u;
    s->n_bins = 1u << log2;
    s->exponent = 0;
    ob_scaling scaling;
    int has_scale = ob_scaling_bits(ob_moments_of(c, stream), c->n, 14, &scaling);
    int16_t *z = bins[0].part; /* the samples stand in the bins one after another */
    uint32_t i = 0;
    if (has_scale) {
        const int16_t *x = ob_stream(c, stream);
        for (; i < c->n; i++) {
            z[i] = (int16_t)ob_scale(&scaling, x[i]);
        }
    }
    for (; i < 2 * (s->n_bins + 1); i++) {
        z[i] = 0;
    }
    if (has_scale) {
        if (c->program->fft_window == 1) {
            apply_hann(z, c->n);
        }
        s->exponent = 2 * (ob_powers(bins, log2) - scaling.shift);
    }
    sum_up(bins, s);
}

uint64_t ob_band_power(const ob_bin *bins, uint32_t low, uint32_t high) {
    uint64_t sum = 0;
    for (uint32_t k = low; k <= high; k++) {
        sum += bins[k].power;
    }
    return sum;
}

/* 32 * sum of k * power / sum of power, with powers cut so that the sums stay in 32 bits. */
int32_t ob_centroid(const ob_bin *bins, const ob_spectrum *s) {
    int32_t cut = (int32_t)ob_bits64(s->total) - 22;
    uint32_t sum = 0, weighted = 0; /* 2^21 - 512 .. 2^22; < 512 * 2^22 */
    for (uint32_t k = 1; k <= s->n_bins; k++) {
        uint32_t power = bins[k].power;
        power = cut < 0 ? power << -cut : power >> cut;
        sum += power;
        weighted += k * power;
    }
    return sum == 0 ? 0 : (int32_t)(weighted / ((sum + 16) >> 5));
}
