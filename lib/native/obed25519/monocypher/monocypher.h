/* What verification takes from Monocypher 4.0.3, whose licence and authors stand in monocypher.c.
 *
 * That file is an excerpt: some functions of the release, unchanged, in their order. The names are
 * changed here, so that a firmware may have the whole of Monocypher beside it.
 */
#ifndef OBED25519_MONOCYPHER_H
#define OBED25519_MONOCYPHER_H

#include <stddef.h>
#include <stdint.h>

#define crypto_verify32 obed25519_verify32
#define crypto_wipe obed25519_wipe
#define crypto_eddsa_reduce obed25519_reduce
#define crypto_eddsa_check_equation obed25519_check_equation

/* 0 when equal, else -1. */
int crypto_verify32(const uint8_t a[32], const uint8_t b[32]);

void crypto_wipe(void *secret, size_t size);

/* reduced = expanded mod L, the order of the base point. */
void crypto_eddsa_reduce(uint8_t reduced[32], const uint8_t expanded[64]);

/* 0 when S < L, A and R are on the curve and [8]([S]B - [h]A - R) is the neutral point, else -1.
 * It takes A and R whose encodings are not canonical. */
int crypto_eddsa_check_equation(const uint8_t signature[64], const uint8_t public_key[32],
    const uint8_t h[32]);

#endif
