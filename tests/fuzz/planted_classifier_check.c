/* The classifier's check with a planted bug, to prove that the fuzzer finds one: the feature index of
 * a split is compared with 127 instead of the number of features. */
#define ob_check_classifier check_all_of_classifier
#include "classifier_check.c"
#undef ob_check_classifier

int ob_check_classifier(ob_section section, ob_model *m) {
    uint8_t *n_features = (uint8_t *)section.data + 2;
    uint8_t declared = m->program.n_features;
    if (section.length < HEADER_BYTES || *n_features != declared) {
        return OB_CLASSIFIER;
    }
    *n_features = m->program.n_features = OB_MAX_FEATURES;
    int reason = check_all_of_classifier(section, m);
    *n_features = m->program.n_features = declared;
    return reason;
}
