/* Changes a model file at random, with a sense of its structure. */
#ifndef FUZZ_MUTATE_H
#define FUZZ_MUTATE_H

#include <stdint.h>

enum { MAX_FUZZ_BYTES = 16384 };

typedef struct {
    uint32_t length;
    uint8_t bytes[MAX_FUZZ_BYTES + 64];
} file_buffer;

typedef struct {
    uint64_t state;
} fuzz_random;

uint32_t next_bits(fuzz_random *random);
uint32_t below(fuzz_random *random, uint32_t end);

/* One to four changes; nearly always the length and the CRC are corrected afterwards. */
void mutate(file_buffer *file, fuzz_random *random);

#endif
