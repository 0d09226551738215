/* As much of MicroPython's mp_fun_table as our native modules call. */
#include "emulate.h"

enum { HEAP_BYTES = 1 << 20, MAX_GLOBALS = 32 };

static uint64_t heap[HEAP_BYTES / 8];
static size_t n_allocated;
static struct {
    qstr name;
    mp_obj_t value;
} globals[MAX_GLOBALS];
static size_t n_globals;

static const mp_obj_base_t none, no, yes;
static mp_obj_full_type_t types[9];

void *allocate(size_t n) {
    void *block = (char *)heap + n_allocated;
    n_allocated += (n + 15) & ~(size_t)15;
    if (n_allocated > HEAP_BYTES) {
        end_with("the heap is full", "");
    }
    return memset(block, 0, n);
}

void forget_allocations(void) {
    n_allocated = 0;
}

mp_obj_t find_global(const char *name) {
    for (size_t i = 0; i < n_globals; i++) {
        const char *other = name_of(globals[i].name);
        if (strlen(other) == strlen(name) && memcmp(other, name, strlen(name)) == 0) {
            return globals[i].value;
        }
    }
    end_with("the module did not store ", name);
}

bool is_true(mp_obj_t value) {
    return value == (mp_obj_t)&yes;
}

static void not_here(void) {
    end_with("the module called an entry of mp_fun_table that is not emulated", "");
}

static mp_obj_t native_to_obj(mp_uint_t value, mp_uint_t type) {
    if (type == MP_NATIVE_TYPE_QSTR) {
        return MP_OBJ_FROM_PTR((void *)(value << 3 | 2)); /* MP_OBJ_NEW_QSTR */
    }
    if (type != MP_NATIVE_TYPE_INT && type != MP_NATIVE_TYPE_UINT) {
        end_with("native_to_obj: another type", "");
    }
    return MP_OBJ_NEW_SMALL_INT((mp_int_t)value);
}

static mp_obj_dict_t *swap_globals(mp_obj_dict_t *new_globals) {
    return new_globals;
}

static mp_obj_t load_global(qstr name) {
    (void)name; /* the name of an exception, which raise_ then ends with */
    return (mp_obj_t)&types[8];
}

static void store_global(qstr name, mp_obj_t value) {
    if (n_globals == MAX_GLOBALS) {
        end_with("too many globals", "");
    }
    globals[n_globals].name = name;
    globals[n_globals++].value = value;
}

static mp_obj_t call_function(mp_obj_t fun, size_t n_args_kw, const mp_obj_t *args) {
    (void)n_args_kw;
    return fun == (mp_obj_t)&types[8] ? args[0] : (not_here(), fun); /* ValueError(args[0]) */
}

static void raise_(mp_obj_t exception) {
    buffer_obj_t *text = MP_OBJ_TO_PTR(exception);
    end_with("the module raised ", text->items);
}

static NORETURN void raise_msg(const mp_obj_type_t *type, mp_rom_error_text_t text) {
    (void)type;
    end_with("the module raised ", (const char *)text);
}

static mp_obj_t obj_new_str(const char *data, size_t n) {
    buffer_obj_t *text = allocate(sizeof *text);
    text->items = allocate(n + 1);
    memcpy(text->items, data, n);
    return MP_OBJ_FROM_PTR(text);
}

static mp_obj_t obj_new_bytes(const byte *data, size_t n) {
    mp_obj_t bytes = new_buffer(n, BYTEARRAY);
    memcpy(items_of(bytes), data, n);
    return bytes;
}

static void arg_check_num_sig(size_t n_args, size_t n_kw, uint32_t sig) {
    if (n_kw != 0 || n_args < sig >> 17 || n_args > (sig >> 1 & 0xffff)) {
        end_with("another number of arguments", "");
    }
}

static void *realloc_(void *block, size_t n, bool may_move) {
    (void)may_move;
    if (block != NULL) {
        not_here();
    }
    return allocate(n);
}

static bool get_buffer(mp_obj_t obj, mp_buffer_info_t *info, mp_uint_t flags) {
    (void)flags;
    const buffer_obj_t *buffer = MP_OBJ_TO_PTR(obj);
    info->buf = buffer->items;
    info->len = buffer->n_bytes;
    info->typecode = buffer->typecode;
    return true;
}

/* Not const: the entries without a function of their own are filled at the start. */
#define TYPE(i) ((const mp_obj_type_t *)&types[i])
static mp_fun_table_t filled = {
    .const_none = (mp_const_obj_t)&none,
    .const_false = (mp_const_obj_t)&no,
    .const_true = (mp_const_obj_t)&yes,
    .native_to_obj = native_to_obj,
    .swap_globals = swap_globals,
    .load_global = load_global,
    .store_global = store_global,
    .call_function_n_kw = call_function,
    .raise = raise_,
    .arg_check_num_sig = arg_check_num_sig,
    .memset_ = memset,
    .memmove_ = memmove,
    .realloc_ = realloc_,
    .raise_msg = raise_msg,
    .obj_new_str = obj_new_str,
    .obj_new_bytes = obj_new_bytes,
    .get_buffer = get_buffer,
    .type_type = TYPE(0),
    .type_str = TYPE(1),
    .type_list = TYPE(2),
    .type_dict = TYPE(3),
    .type_fun_builtin_0 = TYPE(4),
    .type_fun_builtin_1 = TYPE(5),
    .type_fun_builtin_2 = TYPE(6),
    .type_fun_builtin_3 = TYPE(7),
    .type_fun_builtin_var = TYPE(8),
};

const mp_fun_table_t *filled_table(void) {
    void **entries = (void **)(void *)&filled;
    for (size_t i = 0; i < sizeof filled / sizeof *entries; i++) {
        if (entries[i] == NULL) {
            entries[i] = (void *)not_here;
        }
    }
    return &filled;
}
