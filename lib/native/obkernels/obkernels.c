/* MicroPython module obkernels: one source for the native module (.mpy) and the user C module.
 *
 * It only converts and checks; the work is done in ../kernels. features_into and predict_into
 * allocate nothing. Every wrong buffer raises ValueError, so the kernels never see one.
 */
#ifdef MICROPY_ENABLE_DYNRUNTIME
#include "py/dynruntime.h"
#else
#include "py/runtime.h"
#endif

#include "onebyte.h"

/* mp_buffer_info_t says 1, not 'B', for a bytearray. */
#define BYTEARRAY_TYPE 1

#if MICROPY_ENABLE_DYNRUNTIME
mp_obj_full_type_t obkernels_model_type;

/* The compiler may call these on its own; a native module is linked without libc. */
#undef memset
#undef memcpy
void *memset(void *s, int c, size_t n) {
    return mp_fun_table.memset_(s, c, n);
}
void *memcpy(void *dst, const void *src, size_t n) {
    return mp_fun_table.memmove_(dst, src, n);
}
#endif

/* An accepted model. `checked` points into the buffers; the objects keep them alive. */
typedef struct {
    mp_obj_base_t base;
    mp_obj_t model;
    mp_obj_t work;
    const void *model_data; /* where the buffers were when they were checked */
    void *work_data;
    ob_model checked;
} model_obj_t;

/* Names of the reason codes from 1 on; a table of pointers would need relocations. */
static const char reason_names[] =
    "TOO_SHORT\0MAGIC\0VERSION\0SIZE\0CRC\0HEADER\0SECTION_TABLE\0SECTION_MISSING\0"
    "SECTION_UNKNOWN\0SAMPLES\0FEATURES\0STREAM\0CLASSIFIER\0ROOT\0NODE\0LEAF\0DEPTH\0NOVELTY\0"
    "DECISION\0LABELS\0GOLDEN\0KERNEL_VERSION\0NAME\0GOLDEN_MISMATCH\0ALIGNMENT\0CUSTOM";

static void raise_reason(int reason) {
    char text[24];
    size_t length = 0;
    const char *name = reason_names;
    for (int i = 1; i < reason; i++) {
        while (*name++) {
        }
    }
    while (*name) {
        text[length++] = *name++;
    }
    text[length++] = '(';
    if (reason >= 10) {
        text[length++] = reason >= 20 ? '2' : '1';
    }
    text[length++] = (char)('0' + (reason >= 20 ? reason - 20 : reason >= 10 ? reason - 10 : reason));
    text[length++] = ')';
    mp_raise_type_arg(&mp_type_ValueError, mp_obj_new_str(text, length));
}

static bool is_bytes(const mp_buffer_info_t *buffer) {
    return buffer->typecode == 'B' || buffer->typecode == BYTEARRAY_TYPE;
}

static void get_model_buffer(mp_obj_t model, mp_buffer_info_t *buffer) {
    if (!mp_get_buffer(model, buffer, MP_BUFFER_READ) || !is_bytes(buffer)) {
        mp_raise_ValueError(MP_ERROR_TEXT("model: not bytes"));
    }
}

static int check_model(mp_obj_t model, const void **data, ob_model *checked) {
    mp_buffer_info_t buffer;
    get_model_buffer(model, &buffer);
    *data = buffer.buf;
    /* Above the limit the length itself is the reason, so it need not be exact. */
    size_t length = buffer.len;
    if (length > OB_MAX_FILE_BYTES) {
        length = OB_MAX_FILE_BYTES + 4;
    }
    return ob_model_check(buffer.buf, (uint32_t)length, checked);
}

/* check(model) -> reason code, 0 when the model is sound. */
static mp_obj_t obkernels_check(mp_obj_t model) {
    ob_model checked;
    const void *data;
    return MP_OBJ_NEW_SMALL_INT(check_model(model, &data, &checked));
}
static MP_DEFINE_CONST_FUN_OBJ_1(obkernels_check_obj, obkernels_check);

/* work_bytes(model) -> size of the work buffer that Model needs. */
static mp_obj_t obkernels_work_bytes(mp_obj_t model) {
    ob_model checked;
    const void *data;
    int reason = check_model(model, &data, &checked);
    if (reason) {
        raise_reason(reason);
    }
    return MP_OBJ_NEW_SMALL_INT(checked.work_bytes);
}
static MP_DEFINE_CONST_FUN_OBJ_1(obkernels_work_bytes_obj, obkernels_work_bytes);

