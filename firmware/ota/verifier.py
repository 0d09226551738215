"""Ed25519 for `ota.trust`: the native module, or its twin in Python where there is none."""

try:
    import obed25519 as _ed25519
except (ImportError, ValueError):  # ValueError: a file for another chip
    try:
        import obed25519_twin as _ed25519  # type: ignore[no-redef]
    except ImportError:
        _ed25519 = None  # type: ignore[assignment]

_PART_BYTES = 1024


def make(feed):
    """Return verify(public_key, signature, message) -> bool; None where nothing can verify.

    The message is a tuple of its parts.

    Args:
        feed: called between the parts of the work, each of which takes the native module at most
            0.3 s and its twin 2 s on an RP2040.
    """
    if _ed25519 is None:
        return None

    def verify(public_key, signature, message) -> bool:
        feed()
        verifier = _ed25519.Verifier(public_key, signature)
        for part in message:
            view = memoryview(part)
            for at in range(0, len(view), _PART_BYTES):
                verifier.update(view[at : at + _PART_BYTES])
        while not verifier.step():
            feed()
        feed()
        return verifier.is_valid()

    return verify
