/* What the files of the feature half share; not part of the public interface. */
#ifndef ONEBYTE_WINDOW_FEATURES_H
#define ONEBYTE_WINDOW_FEATURES_H

#include "imath.h"
#include "onebyte.h"

#define OB_NO_STREAM 255 /* marks an empty cache */

/* Sums of one stream. |s1| <= 2^25, s2 <= 2^40, v = n * s2 - s1 * s1 <= 2^50. */
typedef struct ob_moments {
    uint64_t s2;
    uint64_t v;
    int32_t s1;
    int16_t min;
    int16_t max;
    uint32_t valid; /* 0 until the sums of this window are there */
    int32_t mean;   /* s1 / n */
} ob_moments;

/* Maps a stream to z = (x - mean) * 2^shift = (x * multiplier - offset) >> down. */
typedef struct ob_scaling {
    int32_t multiplier; /* 2^shift, or 1; <= 2^13 */
    int32_t offset;     /* the mean times 2^shift, rounding included; |.| <= 2^29 */
    int32_t limit;      /* |z| <= limit */
    int32_t shift;
    uint32_t down;      /* -shift, or 0 */
} ob_scaling;

/* One bin of a spectrum: first the complex points of the FFT, then their powers. */
typedef union ob_bin {
    struct {
        int16_t re, im;
    } z;
    int16_t part[2]; /* re, im */
    uint32_t power;
} ob_bin;

typedef struct ob_spectrum {
    uint64_t total;    /* power of bins 1..n_bins; < 2^41 */
    uint32_t peak;     /* the largest of them */
    uint32_t peak_bin; /* the lowest bin with it */
    uint32_t n_bins;   /* N / 2 */
    int32_t exponent;  /* true power = power * 2^exponent */
} ob_spectrum;

/* Sums of z with a standard deviation of 64..128, |z| <= 2047, q = (z * z + 32) >> 6. */
typedef struct ob_shape {
    uint64_t sum_qq; /* < 2^35 */
    uint32_t sum_zz; /* < 2^25 */
    int32_t sum_zq;  /* |.| < 2^30 */
} ob_shape;

/* Where everything lies in the caller's work buffer, and what has been computed already. */
typedef struct ob_context {
    const ob_program *program;
    int16_t *planar;     /* n_streams x n */
    ob_moments *moments; /* n_streams */
    ob_bin *bins;        /* N / 2 + 1 */
    int16_t *ordered;    /* n, a copy that quantiles reorder */
    int16_t *centred;    /* n, for the autocorrelation */
    uint32_t n;
    uint32_t n_streams;
    ob_spectrum spectrum;
    ob_shape shape;
    int32_t autocorr_peak;
    uint16_t autocorr_lag, autocorr_low, autocorr_high;
    uint8_t spectrum_stream, ordered_stream, shape_stream, autocorr_stream;
} ob_context;

static inline int16_t *ob_stream(const ob_context *c, uint32_t stream) {
    return c->planar + stream * c->n;
}

/* streams.c */
void ob_deinterleave(const ob_context *c, const int16_t *ring, uint32_t rows, uint32_t start_row);
void ob_derive(ob_context *c, const uint8_t *entry, uint32_t stream);

/* stats.c */
const ob_moments *ob_moments_of(ob_context *c, uint32_t stream);
int32_t ob_std(ob_context *c, uint32_t stream);
int32_t ob_rms(ob_context *c, uint32_t stream);
int32_t ob_mad(const int16_t *x, uint32_t n);
int32_t ob_crossings(const int16_t *x, uint32_t n, int32_t level);
int32_t ob_crest(ob_context *c, uint32_t stream);
int32_t ob_quantile(ob_context *c, uint32_t stream, uint32_t q);

/* shape.c */
int32_t ob_skewness(ob_context *c, uint32_t stream);
int32_t ob_kurtosis(ob_context *c, uint32_t stream);

/* groups.c */
int32_t ob_share(ob_context *c, uint32_t stream, uint32_t base, uint32_t count);
int32_t ob_correlation(ob_context *c, uint32_t stream, uint32_t other);
int32_t ob_tilt(ob_context *c, uint32_t stream, uint32_t base);
uint32_t ob_group_means(ob_context *c, uint32_t base, int32_t means[3]);

/* scaling.c */
void ob_scaling_shift(const ob_moments *m, uint32_t n, int32_t shift, int32_t limit,
    ob_scaling *s);
int ob_scaling_bits(const ob_moments *m, uint32_t n, uint32_t bits, ob_scaling *s);

static inline int32_t ob_scale(const ob_scaling *s, int32_t x) {
    int32_t z = (x * s->multiplier - s->offset) >> s->down;
    return z > s->limit ? s->limit : z < -s->limit ? -s->limit : z;
}

/* autocorr.c */
void ob_autocorr(ob_context *c, uint32_t stream, uint32_t low, uint32_t high);

/* goertzel.c */
int32_t ob_goertzel(ob_context *c, uint32_t stream, uint32_t frequency);

/* fft.c */
int32_t ob_fft(ob_bin *bins, uint32_t log2);

/* spectrum.c */
int32_t ob_powers(ob_bin *bins, uint32_t log2);
void ob_spectrum_of(ob_context *c, uint32_t stream);
uint64_t ob_band_power(const ob_bin *bins, uint32_t low, uint32_t high);
int32_t ob_centroid(const ob_bin *bins, const ob_spectrum *s);

#endif
