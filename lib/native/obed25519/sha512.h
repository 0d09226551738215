/* SHA-512 (FIPS 180-4) over a message that comes in parts. */
#ifndef OBED25519_SHA512_H
#define OBED25519_SHA512_H

#include <stddef.h>
#include <stdint.h>

enum { OB_SHA512_BYTES = 64, OB_SHA512_BLOCK_BYTES = 128 };

typedef struct {
    uint64_t state[8];
    uint64_t n_bytes; /* of the message so far */
    uint8_t block[OB_SHA512_BLOCK_BYTES]; /* its last n_bytes % 128 bytes */
} ob_sha512;

void ob_sha512_init(ob_sha512 *hash);
void ob_sha512_update(ob_sha512 *hash, const uint8_t *data, size_t n);

/* Writes the digest; init must follow before more is hashed. */
void ob_sha512_final(ob_sha512 *hash, uint8_t digest[OB_SHA512_BYTES]);

#endif
