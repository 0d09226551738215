/* What the files behind ob_model_check share; not part of the interface. */
#ifndef MODEL_CHECKS_H
#define MODEL_CHECKS_H

#include "onebyte.h"

/* One section of a model file. */
typedef struct ob_section {
    const uint8_t *data;
    uint32_t length;
} ob_section;

/* Byte by byte, for fields that need not be aligned. */
static inline uint32_t ob_read_u16(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t ob_read_u32(const uint8_t *p) {
    return ob_read_u16(p) | ob_read_u16(p + 2) << 16;
}

uint32_t ob_crc32(const uint8_t *data, uint32_t len);

/* Each checks one section and returns an ob_reason; the later ones need *m filled by the earlier. */
int ob_check_samples(ob_section section, ob_model *m);
int ob_check_classifier(ob_section section, ob_model *m);
int ob_check_novelty(ob_section section, ob_model *m);
int ob_check_decision(ob_section section, ob_model *m);
int ob_check_labels(ob_section section, ob_model *m);
int ob_check_golden(ob_section section, ob_model *m);
int ob_check_name(ob_section section);
int ob_check_custom(ob_section section, const ob_model *m);

#endif
