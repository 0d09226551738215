"""The same interface and the same answers as the native module obed25519, in plain MicroPython.

It serves where no native module exists, and as the second opinion of the tests. Names are those of
RFC 8032: a public key A, a signature R and S, the base point B, and h, the hash of R, A and the
message. Points are extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, T = XY/Z.
"""

import binascii
import struct

_P = (1 << 255) - 19
_L = (1 << 252) + 0x14DEF9DEA2F79CD65812631A5CF5D3ED
_D = 0x52036CEE2B6FFE738CC740797779E89800700A4D4141D8AB75EB4DCA135978A3
_D2 = 2 * _D % _P
_SQRT_MINUS_1 = 0x2B8324804FC1DF0B2B4D00993DFBD7A72F431806AD2FE478C4EE1B274A0EA0B0
_B = (
    0x216936D3CD6E53FEC0A4E231FDD6DC5C692CC7609525A7B2C9562D608F25D51A,
    0x6666666666666666666666666666666666666666666666666666666666666658,
    1,
    0x67875F0FD78B766566EA4E8E64ABE37D20F09F80775152F56DDE8AB3A5B7DDA3,
)
_NEUTRAL = (0, 1, 1, 0)
_SCALAR_BITS = 253  # S and h are below L
_BITS_A_STEP = 6
_SIGN = 1 << 255
_BLOCK_BYTES = 128
_MASK = 0xFFFFFFFFFFFFFFFF
_INITIAL_STATE = (
    b"6a09e667f3bcc908bb67ae8584caa73b3c6ef372fe94f82ba54ff53a5f1d36f1"
    b"510e527fade682d19b05688c2b3e6c1f1f83d9abfb41bd6b5be0cd19137e2179"
)
# In hex, for the file's sake: 80 long integers would take twice the flash.
_ROUNDS = (
    b"428a2f98d728ae227137449123ef65cdb5c0fbcfec4d3b2fe9b5dba58189dbbc3956c25bf348b538"
    b"59f111f1b605d019923f82a4af194f9bab1c5ed5da6d8118d807aa98a303024212835b0145706fbe"
    b"243185be4ee4b28c550c7dc3d5ffb4e272be5d74f27b896f80deb1fe3b1696b19bdc06a725c71235"
    b"c19bf174cf692694e49b69c19ef14ad2efbe4786384f25e30fc19dc68b8cd5b5240ca1cc77ac9c65"
    b"2de92c6f592b02754a7484aa6ea6e4835cb0a9dcbd41fbd476f988da831153b5983e5152ee66dfab"
    b"a831c66d2db43210b00327c898fb213fbf597fc7beef0ee4c6e00bf33da88fc2d5a79147930aa725"
    b"06ca6351e003826f142929670a0e6e7027b70a8546d22ffc2e1b21385c26c9264d2c6dfc5ac42aed"
    b"53380d139d95b3df650a73548baf63de766a0abb3c77b2a881c2c92e47edaee692722c851482353b"
    b"a2bfe8a14cf10364a81a664bbc423001c24b8b70d0f89791c76c51a30654be30d192e819d6ef5218"
    b"d69906245565a910f40e35855771202a106aa07032bbd1b819a4c116b8d2d0c81e376c085141ab53"
    b"2748774cdf8eeb9934b0bcb5e19b48a8391c0cb3c5c95a634ed8aa4ae3418acb5b9cca4f7763e373"
    b"682e6ff3d6b2b8a3748f82ee5defb2fc78a5636f43172f6084c87814a1f0ab728cc702081a6439ec"
    b"90befffa23631e28a4506cebde82bde9bef9a3f7b2c67915c67178f2e372532bca273eceea26619c"
    b"d186b8c721c0c207eada7dd6cde0eb1ef57d4f7fee6ed17806f067aa72176fba0a637dc5a2c898a6"
    b"113f9804bef90dae1b710b35131c471b28db77f523047d8432caab7b40c724933c9ebe0a15c9bebc"
    b"431d67c49c100d4c4cc5d4becb3e42b6597f299cfc657e2a5fcb6fab3ad6faec6c44198c4a475817"
)


class Sha512:
    """SHA-512 of a message that comes in parts; MicroPython's hashlib has none."""

    _constants = ()  # those of the rounds, after the first use

    def __init__(self) -> None:
        if not Sha512._constants:
            Sha512._constants = struct.unpack(">80Q", binascii.unhexlify(_ROUNDS))
        self._state = list(struct.unpack(">8Q", binascii.unhexlify(_INITIAL_STATE)))
        self._block = bytearray(_BLOCK_BYTES)
        self._n_bytes = 0

    def update(self, data) -> None:
        """Take the next part of the message."""
        view = memoryview(data)
        at = self._n_bytes % _BLOCK_BYTES
        self._n_bytes += len(view)
        done = 0
        while done < len(view):
            count = min(_BLOCK_BYTES - at, len(view) - done)
            self._block[at : at + count] = view[done : done + count]
            done += count
            at = (at + count) % _BLOCK_BYTES
            if at == 0:
                _compress(self._state, self._block, Sha512._constants)

    def digest(self) -> bytes:
        """Return the 64 bytes for what came so far; more may follow."""
        n_zeros = (_BLOCK_BYTES - 17 - self._n_bytes) % _BLOCK_BYTES
        last = Sha512()
        last._state, last._block = self._state[:], self._block[:]
        last._n_bytes = self._n_bytes
        n_bits = self._n_bytes << 3
        last.update(b"\x80" + bytes(n_zeros + 8) + struct.pack(">Q", n_bits))
        return struct.pack(">8Q", *last._state)


