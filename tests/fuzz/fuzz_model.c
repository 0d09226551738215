/* Fuzzes the model check and everything that trusts it.
 *
 *     fuzz_model <execs> <seed> <file to keep the worst in> <valid .obm files>...
 *
 * Each execution changes a valid file, mostly with the CRC corrected, and checks it. An accepted file
 * computes features of an extreme or random ring and classifies them. Every buffer has exactly the
 * size that the interface asks for, so that AddressSanitizer sees each byte too far. A worker process
 * runs them; when it dies or does not end, the parent counts it, keeps the file and goes on. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz_mutate.h"
#include "model_checks.h"

enum { HANG_SECONDS = 20, MAX_SEEDS = 256, MAX_FAILURES = 20 };

/* What the worker leaves for the parent. */
typedef struct {
    uint64_t next;
    uint64_t accepted;
    uint32_t length;
    uint8_t file[OB_MAX_FILE_BYTES + 64];
} shared_state;

static file_buffer seeds[MAX_SEEDS];
static uint32_t n_seeds;

static void *exactly(size_t size) {
    void *p = malloc(size ? size : 1);
    if (!p) {
        abort();
    }
    return p;
}

static void fill_ring(int16_t *ring, size_t n, uint32_t n_channels, fuzz_random *random) {
    static const int16_t extremes[] = {-32768, 32767, 0, -1, 1};
    uint32_t kind = below(random, 6);
    int shift = (int)below(random, 16);
    int16_t level = extremes[below(random, 5)];
    for (size_t i = 0; i < n; i++) {
        size_t row = i / n_channels;
        int16_t noise = (int16_t)next_bits(random);
        switch (kind) {
            case 0: ring[i] = level; break;
            case 1: ring[i] = row & 1 ? 32767 : -32768; break;
            case 2: ring[i] = (int16_t)(row * 4099); break;
            case 3: ring[i] = extremes[noise & 3]; break;
            case 4: ring[i] = (row >> shift) & 1 ? 32767 : level; break;
            default: ring[i] = (int16_t)(noise >> shift);
        }
    }
}

/* What ob_predict promises for every accepted model. */
static void check_result(const ob_model *m, const int32_t *result) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < m->n_classes; i++) {
        int32_t votes = result[OB_RESULT_VOTES + i];
        int is_earlier = i < (uint32_t)result[OB_RESULT_CLASS_ID];
        sum += votes;
        if (votes < 0 || votes + is_earlier > result[OB_RESULT_VOTES + result[OB_RESULT_CLASS_ID]]) {
            abort();
        }
    }
    int32_t best = result[OB_RESULT_VOTES + result[OB_RESULT_CLASS_ID]];
    if (sum <= 0 || sum != result[OB_RESULT_SUM] || result[OB_RESULT_NOVELTY] < 0
        || result[OB_RESULT_NOVELTY] > 16 * m->program.n_features
        || result[OB_RESULT_CONFIDENCE] != (int32_t)((int64_t)best * 255 / sum)) {
        abort();
    }
}

static void run_model(const ob_model *m, fuzz_random *random) {
    const ob_program *p = &m->program;
    uint32_t rows = p->window + below(random, 4);
    size_t n_samples = (size_t)rows * p->n_channels;
    int16_t *ring = exactly(n_samples * sizeof(*ring));
    void *work = exactly(m->work_bytes);
    int16_t *features = exactly(p->n_features * sizeof(*features));
    int32_t *result = exactly((OB_RESULT_VOTES + (size_t)m->n_classes) * sizeof(*result));
    fill_ring(ring, n_samples, p->n_channels, random);
    memset(work, (int)below(random, 256), m->work_bytes);
    fill_ring(features, p->n_features, 1, random); /* what the hook of a custom feature wrote */
    ob_features(p, ring, rows, below(random, rows), work, features);
    ob_predict(m, features, result);
    check_result(m, result);
    fill_ring(features, p->n_features, 1, random);
    ob_predict(m, features, result);
    check_result(m, result);
    free(ring);
    free(work);
    free(features);
    free(result);
}

static void execute(uint64_t index, uint32_t seed, shared_state *shared) {
    fuzz_random random = {(seed + 1) * 0x9e3779b97f4a7c15u ^ (index + 1) * 0xd1342543de82ef95u};
    static file_buffer file;
    ob_model m;
    file = seeds[below(&random, n_seeds)];
    mutate(&file, &random);
    shared->length = file.length;
    memcpy(shared->file, file.bytes, file.length);
    uint8_t *copy = exactly(file.length);
    memcpy(copy, file.bytes, file.length);
    if (ob_model_check(copy, file.length, &m) == OB_OK) {
        shared->accepted++;
        run_model(&m, &random);
    }
    free(copy);
}

static void work_until(uint64_t execs, uint32_t seed, shared_state *shared) {
    while (shared->next < execs) {
        uint64_t index = shared->next++;
        alarm(HANG_SECONDS);
        execute(index, seed, shared);
    }
}

static void read_seed(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f || n_seeds == MAX_SEEDS) {
        fprintf(stderr, "cannot take the seed %s\n", path);
        exit(2);
    }
    seeds[n_seeds].length = (uint32_t)fread(seeds[n_seeds].bytes, 1, MAX_FUZZ_BYTES, f);
    fclose(f);
    n_seeds++;
}

static void keep(const shared_state *shared, const char *path) {
    FILE *f = fopen(path, "wb");
    if (f) {
        fwrite(shared->file, 1, shared->length, f);
        fclose(f);
    }
}

int main(int argc, char **argv) {
    unsigned crashes = 0, hangs = 0;
    shared_state *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (argc < 5 || shared == MAP_FAILED) {
        fprintf(stderr, "usage: fuzz_model execs seed kept-file model.obm...\n");
        return 2;
    }
    uint64_t execs = strtoull(argv[1], NULL, 10);
    uint32_t seed = (uint32_t)strtoul(argv[2], NULL, 10);
    for (int i = 4; i < argc; i++) {
        read_seed(argv[i]);
    }
    while (shared->next < execs && crashes + hangs < MAX_FAILURES) {
        int status;
        pid_t worker = fork();
        if (worker == 0) {
            work_until(execs, seed, shared);
            _exit(0);
        }
        if (worker < 0 || waitpid(worker, &status, 0) != worker) {
            return 2;
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            break;
        }
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
            hangs++;
        } else {
            crashes++;
        }
        keep(shared, argv[3]);
    }
    printf("accepted=%llu\n", (unsigned long long)shared->accepted);
    printf("fuzz model execs=%llu crashes=%u hangs=%u\n", (unsigned long long)shared->next, crashes,
        hangs);
    return crashes + hangs ? 1 : 0;
}
