/* MicroPython module obed25519: one source for the native module (.mpy) and the user C module.
 *
 * It only converts and checks; ed25519.c and sha512.c do the work.
 */
#ifdef MICROPY_ENABLE_DYNRUNTIME
#include "py/dynruntime.h"
#else
#include "py/runtime.h"
#endif

#include "ed25519.h"

#if MICROPY_ENABLE_DYNRUNTIME
mp_obj_full_type_t obed25519_sha512_type;
mp_obj_full_type_t obed25519_verifier_type;

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

typedef struct {
    mp_obj_base_t base;
    ob_sha512 hash;
} sha512_obj_t;

typedef struct {
    mp_obj_base_t base;
    enum { TAKES_MESSAGE, INVALID, VALID } state;
    ob_verifier verifier;
} verifier_obj_t;

static void hash_buffer(ob_sha512 *hash, mp_obj_t data) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(data, &buffer, MP_BUFFER_READ);
    ob_sha512_update(hash, buffer.buf, buffer.len);
}

static void init_verifier(ob_verifier *verifier, mp_obj_t public_key, mp_obj_t signature) {
    mp_buffer_info_t key, bytes;
    mp_get_buffer_raise(public_key, &key, MP_BUFFER_READ);
    mp_get_buffer_raise(signature, &bytes, MP_BUFFER_READ);
    if (key.len != OB_PUBLIC_KEY_BYTES) {
        mp_raise_ValueError(MP_ERROR_TEXT("public_key: not 32 bytes"));
    }
    if (bytes.len != OB_SIGNATURE_BYTES) {
        mp_raise_ValueError(MP_ERROR_TEXT("signature: not 64 bytes"));
    }
    ob_verifier_init(verifier, key.buf, bytes.buf);
}

/* verify(public_key, signature, message) -> whether the signature is valid. */
static mp_obj_t obed25519_verify(mp_obj_t public_key, mp_obj_t signature, mp_obj_t message) {
    ob_verifier verifier;
    init_verifier(&verifier, public_key, signature);
    hash_buffer(&verifier.hash, message);
    return mp_obj_new_bool(ob_verifier_final(&verifier));
}
static MP_DEFINE_CONST_FUN_OBJ_3(obed25519_verify_obj, obed25519_verify);

/* Verifier(public_key, signature) */
static mp_obj_t verifier_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
    const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 2, 2, false);
    verifier_obj_t *self = mp_obj_malloc(verifier_obj_t, type);
    init_verifier(&self->verifier, args[0], args[1]);
    self->state = TAKES_MESSAGE;
    return MP_OBJ_FROM_PTR(self);
}

/* Verifier.update(data) */
static mp_obj_t verifier_update(mp_obj_t self_in, mp_obj_t data) {
    verifier_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->state != TAKES_MESSAGE) {
        mp_raise_ValueError(MP_ERROR_TEXT("update: the message has ended"));
    }
    hash_buffer(&self->verifier.hash, data);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(verifier_update_obj, verifier_update);

/* Verifier.step() -> True: one step has it all, the twin takes many. */
static mp_obj_t verifier_step(mp_obj_t self_in) {
    verifier_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->state == TAKES_MESSAGE) {
        self->state = ob_verifier_final(&self->verifier) ? VALID : INVALID;
    }
    return mp_const_true;
}
static MP_DEFINE_CONST_FUN_OBJ_1(verifier_step_obj, verifier_step);

/* Verifier.is_valid() -> the verdict. */
static mp_obj_t verifier_is_valid(mp_obj_t self_in) {
    verifier_obj_t *self = MP_OBJ_TO_PTR(self_in);
    verifier_step(self_in);
    return mp_obj_new_bool(self->state == VALID);
}
static MP_DEFINE_CONST_FUN_OBJ_1(verifier_is_valid_obj, verifier_is_valid);

/* Sha512() */
static mp_obj_t sha512_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
    const mp_obj_t *args) {
    (void)args;
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    sha512_obj_t *self = mp_obj_malloc(sha512_obj_t, type);
    ob_sha512_init(&self->hash);
    return MP_OBJ_FROM_PTR(self);
}

