/* Native module that calls code in RAM: call(address of a function, address of its arguments). */
#include "py/dynruntime.h"

typedef uint32_t (*function)(uint32_t *arguments);

static mp_obj_t call(mp_obj_t address, mp_obj_t arguments) {
    function code = (function)(uintptr_t)(mp_obj_get_int_truncated(address) | 1); /* Thumb */
    return MP_OBJ_NEW_SMALL_INT(code((uint32_t *)(uintptr_t)mp_obj_get_int_truncated(arguments)));
}
static MP_DEFINE_CONST_FUN_OBJ_2(call_obj, call);

/* nothing() is what a call of native code costs without arguments and without work. */
static mp_obj_t nothing(void) {
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(nothing_obj, nothing);

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    mp_store_global(MP_QSTR_call, MP_OBJ_FROM_PTR(&call_obj));
    mp_store_global(MP_QSTR_nothing, MP_OBJ_FROM_PTR(&nothing_obj));
    MP_DYNRUNTIME_INIT_EXIT
}
