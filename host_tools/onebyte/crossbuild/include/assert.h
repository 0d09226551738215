/* Freestanding stand-in: a compiler without libc needs these headers to read MicroPython's own. */
#define assert(condition) ((void)0)
