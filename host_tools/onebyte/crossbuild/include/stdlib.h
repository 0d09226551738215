/* Freestanding stand-in, see assert.h. */
#ifndef ONEBYTE_STDLIB_H
#define ONEBYTE_STDLIB_H
#include <stddef.h>
#endif
