"""A Pico on the PC: the real firmware image, executed instruction by instruction."""
