/* The walk down the trees for cores that know Thumb-1 only (Cortex-M0+), in assembly.
 *
 * trees.c holds the same in C, and the tests compare their bits. A compiler spends 25 cycles on a
 * split; here a step to the left takes 11 and one to the right 15.
 */
#ifndef ONEBYTE_WALK_THUMB1_H
#define ONEBYTE_WALK_THUMB1_H

#include <stdint.h>

#include "onebyte.h"

/* GCC writes Thumb-1 in the old syntax and expects to go on in it. */
#ifdef __clang__
#define BEGIN
#define END
#else
#define BEGIN ".syntax unified\n"
#define END ".syntax divided\n"
#endif

/* One entry: to 1 from a leaf; the flags tell whether a split leads left (lt) or right (ge). The
 * feature's number is doubled by SHIFT. */
#define STEP(shift) \
    "ldrsh %[head], [%[words], %[at]]\n" \
    "asrs %[x], %[head], " shift \
    "ldrsh %[x], [%[features], %[x]]\n" \
    "ldrsh %[threshold], [%[thresholds], %[at]]\n" \
    "cmp %[x], %[threshold]\n"
#define LEFT "adds %[at], 4\n"
/* A split whose distance is below 128: its upper bit does not get into the doubled number. */
#define NEAR STEP("7\nbmi 1b\n")
#define NEAR_STEPS(right) \
    NEAR "bge " right "\n" LEFT NEAR "bge " right "\n" LEFT NEAR "bge " right "\n" LEFT
/* Any split, also a long one: its head has no distance, there is a third word. To the left, le means
 * no distance or one from 128 on (the comparison of two int16 has left no overflow). */
#define ANY_STEP(right) \
    STEP("8\nbmi 1b\nlsls %[x], 1\n") \
    "bge " right "\n" "lsls %[head], 24\n" "ble 7f\n" LEFT

/* What a walk works on; START takes it apart. */
typedef struct walk {
    const uint16_t *words;
    const int16_t *features;
    const uint16_t *root, *end; /* the trees' roots: first, behind the last */
    void *votes;                /* int32_t of each class, or where the rows of votes begin */
    const uint8_t **rows;       /* takes a row of each tree */
    uint32_t n_classes;
} walk;

/* r8 root, r9 end, r10 votes, r11 rows, r12 n_classes: seldom used, so in the upper registers. */
#define TO_UPPER(offset, upper) "ldr %[x], [%[at], " #offset "]\n" "mov " #upper ", %[x]\n"
#define START \
    BEGIN TO_UPPER(8, r8) TO_UPPER(12, r9) TO_UPPER(16, r10) TO_UPPER(20, r11) TO_UPPER(24, r12) \
    "ldr %[features], [%[at], 4]\n" \
    "ldr %[words], [%[at]]\n" \
    "adds %[thresholds], %[words], 2\n" \
    "b 2f\n"

/* From the next root to its leaf, to 9 after the last. The left side of a split with a distance
 * below 128 holds only such splits, so from there on (5, 6) nobody looks for others. Lefts fall
 * through copies of a step, rights to 6 fall from the code that adds the distance into another set
 * of copies. */
#define WALK \
    "2: mov %[head], r8\n" \
    "cmp %[head], r9\n" \
    "beq 9f\n" \
    "ldrh %[at], [%[head]]\n" \
    "adds %[head], 2\n" \
    "mov r8, %[head]\n" \
    "lsls %[at], 1\n" \
    ANY_STEP("3f") "b 5f\n" \
    "3: uxtb %[head], %[head]\n" \
    "lsls %[head], 1\n" \
    "beq 8f\n" \
    "adds %[at], %[head]\n" \
    "4: " ANY_STEP("3b") \
    "5: " NEAR_STEPS("6f") "b 5b\n" \
    "6: uxtb %[head], %[head]\n" \
    "lsls %[head], 1\n" \
    "adds %[at], %[head]\n" \
    NEAR_STEPS("6b") "b 5b\n" \
    "7: beq 7f\n" /* left of a split that is not near */ \
    LEFT "b 4b\n" \
    "7: adds %[at], 6\n" /* left of a long split */ \
    "b 4b\n" \
    "8: adds %[at], 4\n" /* right of one */ \
    "ldrh %[head], [%[words], %[at]]\n" \
    "subs %[at], 4\n" \
    "lsls %[head], 1\n" \
    "adds %[at], %[head]\n" \
    "b 4b\n" \
    "9:\n" END

#define WALK_OPERANDS \
    [at] "+&l"(at), [head] "=&l"(head), [x] "=&l"(x), [threshold] "=&l"(threshold), \
        [words] "=&l"(words), [thresholds] "=&l"(thresholds), [features] "=&l"(features) \
        : \
        : "r8", "r9", "r10", "r11", "r12", "cc", "memory"

/* Adds 1 to the vote of each tree's class. */
static void walk_and_count(const walk *at) {
    uint32_t head, x, threshold, words, thresholds, features;
    __asm__ volatile(
        START
        "1: lsls %[head], 17\n"
        "lsrs %[head], 15\n"
        "mov %[x], r10\n"
        "ldr %[threshold], [%[x], %[head]]\n"
        "adds %[threshold], 1\n"
        "str %[threshold], [%[x], %[head]]\n" WALK
        : WALK_OPERANDS);
}

/* Stores where the row of votes of each tree's leaf is. */
static void walk_to_rows(const walk *at) {
    uint32_t head, x, threshold, words, thresholds, features;
    __asm__ volatile(
        START
        "1: lsls %[head], 17\n"
        "lsrs %[head], 17\n"
        "mov %[x], r12\n"
        "muls %[head], %[x]\n"
        "add %[head], r10\n"
        "mov %[x], r11\n"
        "stmia %[x]!, {%[head]}\n"
        "mov r11, %[x]\n" WALK
        : WALK_OPERANDS);
}

/* One bit of the quotient: the carry of the comparison is what it shifts in. */
#define DIVIDE(bit) \
    "lsls %[part], %[sum], " #bit "\n" \
    "cmp %[rest], %[part]\n" \
    "bcc 1f\n" \
    "subs %[rest], %[part]\n" \
    "1: adcs %[quotient], %[quotient]\n"

static int32_t confidence_of(uint32_t votes, uint32_t sum) {
    uint32_t rest = votes * 255, part, quotient = 0;
    __asm__(BEGIN DIVIDE(7) DIVIDE(6) DIVIDE(5) DIVIDE(4) DIVIDE(3) DIVIDE(2) DIVIDE(1) DIVIDE(0) END
        : [quotient] "+l"(quotient), [rest] "+l"(rest), [part] "=&l"(part)
        : [sum] "l"(sum)
        : "cc");
    return (int32_t)quotient;
}

#endif