/* Model(model, work) */
static mp_obj_t model_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
    const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 2, 2, false);
    model_obj_t *self = mp_obj_malloc(model_obj_t, type);
    mp_buffer_info_t work;
    int reason = check_model(args[0], &self->model_data, &self->checked);
    if (reason) {
        raise_reason(reason);
    }
    if (!mp_get_buffer(args[1], &work, MP_BUFFER_RW)) {
        mp_raise_ValueError(MP_ERROR_TEXT("work: not a writable buffer"));
    }
    if (work.len < self->checked.work_bytes) {
        mp_raise_ValueError(MP_ERROR_TEXT("work: too small"));
    }
    if ((uintptr_t)work.buf % OB_WORK_ALIGN != 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("work: not aligned to 8 bytes"));
    }
    self->model = args[0];
    self->work = args[1];
    self->work_data = work.buf;
    return MP_OBJ_FROM_PTR(self);
}

/* The object, when the model is still where it was checked (the runtime knows the type). */
static model_obj_t *get_self(mp_obj_t self_in) {
    mp_buffer_info_t buffer;
    model_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (!mp_get_buffer(self->model, &buffer, MP_BUFFER_READ) || buffer.buf != self->model_data) {
        mp_raise_ValueError(MP_ERROR_TEXT("model: buffer was resized"));
    }
    return self;
}

static void *get_work(const model_obj_t *self) {
    mp_buffer_info_t buffer;
    if (!mp_get_buffer(self->work, &buffer, MP_BUFFER_RW) || buffer.buf != self->work_data
        || buffer.len < self->checked.work_bytes) {
        mp_raise_ValueError(MP_ERROR_TEXT("work: buffer was resized"));
    }
    return buffer.buf;
}

static int16_t *get_features(mp_obj_t features, const model_obj_t *self, mp_uint_t flags) {
    mp_buffer_info_t buffer;
    if (!mp_get_buffer(features, &buffer, flags) || buffer.typecode != 'h') {
        mp_raise_ValueError(MP_ERROR_TEXT("features: not an array('h')"));
    }
    if (buffer.len != sizeof(int16_t) * self->checked.program.n_features) {
        mp_raise_ValueError(MP_ERROR_TEXT("features: not n_features long"));
    }
    return buffer.buf;
}

/* bytes / row_bytes by long division: Cortex-M0+ divides only by a library call. */
static size_t count_rows(size_t bytes, size_t row_bytes) {
    size_t rows = 0;
    size_t step = 1;
    while (row_bytes <= bytes >> 1) {
        row_bytes <<= 1;
        step <<= 1;
    }
    for (; step > 0; step >>= 1, row_bytes >>= 1) {
        if (bytes >= row_bytes) {
            bytes -= row_bytes;
            rows += step;
        }
    }
    return rows;
}

/* Model.features_into(ring, start_row, features) */
static mp_obj_t model_features_into(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    model_obj_t *self = get_self(args[0]);
    const ob_program *program = &self->checked.program;
    size_t row_bytes = sizeof(int16_t) * program->n_channels;
    size_t rows;
    mp_buffer_info_t ring;
    if (!mp_get_buffer(args[1], &ring, MP_BUFFER_READ) || (ring.typecode != 'h' && !is_bytes(&ring))
        || (uintptr_t)ring.buf % sizeof(int16_t) != 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("ring: not an array('h') or aligned bytes"));
    }
    rows = count_rows(ring.len, row_bytes);
    if (rows < program->window || rows * row_bytes != ring.len) {
        mp_raise_ValueError(MP_ERROR_TEXT("ring: not whole rows, or fewer than the window"));
    }
    if (!mp_obj_is_small_int(args[2]) || MP_OBJ_SMALL_INT_VALUE(args[2]) < 0
        || (size_t)MP_OBJ_SMALL_INT_VALUE(args[2]) >= rows) {
        mp_raise_ValueError(MP_ERROR_TEXT("start_row: outside the ring"));
    }
    int16_t *features = get_features(args[3], self, MP_BUFFER_WRITE);
    ob_features(program, ring.buf, (uint32_t)rows, (uint32_t)MP_OBJ_SMALL_INT_VALUE(args[2]),
        get_work(self), features);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(model_features_into_obj, 4, 4, model_features_into);

