"""Speaks main.c's protocol inside MicroPython's unix port: unix_port.py FOLDER-OF-THE-MODULE."""

import struct
import sys
from array import array

sys.path.insert(0, sys.argv[1])
import obkernels


def read_into(buffer):
    """Fill a bytearray or array from stdin."""
    view = memoryview(bytearray(len(bytes(buffer))))
    done = 0
    while done < len(view):
        got = sys.stdin.buffer.readinto(view[done:])
        assert got, "the input ends too early"
        done += got
    return bytes(view)


def read_numbers(count):
    """Return `count` u32."""
    return struct.unpack("<%dI" % count, read_into(bytearray(4 * count)))


def run_job(n):
    """Run one job of a model of n bytes."""
    ring_bytes, n_features, n_results, n_windows, n_vectors = read_numbers(5)
    model = bytearray(read_into(bytearray(n)))
    sizes = obkernels.check(model), obkernels.work_bytes(model)
    sys.stdout.buffer.write(struct.pack("<2i", *sizes))
    kernel = obkernels.Model(model, bytearray(sizes[1]))
    features, results = array("h", bytes(2 * n_features)), array("i", bytes(4 * n_results))
    for _ in range(n_windows):
        (start_row,) = read_numbers(1)
        kernel.features_into(bytearray(read_into(bytearray(ring_bytes))), start_row, features)
        sys.stdout.buffer.write(bytes(features))
    for _ in range(n_vectors):
        kernel.predict_into(array("h", read_into(features)), results)
        sys.stdout.buffer.write(bytes(results))


def main():
    """Skip the .mpy file, which the import has loaded, and run the jobs."""
    read_into(bytearray(read_numbers(1)[0]))
    while True:
        (n,) = read_numbers(1)
        if n == 0:
            return
        run_job(n)


main()
