/* Verification of Ed25519 signatures by RFC 8032; docs/SPEC.md has the rule. */
#ifndef OBED25519_ED25519_H
#define OBED25519_ED25519_H

#include <stdbool.h>

#include "sha512.h"

enum { OB_PUBLIC_KEY_BYTES = 32, OB_SIGNATURE_BYTES = 64 };

/* A signature whose message comes in parts; those go into `hash`. */
typedef struct {
    ob_sha512 hash;
    uint8_t public_key[OB_PUBLIC_KEY_BYTES];
    uint8_t signature[OB_SIGNATURE_BYTES];
} ob_verifier;

void ob_verifier_init(ob_verifier *verifier, const uint8_t public_key[OB_PUBLIC_KEY_BYTES],
    const uint8_t signature[OB_SIGNATURE_BYTES]);

/* The verdict over what was hashed; init must follow before the next. */
bool ob_verifier_final(ob_verifier *verifier);

#endif
