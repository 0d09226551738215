/* emlearn's generated forest under QEMU: feature vectors in, classes out.
 *
 * In: u32 n_features, u32 n_vectors, n_vectors times n_features int16. Out: an int32 a vector.
 * FOREST is the file that emlearn generated; its functions are the ones that are counted.
 */
#include "emulate.h"

#define EML_TREES_REGRESSION_ENABLE 0
#include FOREST

enum { MAX_FEATURES = 127 };

int run(void) {
    static int16_t features[MAX_FEATURES];
    uint32_t n_features = read_u32();
    if (n_features > MAX_FEATURES) {
        end_with("too many features", "");
    }
    for (uint32_t n = read_u32(); n > 0; n--) {
        read_all(features, sizeof *features * n_features);
        int32_t class_id = forest_predict(features, (int)n_features);
        write_all(&class_id, sizeof class_id);
    }
    return 0;
}

/* Debian's compiler for Xtensa comes without libgcc. Positive normal numbers, rounded to nearest.
 * Not counted, so emlearn looks faster here than it is. */
float __divsf3(float dividend, float divisor);
float __divsf3(float dividend, float divisor) {
    union {
        float value;
        uint32_t bits;
    } a = {dividend}, b = {divisor}, result = {0};
    if (a.bits == 0) {
        return 0;
    }
    uint32_t rest = (a.bits & 0x7fffff) | 0x800000, by = (b.bits & 0x7fffff) | 0x800000;
    uint32_t exponent = (a.bits >> 23) - (b.bits >> 23) + 127, quotient = 0;
    if (rest < by) {
        rest <<= 1;
        exponent--;
    }
    for (int i = 0; i < 25; i++) { /* 24 bits and the one that rounds */
        uint32_t fits = rest >= by;
        rest = (rest - (fits ? by : 0)) << 1;
        quotient = quotient << 1 | fits;
    }
    uint32_t up = (quotient & 1) && (rest != 0 || (quotient & 2));
    result.bits = ((exponent - 1) << 23) + (quotient >> 1) + up;
    return result.value;
}
