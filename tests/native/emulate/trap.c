/* MULUH and MULSH for QEMU's Xtensa core, which lacks them; the ESP32-S3 has both.
 *
 * QEMU reports the instruction as SIGILL. The handler puts the upper half of the product into the
 * register of the interrupted code and goes on behind the instruction. It keeps SAR, which QEMU's
 * signal frame does not, and multiplies in halves, since it must not trap itself.
 */
#include "emulate.h"

#if defined(__xtensa__)
enum { SYS_RT_SIGACTION = 226, SIGILL = 4, SIGSETSIZE = 8, SA_SIGINFO = 4, SA_NODEFER = 0x40000000 };

typedef struct {
    uint32_t flags, link, stack[3];
    uint32_t pc, ps, lbeg, lend, lcount, sar, acclo, acchi;
    uint32_t a[16];
} ucontext_t;

typedef struct {
    void (*handler)(int, void *, ucontext_t *);
    uint32_t flags;
    void (*restorer)(void);
    uint32_t mask[2];
} sigaction_t;

static uint32_t upper_product(uint32_t x, uint32_t y) {
    uint32_t x0 = x & 0xffff, x1 = x >> 16, y0 = y & 0xffff, y1 = y >> 16;
    uint32_t middle = x1 * y0 + (x0 * y0 >> 16); /* at most 2^32 - 2^16 - 1 */
    uint32_t other = x0 * y1 + (middle & 0xffff);
    return x1 * y1 + (middle >> 16) + (other >> 16);
}

static void on_illegal(int signal, void *info, ucontext_t *context) {
    uint32_t sar;
    __asm__ volatile("rsr %0, sar" : "=a"(sar));
    (void)signal;
    (void)info;
    const uint8_t *at = (const uint8_t *)context->pc;
    uint32_t bits = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16;
    uint32_t opcode = bits & 0xff000f;
    if (opcode != 0xa20000 && opcode != 0xb20000) {
        end_with("illegal instruction", "");
    }
    uint32_t x = context->a[bits >> 8 & 15], y = context->a[bits >> 4 & 15];
    uint32_t high = upper_product(x, y);
    if (opcode == 0xb20000) { /* signed */
        high -= (x >> 31 ? y : 0) + (y >> 31 ? x : 0);
    }
    context->a[bits >> 12 & 15] = high;
    context->pc += 3;
    if (context->pc == context->lend && context->lcount != 0) { /* end of a hardware loop */
        context->lcount--;
        context->pc = context->lbeg;
    }
    __asm__ volatile("wsr %0, sar\n\trsync" ::"a"(sar));
}

void install_traps(void) {
    static const sigaction_t action = {on_illegal, SA_SIGINFO | SA_NODEFER, 0, {0, 0}};
    register long a2 __asm__("a2") = SYS_RT_SIGACTION;
    register long a6 __asm__("a6") = SIGILL;
    register const void *a3 __asm__("a3") = &action;
    register long a4 __asm__("a4") = 0;
    register long a5 __asm__("a5") = SIGSETSIZE;
    __asm__ volatile("syscall" : "+r"(a2) : "r"(a6), "r"(a3), "r"(a4), "r"(a5) : "memory");
    if (a2 != 0) {
        end_with("no signal handler", "");
    }
}
#else
void install_traps(void) {
}
#endif
