/* Reference for the bench: emlearn's tree kernel behind the interface its users know from
 * MicroPython: a builder object that is filled node by node, and predict(features, out) with one
 * float per class. The arrays belong to the object; lengths are those given to new(). */
#include "py/dynruntime.h"

#define EML_TREES_REGRESSION_ENABLE 0
#include <eml_trees.h>

#undef memset
#undef memcpy
void *memset(void *s, int c, size_t n) {
    return mp_fun_table.memset_(s, c, n);
}
void *memcpy(void *dst, const void *src, size_t n) {
    return mp_fun_table.memmove_(dst, src, n);
}

mp_obj_full_type_t trees_type;

typedef struct {
    mp_obj_base_t base;
    EmlTrees trees;
    mp_int_t max_nodes;
    mp_int_t max_trees;
    mp_int_t max_leaves;
} trees_obj_t;

static mp_obj_t trees_new(mp_obj_t max_trees, mp_obj_t max_nodes, mp_obj_t max_leaves) {
    trees_obj_t *self = mp_obj_malloc(trees_obj_t, (mp_obj_type_t *)&trees_type);
    memset(&self->trees, 0, sizeof(self->trees));
    self->max_trees = mp_obj_get_int(max_trees);
    self->max_nodes = mp_obj_get_int(max_nodes);
    self->max_leaves = mp_obj_get_int(max_leaves);
    self->trees.nodes = m_new(EmlTreesNode, self->max_nodes);
    self->trees.tree_roots = m_new(int32_t, self->max_trees);
    self->trees.leaves = m_new(uint8_t, self->max_leaves);
    return MP_OBJ_FROM_PTR(self);
}
static MP_DEFINE_CONST_FUN_OBJ_3(trees_new_obj, trees_new);

/* setdata(n_features, n_classes, leaf_bits) */
static mp_obj_t trees_setdata(size_t n_args, const mp_obj_t *args) {
    trees_obj_t *self = MP_OBJ_TO_PTR(args[0]);
    (void)n_args;
    self->trees.n_features = mp_obj_get_int(args[1]);
    self->trees.n_classes = mp_obj_get_int(args[2]);
    self->trees.leaf_bits = mp_obj_get_int(args[3]);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(trees_setdata_obj, 4, 4, trees_setdata);

/* addnode(left, right, feature, value) */
static mp_obj_t trees_addnode(size_t n_args, const mp_obj_t *args) {
    trees_obj_t *self = MP_OBJ_TO_PTR(args[0]);
    (void)n_args;
    if (self->trees.n_nodes >= self->max_nodes) {
        mp_raise_ValueError(MP_ERROR_TEXT("max nodes"));
    }
    EmlTreesNode *node = &self->trees.nodes[self->trees.n_nodes++];
    node->left = mp_obj_get_int(args[1]);
    node->right = mp_obj_get_int(args[2]);
    node->feature = mp_obj_get_int(args[3]);
    node->value = mp_obj_get_int(args[4]);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(trees_addnode_obj, 5, 5, trees_addnode);

static mp_obj_t trees_addroot(mp_obj_t self_in, mp_obj_t root) {
    trees_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->trees.n_trees >= self->max_trees) {
        mp_raise_ValueError(MP_ERROR_TEXT("max trees"));
    }
    self->trees.tree_roots[self->trees.n_trees++] = mp_obj_get_int(root);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(trees_addroot_obj, trees_addroot);

static mp_obj_t trees_addleaf(mp_obj_t self_in, mp_obj_t leaf) {
    trees_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->trees.n_leaves >= self->max_leaves) {
        mp_raise_ValueError(MP_ERROR_TEXT("max leaves"));
    }
    self->trees.leaves[self->trees.n_leaves++] = mp_obj_get_int(leaf);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(trees_addleaf_obj, trees_addleaf);

static mp_obj_t trees_predict(mp_obj_t self_in, mp_obj_t features_in, mp_obj_t out_in) {
    trees_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_buffer_info_t features, out;
    mp_get_buffer_raise(features_in, &features, MP_BUFFER_READ);
    mp_get_buffer_raise(out_in, &out, MP_BUFFER_WRITE);
    if (features.typecode != 'h' || out.typecode != 'f') {
        mp_raise_ValueError(MP_ERROR_TEXT("expecting int16 (h) in, float (f) out"));
    }
    if (eml_trees_predict_proba(&self->trees, features.buf, features.len / sizeof(int16_t), out.buf,
        out.len / sizeof(float)) != EmlOk) {
        mp_raise_msg(&mp_type_RuntimeError, MP_ERROR_TEXT("eml_trees_predict_proba error"));
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(trees_predict_obj, trees_predict);

mp_map_elem_t trees_locals_dict_table[5];
static MP_DEFINE_CONST_DICT(trees_locals_dict, trees_locals_dict_table);

static void add_method(int index, qstr name, const void *method) {
    trees_locals_dict_table[index].key = MP_OBJ_NEW_QSTR(name);
    trees_locals_dict_table[index].value = MP_OBJ_FROM_PTR(method);
}

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY

    trees_type.base.type = (void *)&mp_type_type;
    trees_type.flags = MP_TYPE_FLAG_NONE;
    trees_type.name = MP_QSTR_Trees;
    add_method(0, MP_QSTR_setdata, &trees_setdata_obj);
    add_method(1, MP_QSTR_addnode, &trees_addnode_obj);
    add_method(2, MP_QSTR_addroot, &trees_addroot_obj);
    add_method(3, MP_QSTR_addleaf, &trees_addleaf_obj);
    add_method(4, MP_QSTR_predict, &trees_predict_obj);
    MP_OBJ_TYPE_SET_SLOT(&trees_type, locals_dict, (void *)&trees_locals_dict, 0);
    mp_store_global(MP_QSTR_new, MP_OBJ_FROM_PTR(&trees_new_obj));

    MP_DYNRUNTIME_INIT_EXIT
}
