"""What the tests that run on both runtimes share; no pytest, so that MicroPython can import it."""

from formats import errors


class Skip(Exception):
    """This runtime cannot run the test; the argument says why."""


def heap_lock():
    """Return (heap_lock, heap_unlock), or skip the test where the heap cannot be locked."""
    try:
        import micropython
    except ImportError:
        raise Skip("only MicroPython can lock its heap") from None
    return micropython.heap_lock, micropython.heap_unlock


def raises(code, function, *args):
    """Fail unless function(*args) raises the OnebyteError with this code; return the error."""
    try:
        value = function(*args)
    except errors.OnebyteError as error:
        assert error.code == code, "expected %s, got %s" % (errors.name(code), error)
        return error
    raise AssertionError("expected %s, got %r" % (errors.name(code), value))


def raises_kind(kind, function, *args):
    """Fail unless function(*args) raises an exception of this class; return it."""
    try:
        value = function(*args)
    except kind as error:
        return error
    raise AssertionError("expected %s, got %r" % (kind.__name__, value))


class Random:
    """xorshift32: the same numbers on every runtime, unlike the two `random` modules."""

    def __init__(self, seed=1):
        self._state = seed or 1

    def bits(self, count=32):
        """Return a number of `count` bits, at most 32."""
        s = self._state
        s ^= s << 13 & 0xFFFFFFFF
        s ^= s >> 17
        s ^= s << 5 & 0xFFFFFFFF
        self._state = s
        return s >> 32 - count

    def below(self, end):
        """Return a number from 0 to end - 1."""
        return self.bits() % end

    def between(self, low, high):
        """Return a number from `low` to `high`, both included."""
        return low + self.bits() % (high - low + 1)

    def bytes(self, count):
        """Return `count` bytes."""
        return bytes([self.bits(8) for _ in range(count)])
