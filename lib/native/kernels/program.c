/* Runs a checked feature program over one window. */
#include "window_features.h"

static uint32_t round8(uint32_t bytes) {
    return (bytes + 7) & ~7u;
}

static int uses(const ob_program *p, uint32_t low_op, uint32_t high_op) {
    for (uint32_t i = 0; i < p->n_features; i++) {
        uint32_t op = p->features[8 * i];
        if (op >= low_op && op <= high_op) {
            return 1;
        }
    }
    return 0;
}

/* Lays the work buffer out and returns its size; base may be NULL when only the size is wanted. */
static uint32_t lay_out(const ob_program *p, uint8_t *base, ob_context *c) {
    uint32_t n = p->window, n_streams = (uint32_t)p->n_channels + p->n_derived, used = 0;
    c->program = p;
    c->n = n;
    c->n_streams = n_streams;
    c->moments = (ob_moments *)(void *)(base + used);
    used += round8(n_streams * (uint32_t)sizeof(ob_moments));
    c->planar = (int16_t *)(void *)(base + used);
    used += round8(n_streams * n * 2);
    c->bins = (ob_bin *)(void *)(base + used);
    used += p->fft_log2 == 0 ? 0 : round8(((1u << (p->fft_log2 - 1)) + 1) * 4);
    c->ordered = (int16_t *)(void *)(base + used);
    used += uses(p, OB_OP_QUANTILE, OB_OP_QUANTILE) ? round8(n * 2) : 0;
    c->centred = (int16_t *)(void *)(base + used);
    used += uses(p, OB_OP_AUTOCORR_LAG, OB_OP_AUTOCORR_PEAK) ? round8(n * 2) : 0;
    return used;
}

static uint32_t arg(const uint8_t *entry, uint32_t i) {
    return entry[2 + 2 * i] | (uint32_t)entry[3 + 2 * i] << 8;
}

/* Ops 20..25, all but the Goertzel one on the stream's spectrum. */
static int32_t spectral_feature(ob_context *c, const uint8_t *entry) {
    const ob_spectrum *s = &c->spectrum;
    if (entry[0] == OB_OP_GOERTZEL) {
        return ob_goertzel(c, entry[1], arg(entry, 0));
    }
    ob_spectrum_of(c, entry[1]);
    switch (entry[0]) {
        case OB_OP_BAND_ENERGY:
            return ob_log2_scaled(
                ob_band_power(c->bins, arg(entry, 0), arg(entry, 1)), s->exponent);
        case OB_OP_BAND_SHARE:
            return ob_share_q15(ob_band_power(c->bins, arg(entry, 0), arg(entry, 1)), s->total);
        case OB_OP_CENTROID:
            return ob_centroid(c->bins, s);
        case OB_OP_PEAK_BIN:
            return (int32_t)s->peak_bin;
        default:
            return ob_share_q15(s->peak, s->total);
    }
}

/* Ops 10..19. */
static int32_t shape_feature(ob_context *c, const uint8_t *entry) {
    uint32_t stream = entry[1];
    switch (entry[0]) {
        case OB_OP_SKEWNESS:
            return ob_skewness(c, stream);
        case OB_OP_KURTOSIS:
            return ob_kurtosis(c, stream);
        case OB_OP_CREST:
            return ob_crest(c, stream);
        case OB_OP_QUANTILE:
            return ob_quantile(c, stream, arg(entry, 0));
        case OB_OP_ENERGY:
            return ob_log2_q8(ob_moments_of(c, stream)->v);
        case OB_OP_SHARE:
            return ob_share(c, stream, arg(entry, 0), arg(entry, 1));
        case OB_OP_CORRELATION:
            return ob_correlation(c, stream, arg(entry, 0));
        case OB_OP_TILT:
            return ob_tilt(c, stream, arg(entry, 0));
        default:
            ob_autocorr(c, stream, arg(entry, 0), arg(entry, 1));
            return entry[0] == OB_OP_AUTOCORR_LAG ? c->autocorr_lag : c->autocorr_peak;
    }
}

static int32_t feature(ob_context *c, const uint8_t *entry) {
    uint32_t stream = entry[1];
    const int16_t *x = ob_stream(c, stream);
    switch (entry[0]) {
        case OB_OP_MEAN:
            return ob_moments_of(c, stream)->mean;
        case OB_OP_STD:
            return ob_std(c, stream);
        case OB_OP_RMS:
            return ob_rms(c, stream);
        case OB_OP_MIN:
            return ob_moments_of(c, stream)->min;
        case OB_OP_MAX:
            return ob_moments_of(c, stream)->max;
        case OB_OP_P2P:
            return (ob_moments_of(c, stream)->max - ob_moments_of(c, stream)->min) >> 1;
        case OB_OP_MAD:
            return ob_mad(x, c->n);
        case OB_OP_ZERO_CROSSINGS:
            return ob_crossings(x, c->n, 0);
        case OB_OP_MEAN_CROSSINGS:
            return ob_crossings(x, c->n, ob_moments_of(c, stream)->mean);
        default:
            return entry[0] >= OB_OP_BAND_ENERGY ? spectral_feature(c, entry)
                                                 : shape_feature(c, entry);
    }
}

uint32_t ob_program_work_bytes(const ob_program *p) {
    ob_context c;
    return lay_out(p, (uint8_t *)0, &c);
}

void ob_features(const ob_program *p, const int16_t *ring, uint32_t rows, uint32_t start_row,
    void *work, int16_t *out) {
    ob_context c;
    lay_out(p, work, &c);
    c.spectrum_stream = c.ordered_stream = c.shape_stream = c.autocorr_stream = OB_NO_STREAM;
    for (uint32_t i = 0; i < c.n_streams; i++) {
        c.moments[i].valid = 0;
    }
    ob_deinterleave(&c, ring, rows, start_row);
    for (uint32_t i = 0; i < p->n_derived; i++) {
        ob_derive(&c, p->derived + 8 * i, p->n_channels + i);
    }
    for (uint32_t i = 0; i < p->n_features; i++) {
        if (p->features[8 * i] != OB_OP_CUSTOM) {
            out[i] = (int16_t)feature(&c, p->features + 8 * i);
        }
    }
}
