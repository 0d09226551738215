"""Runs main.c's protocol on a chip: jobs from the emulator's mailbox, results into it.

The host appends a line that calls `main`. The input is what main.c reads but for the .mpy file,
which the chip imports from its filesystem, or has compiled in.
"""

import gc
import struct
import sys

import machine
import uctypes

MAILBOX = 0x5F000000  # address, length, offset in the input, command
CYCLES = 0x5F000010
MOVED = 0x5F000018
COPY_IN = 1
APPEND = 2
END = 0xFFFFFFFF


def move(buffer, n_bytes, offset, command):
    """Let the mailbox copy a buffer."""
    if n_bytes == 0:
        return
    for i, value in enumerate((uctypes.addressof(buffer), n_bytes, offset, command)):
        machine.mem32[MAILBOX + 4 * i] = value
    assert machine.mem32[MOVED] == n_bytes, "the mailbox refused %d bytes" % n_bytes


def read(n, offset):
    """Return n bytes of the input."""
    data = bytearray(n)
    move(data, n, offset, COPY_IN)
    return data


def run_job(module, n, offset):
    """Run one job whose key begins at `offset`, with a message of n bytes."""
    key, signature, message = read(32, offset), read(64, offset + 32), read(n, offset + 96)
    verifier, digest = module.Verifier(key, signature), module.Sha512()
    for part in (message[: n // 2], message[n // 2 :]):
        verifier.update(part)
    while not verifier.step():
        pass
    digest.update(message)
    verdicts = bytes((module.verify(key, signature, message), verifier.is_valid()))
    move(verdicts + digest.digest(), 66, 0, APPEND)


def import_module(natmod):
    """Return the module that is compiled in, or that of the file `natmod`.mpy.

    The firmware prefers what is compiled in, so the file has another name.
    """
    path = sys.path[:]
    sys.path[:] = []
    import obed25519

    sys.path[:] = path
    assert not hasattr(obed25519, "__file__"), "obed25519 is not compiled in"
    if not natmod:
        return obed25519
    module = __import__(natmod)
    assert module.__file__ == "/lib/%s.mpy" % natmod, module.__file__
    assert module.Verifier is not obed25519.Verifier
    return module


def cycles_of(function, *args):
    """Return the cycles of a call, which may be millions."""
    gc.collect()
    state = machine.disable_irq()
    before = machine.mem32[CYCLES]
    function(*args)
    after = machine.mem32[CYCLES]
    machine.enable_irq(state)
    return after - before


def print_cycles(module, name):
    """Print what the first job costs, and what each further block of a message adds."""
    (n,) = struct.unpack("<I", read(4, 0))
    key, signature, message = read(32, 4), read(64, 36), read(n, 100)
    print("cycles %s %d" % (name, cycles_of(module.verify, key, signature, message)))
    print("cycles %s_block %d" % (name, cycles_of(module.Sha512().update, bytes(1280)) // 10))


def print_twin_cycles():
    """Print what the twin needs for the first job, and its longest step."""
    import obed25519_twin

    print_cycles(obed25519_twin, "ed25519_twin_verify")
    verifier = obed25519_twin.Verifier(read(32, 4), read(64, 36))
    longest = 0
    while not verifier._is_done:
        longest = max(longest, cycles_of(verifier.step))
    print("cycles ed25519_twin_step %d" % longest)


def main(natmod):
    """Run all jobs with the file `natmod`.mpy, or with what is compiled in when it is empty."""
    module = import_module(natmod)
    offset = 0
    while True:
        (n,) = struct.unpack("<I", read(4, offset))
        if n == END:
            break
        run_job(module, n, offset + 4)
        offset += 100 + n
    print_cycles(module, "ed25519_verify")
    print("end of the jobs")
