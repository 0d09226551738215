/* The kernels and emlearn's trees with a cycle counter around each, linked for one place in RAM.
 *
 * A native module cannot hold emlearn: libgcc's float division has a table of addresses. So both
 * sides are plain code at a fixed place, built with the same flags. run() is at the image's start.
 */
#include "emlearn_trees.h"
#include "onebyte.h"
#include "window_features.h"

enum { NOTHING, PREDICT, EMLEARN, FEATURES, FFT };
enum { REFUSED = 0x3FFFFFFF };

/* SysTick: 24 bits, counting down; the script starts it. */
static inline uint32_t counter(void) {
    return *(volatile uint32_t *)0xE000E018u;
}

static inline uint32_t since(uint32_t before) {
    return (before - counter()) & 0xFFFFFFu;
}

/* model, its length, features, result */
static uint32_t predict(const uint32_t *a, const ob_model *model) {
    uint32_t before = counter();
    ob_predict(model, (const int16_t *)a[3], (int32_t *)a[4]);
    return since(before);
}

/* model, its length, work, window, features */
static uint32_t features(const uint32_t *a, const ob_model *model) {
    const ob_program *program = &model->program;
    uint32_t before = counter();
    ob_features(program, (const int16_t *)a[4], program->window, 0, (void *)a[3], (int16_t *)a[5]);
    return since(before);
}

/* forest, features; takes the class */
static uint32_t emlearn(const uint32_t *a) {
    emlearn_prepare((const emlearn_forest *)a[1]);
    uint32_t before = counter();
    int32_t class_id = emlearn_predict((const int16_t *)a[2]);
    uint32_t cycles = since(before);
    *(int32_t *)a[3] = class_id;
    return cycles;
}

/* samples, then room for one bin more; log2 of their number: to powers of a real transform */
static uint32_t fft(const uint32_t *a) {
    uint32_t before = counter();
    ob_powers((ob_bin *)a[1], a[2] - 1);
    return since(before);
}

/* Returns cycles of the work that arguments[0] names. */
__attribute__((section(".start"), used)) uint32_t run(uint32_t *arguments) {
    ob_model model;
    uint32_t before;
    switch (arguments[0]) {
        case NOTHING:
            before = counter();
            return since(before);
        case EMLEARN:
            return emlearn(arguments);
        case FFT:
            return fft(arguments);
        default:
            if (ob_model_check((const uint8_t *)arguments[1], arguments[2], &model) != OB_OK) {
                return REFUSED;
            }
            return arguments[0] == PREDICT ? predict(arguments, &model)
                                           : features(arguments, &model);
    }
}
