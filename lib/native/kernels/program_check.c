/* Checks the features section of a model once, so that running it needs no checks. */
#include "onebyte.h"

static uint32_t arg(const uint8_t *entry, uint32_t i) {
    return entry[2 + 2 * i] | (uint32_t)entry[3 + 2 * i] << 8;
}

static int header_is_valid(const uint8_t *s, uint32_t length, uint32_t window) {
    if (length < 8 || s[0] > OB_MAX_DERIVED || s[1] < 1 || s[1] > OB_MAX_FEATURES) {
        return 0;
    }
    if ((s[4] | s[5] | s[6] | s[7]) != 0 || length != 8 + 8u * s[0] + 8u * s[1]) {
        return 0;
    }
    if (s[2] == 0) {
        return s[3] == 0;
    }
    return s[2] >= OB_MIN_FFT_LOG2 && s[2] <= OB_MAX_FFT_LOG2 && (1u << s[2]) >= window
        && s[3] <= 1;
}

/* The streams an entry names must exist already: numbers below `known`. */
static int derived_is_valid(const uint8_t *e, uint32_t known) {
    uint32_t a = e[1], b = e[2], c = e[3];
    if ((e[4] | e[5] | e[6] | e[7]) != 0) {
        return 0;
    }
    switch (e[0]) {
        case OB_OP_MAGNITUDE:
            return a < known && b < known && c < known;
        case OB_OP_DIFF:
            return a < known && b == 0 && c == 0;
        case OB_OP_PROJECT:
            return a + 2 < known && b + 2 < known && c == 0;
        default:
            return 0;
    }
}

/* Ops whose arguments are other streams. */
static int group_is_valid(uint32_t op, uint32_t stream, uint32_t a0, uint32_t a1,
    uint32_t n_streams) {
    if (op == OB_OP_CORRELATION) {
        return a0 < n_streams && a1 == 0;
    }
    uint32_t count = op == OB_OP_TILT ? 3 : a1;
    if (op == OB_OP_TILT ? a1 != 0 : (a1 < 2 || a1 > 6)) {
        return 0;
    }
    return a0 + count <= n_streams && a0 <= stream && stream < a0 + count;
}

static int feature_is_valid(const uint8_t *e, const ob_program *p, uint32_t n_streams) {
    uint32_t op = e[0], a0 = arg(e, 0), a1 = arg(e, 1);
    uint32_t half = p->fft_log2 == 0 ? 0 : 1u << (p->fft_log2 - 1);
    if (op < OB_OP_MEAN || op > OB_OP_CUSTOM || e[1] >= n_streams || arg(e, 2) != 0) {
        return 0;
    }
    switch (op) {
        case OB_OP_QUANTILE:
            return a0 <= 256 && a1 == 0;
        case OB_OP_SHARE:
        case OB_OP_CORRELATION:
        case OB_OP_TILT:
            return group_is_valid(op, e[1], a0, a1, n_streams);
        case OB_OP_AUTOCORR_LAG:
        case OB_OP_AUTOCORR_PEAK:
            return a0 >= 1 && a0 <= a1 && a1 < p->window;
        case OB_OP_BAND_ENERGY:
            return half != 0 && a0 <= a1 && a1 <= half;
        case OB_OP_BAND_SHARE:
            return half != 0 && a0 >= 1 && a0 <= a1 && a1 <= half;
        case OB_OP_GOERTZEL:
            return a0 >= 1 && a0 <= 32767 && a1 == 0;
        case OB_OP_CENTROID:
        case OB_OP_PEAK_BIN:
        case OB_OP_PEAK_SHARE:
            return half != 0 && a0 == 0 && a1 == 0;
        case OB_OP_CUSTOM:
            return e[1] == 0 && a0 < OB_MAX_FEATURES && a1 == 0;
        default:
            return a0 == 0 && a1 == 0;
    }
}

int ob_program_check(const uint8_t *section, uint32_t length, uint32_t n_channels,
    uint32_t window, ob_program *out) {
    if (!header_is_valid(section, length, window)) {
        return OB_FEATURES;
    }
    out->n_channels = (uint8_t)n_channels;
    out->window = (uint16_t)window;
    out->n_derived = section[0];
    out->n_features = section[1];
    out->fft_log2 = section[2];
    out->fft_window = section[3];
    out->reserved = 0;
    out->derived = section + 8;
    out->features = section + 8 + 8u * section[0];
    for (uint32_t i = 0; i < out->n_derived; i++) {
        if (!derived_is_valid(out->derived + 8 * i, n_channels + i)) {
            return OB_STREAM;
        }
    }
    for (uint32_t i = 0; i < out->n_features; i++) {
        if (!feature_is_valid(out->features + 8 * i, out, n_channels + out->n_derived)) {
            return OB_FEATURES;
        }
    }
    return OB_OK;
}
