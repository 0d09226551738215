"""obed25519 in C inside MicroPython: RFC 8032, the twin's verdicts, a clear refusal of others."""

import obed25519
import obed25519_twin as twin
import rfc8032
from check import Random, raises_kind


def test_vectors_of_the_rfc():
    for vector in rfc8032.VECTORS:
        assert obed25519.verify(*vector) is True


def test_message_in_parts():
    key, signature, message = rfc8032.VECTORS[3]
    for size in (1, 7, 64):
        verifier = obed25519.Verifier(bytearray(key), memoryview(signature))
        for at in range(0, len(message), size):
            verifier.update(message[at : at + size])
        assert verifier.step() is True and verifier.step() is True
        assert verifier.is_valid() is True and verifier.is_valid() is True
        error = raises_kind(ValueError, verifier.update, b"")
        assert str(error) == "update: the message has ended"
    assert obed25519.Verifier(key, signature).is_valid() is False


def test_every_flip_of_a_bit_is_refused():
    key, signature, message = rfc8032.VECTORS[2]
    parts = bytearray(key + signature + message)
    for bit in range(8 * len(parts)):
        parts[bit >> 3] ^= 1 << (bit & 7)
        assert obed25519.verify(parts[:32], parts[32:96], parts[96:]) is False, bit
        parts[bit >> 3] ^= 1 << (bit & 7)
    assert obed25519.verify(parts[:32], parts[32:96], parts[96:]) is True


def test_same_verdicts_as_the_twin():
    random = Random(7)
    for i in range(40):
        parts = [bytearray(part) for part in rfc8032.VECTORS[i & 3]]
        if i >= 8:
            part = parts[random.below(2)]
            value = random.below(256)
            for at in range(random.below(32), random.below(32)) or (random.below(32),):
                part[at] = value
        assert obed25519.verify(*parts) is twin.verify(*parts) is (i < 8), i


def test_hostile_bytes_raise_nothing():
    key, signature, _ = rfc8032.VECTORS[0]
    for byte in range(256):
        assert obed25519.verify(bytes([byte]) * 32, signature, b"") is False
        assert obed25519.verify(key, bytes([byte]) * 64, b"") is False


def test_wrong_lengths_are_named():
    key, signature, message = rfc8032.VECTORS[1]
    for n in (0, 31, 33):
        error = raises_kind(ValueError, obed25519.verify, (key + b"\0")[:n], signature, message)
        assert str(error) == "public_key: not 32 bytes"
    for n in (0, 63, 65):
        error = raises_kind(ValueError, obed25519.Verifier, key, (signature + b"\0")[:n])
        assert str(error) == "signature: not 64 bytes"
    raises_kind(TypeError, obed25519.verify, key, signature, 5)
    raises_kind(TypeError, obed25519.Verifier, key)
    raises_kind(TypeError, obed25519.Sha512, b"abc")


def test_sha512_has_the_bits_of_the_twin():
    for n in (0, 1, 111, 112, 127, 128, 129, 240, 1000):
        data = bytes(i * 7 & 0xFF for i in range(n))
        one, other = obed25519.Sha512(), twin.Sha512()
        for digest in (one, other):
            digest.update(data[: n // 3])
            digest.digest()
            digest.update(data[n // 3 :])
        assert one.digest() == other.digest()
    digest = obed25519.Sha512()
    digest.update(b"abc")
    assert digest.digest() == rfc8032.SHA512_ABC