/* Sha512.update(data) */
static mp_obj_t sha512_update(mp_obj_t self_in, mp_obj_t data) {
    sha512_obj_t *self = MP_OBJ_TO_PTR(self_in);
    hash_buffer(&self->hash, data);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(sha512_update_obj, sha512_update);

/* Sha512.digest() -> 64 bytes; more may be hashed afterwards. */
static mp_obj_t sha512_digest(mp_obj_t self_in) {
    sha512_obj_t *self = MP_OBJ_TO_PTR(self_in);
    ob_sha512 hash = self->hash;
    uint8_t digest[OB_SHA512_BYTES];
    ob_sha512_final(&hash, digest);
    return mp_obj_new_bytes(digest, sizeof digest);
}
static MP_DEFINE_CONST_FUN_OBJ_1(sha512_digest_obj, sha512_digest);

#if MICROPY_ENABLE_DYNRUNTIME
enum { N_VERIFIER_METHODS = 3, N_SHA512_METHODS = 2 };
mp_map_elem_t verifier_locals_dict_table[N_VERIFIER_METHODS];
mp_map_elem_t sha512_locals_dict_table[N_SHA512_METHODS];
static MP_DEFINE_CONST_DICT(verifier_locals_dict, verifier_locals_dict_table);
static MP_DEFINE_CONST_DICT(sha512_locals_dict, sha512_locals_dict_table);

#define ENTRY(name, object) \
    (mp_map_elem_t) { MP_OBJ_NEW_QSTR(name), MP_OBJ_FROM_PTR(object) }

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY

    verifier_locals_dict_table[0] = ENTRY(MP_QSTR_update, &verifier_update_obj);
    verifier_locals_dict_table[1] = ENTRY(MP_QSTR_step, &verifier_step_obj);
    verifier_locals_dict_table[2] = ENTRY(MP_QSTR_is_valid, &verifier_is_valid_obj);
    obed25519_verifier_type.base.type = (void *)&mp_type_type;
    obed25519_verifier_type.flags = MP_TYPE_FLAG_NONE;
    obed25519_verifier_type.name = MP_QSTR_Verifier;
    MP_OBJ_TYPE_SET_SLOT(&obed25519_verifier_type, make_new, verifier_make_new, 0);
    MP_OBJ_TYPE_SET_SLOT(&obed25519_verifier_type, locals_dict, (void *)&verifier_locals_dict, 1);

    sha512_locals_dict_table[0] = ENTRY(MP_QSTR_update, &sha512_update_obj);
    sha512_locals_dict_table[1] = ENTRY(MP_QSTR_digest, &sha512_digest_obj);
    obed25519_sha512_type.base.type = (void *)&mp_type_type;
    obed25519_sha512_type.flags = MP_TYPE_FLAG_NONE;
    obed25519_sha512_type.name = MP_QSTR_Sha512;
    MP_OBJ_TYPE_SET_SLOT(&obed25519_sha512_type, make_new, sha512_make_new, 0);
    MP_OBJ_TYPE_SET_SLOT(&obed25519_sha512_type, locals_dict, (void *)&sha512_locals_dict, 1);

    mp_store_global(MP_QSTR_verify, MP_OBJ_FROM_PTR(&obed25519_verify_obj));
    mp_store_global(MP_QSTR_Verifier, MP_OBJ_FROM_PTR(&obed25519_verifier_type));
    mp_store_global(MP_QSTR_Sha512, MP_OBJ_FROM_PTR(&obed25519_sha512_type));

    MP_DYNRUNTIME_INIT_EXIT
}

#else

static const mp_rom_map_elem_t verifier_locals_dict_table[] = {
    { MP_ROM_QSTR(MP_QSTR_update), MP_ROM_PTR(&verifier_update_obj) },
    { MP_ROM_QSTR(MP_QSTR_step), MP_ROM_PTR(&verifier_step_obj) },
    { MP_ROM_QSTR(MP_QSTR_is_valid), MP_ROM_PTR(&verifier_is_valid_obj) },
};
static MP_DEFINE_CONST_DICT(verifier_locals_dict, verifier_locals_dict_table);

MP_DEFINE_CONST_OBJ_TYPE(
    obed25519_verifier_type,
    MP_QSTR_Verifier,
    MP_TYPE_FLAG_NONE,
    make_new, verifier_make_new,
    locals_dict, &verifier_locals_dict
    );

static const mp_rom_map_elem_t sha512_locals_dict_table[] = {
    { MP_ROM_QSTR(MP_QSTR_update), MP_ROM_PTR(&sha512_update_obj) },
    { MP_ROM_QSTR(MP_QSTR_digest), MP_ROM_PTR(&sha512_digest_obj) },
};
static MP_DEFINE_CONST_DICT(sha512_locals_dict, sha512_locals_dict_table);

MP_DEFINE_CONST_OBJ_TYPE(
    obed25519_sha512_type,
    MP_QSTR_Sha512,
    MP_TYPE_FLAG_NONE,
    make_new, sha512_make_new,
    locals_dict, &sha512_locals_dict
    );

static const mp_rom_map_elem_t obed25519_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_obed25519) },
    { MP_ROM_QSTR(MP_QSTR_verify), MP_ROM_PTR(&obed25519_verify_obj) },
    { MP_ROM_QSTR(MP_QSTR_Verifier), MP_ROM_PTR(&obed25519_verifier_type) },
    { MP_ROM_QSTR(MP_QSTR_Sha512), MP_ROM_PTR(&obed25519_sha512_type) },
};
static MP_DEFINE_CONST_DICT(obed25519_globals, obed25519_globals_table);

const mp_obj_module_t obed25519_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&obed25519_globals,
};
MP_REGISTER_MODULE(MP_QSTR_obed25519, obed25519_module);
#endif
