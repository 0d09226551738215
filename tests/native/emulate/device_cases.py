"""Runs main.c's protocol on a chip: jobs from the emulator's mailbox, results into it.

The host appends a line that calls `main`. The input is what main.c reads but for the .mpy file,
which the chip imports from its filesystem, or has compiled in.
"""

import struct
import sys
from array import array

import machine
import uctypes

MAILBOX = 0x5F000000  # address, length, offset in the input, command
MOVED = 0x5F000018
COPY_IN = 1
APPEND = 2


class Input:
    """The host's file, read from its start to its end."""

    offset = 0

    def read_into(self, buffer, n_bytes):
        """Fill a buffer of that many bytes."""
        move(buffer, n_bytes, self.offset, COPY_IN)
        self.offset += n_bytes

    def read_numbers(self, count):
        """Return `count` u32."""
        data = bytearray(4 * count)
        self.read_into(data, 4 * count)
        return struct.unpack("<%dI" % count, data)


def move(buffer, n_bytes, offset, command):
    """Let the mailbox copy a buffer."""
    for i, value in enumerate((uctypes.addressof(buffer), n_bytes, offset, command)):
        machine.mem32[MAILBOX + 4 * i] = value
    assert machine.mem32[MOVED] == n_bytes, "the mailbox refused %d bytes" % n_bytes


def run_job(kernels, source, n):
    """Run one job of a model of n bytes."""
    ring_bytes, n_features, n_results, n_windows, n_vectors = source.read_numbers(5)
    model, ring = bytearray(n), bytearray(ring_bytes)
    features, results = array("h", bytes(2 * n_features)), array("i", bytes(4 * n_results))
    source.read_into(model, n)
    sizes = kernels.check(model), kernels.work_bytes(model)
    move(struct.pack("<2i", *sizes), 8, 0, APPEND)
    kernel = kernels.Model(model, bytearray(sizes[1]))
    for _ in range(n_windows):
        (start_row,) = source.read_numbers(1)
        source.read_into(ring, ring_bytes)
        kernel.features_into(ring, start_row, features)
        move(features, 2 * n_features, 0, APPEND)
    for _ in range(n_vectors):
        source.read_into(features, 2 * n_features)
        kernel.predict_into(features, results)
        move(results, 4 * n_results, 0, APPEND)


def import_kernels(natmod):
    """Return the kernels that are compiled in, or those of the file `natmod`.mpy.

    The firmware prefers what is compiled in, so the file has another name.
    """
    path = sys.path[:]
    sys.path[:] = []
    import obkernels

    sys.path[:] = path
    assert not hasattr(obkernels, "__file__"), "obkernels is not compiled in"
    if not natmod:
        return obkernels
    module = __import__(natmod)
    assert module.__file__ == "/lib/%s.mpy" % natmod, module.__file__
    assert module.Model is not obkernels.Model
    return module


def main(natmod):
    """Run all jobs with the file `natmod`.mpy, or with what is compiled in when it is empty."""
    kernels = import_kernels(natmod)
    source = Input()
    while True:
        (n,) = source.read_numbers(1)
        if n == 0:
            break
        run_job(kernels, source, n)
    print("end of the jobs")
