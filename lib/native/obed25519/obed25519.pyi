"""Ed25519 signatures in C; obed25519_twin has the same interface in Python."""

_Bytes = bytes | bytearray | memoryview

def verify(public_key: _Bytes, signature: _Bytes, message: _Bytes) -> bool:
    """Return whether a signature is valid, by the rule of docs/SPEC.md.

    No content of the three raises. What a signature is for, the caller puts into the message.

    Args:
        public_key: 32 bytes.
        signature: 64 bytes, R and S.
        message: Any length.

    Raises:
        ValueError: A key or a signature of another length.
        TypeError: An argument is no buffer.
    """

class Verifier:
    """The same for a message that comes in parts, without a long silence of the watchdog."""

    def __init__(self, public_key: _Bytes, signature: _Bytes) -> None:
        """Copy the two; ValueError and TypeError as `verify`."""

    def update(self, data: _Bytes) -> None:
        """Take the next part of the message; ValueError after the first `step` or `is_valid`."""

    def step(self) -> bool:
        """Do a bounded part of the work after the message; True when there is no more.

        In C one step has it all, in the twin it takes some fifty.
        """

    def is_valid(self) -> bool:
        """Return the verdict, after the steps that are still to do."""

class Sha512:
    """SHA-512 of a message that comes in parts; MicroPython's hashlib has none."""

    def update(self, data: _Bytes) -> None:
        """Take the next part of the message."""

    def digest(self) -> bytes:
        """Return the 64 bytes for what came so far; more may follow."""
