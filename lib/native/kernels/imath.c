/* Integer roots, logarithms, shares and products without 64-bit helper calls. */
#include "imath.h"

uint32_t ob_bits32(uint32_t v) {
    uint32_t n = 0;
    if (v >= 0x10000u) {
        n = 16;
        v >>= 16;
    }
    if (v >= 0x100u) {
        n += 8;
        v >>= 8;
    }
    if (v >= 0x10u) {
        n += 4;
        v >>= 4;
    }
    if (v >= 4u) {
        n += 2;
        v >>= 2;
    }
    return n + (v >= 2u ? 2u : v);
}

uint32_t ob_bits64(uint64_t v) {
    uint32_t high = (uint32_t)(v >> 32);
    return high != 0 ? 32 + ob_bits32(high) : ob_bits32((uint32_t)v);
}

uint64_t ob_mul32(uint32_t a, uint32_t b) {
    uint32_t al = a & 0xFFFFu, ah = a >> 16, bl = b & 0xFFFFu, bh = b >> 16;
    uint32_t low = al * bl;
    uint32_t mid = ah * bl + (low >> 16); /* <= 65535 * 65535 + 65535 < 2^32 */
    uint32_t mid2 = al * bh + (mid & 0xFFFFu);
    uint32_t high = ah * bh + (mid >> 16) + (mid2 >> 16);
    return ((uint64_t)high << 32) | (mid2 << 16) | (low & 0xFFFFu);
}

uint64_t ob_mul64(uint64_t a, uint32_t b) {
    uint32_t high = (uint32_t)(a >> 32) * b;
    return ob_mul32((uint32_t)a, b) + ((uint64_t)high << 32);
}

uint32_t ob_div64(uint64_t a, uint32_t b) {
    uint32_t top = (uint32_t)(a >> 16);
    uint32_t quotient = top / b;
    uint32_t rest = top - quotient * b; /* < 1024, so the next dividend is below 2^26 */
    return (quotient << 16) + ((rest << 16) | ((uint32_t)a & 0xFFFFu)) / b;
}

uint32_t ob_isqrt32(uint32_t v) {
    uint32_t root = 0, bit = (uint32_t)1 << 30;
    while (bit > v) {
        bit >>= 2;
    }
    for (; bit != 0; bit >>= 2) {
        uint32_t trial = root + bit;
        root >>= 1;
        if (v >= trial) {
            v -= trial;
            root += bit;
        }
    }
    return root;
}

/* Digit by digit, two bits of v a step: root and rest stay in 32 bits because v < 2^60. */
uint32_t ob_isqrt64(uint64_t v) {
    uint32_t words[2] = {(uint32_t)(v >> 32), (uint32_t)v};
    uint32_t root = 0, rest = 0;
    if (words[0] == 0) {
        return ob_isqrt32(words[1]);
    }
    for (int i = 0; i < 2; i++) {
        uint32_t word = words[i];
        for (int pair = 0; pair < 16; pair++) {
            uint32_t trial = (root << 2) | 1u;
            rest = (rest << 2) | (word >> 30);
            word <<= 2;
            root <<= 1;
            if (rest >= trial) {
                rest -= trial;
                root |= 1u;
            }
        }
    }
    return root;
}

int32_t ob_log2_q8(uint64_t v) {
    uint32_t bits = ob_bits64(v);
    if (bits == 0) {
        return 0;
    }
    uint32_t top = bits > 9 ? ob_shr64(v, bits - 9) : (uint32_t)v << (9 - bits);
    return (int32_t)(((bits - 1) << 8) + (top & 255u));
}

int32_t ob_log2_scaled(uint64_t v, int32_t exponent) {
    if (v == 0) {
        return 0;
    }
    int32_t value = ob_log2_q8(v) + 256 * exponent;
    return value < 0 ? 0 : ob_sat16(value);
}

int32_t ob_share_q15(uint64_t part, uint64_t whole) {
    uint32_t bits = ob_bits64(whole), shift = bits > 17 ? bits - 17 : 0;
    uint32_t den = ob_shr64(whole, shift);
    if (den == 0) {
        return 0;
    }
    return (int32_t)(ob_shr64(part, shift) * 32767u / den); /* < 2^17 * 2^15 */
}

int32_t ob_sin_q15(uint32_t phase) {
    uint32_t in_half = phase & 0x7FFFu;
    uint32_t in_quarter = in_half > 0x4000u ? 0x8000u - in_half : in_half;
    uint32_t index = in_quarter >> 6, fraction = in_quarter & 63u;
    int32_t value = ob_quarter_sine[index];
    if (fraction != 0) { /* index + 1 exists only then */
        int32_t step = ob_quarter_sine[index + 1] - value;
        value += (step * (int32_t)fraction + 32) >> 6;
    }
    return (phase & 0x8000u) != 0 ? -value : value;
}
