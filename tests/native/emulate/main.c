/* Loads the module from stdin and calls it as firmware does; all numbers are little-endian.
 *
 * In:  u32 length and the .mpy file, then jobs until one has a model of length 0:
 *      u32 model bytes, ring bytes, n_features, n_results, n_windows, n_vectors; the model;
 *      n_windows times u32 start_row and a ring; n_vectors times n_features int16.
 * Out: for each job i32 check(model) and work_bytes(model), the features of each window, the
 *      results of each vector.
 */
#include "emulate.h"

enum { MAX_FILE = 64 * 1024 };

static uint8_t file[MAX_FILE];
static mp_module_context_t context;

static mp_int_t call_1(const char *name, mp_obj_t argument) {
    const mp_obj_fun_builtin_fixed_t *function = MP_OBJ_TO_PTR(find_global(name));
    return MP_OBJ_SMALL_INT_VALUE(function->fun._1(argument));
}

/* One job of a model of n bytes, n > 0. */
static void run_job(size_t n) {
    size_t ring_bytes = read_u32(), n_features = read_u32(), n_results = read_u32();
    uint32_t n_windows = read_u32(), n_vectors = read_u32();
    forget_allocations();
    mp_obj_t model = new_buffer(n, BYTEARRAY), ring = new_buffer(ring_bytes, 'h');
    mp_obj_t features = new_buffer(2 * n_features, 'h'), results = new_buffer(4 * n_results, 'i');
    read_all(items_of(model), n);
    int32_t sizes[2] = {(int32_t)call_1("check", model), 0};
    sizes[1] = (int32_t)call_1("work_bytes", model);
    write_all(sizes, sizeof sizes);

    const mp_obj_full_type_t *type = MP_OBJ_TO_PTR(find_global("Model"));
    const mp_obj_fun_builtin_var_t *features_into = find_method(type, "features_into");
    const mp_obj_fun_builtin_fixed_t *predict_into = find_method(type, "predict_into");
    mp_obj_t self = new_object(type, model, new_buffer((size_t)sizes[1], BYTEARRAY));
    while (n_windows-- > 0) {
        mp_obj_t start_row = MP_OBJ_NEW_SMALL_INT((mp_int_t)read_u32());
        read_all(items_of(ring), ring_bytes);
        mp_obj_t args[4] = {self, ring, start_row, features};
        features_into->fun.var(4, args);
        write_all(items_of(features), 2 * n_features);
    }
    while (n_vectors-- > 0) {
        read_all(items_of(features), 2 * n_features);
        predict_into->fun._3(self, features, results);
        write_all(items_of(results), 4 * n_results);
    }
}

int run(void) {
    size_t n = read_u32();
    if (n > MAX_FILE) {
        end_with("the .mpy file is too large", "");
    }
    read_all(file, n);
    load_module(file, n, &context);
    for (n = read_u32(); n > 0; n = read_u32()) {
        run_job(n);
    }
    return 0;
}
