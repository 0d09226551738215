"""obed25519's twin: the vectors of RFC 8032, what it refuses and how, its steps."""

import obed25519_twin as twin
import rfc8032
from check import raises_kind


def test_vectors_of_the_rfc():
    for vector in rfc8032.VECTORS:
        assert twin.verify(*vector) is True


def test_message_in_parts_and_step_by_step():
    key, signature, message = rfc8032.VECTORS[3]
    verifier = twin.Verifier(bytearray(key), memoryview(signature))
    for i in range(len(message)):
        verifier.update(memoryview(message)[i : i + 1])
    n_steps = 1
    while not verifier.step():
        n_steps += 1
    assert 40 < n_steps < 60 and verifier.step()
    assert verifier.is_valid() is True and verifier.is_valid() is True
    error = raises_kind(ValueError, verifier.update, b"")
    assert str(error) == "update: the message has ended"


def test_other_messages_and_signatures_are_refused():
    key, signature, message = rfc8032.VECTORS[2]
    assert twin.verify(key, signature, message + b"\0") is False
    assert twin.verify(key, signature, b"") is False
    assert twin.verify(rfc8032.VECTORS[1][0], signature, message) is False
    for at in (0, 31, 32, 63):
        changed = bytearray(signature)
        changed[at] ^= 1
        assert twin.verify(key, changed, message) is False


def test_hostile_bytes_raise_nothing():
    key, signature, _ = rfc8032.VECTORS[0]
    for byte in (0, 1, 0x7F, 0x80, 0xEC, 0xFF):
        assert twin.verify(bytes([byte]) * 32, signature, b"") is False
        assert twin.verify(key, bytes([byte]) * 64, b"") is False


def test_wrong_lengths_are_named():
    key, signature, message = rfc8032.VECTORS[1]
    for n in (0, 31, 33):
        error = raises_kind(ValueError, twin.verify, (key + b"\0")[:n], signature, message)
        assert str(error) == "public_key: not 32 bytes"
    for n in (0, 63, 65):
        error = raises_kind(ValueError, twin.Verifier, key, (signature + b"\0")[:n])
        assert str(error) == "signature: not 64 bytes"
    raises_kind(TypeError, twin.verify, key, signature, 5)


def test_sha512():
    digest = twin.Sha512()
    digest.update(b"a")
    digest.digest()
    digest.update(b"bc")
    assert digest.digest() == rfc8032.SHA512_ABC
