// A module with one function, for the test that an image takes further C modules.
#include "py/runtime.h"

static mp_obj_t foreign_reverse_bits(mp_obj_t value_in) {
    mp_uint_t value = mp_obj_get_int_truncated(value_in), reversed = 0;
    for (int i = 0; i < 32; i++) {
        reversed = reversed << 1 | (value >> i & 1);
    }
    return mp_obj_new_int_from_uint(reversed);
}
static MP_DEFINE_CONST_FUN_OBJ_1(foreign_reverse_bits_obj, foreign_reverse_bits);

static const mp_rom_map_elem_t foreign_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_foreign) },
    { MP_ROM_QSTR(MP_QSTR_reverse_bits), MP_ROM_PTR(&foreign_reverse_bits_obj) },
};
static MP_DEFINE_CONST_DICT(foreign_globals, foreign_globals_table);

const mp_obj_module_t foreign_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&foreign_globals,
};

MP_REGISTER_MODULE(MP_QSTR_foreign, foreign_module);
