"""Pure stages between the samples and the result byte: no I/O, no clock, no heap per window."""
