/* Linux system calls and the four functions that a compiler may call on its own. */
#include "emulate.h"

#if defined(__arm__)
enum { SYS_EXIT = 1, SYS_READ = 3, SYS_WRITE = 4 };
static long system_call(long number, long a, long b, long c) {
    register long r7 __asm__("r7") = number;
    register long r0 __asm__("r0") = a;
    register long r1 __asm__("r1") = b;
    register long r2 __asm__("r2") = c;
    __asm__ volatile("svc 0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2) : "memory");
    return r0;
}
#elif defined(__riscv)
enum { SYS_EXIT = 93, SYS_READ = 63, SYS_WRITE = 64 };
static long system_call(long number, long a, long b, long c) {
    register long a7 __asm__("a7") = number;
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
    return a0;
}
#elif defined(__xtensa__)
enum { SYS_EXIT = 118, SYS_READ = 12, SYS_WRITE = 13 };
static long system_call(long number, long a, long b, long c) {
    register long a2 __asm__("a2") = number;
    register long a6 __asm__("a6") = a;
    register long a3 __asm__("a3") = b;
    register long a4 __asm__("a4") = c;
    __asm__ volatile("syscall" : "+r"(a2) : "r"(a6), "r"(a3), "r"(a4) : "memory");
    return a2;
}
#endif

void *memcpy(void *dst, const void *src, size_t n) {
    return memmove(dst, src, n);
}

void *memmove(void *dst, const void *src, size_t n) {
    char *to = dst;
    const char *from = src;
    if (to < from) {
        while (n--) {
            *to++ = *from++;
        }
    } else {
        while (n--) {
            to[n] = from[n];
        }
    }
    return dst;
}

void *memset(void *s, int c, size_t n) {
    char *to = s;
    while (n--) {
        *to++ = (char)c;
    }
    return s;
}

int memcmp(const void *a, const void *b, size_t n) {
    const unsigned char *x = a, *y = b;
    for (; n > 0; n--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

size_t strlen(const char *s) {
    size_t n = 0;
    while (s[n]) {
        n++;
    }
    return n;
}

static __attribute__((noreturn)) void leave(int status) {
    for (;;) {
        system_call(SYS_EXIT, status, 0, 0);
    }
}

void end_with(const char *text, const char *detail) {
    system_call(SYS_WRITE, 2, (long)text, (long)strlen(text));
    system_call(SYS_WRITE, 2, (long)detail, (long)strlen(detail));
    system_call(SYS_WRITE, 2, (long)"\n", 1);
    leave(1);
}

void read_all(void *to, size_t n) {
    char *next = to;
    while (n > 0) {
        long got = system_call(SYS_READ, 0, (long)next, (long)n);
        if (got <= 0) {
            end_with("the input ends too early", "");
        }
        next += got;
        n -= (size_t)got;
    }
}

void write_all(const void *from, size_t n) {
    const char *next = from;
    while (n > 0) {
        long put = system_call(SYS_WRITE, 1, (long)next, (long)n);
        if (put <= 0) {
            end_with("cannot write the results", "");
        }
        next += put;
        n -= (size_t)put;
    }
}

uint32_t read_u32(void) {
    uint32_t value;
    read_all(&value, sizeof value);
    return value;
}

int run(void);

void _start(void) {
    install_traps();
    leave(run());
}