def _compress(state, block, constants) -> None:
    w = list(struct.unpack(">16Q", block))
    a, b, c, d, e, f, g, h = state
    for i in range(80):
        if i >= 16:
            x, y = w[(i + 1) & 15], w[(i + 14) & 15]
            x = _rotate(x, 1) ^ _rotate(x, 8) ^ x >> 7
            y = _rotate(y, 19) ^ _rotate(y, 61) ^ y >> 6
            w[i & 15] = (w[i & 15] + x + w[(i + 9) & 15] + y) & _MASK
        t1 = h + (_rotate(e, 14) ^ _rotate(e, 18) ^ _rotate(e, 41)) + (g ^ e & (f ^ g))
        t1 += constants[i] + w[i & 15]
        t2 = (_rotate(a, 28) ^ _rotate(a, 34) ^ _rotate(a, 39)) + (a & b | c & (a | b))
        a, b, c, d, e, f, g, h = (t1 + t2) & _MASK, a, b, c, (d + t1) & _MASK, e, f, g
    for i, value in enumerate((a, b, c, d, e, f, g, h)):
        state[i] = (state[i] + value) & _MASK


def _rotate(x: int, n: int) -> int:
    return (x >> n | x << 64 - n) & _MASK


def _add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % _P
    b = (p[1] + p[0]) * (q[1] + q[0]) % _P
    c = p[3] * q[3] % _P * _D2 % _P
    d = 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _double(p):
    a, b = p[0] * p[0] % _P, p[1] * p[1] % _P
    h, g = a + b, a - b
    e = h - (p[0] + p[1]) * (p[0] + p[1]) % _P
    f = 2 * p[2] * p[2] % _P + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _negative(p):
    return _P - p[0], p[1], p[2], _P - p[3]


def _is_neutral(p) -> bool:
    return p[0] % _P == 0 and (p[1] - p[2]) % _P == 0


def _decode(data):
    """Return the point of a canonical encoding (RFC 8032, 5.1.3), None for anything else."""
    y = int.from_bytes(data, "little")
    sign = y // _SIGN
    y %= _SIGN
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * v**3 * pow(u * v**7 % _P, (_P - 5) // 8, _P) % _P
    if (v * x * x - u) % _P != 0:
        x = x * _SQRT_MINUS_1 % _P
        if (v * x * x - u) % _P != 0:
            return None
    if x == 0 and sign:
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _has_small_order(p) -> bool:
    return _is_neutral(_double(_double(_double(p))))


def _copy(name: str, data, n_bytes: int) -> bytes:
    copy = bytes(memoryview(data))
    if len(copy) != n_bytes:
        raise ValueError("%s: not %d bytes" % (name, n_bytes))
    return copy


class Verifier:
    """A signature whose message comes in parts.

    Args:
        public_key: 32 bytes.
        signature: 64 bytes, R and S.

    Raises:
        ValueError: One of them has another length.
        TypeError: One of them is no buffer.
    """

    def __init__(self, public_key, signature) -> None:
        self._key = _copy("public_key", public_key, 32)
        self._signature = _copy("signature", signature, 64)
        self._hash = Sha512()
        self._hash.update(self._signature[:32])
        self._hash.update(self._key)
        self._has_begun = self._is_done = self._is_valid = False
        self._bit = _SCALAR_BITS
        self._sum = _NEUTRAL

    def update(self, data) -> None:
        """Take the next part of the message; ValueError after the first `step` or `is_valid`."""
        if self._has_begun:
            raise ValueError("update: the message has ended")
        self._hash.update(data)

    def step(self) -> bool:
        """Do a bounded part of the work after the message; True when there is no more."""
        if not self._has_begun:
            self._has_begun = True
            self._is_done = not self._begin()
        elif not self._is_done and self._bit:
            self._add_bits()
        elif not self._is_done:
            # [8]([S]B - [h]A - R) is the neutral point.
            self._is_valid = _has_small_order(_add(self._sum, _negative(self._r)))
            self._is_done = True
        return self._is_done

    def is_valid(self) -> bool:
        """Return the verdict, after the steps that are still to do."""
        while not self.step():
            pass
        return self._is_valid

    def _begin(self) -> bool:
        a, self._r = _decode(self._key), _decode(self._signature[:32])
        self._s = int.from_bytes(self._signature[32:], "little")
        if a is None or self._r is None or self._s >= _L or _has_small_order(a):
            return False
        self._h = int.from_bytes(self._hash.digest(), "little") % _L
        self._minus_a = _negative(a)
        self._both = _add(_B, self._minus_a)
        return True

    def _add_bits(self) -> None:
        end = max(self._bit - _BITS_A_STEP, 0)
        while self._bit > end:
            self._bit -= 1
            self._sum = _double(self._sum)
            in_s, in_h = self._s >> self._bit & 1, self._h >> self._bit & 1
            if in_s and in_h:
                self._sum = _add(self._sum, self._both)
            elif in_s:
                self._sum = _add(self._sum, _B)
            elif in_h:
                self._sum = _add(self._sum, self._minus_a)


def verify(public_key, signature, message) -> bool:
    """Return whether a signature is valid, by the rule of docs/SPEC.md.

    No content of the three raises. What a signature is for, the caller puts into the message.

    Raises:
        ValueError: The key is not of 32 bytes, or the signature not of 64.
        TypeError: An argument is no buffer.
    """
    verifier = Verifier(public_key, signature)
    verifier.update(message)
    return verifier.is_valid()
