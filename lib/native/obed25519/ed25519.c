/* Ed25519: the checks of encodings that Monocypher leaves to its caller, and the hash around it. */
#include "ed25519.h"

#include "monocypher/monocypher.h"

enum { SIGN = 0x80 }; /* of x, the highest bit of a point; the other 255 bits are y */

/* y of the points whose order divides 8, the cofactor; the last two and 0 belong to two points. */
enum { Y_ONE, Y_MINUS_ONE, N_SMALL_ORDER = 5 };
static const uint8_t small_order_y[N_SMALL_ORDER][32] = {
    {0x01},
    {
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    },
    {0x00},
    {
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89,
        0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39,
        0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    },
    {
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76,
        0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6,
        0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    },
};

static uint8_t y_byte(const uint8_t point[32], unsigned i) {
    return i == 31 ? point[31] & (uint8_t)~SIGN : point[i];
}

static bool has_y(const uint8_t point[32], const uint8_t y[32]) {
    unsigned difference = 0;
    for (unsigned i = 0; i < 32; i++) {
        difference |= y_byte(point, i) ^ y[i];
    }
    return difference == 0;
}

/* RFC 8032, 5.1.3: y is below p = 2^255 - 19, and x = 0 has no sign. */
static bool is_canonical(const uint8_t point[32]) {
    const uint8_t *minus_one = small_order_y[Y_MINUS_ONE]; /* p - 1 */
    unsigned i = 31;
    while (i > 0 && y_byte(point, i) == minus_one[i]) {
        i--;
    }
    if (y_byte(point, i) > minus_one[i]) {
        return false;
    }
    return !(point[31] & SIGN) || (!has_y(point, small_order_y[Y_ONE]) && !has_y(point, minus_one));
}

static bool has_small_order(const uint8_t point[32]) {
    for (unsigned i = 0; i < N_SMALL_ORDER; i++) {
        if (has_y(point, small_order_y[i])) {
            return true;
        }
    }
    return false;
}

void ob_verifier_init(ob_verifier *verifier, const uint8_t public_key[OB_PUBLIC_KEY_BYTES],
    const uint8_t signature[OB_SIGNATURE_BYTES]) {
    for (unsigned i = 0; i < OB_PUBLIC_KEY_BYTES; i++) {
        verifier->public_key[i] = public_key[i];
    }
    for (unsigned i = 0; i < OB_SIGNATURE_BYTES; i++) {
        verifier->signature[i] = signature[i];
    }
    ob_sha512_init(&verifier->hash);
    ob_sha512_update(&verifier->hash, verifier->signature, 32); /* R */
    ob_sha512_update(&verifier->hash, verifier->public_key, OB_PUBLIC_KEY_BYTES);
}

bool ob_verifier_final(ob_verifier *verifier) {
    const uint8_t *a = verifier->public_key, *r = verifier->signature;
    uint8_t digest[OB_SHA512_BYTES], h[32];
    if (!is_canonical(a) || has_small_order(a) || !is_canonical(r)) {
        return false;
    }
    ob_sha512_final(&verifier->hash, digest);
    crypto_eddsa_reduce(h, digest);
    return crypto_eddsa_check_equation(verifier->signature, a, h) == 0;
}
