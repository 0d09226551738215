"""Speaks main.c's protocol inside MicroPython's unix port: unix_port.py FOLDER-OF-THE-MODULE."""

import struct
import sys

sys.path.insert(0, sys.argv[1])
import obed25519

END = 0xFFFFFFFF


def read(n):
    """Return n bytes of stdin."""
    data = sys.stdin.buffer.read(n)
    assert len(data) == n, "the input ends too early"
    return data


def run_job(n):
    """Run one job with a message of n bytes."""
    key, signature, message = read(32), read(64), read(n)
    verifier, digest = obed25519.Verifier(key, signature), obed25519.Sha512()
    for part in (message[: n // 2], message[n // 2 :]):
        verifier.update(part)
    while not verifier.step():
        pass
    digest.update(message)
    verdicts = obed25519.verify(key, signature, message), verifier.is_valid()
    sys.stdout.buffer.write(bytes(verdicts) + digest.digest())


def main():
    """Skip the .mpy file, which the import has loaded, and run the jobs."""
    read(struct.unpack("<I", read(4))[0])
    while True:
        (n,) = struct.unpack("<I", read(4))
        if n == END:
            return
        run_job(n)


main()
