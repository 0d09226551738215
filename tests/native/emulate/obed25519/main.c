/* Loads the module from stdin and verifies signatures; all numbers are little-endian.
 *
 * In:  u32 length and the .mpy file, then jobs until a message length of 2^32 - 1:
 *      u32 message bytes; public key, signature and message.
 * Out: for each job a byte of verify, a byte of a Verifier that got the message in two parts, the
 *      64 bytes of a Sha512 of the message.
 */
#include "emulate.h"

enum { MAX_FILE = 64 * 1024, KEY_BYTES = 32, SIGNATURE_BYTES = 64 };
static const uint32_t END = 0xffffffff;

static uint8_t file[MAX_FILE];
static mp_module_context_t context;

static mp_obj_t read_buffer(size_t n) {
    mp_obj_t buffer = new_buffer(n, BYTEARRAY);
    read_all(items_of(buffer), n);
    return buffer;
}

static void write_bool(bool value) {
    uint8_t byte = value;
    write_all(&byte, 1);
}

/* object.update(n bytes of the message from `start` on) */
static void update(const mp_obj_full_type_t *type, mp_obj_t object, const void *start, size_t n) {
    const mp_obj_fun_builtin_fixed_t *method = find_method(type, "update");
    mp_obj_t part = new_buffer(n, BYTEARRAY);
    memcpy(items_of(part), start, n);
    method->fun._2(object, part);
}

static mp_obj_t call_method(const mp_obj_full_type_t *type, mp_obj_t object, const char *name) {
    const mp_obj_fun_builtin_fixed_t *method = find_method(type, name);
    return method->fun._1(object);
}

/* One job with a message of n bytes. */
static void run_job(size_t n) {
    forget_allocations();
    mp_obj_t key = read_buffer(KEY_BYTES), signature = read_buffer(SIGNATURE_BYTES);
    mp_obj_t message = read_buffer(n);
    const uint8_t *data = items_of(message);
    const mp_obj_fun_builtin_fixed_t *verify = MP_OBJ_TO_PTR(find_global("verify"));
    write_bool(is_true(verify->fun._3(key, signature, message)));

    const mp_obj_full_type_t *type = MP_OBJ_TO_PTR(find_global("Verifier"));
    mp_obj_t verifier = new_object(type, key, signature);
    update(type, verifier, data, n / 2);
    update(type, verifier, data + n / 2, n - n / 2);
    while (!is_true(call_method(type, verifier, "step"))) {
    }
    write_bool(is_true(call_method(type, verifier, "is_valid")));

    type = MP_OBJ_TO_PTR(find_global("Sha512"));
    mp_obj_t hash = new_object(type, MP_OBJ_NULL, MP_OBJ_NULL);
    update(type, hash, data, n);
    write_all(items_of(call_method(type, hash, "digest")), 64);
}

int run(void) {
    size_t n = read_u32();
    if (n > MAX_FILE) {
        end_with("the .mpy file is too large", "");
    }
    read_all(file, n);
    load_module(file, n, &context);
    for (n = read_u32(); n != END; n = read_u32()) {
        run_job(n);
    }
    return 0;
}
