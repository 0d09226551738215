/* The compiler comes without libc; emlearn asks for this file, but the trees need nothing of it. */