/* Model.predict_into(features, result) */
static mp_obj_t model_predict_into(mp_obj_t self_in, mp_obj_t features_in, mp_obj_t result_in) {
    model_obj_t *self = get_self(self_in);
    const int16_t *features = get_features(features_in, self, MP_BUFFER_READ);
    mp_buffer_info_t result;
    if (!mp_get_buffer(result_in, &result, MP_BUFFER_WRITE) || result.typecode != 'i') {
        mp_raise_ValueError(MP_ERROR_TEXT("result: not an array('i')"));
    }
    if (result.len != sizeof(int32_t) * (OB_RESULT_VOTES + (size_t)self->checked.n_classes)) {
        mp_raise_ValueError(MP_ERROR_TEXT("result: not 4 + n_classes long"));
    }
    ob_predict(&self->checked, features, result.buf);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(model_predict_into_obj, model_predict_into);

#if MICROPY_ENABLE_DYNRUNTIME
mp_map_elem_t model_locals_dict_table[2];
static MP_DEFINE_CONST_DICT(model_locals_dict, model_locals_dict_table);

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY

    obkernels_model_type.base.type = (void *)&mp_type_type;
    obkernels_model_type.flags = MP_TYPE_FLAG_NONE;
    obkernels_model_type.name = MP_QSTR_Model;
    MP_OBJ_TYPE_SET_SLOT(&obkernels_model_type, make_new, model_make_new, 0);
    model_locals_dict_table[0] = (mp_map_elem_t) {
        MP_OBJ_NEW_QSTR(MP_QSTR_features_into), MP_OBJ_FROM_PTR(&model_features_into_obj)
    };
    model_locals_dict_table[1] = (mp_map_elem_t) {
        MP_OBJ_NEW_QSTR(MP_QSTR_predict_into), MP_OBJ_FROM_PTR(&model_predict_into_obj)
    };
    MP_OBJ_TYPE_SET_SLOT(&obkernels_model_type, locals_dict, (void *)&model_locals_dict, 1);

    mp_store_global(MP_QSTR_KERNEL_VERSION, MP_OBJ_NEW_SMALL_INT(OB_KERNEL_VERSION));
    mp_store_global(MP_QSTR_check, MP_OBJ_FROM_PTR(&obkernels_check_obj));
    mp_store_global(MP_QSTR_work_bytes, MP_OBJ_FROM_PTR(&obkernels_work_bytes_obj));
    mp_store_global(MP_QSTR_Model, MP_OBJ_FROM_PTR(&obkernels_model_type));

    MP_DYNRUNTIME_INIT_EXIT
}

#else

static const mp_rom_map_elem_t model_locals_dict_table[] = {
    { MP_ROM_QSTR(MP_QSTR_features_into), MP_ROM_PTR(&model_features_into_obj) },
    { MP_ROM_QSTR(MP_QSTR_predict_into), MP_ROM_PTR(&model_predict_into_obj) },
};
static MP_DEFINE_CONST_DICT(model_locals_dict, model_locals_dict_table);

MP_DEFINE_CONST_OBJ_TYPE(
    obkernels_model_type,
    MP_QSTR_Model,
    MP_TYPE_FLAG_NONE,
    make_new, model_make_new,
    locals_dict, &model_locals_dict
    );

static const mp_rom_map_elem_t obkernels_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_obkernels) },
    { MP_ROM_QSTR(MP_QSTR_KERNEL_VERSION), MP_ROM_INT(OB_KERNEL_VERSION) },
    { MP_ROM_QSTR(MP_QSTR_check), MP_ROM_PTR(&obkernels_check_obj) },
    { MP_ROM_QSTR(MP_QSTR_work_bytes), MP_ROM_PTR(&obkernels_work_bytes_obj) },
    { MP_ROM_QSTR(MP_QSTR_Model), MP_ROM_PTR(&obkernels_model_type) },
};
static MP_DEFINE_CONST_DICT(obkernels_globals, obkernels_globals_table);

const mp_obj_module_t obkernels_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&obkernels_globals,
};
MP_REGISTER_MODULE(MP_QSTR_obkernels, obkernels_module);
#endif
