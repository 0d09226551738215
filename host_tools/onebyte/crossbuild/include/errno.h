/* Freestanding stand-in, see assert.h. */
