/* Onebyte kernels: the interface of the feature and classifier code.
 *
 * Plain C99 without libc, floats, heap or static writable data, so that the same files build as a
 * native MicroPython module, as a user C module, and as a host library. A model is checked once
 * (ob_model_check); everything after that trusts it and cannot fail. docs/SPEC.md has every byte.
 */
#ifndef ONEBYTE_H
#define ONEBYTE_H

#include <stddef.h>
#include <stdint.h>

#define OB_KERNEL_VERSION 1 /* semantics of features and classifiers; models carry it */
#define OB_FORMAT_VERSION 1

enum ob_limits {
    OB_MAX_FILE_BYTES = 262144,
    OB_MIN_FILE_BYTES = 56,
    OB_HEADER_BYTES = 40,
    OB_SECTION_ENTRY_BYTES = 12,
    OB_MAX_SECTIONS = 16,
    OB_MAX_CHANNELS = 16,
    OB_MAX_DERIVED = 24,
    OB_MAX_STREAMS = OB_MAX_CHANNELS + OB_MAX_DERIVED,
    OB_MIN_WINDOW = 8,
    OB_MAX_WINDOW = 1024,
    OB_MAX_FEATURES = 127,
    OB_MIN_FFT_LOG2 = 4,
    OB_MAX_FFT_LOG2 = 10,
    OB_MAX_CLASSES = 240,
    OB_MAX_TREES = 1024,
    OB_MAX_ROWS = 32768,
    OB_MAX_DEPTH = 32,
    OB_MAX_VOTES = 15,
    OB_MAX_GOLDEN = 32,
    OB_WORK_ALIGN = 8, /* alignment of the caller's work buffer */
};

/* Why a model was refused; the numbers are those of formats.errors. */
enum ob_reason {
    OB_OK = 0,
    OB_TOO_SHORT = 1,
    OB_MAGIC = 2,
    OB_VERSION = 3,
    OB_SIZE = 4,
    OB_CRC = 5,
    OB_HEADER = 6,
    OB_SECTION_TABLE = 7,
    OB_SECTION_MISSING = 8,
    OB_SECTION_UNKNOWN = 9,
    OB_SAMPLES = 10,
    OB_FEATURES = 11,
    OB_STREAM = 12,
    OB_CLASSIFIER = 13,
    OB_ROOT = 14,
    OB_NODE = 15,
    OB_LEAF = 16,
    OB_DEPTH = 17,
    OB_NOVELTY = 18,
    OB_DECISION = 19,
    OB_LABELS = 20,
    OB_GOLDEN = 21,
    OB_REASON_KERNEL_VERSION = 22,
    OB_NAME = 23,
    OB_GOLDEN_MISMATCH = 24,
    OB_ALIGNMENT = 25,
    OB_CUSTOM = 26,
};

enum ob_section_kind {
    OB_SECTION_SAMPLES = 1,
    OB_SECTION_FEATURES = 2,
    OB_SECTION_CLASSIFIER = 3,
    OB_SECTION_NOVELTY = 4,
    OB_SECTION_DECISION = 5,
    OB_SECTION_LABELS = 6,
    OB_SECTION_GOLDEN = 7,
    OB_SECTION_NAME = 8,
    OB_SECTION_CUSTOM = 9,
};

/* Ops of derived streams (64..) and of features (1..). */
enum ob_op {
    OB_OP_MEAN = 1,
    OB_OP_STD = 2,
    OB_OP_RMS = 3,
    OB_OP_MIN = 4,
    OB_OP_MAX = 5,
    OB_OP_P2P = 6,
    OB_OP_MAD = 7,
    OB_OP_ZERO_CROSSINGS = 8,
    OB_OP_MEAN_CROSSINGS = 9,
    OB_OP_SKEWNESS = 10,
    OB_OP_KURTOSIS = 11,
    OB_OP_CREST = 12,
    OB_OP_QUANTILE = 13,
    OB_OP_ENERGY = 14,
    OB_OP_SHARE = 15,
    OB_OP_CORRELATION = 16,
    OB_OP_TILT = 17,
    OB_OP_AUTOCORR_LAG = 18,
    OB_OP_AUTOCORR_PEAK = 19,
    OB_OP_BAND_ENERGY = 20,
    OB_OP_BAND_SHARE = 21,
    OB_OP_CENTROID = 22,
    OB_OP_PEAK_BIN = 23,
    OB_OP_GOERTZEL = 24,
    OB_OP_PEAK_SHARE = 25,
    OB_OP_CUSTOM = 26,
    OB_OP_MAGNITUDE = 64,
    OB_OP_DIFF = 65,
    OB_OP_PROJECT = 66,
};

