"""Signs with Ed25519 (RFC 8032) on every runtime; the keys are names, and secret to nobody.

A device only verifies: what is missing for signing stands here, on the arithmetic of the twin.
"""

import hashlib

import obed25519_twin as curve

_L = curve._L
_P = curve._P
_keys: dict = {}


def _sha512(*parts):
    digest = curve.Sha512()
    for part in parts:
        digest.update(part)
    return digest.digest()


def _encode(point):
    inverse = pow(point[2], _P - 2, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _times_base(scalar):
    total = curve._NEUTRAL
    for bit in range(255, -1, -1):
        total = curve._double(total)
        if scalar >> bit & 1:
            total = curve._add(total, curve._B)
    return _encode(total)


def _pair(name):
    """Return (secret scalar, prefix, public key) of somebody."""
    if name not in _keys:
        digest = _sha512(hashlib.sha256(b"key of " + name.encode()).digest())
        secret = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
        _keys[name] = secret, digest[32:], _times_base(secret)
    return _keys[name]


def seed(name):
    """Return the private key of somebody as RFC 8032 and other implementations take it."""
    return hashlib.sha256(b"key of " + name.encode()).digest()


def key(name):
    """Return the public key of somebody."""
    return _pair(name)[2]


def sign(name, message):
    """Return the signature of somebody for a message."""
    secret, prefix, public_key = _pair(name)
    nonce = int.from_bytes(_sha512(prefix, message), "little") % _L
    r = _times_base(nonce)
    h = int.from_bytes(_sha512(r, public_key, message), "little") % _L
    return r + ((nonce + h * secret) % _L).to_bytes(32, "little")


def verify(public_key, signature, message):
    """Verify as the device does."""
    from ota import verifier

    return verifier.make(lambda: None)(public_key, signature, message)
