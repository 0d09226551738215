#include "emlearn_trees.h"

#define EML_TREES_REGRESSION_ENABLE 0
#include <eml_trees.h>

static EmlTrees trees;

int32_t emlearn_prepare(const emlearn_forest *forest) {
    trees.n_nodes = forest->n_nodes;
    trees.n_trees = forest->n_trees;
    trees.n_leaves = forest->n_leaves;
    trees.n_features = (int8_t)forest->n_features;
    trees.n_classes = (int8_t)forest->n_classes;
    trees.leaf_bits = (int8_t)forest->leaf_bits;
    trees.nodes = (EmlTreesNode *)(forest + 1);
    trees.tree_roots = (int32_t *)(trees.nodes + trees.n_nodes);
    trees.leaves = (uint8_t *)(trees.tree_roots + trees.n_trees);
    return trees.n_nodes;
}

int32_t emlearn_predict(const int16_t *features) {
    return eml_trees_predict(&trees, features, trees.n_features);
}
