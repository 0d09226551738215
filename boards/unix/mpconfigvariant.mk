# Nothing but what mpconfigvariant.h says; the C files beside it are part of the program.
