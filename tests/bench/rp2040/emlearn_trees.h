/* emlearn's trees from another file, so that the compiler cannot move them past the counter. */
#include <stdint.h>

/* Nodes, tree_roots and leaves lie behind the six numbers. */
typedef struct {
    int32_t n_nodes, n_trees, n_leaves, n_features, n_classes, leaf_bits;
} emlearn_forest;

int32_t emlearn_prepare(const emlearn_forest *forest);

/* Classifies with the forest that was prepared last. */
int32_t emlearn_predict(const int16_t *features);
