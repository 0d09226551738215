"""Pure codecs, one for each byte format of docs/SPEC.md; the same code on device and host."""
