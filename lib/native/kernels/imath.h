/* Integer arithmetic that the kernels share.
 *
 * Nothing here needs libc or a compiler helper except 32-bit division: the Cortex-M0+ has neither
 * a divider nor a 64-bit product nor a count of leading zeros, and a native module for the ESP32-S3
 * has no libgcc at all. 64-bit values are only added, compared and shifted by constants or through
 * ob_shr64.
 */
#ifndef ONEBYTE_IMATH_H
#define ONEBYTE_IMATH_H

#include <stdint.h>

static inline int32_t ob_sat16(int32_t v) {
    return v > 32767 ? 32767 : v < -32768 ? -32768 : v;
}

static inline uint32_t ob_abs32(int32_t v) {
    return v < 0 ? 0u - (uint32_t)v : (uint32_t)v;
}

static inline uint64_t ob_abs64(int64_t v) {
    return v < 0 ? 0u - (uint64_t)v : (uint64_t)v;
}

/* v >> s for s = 0..63 where the result is known to fit 32 bits. */
static inline uint32_t ob_shr64(uint64_t v, uint32_t s) {
    uint32_t high = (uint32_t)(v >> 32), low = (uint32_t)v;
    if (s >= 32) {
        return high >> (s - 32);
    }
    return s == 0 ? low : (high << (32 - s)) | (low >> s);
}

uint32_t ob_bits32(uint32_t v); /* 1 + index of the highest set bit; 0 for 0 */
uint32_t ob_bits64(uint64_t v);
uint64_t ob_mul32(uint32_t a, uint32_t b); /* full product */
uint64_t ob_mul64(uint64_t a, uint32_t b); /* product that is known to fit 64 bits */
uint32_t ob_div64(uint64_t a, uint32_t b); /* a / b for a < 2^48, b <= 1024, result < 2^32 */
uint32_t ob_isqrt32(uint32_t v);
uint32_t ob_isqrt64(uint64_t v); /* v < 2^60 */
int32_t ob_log2_q8(uint64_t v);

/* 32767 * part / whole for part <= whole, both cut to the whole's 17 highest bits; 0 for whole 0. */
int32_t ob_share_q15(uint64_t part, uint64_t whole);

/* log2_q8(v * 2^exponent), clamped to 0..32767. */
int32_t ob_log2_scaled(uint64_t v, int32_t exponent);

/* 32768 * sin(2 * pi * phase / 65536) for any phase, rounded, linear between 1024 table points. */
int32_t ob_sin_q15(uint32_t phase);

/* 32768 * sin(pi / 2 * i / 256) rounded, i = 0..256. */
extern const uint16_t ob_quarter_sine[257];

#endif
