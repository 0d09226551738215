// Our own unix port: MicroPython's standard variant, but for Ctrl-C.
#include "variants/standard/mpconfigvariant.h"

// Ctrl-C is an exception that is pending until the next bytecode, as on every chip. The standard
// variant raises it from the signal's handler, wherever C code is: inside the garbage collector
// that leaves the heap locked for ever.
#undef MICROPY_ASYNC_KBD_INTR
#define MICROPY_ASYNC_KBD_INTR (0)
