/* Runs feature programs with every buffer at its exact size, for builds with sanitizers.
 *
 * stdin, per case: five u32 (n_channels, window, section bytes, windows, rows of the ring), the
 * section, the windows. stdout: the features. The ring starts at a different row for each window,
 * so that most of them wrap. Exits with 1 when a section is refused.
 */
#include <stdio.h>
#include <stdlib.h>

#include "onebyte.h"

static void *read_exactly(size_t bytes) {
    void *data = malloc(bytes);
    if (data == NULL || fread(data, 1, bytes, stdin) != bytes) {
        exit(2);
    }
    return data;
}

static void run_window(const ob_program *p, uint32_t rows, uint32_t start_row) {
    uint32_t n_channels = p->n_channels;
    int16_t *samples = read_exactly(2 * (size_t)p->window * n_channels);
    int16_t *ring = calloc((size_t)rows * n_channels, 2);
    int16_t *out = malloc(2 * (size_t)p->n_features);
    void *work = malloc(ob_program_work_bytes(p));
    if (ring == NULL || out == NULL || work == NULL) {
        exit(2);
    }
    for (uint32_t i = 0; i < p->window; i++) {
        for (uint32_t c = 0; c < n_channels; c++) {
            ring[(start_row + i) % rows * n_channels + c] = samples[i * n_channels + c];
        }
    }
    ob_features(p, ring, rows, start_row, work, out);
    fwrite(out, 2, p->n_features, stdout);
    free(samples);
    free(ring);
    free(out);
    free(work);
}

int main(void) {
    uint32_t head[5];
    while (fread(head, sizeof head, 1, stdin) == 1) {
        ob_program p;
        uint8_t *section = read_exactly(head[2]);
        if (ob_program_check(section, head[2], head[0], head[1], &p) != OB_OK) {
            return 1;
        }
        for (uint32_t i = 0; i < head[3]; i++) {
            run_window(&p, head[4], i * 37 % head[4]);
        }
        free(section);
    }
    return 0;
}
