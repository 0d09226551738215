/* Answers the requests of tests/native/emulate/obed25519/main.c on the host, under sanitizers.
 *
 * The input has no .mpy file in front. Every buffer has exactly its size, so that a byte read too
 * far is found.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ed25519.h"

static uint8_t *read_bytes(size_t n) {
    uint8_t *bytes = malloc(n ? n : 1);
    if (bytes == NULL || fread(bytes, 1, n, stdin) != n) {
        fputs("the input ends too early\n", stderr);
        exit(1);
    }
    return bytes;
}

static void answer(const uint8_t *key, const uint8_t *signature, const uint8_t *data, size_t n) {
    ob_verifier verifier;
    ob_sha512 hash;
    uint8_t digest[OB_SHA512_BYTES];
    for (unsigned n_parts = 1; n_parts <= 2; n_parts++) {
        size_t first = n / n_parts;
        ob_verifier_init(&verifier, key, signature);
        ob_sha512_update(&verifier.hash, data, first);
        ob_sha512_update(&verifier.hash, data + first, n - first);
        putchar(ob_verifier_final(&verifier));
    }
    ob_sha512_init(&hash);
    ob_sha512_update(&hash, data, n);
    ob_sha512_final(&hash, digest);
    fwrite(digest, 1, sizeof digest, stdout);
}

int main(void) {
    for (;;) {
        uint8_t *head = read_bytes(4);
        uint32_t n = head[0] | head[1] << 8 | head[2] << 16 | (uint32_t)head[3] << 24;
        free(head);
        if (n == 0xffffffff) {
            return 0;
        }
        uint8_t *key = read_bytes(OB_PUBLIC_KEY_BYTES);
        uint8_t *signature = read_bytes(OB_SIGNATURE_BYTES);
        uint8_t *message = read_bytes(n);
        answer(key, signature, message, n);
        free(key);
        free(signature);
        free(message);
    }
}
