/* Host only: the kernels over many windows, in shapes that ctypes can call.
 *
 * Sections and models are checked at every call, so that no structure of the kernels has to be
 * repeated in Python. Functions return an ob_reason.
 */
#include "window_features.h"

typedef struct obh_sizes {
    uint32_t window;
    uint32_t n_channels;
    uint32_t n_features;
    uint32_t n_classes;
    uint32_t work_bytes;
} obh_sizes;

int obh_program_sizes(const uint8_t *section, uint32_t length, uint32_t n_channels,
    uint32_t window, obh_sizes *out) {
    ob_program program;
    int reason = ob_program_check(section, length, n_channels, window, &program);
    if (reason == OB_OK) {
        *out = (obh_sizes){window, n_channels, program.n_features, 0,
            ob_program_work_bytes(&program)};
    }
    return reason;
}

int obh_model_sizes(const uint8_t *model, uint32_t length, obh_sizes *out) {
    ob_model m;
    int reason = ob_model_check(model, length, &m);
    if (reason == OB_OK) {
        *out = (obh_sizes){m.program.window, m.program.n_channels, m.program.n_features,
            m.n_classes, m.work_bytes};
    }
    return reason;
}

/* windows: count x window x n_channels; work: work_bytes, 8-byte aligned; out: count x n_features */
static void features_of_all(const ob_program *p, const int16_t *windows, uint32_t count,
    void *work, int16_t *out) {
    for (size_t i = 0; i < count; i++) {
        const int16_t *window = windows + i * p->window * p->n_channels;
        ob_features(p, window, p->window, 0, work, out + i * p->n_features);
    }
}

int obh_program_features(const uint8_t *section, uint32_t length, uint32_t n_channels,
    uint32_t window, const int16_t *windows, uint32_t count, void *work, int16_t *out) {
    ob_program program;
    int reason = ob_program_check(section, length, n_channels, window, &program);
    if (reason == OB_OK) {
        features_of_all(&program, windows, count, work, out);
    }
    return reason;
}

int obh_model_features(const uint8_t *model, uint32_t length, const int16_t *windows,
    uint32_t count, void *work, int16_t *out) {
    ob_model m;
    int reason = ob_model_check(model, length, &m);
    if (reason == OB_OK) {
        features_of_all(&m.program, windows, count, work, out);
    }
    return reason;
}

/* out: count x (4 + n_classes) */
int obh_model_predict(const uint8_t *model, uint32_t length, const int16_t *features,
    uint32_t count, int32_t *out) {
    ob_model m;
    int reason = ob_model_check(model, length, &m);
    for (size_t i = 0; reason == OB_OK && i < count; i++) {
        ob_predict(&m, features + i * m.program.n_features, out + i * (4u + m.n_classes));
    }
    return reason;
}

/* points: 2^log2 pairs of re, im; transformed in place; returns the exponent. */
int32_t obh_fft(int16_t *points, uint32_t log2) {
    return ob_fft((ob_bin *)(void *)points, log2);
}

/* x: n samples; bins: 2^(fft_log2 - 1) + 1 powers, true power = bins * 2^(returned). */
int32_t obh_spectrum(int16_t *x, uint32_t n, uint32_t fft_log2, uint32_t fft_window,
    uint32_t *bins) {
    ob_program program = {0};
    ob_moments moments = {0};
    ob_context c = {0};
    program.window = (uint16_t)n;
    program.fft_log2 = (uint8_t)fft_log2;
    program.fft_window = (uint8_t)fft_window;
    c.program = &program;
    c.planar = x;
    c.moments = &moments;
    c.bins = (ob_bin *)(void *)bins;
    c.n = n;
    c.n_streams = 1;
    c.spectrum_stream = OB_NO_STREAM;
    ob_spectrum_of(&c, 0);
    return c.spectrum.exponent;
}
