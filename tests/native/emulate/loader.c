/* Reads and relocates a native .mpy file step by step as MicroPython's py/persistentcode.c does. */
#include "emulate.h"

enum {
    PAGE = 4096, /* code apart from data: QEMU translates a page again when it is written to */
    MAX_TEXT = 64 * 1024,
    MAX_DATA = 64 * 1024,
    MAX_QSTRS = 64,
    FIRST_QSTR = 1000, /* the first number that is not a name of MicroPython's own */
    KIND_VIPER = 2,
    FLAG_RELOC = 0x10,
    FLAG_RODATA = 0x20,
    FLAG_BSS = 0x40,
};

const mp_fun_table_t *filled_table(void);

static uint8_t text[MAX_TEXT] __attribute__((aligned(PAGE)));
static uint8_t data[MAX_DATA] __attribute__((aligned(PAGE)));
static qstr_short_t qstr_table[MAX_QSTRS] __attribute__((aligned(PAGE)));
static const char *names[MAX_QSTRS];

typedef struct {
    const uint8_t *next;
    const uint8_t *end;
} reader_t;

static uint8_t read_byte(reader_t *reader) {
    if (reader->next == reader->end) {
        end_with("the .mpy file ends too early", "");
    }
    return *reader->next++;
}

static size_t read_uint(reader_t *reader) {
    size_t value = 0;
    uint8_t byte;
    do {
        byte = read_byte(reader);
        value = value << 7 | (byte & 0x7f);
    } while (byte & 0x80);
    return value;
}

static void read_bytes(reader_t *reader, uint8_t *to, size_t n) {
    while (n-- > 0) {
        *to++ = read_byte(reader);
    }
}

/* The methods of our modules that have a name of MicroPython's own, by its fixed number; see
 * static_qstr_list in py/makeqstrdata.py. */
enum { QSTR_STEP = 149, QSTR_UPDATE = 159 };

const char *name_of(qstr q) {
    if (q < FIRST_QSTR) {
        return q == QSTR_UPDATE ? "update" : q == QSTR_STEP ? "step" : "";
    }
    return names[q - FIRST_QSTR];
}

static void read_qstrs(reader_t *reader, size_t n) {
    if (n > MAX_QSTRS) {
        end_with("too many names", "");
    }
    for (size_t i = 0; i < n; i++) {
        size_t length = read_uint(reader);
        if (length & 1) {
            qstr_table[i] = (qstr_short_t)(length >> 1);
        } else {
            qstr_table[i] = (qstr_short_t)(FIRST_QSTR + i);
            names[i] = (const char *)reader->next; /* a zero follows the name */
            for (size_t j = 0; j <= length >> 1; j++) {
                read_byte(reader);
            }
        }
    }
}

/* The address that a relocation adds; op is its byte without the lowest bit. */
static uintptr_t destination(unsigned op, const uint8_t *rodata, const uint8_t *bss) {
    if (op <= 5) {
        return (uintptr_t)(op < 2 ? text : op < 4 ? rodata : bss);
    }
    switch (op) {
        case 6:
            return (uintptr_t)qstr_table;
        case 7:
            end_with("a relocation to the table of objects, which is empty", "");
        case 8:
            return (uintptr_t)filled_table();
        default:
            return ((const uintptr_t *)(const void *)filled_table())[op - 9];
    }
}

static void relocate(reader_t *reader, uint8_t *rodata, uint8_t *bss) {
    uintptr_t *place = NULL;
    for (unsigned op = read_byte(reader); op != 0xff; op = read_byte(reader)) {
        if (op & 1) {
            size_t address = read_uint(reader);
            place = (uintptr_t *)(void *)(address & 1 ? rodata : text) + (address >> 1);
        }
        op >>= 1;
        size_t n = op <= 5 && op & 1 ? read_uint(reader) : 1;
        uintptr_t added = destination(op, rodata, bss);
        while (n-- > 0) {
            *place++ += added;
        }
    }
}

static void call_init(mp_module_context_t *context) {
    mp_obj_fun_bc_t self = {.context = context};
    uintptr_t entry = (uintptr_t)text;
#if defined(__thumb__)
    entry |= 1;
#endif
    ((module_init_t)entry)(&self, 0, 0, NULL);
}

void load_module(const uint8_t *file, size_t n, mp_module_context_t *context) {
    reader_t reader = {file, file + n};
    uint8_t header[4];
    read_bytes(&reader, header, sizeof header);
    if (header[0] != 'M' || header[1] != MPY_VERSION || header[2] >> 2 != EMULATED_ARCH
        || (header[2] & 3) != MPY_SUB_VERSION || header[3] > 31) {
        end_with("incompatible .mpy file", "");
    }
    size_t n_qstrs = read_uint(&reader);
    size_t n_objects = read_uint(&reader);
    read_qstrs(&reader, n_qstrs);
    size_t kind_length = read_uint(&reader);
    if (n_objects != 0 || (kind_length & 7) != KIND_VIPER || kind_length >> 3 > MAX_TEXT) {
        end_with("not one native module", "");
    }
    read_bytes(&reader, text, kind_length >> 3);
    size_t flags = read_uint(&reader);
    size_t rodata_bytes = flags & FLAG_RODATA ? read_uint(&reader) : 0;
    size_t bss_bytes = flags & FLAG_BSS ? read_uint(&reader) : 0;
    bss_bytes = (bss_bytes + sizeof(uintptr_t) - 1) & ~(sizeof(uintptr_t) - 1);
    if (bss_bytes + rodata_bytes > MAX_DATA) {
        end_with("too much data", "");
    }
    read_bytes(&reader, data + bss_bytes, rodata_bytes);
    if (flags & FLAG_RELOC) {
        relocate(&reader, data + bss_bytes, data);
    }
    if (reader.next != reader.end) {
        end_with("the .mpy file goes on after its end", "");
    }
#if defined(__riscv)
    __asm__ volatile("fence.i" ::: "memory");
#endif
    call_init(context);
}
