/* Step 1: the window out of the ring, one array a channel. Step 2: derived streams. */
#include "window_features.h"

void ob_deinterleave(const ob_context *c, const int16_t *ring, uint32_t rows, uint32_t start_row) {
    uint32_t n = c->n, stride = c->program->n_channels;
    uint32_t before_wrap = rows - start_row < n ? rows - start_row : n;
    for (uint32_t channel = 0; channel < stride; channel++) {
        int16_t *out = ob_stream(c, channel);
        const int16_t *in = ring + start_row * stride + channel;
        uint32_t i = 0;
        for (; i < before_wrap; i++, in += stride) {
            out[i] = *in;
        }
        in = ring + channel;
        for (; i < n; i++, in += stride) {
            out[i] = *in;
        }
    }
}

static void derive_magnitude(const ob_context *c, const uint8_t *entry, int16_t *out) {
    const int16_t *a = ob_stream(c, entry[1]), *b = ob_stream(c, entry[2]);
    const int16_t *d = ob_stream(c, entry[3]);
    for (uint32_t i = 0; i < c->n; i++) {
        uint32_t sum = (uint32_t)(a[i] * a[i]); /* at most 3 * 2^30 */
        sum += (uint32_t)(b[i] * b[i]);
        sum += (uint32_t)(d[i] * d[i]);
        out[i] = (int16_t)ob_isqrt32(sum >> 2); /* = isqrt(sum) >> 1 */
    }
}

static void derive_diff(const ob_context *c, const uint8_t *entry, int16_t *out) {
    const int16_t *a = ob_stream(c, entry[1]);
    for (uint32_t i = 1; i < c->n; i++) {
        out[i] = (int16_t)((a[i] - a[i - 1]) >> 1);
    }
    out[0] = out[1];
}

static void derive_project(ob_context *c, const uint8_t *entry, int16_t *out) {
    int32_t unit[3];
    uint32_t length = ob_group_means(c, entry[2], unit);
    for (int j = 0; j < 3; j++) {
        unit[j] = length == 0 ? 0 : 16384 * unit[j] / (int32_t)length;
    }
    const int16_t *a = ob_stream(c, entry[1]), *b = a + c->n, *d = b + c->n;
    for (uint32_t i = 0; i < c->n; i++) {
        int32_t sum = a[i] * unit[0] + b[i] * unit[1] + d[i] * unit[2]; /* <= 3 * 2^29 */
        out[i] = (int16_t)ob_sat16(sum >> 15);
    }
}

void ob_derive(ob_context *c, const uint8_t *entry, uint32_t stream) {
    int16_t *out = ob_stream(c, stream);
    switch (entry[0]) {
        case OB_OP_MAGNITUDE:
            derive_magnitude(c, entry, out);
            break;
        case OB_OP_DIFF:
            derive_diff(c, entry, out);
            break;
        default:
            derive_project(c, entry, out);
            break;
    }
}
