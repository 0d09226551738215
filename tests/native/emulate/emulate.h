/* A program for QEMU's user mode that stands in for MicroPython around one native module. */
#ifndef EMULATE_H
#define EMULATE_H

#include "py/bc.h"
#include "py/nativeglue.h"
#include "py/obj.h"
#include "py/objfun.h"

/* system.c: what there is instead of libc. end_with writes the text to stderr and exits with 1. */
void read_all(void *to, size_t n);
void write_all(const void *from, size_t n);
uint32_t read_u32(void);
__attribute__((noreturn)) void end_with(const char *text, const char *detail);
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *s, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

/* trap.c: instructions that the chip has and QEMU's core lacks. */
void install_traps(void);

/* A buffer as the module sees it: get_buffer hands the fields out. */
typedef struct {
    mp_obj_base_t base;
    void *items;
    size_t n_bytes;
    int typecode;
} buffer_obj_t;

/* runtime.c: allocation and the names that the module stored. */
void *allocate(size_t n);
void forget_allocations(void);
mp_obj_t find_global(const char *name);
bool is_true(mp_obj_t value);

/* calls.c: new_object passes no argument when the first is MP_OBJ_NULL, otherwise both. */
enum { BYTEARRAY = 1 }; /* what mp_buffer_info_t says of one */
mp_obj_t new_buffer(size_t n, int typecode);
void *items_of(mp_obj_t buffer);
const void *find_method(const mp_obj_full_type_t *type, const char *name);
mp_obj_t new_object(const mp_obj_full_type_t *type, mp_obj_t first, mp_obj_t second);

/* loader.c */
typedef mp_obj_t (*module_init_t)(void *self, size_t n_args, size_t n_kw, mp_obj_t *args);
void load_module(const uint8_t *file, size_t n, mp_module_context_t *context);
const char *name_of(qstr q);

#endif
