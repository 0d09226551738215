/* Tells Debian's GCC and binutils for Xtensa (made for the lx106 core) about the ESP32-S3's core.
 *
 * Both read a core's description from the shared library that $XTENSA_GNU_CONFIG names. This one is
 * compiled over the instruction tables of QEMU's de233_fpu, a windowed, little-endian LX7 with a
 * float unit, narrowed to what the ESP32-S3 has too. What the S3 has and de233_fpu lacks is MULUH
 * and MULSH, the upper halves of a product; they are added below.
 * Include path: QEMU's target/xtensa and include, and the include folder of GCC's plugins.
 */
#include <stddef.h>
#include <stdint.h>

#define ATTRIBUTE_UNUSED __attribute__((unused))
#include "core-de233_fpu/core-isa.h"
#include "core-de233_fpu/xtensa-modules.c.inc"

#undef XCHAL_NUM_AREGS
#undef XCHAL_HAVE_MUL32_HIGH
#undef XCHAL_HAVE_FP_DIV
#undef XCHAL_HAVE_FP_RECIP
#undef XCHAL_HAVE_FP_SQRT
#undef XCHAL_HAVE_FP_RSQRT
#undef XCHAL_HAVE_FP_POSTINC
#undef XCHAL_HAVE_DFP
#undef XCHAL_HAVE_DFP_DIV
#undef XCHAL_HAVE_DFP_RECIP
#undef XCHAL_HAVE_DFP_SQRT
#undef XCHAL_HAVE_DFP_RSQRT
#define XCHAL_NUM_AREGS 64
#define XCHAL_HAVE_MUL32_HIGH 1
#define XCHAL_HAVE_FP_DIV 0
#define XCHAL_HAVE_FP_RECIP 0
#define XCHAL_HAVE_FP_SQRT 0
#define XCHAL_HAVE_FP_RSQRT 0
#define XCHAL_HAVE_FP_POSTINC 1 /* the assembler then writes lsip and ssip, not lsiu and ssiu */
#define XCHAL_HAVE_DFP 0
#define XCHAL_HAVE_DFP_DIV 0
#define XCHAL_HAVE_DFP_RECIP 0
#define XCHAL_HAVE_DFP_SQRT 0
#define XCHAL_HAVE_DFP_RSQRT 0

/* What core-isa.h leaves to a toolchain's own header. */
#define XTHAL_ABI_WINDOWED 0
#define XTHAL_ABI_CALL0 1
#define XSHAL_ABI XTHAL_ABI_WINDOWED
#define XSHAL_USE_ABSOLUTE_LITERALS 0
#define XSHAL_HAVE_TEXT_SECTION_LITERALS 1
#define XCHAL_HAVE_MMU 0
#define XCHAL_MMU_MIN_PTE_PAGE_SIZE 1
#define XTENSA_MARCH_LATEST 270000 /* LX7.0, which is older than de233_fpu */
#define XTENSA_MARCH_EARLIEST 270000

#define XTENSA_CONFIG_DEFINITION
#include "xtensa-dynconfig.h"
XTENSA_CONFIG_INSTANCE_LIST;

/* GCC predefines these as macros. */
#undef XTENSA_CONFIG_ENTRY
#define QUOTE(text) #text
#define EXPAND_AND_QUOTE(text) QUOTE(text)
#define XTENSA_CONFIG_ENTRY(name) "__" #name "=" EXPAND_AND_QUOTE(name)
const char *const xtensa_config_strings[] = {XTENSA_CONFIG_ENTRY_LIST, NULL};
int plugin_is_GPL_compatible;

#define N_OPCODES (sizeof opcodes / sizeof opcodes[0])
enum { MULUH_BITS = 0xa20000, MULSH_BITS = 0xb20000, OPCODE_MASK = 0xff000f };

static void encode_muluh(xtensa_insnbuf instruction) {
    instruction[0] = MULUH_BITS;
}

static void encode_mulsh(xtensa_insnbuf instruction) {
    instruction[0] = MULSH_BITS;
}

static xtensa_opcode_encode_fn muluh_encoders[] = {encode_muluh, 0, 0};
static xtensa_opcode_encode_fn mulsh_encoders[] = {encode_mulsh, 0, 0};
static xtensa_opcode_internal extended[N_OPCODES + 2];

static int decode(const xtensa_insnbuf instruction) {
    switch (instruction[0] & OPCODE_MASK) {
        case MULUH_BITS:
            return N_OPCODES;
        case MULSH_BITS:
            return N_OPCODES + 1;
        default:
            return Slot_inst_decode(instruction);
    }
}

__attribute__((constructor)) static void add_upper_products(void) {
    for (size_t i = 0; i < N_OPCODES; i++) {
        extended[i] = opcodes[i];
    }
    /* The operands are those of MULL. */
    extended[N_OPCODES] = extended[N_OPCODES + 1] = opcodes[OPCODE_MULL];
    extended[N_OPCODES].name = "muluh";
    extended[N_OPCODES].encode_fns = muluh_encoders;
    extended[N_OPCODES + 1].name = "mulsh";
    extended[N_OPCODES + 1].encode_fns = mulsh_encoders;
    slots[0].opcode_decode_fn = decode;
    xtensa_modules.opcodes = extended;
    xtensa_modules.num_opcodes = N_OPCODES + 2;
}