/* ---- features: program_check.c, program.c and the files it calls ---- */

/* A checked feature program; the pointers lead into the features section (section 2). */
typedef struct ob_program {
    const uint8_t *derived;  /* n_derived entries of 8 bytes */
    const uint8_t *features; /* n_features entries of 8 bytes */
    uint16_t window;         /* samples, 8..1024 */
    uint8_t n_channels;      /* 1..16 */
    uint8_t n_derived;       /* 0..24 */
    uint8_t n_features;      /* 1..127 */
    uint8_t fft_log2;        /* 0 none, 4..10 */
    uint8_t fft_window;      /* 0 rectangular, 1 Hann */
    uint8_t reserved;
} ob_program;

/* Checks a whole features section (SPEC 'features') against a valid samples section and fills
 * *out. Returns OB_FEATURES when the section's header, its length or a feature entry is wrong,
 * OB_STREAM when a derived stream is; the header and the length come first, then the derived
 * streams, then the features. Reads nothing outside section[0..length). */
int ob_program_check(const uint8_t *section, uint32_t length, uint32_t n_channels,
    uint32_t window, ob_program *out);

/* Bytes of work memory that ob_features needs for a checked program; a multiple of 8. */
uint32_t ob_program_work_bytes(const ob_program *p);

/* Computes all features of one window.
 * ring: rows x n_channels int16, rows >= window; the window begins at start_row (< rows) and wraps.
 * work: ob_program_work_bytes(p) bytes, 8-byte aligned, contents irrelevant before and after.
 * out: n_features int16. Custom features are left as they are: the caller writes them. */
void ob_features(const ob_program *p, const int16_t *ring, uint32_t rows, uint32_t start_row,
    void *work, int16_t *out);

/* ---- model and classifier: model_check.c, trees.c and the files they call ---- */

/* A checked model; all pointers lead into the caller's file, which must outlive it. */
typedef struct ob_model {
    ob_program program;
    uint32_t work_bytes;  /* = ob_program_work_bytes(&program) */
    uint32_t rate_mhz;
    uint16_t hop;
    uint16_t n_trees;
    uint16_t n_words;
    uint16_t n_rows;      /* 0 when leaves name classes */
    uint8_t n_classes;
    uint8_t leaf_bits;    /* 0 or 8 */
    uint8_t max_depth;
    const uint16_t *roots; /* n_trees */
    const uint16_t *words; /* n_words */
    const uint8_t *rows;   /* n_rows x n_classes votes */
    const int16_t *ranges; /* low, high of each feature; NULL without novelty */
    const uint8_t *decision; /* the decision section, 16 bytes */
    const uint8_t *golden;   /* the golden section, NULL without */
} ob_model;

/* Checks every byte of a model file; never reads outside model[0..len). Returns an ob_reason,
 * OB_OK when the model is sound; *out is only defined then. model must be 4-byte aligned
 * (OB_ALIGNMENT otherwise). */
int ob_model_check(const uint8_t *model, uint32_t len, ob_model *out);

/* Where ob_predict puts what; the votes of all classes follow from OB_RESULT_VOTES on. */
enum ob_result {
    OB_RESULT_CLASS_ID = 0,
    OB_RESULT_CONFIDENCE = 1, /* 0..255 */
    OB_RESULT_NOVELTY = 2,    /* 0..2032 */
    OB_RESULT_SUM = 3,        /* of the votes of all classes */
    OB_RESULT_VOTES = 4,
};

/* Classifies one feature vector. result: OB_RESULT_VOTES + n_classes int32. */
void ob_predict(const ob_model *m, const int16_t *features, int32_t *result);

#endif
