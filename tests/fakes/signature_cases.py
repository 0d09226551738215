"""Signatures with the verdict that the rule in docs/SPEC.md gives, for every build of obed25519.

A case's verdict is known by how it was made, or is that of the cryptography package. The twin only
lends its arithmetic of points to make the edges.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import obed25519_twin as curve
import rfc8032
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

END = b"\xff" * 4
ANSWER_BYTES = 66
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
BASE = curve._B


class Case(NamedTuple):
    """A signature, and whether it is valid."""

    public_key: bytes
    signature: bytes
    message: bytes
    is_valid: bool

    def request(self) -> bytes:
        """Return the case in the protocol of tests/native/emulate/obed25519/main.c."""
        head = struct.pack("<I", len(self.message))
        return head + self.public_key + self.signature + self.message

    def answer(self) -> bytes:
        """Return what a right module answers."""
        return bytes([self.is_valid] * 2) + hashlib.sha512(self.message).digest()


def count_identical(cases: Sequence[Case], answers: bytes) -> int:
    """Return how many answers are the expected ones bit for bit."""
    found = [answers[i : i + ANSWER_BYTES] for i in range(0, len(answers), ANSWER_BYTES)]
    return sum(case.answer() == answer for case, answer in zip(cases, found, strict=False))


def ask_cryptography(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Return another implementation's verdict."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def rfc_cases() -> list[Case]:
    """Return the vectors of RFC 8032."""
    return [Case(*vector, True) for vector in rfc8032.VECTORS]


def signed(seed: int, n_bytes: int) -> Case:
    """Return a valid signature of a message of that many bytes."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"key %d" % seed).digest())
    message = hashlib.shake_128(b"message %d" % seed).digest(n_bytes)
    return Case(key.public_key().public_bytes_raw(), key.sign(message), message, True)


def flip(case: Case, bit: int) -> Case:
    """Return the case with one bit of key, signature and message, in this order, changed."""
    changed = bytearray(case.public_key + case.signature + case.message)
    changed[bit // 8] ^= 1 << bit % 8
    key, signature, message = bytes(changed[:32]), bytes(changed[32:96]), bytes(changed[96:])
    return Case(key, signature, message, False)


def flips(case: Case) -> Iterator[Case]:
    """Yield the case with each single bit changed."""
    for bit in range(8 * (96 + len(case.message))):
        yield flip(case, bit)


def random_cases(count: int) -> list[Case]:
    """Return valid signatures of messages of many lengths, and each with one bit changed."""
    cases: list[Case] = []
    for seed in range(-(-count // 2)):
        case = signed(seed, seed * 7 % 300)
        cases += [case, flip(case, seed * 12347 % (8 * (96 + len(case.message))))]
    return cases[:count]


def _times(scalar: int, point):
    total = curve._NEUTRAL
    for bit in range(scalar.bit_length() - 1, -1, -1):
        total = curve._double(total)
        if scalar >> bit & 1:
            total = curve._add(total, point)
    return total


def _encode(point) -> bytes:
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _small_order_points() -> list[bytes]:
    eighth = curve._decode(
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
    )
    return [_encode(_times(n, eighth)) for n in range(8)]


def _not_canonical() -> list[bytes]:
    """Return other encodings of points: y from p on, and a sign of x = 0."""
    return [
        *((P + y | sign << 255).to_bytes(32, "little") for y in range(19) for sign in (0, 1)),
        *((y | 1 << 255).to_bytes(32, "little") for y in (1, P - 1)),
    ]


def _hash(r: bytes, a: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + a + message).digest(), "little") % L


def _signature(r: bytes, s: int) -> bytes:
    return r + s.to_bytes(32, "little")


def _with_public_key(a: bytes, secret: int, r: bytes, nonce: int) -> bytes:
    return _signature(r, (nonce + _hash(r, a, b"edge") * secret) % L)


def edge_cases() -> list[Case]:
    """Return signatures at the edges of the rule, each with the reason beside it."""
    secret, nonce = 0x1234567890ABCDEF, 0xFEDCBA0987654321
    plain = _times(secret, BASE)
    a, r = _encode(plain), _encode(_times(nonce, BASE))
    good = _with_public_key(a, secret, r, nonce)
    s = int.from_bytes(good[32:], "little")
    cases = [Case(a, good, b"edge", True)]
    # S from L on: the same number modulo L, up to what 32 bytes hold.
    cases += [Case(a, _signature(r, s + n * L), b"edge", False) for n in range(1, 15)]
    cases += [Case(a, _signature(r, value), b"edge", False) for value in (0, L - 1, L, 2**256 - 1)]
    for small in _small_order_points():
        torsion = curve._decode(small)
        # A key of small order: the equation holds for any message with R = [S]B.
        cases.append(Case(small, _signature(_encode(BASE), 1), b"edge", False))
        # A part of small order in R or in A vanishes from an equation multiplied by 8.
        mixed_r = _encode(curve._add(_times(nonce, BASE), torsion))
        cases.append(Case(a, _with_public_key(a, secret, mixed_r, nonce), b"edge", True))
        mixed_a = _encode(curve._add(plain, torsion))
        cases.append(Case(mixed_a, _with_public_key(mixed_a, secret, r, nonce), b"edge", True))
        # R of small order is a point like any other.
        cases.append(Case(a, _with_public_key(a, secret, small, 0), b"edge", True))
    for other in _not_canonical():
        cases.append(Case(a, _with_public_key(a, secret, other, 0), b"edge", False))
        cases.append(Case(other, _signature(_encode(BASE), 1), b"edge", False))
    return cases


def all_cases(n_random: int) -> list[Case]:
    """Return what every build has to answer."""
    return [*rfc_cases(), *edge_cases(), *random_cases(n_random)]


def requests(cases: Iterable[Case]) -> bytes:
    """Return the cases in the protocol of tests/native/emulate/obed25519/main.c."""
    return b"".join(case.request() for case in cases) + END
