/* Objects as the module expects them, and its methods. */
#include "emulate.h"

mp_obj_t new_buffer(size_t n, int typecode) {
    buffer_obj_t *buffer = allocate(sizeof *buffer);
    buffer->items = allocate(n);
    buffer->n_bytes = n;
    buffer->typecode = typecode;
    return MP_OBJ_FROM_PTR(buffer);
}

void *items_of(mp_obj_t buffer) {
    return ((buffer_obj_t *)MP_OBJ_TO_PTR(buffer))->items;
}

const void *find_method(const mp_obj_full_type_t *type, const char *name) {
    const mp_obj_dict_t *dict = type->slots[type->slot_index_locals_dict - 1];
    for (size_t i = 0; i < dict->map.used; i++) {
        const char *other = name_of(MP_OBJ_QSTR_VALUE(dict->map.table[i].key));
        if (strlen(other) == strlen(name) && memcmp(other, name, strlen(name)) == 0) {
            return MP_OBJ_TO_PTR(dict->map.table[i].value);
        }
    }
    end_with("the class has no method ", name);
}

mp_obj_t new_object(const mp_obj_full_type_t *type, mp_obj_t first, mp_obj_t second) {
    mp_obj_t args[2] = {first, second};
    mp_make_new_fun_t make = (mp_make_new_fun_t)type->slots[type->slot_index_make_new - 1];
    return make((const mp_obj_type_t *)type, first == MP_OBJ_NULL ? 0 : 2, 0, args);
}
