"""Key files: Ed25519 for signatures and P-256 for TLS, private ones only under a passphrase.

PKCS#8 and SubjectPublicKeyInfo in PEM, so openssl reads them too. docs/SPEC.md: Key files.
"""

import hashlib
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.x509.oid import NameOID

from formats import signed
from onebyte.errors import UserError

__all__ = ["PrivateKey", "generate", "read_private", "read_public", "write_device", "write_pairs"]

KDF_ROUNDS = 600_000  # what OWASP asks of PBKDF2 with SHA-256; cryptography itself takes 2048
_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_PUBLIC = b"-----BEGIN PUBLIC KEY-----"
_PRIVATE = b"PRIVATE KEY-----"
_MAX_BYTES = 16384
_SECRET_MODE, _PUBLIC_MODE = 0o600, 0o666  # the umask narrows the second
_BASE64_COLUMNS = 64

# DER of the object identifiers of RFC 8018 and of AES-256-CBC.
_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_PBKDF2 = bytes.fromhex("06092a864886f70d01050c")
_HMAC_SHA256 = bytes.fromhex("06082a864886f70d02090500")
_AES256_CBC = bytes.fromhex("060960864801650304012a")
_SEQUENCE, _INTEGER, _OCTETS = 0x30, 0x02, 0x04


@dataclass(frozen=True)
class PrivateKey:
    """A key that signs; its secret half is never shown.

    Attributes:
        public: The 32 bytes of the public key.
    """

    public: bytes
    _secret: ed25519.Ed25519PrivateKey = field(repr=False, compare=False)

    @property
    def key_id(self) -> bytes:
        """What names it, 8 bytes."""
        return signed.key_id(self.public)

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of its signature."""
        return self._secret.sign(message)


def generate() -> PrivateKey:
    """Return a new key."""
    return _wrap(ed25519.Ed25519PrivateKey.generate())


def verify(public_key: bytes, signature: bytes, message: tuple[bytes, ...]) -> bool:
    """Return whether an Ed25519 signature is valid; what `ota.trust` asks for, in parts."""
    from cryptography.exceptions import InvalidSignature

    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public_key).verify(signature, b"".join(message))
    except (InvalidSignature, ValueError):
        return False
    return True


def private_path(base: Path) -> Path:
    """Return where the private half of the key called `base` lies."""
    return base.with_name(base.name + ".pem")


def public_path(base: Path) -> Path:
    """Return where the public half of the key called `base` lies."""
    return base.with_name(base.name + ".pub")


def write_pairs(pairs: Iterable[tuple[Path, PrivateKey, str]], force: bool = False) -> None:
    """Write each `base`.pem, encrypted and readable for its owner alone, and `base`.pub.

    Args:
        pairs: (base, key, passphrase) of each.
        force: Overwrite what is there.

    Raises:
        UserError: A file is there already and `force` is not given, or cannot be written; then
            none of them is.
    """
    files = []
    for base, key, passphrase in pairs:
        check_free([private_path(base), public_path(base)], force)
        files.append((private_path(base), _encrypted_pem(key._secret, passphrase), _SECRET_MODE))
        public = ed25519.Ed25519PublicKey.from_public_bytes(key.public)
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        pem = public.public_bytes(serialization.Encoding.PEM, form)
        files.append((public_path(base), pem, _PUBLIC_MODE))
    _write_all(files)


def write_device(
    base: Path, names: tuple[str, str], passphrase: str, der: Path | None, force: bool = False
) -> None:
    """Write the TLS key of a device, encrypted, and the request for its certificate.

    P-256, because the TLS of MicroPython's boards has no Ed25519.

    Args:
        base: Makes `base`.pem and `base`.csr.
        names: Tenant and device.
        passphrase: Of `base`.pem.
        der: Where the key goes as the board reads it, not encrypted; None for nowhere.
        force: Overwrite.

    Raises:
        UserError: As `write_pairs`.
    """
    request_path = base.with_name(base.name + ".csr")
    check_free([private_path(base), request_path, *([der] if der else [])], force)
    secret = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, names[0]),
            x509.NameAttribute(NameOID.COMMON_NAME, names[1]),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    request = builder.sign(secret, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    files = [(private_path(base), _encrypted_pem(secret, passphrase), _SECRET_MODE)]
    files.append((request_path, request, _PUBLIC_MODE))
    if der is not None:
        plain = serialization.NoEncryption()
        form = serialization.PrivateFormat.TraditionalOpenSSL
        board_key = secret.private_bytes(serialization.Encoding.DER, form, plain)
        files.append((der, board_key, _SECRET_MODE))
    _write_all(files)


def read_private(path: Path, passphrase: str) -> PrivateKey:
    """Return the key in an encrypted PEM file.

    Raises:
        UserError: It cannot be read, is no such key, or the passphrase is another.
    """
    content = _read(path)
    if _PUBLIC in content:
        raise UserError(f"{path} is a public key; the private one is needed here, its .pem file")
    if _PRIVATE not in content:
        raise UserError(f"{path} holds no private key; onebyte keygen makes one")
    if _ENCRYPTED not in content:
        raise UserError(f"{path} is not encrypted; a key that signs releases has to be")
    try:
        secret = serialization.load_pem_private_key(content, passphrase.encode())
    except (ValueError, TypeError):
        raise UserError(f"{path}: wrong passphrase, or a damaged file") from None
    if not isinstance(secret, ed25519.Ed25519PrivateKey):
        raise UserError(f"{path} is no Ed25519 key, so it cannot sign releases")
    return _wrap(secret)


def read_public(path: Path) -> bytes:
    """Return the 32 bytes of the public key in a PEM file.

    Raises:
        UserError: It cannot be read, or is no public Ed25519 key.
    """
    content = _read(path)
    if _PRIVATE in content:
        raise UserError(f"{path} is a private key; give its public half, the .pub file")
    try:
        public = serialization.load_pem_public_key(content)
    except ValueError:
        raise UserError(f"{path} holds no public key; onebyte keygen makes one") from None
    if not isinstance(public, ed25519.Ed25519PublicKey):
        raise UserError(f"{path} is no Ed25519 key")
    return public.public_bytes_raw()


def check_free(paths: list[Path], force: bool) -> None:
    """Raise UserError when one of the files is there; with `force` they may be."""
    for path in paths:
        if path.exists() and not force:
            raise UserError(f"{path} is there already; --force overwrites it for ever")


def write_file(path: Path, content: bytes) -> None:
    """Write a file as a whole, and its folder where that is missing."""
    _write_all([(path, content, _PUBLIC_MODE)])


def _write_all(files: list[tuple[Path, bytes, int]]) -> None:
    """Write all files or, where one cannot be written, none: first beside the old ones.

    What only its owner may read is made so, whatever the umask, and is on the disk at the end.
    """
    begun = []
    try:
        for path, content, mode in files:
            temporary = path.with_name(path.name + ".new")
            _make_folder(path.parent)
            temporary.unlink(missing_ok=True)
            begun.append(temporary)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                if mode == _SECRET_MODE:
                    file.flush()
                    os.fsync(file.fileno())
        for path, _, _ in files:
            path.with_name(path.name + ".new").replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    finally:
        for temporary in begun:
            temporary.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"cannot write into {folder}: a file is in the way") from None


def _wrap(secret: ed25519.Ed25519PrivateKey) -> PrivateKey:
    return PrivateKey(secret.public_key().public_bytes_raw(), secret)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def _encrypted_pem(
    secret: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, passphrase: str
) -> bytes:
    """Return a PKCS#8 EncryptedPrivateKeyInfo: PBES2 with PBKDF2-HMAC-SHA-256 and AES-256-CBC."""
    plain = secret.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    salt, start = secrets.token_bytes(16), secrets.token_bytes(16)
    key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, KDF_ROUNDS, 32)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(start)).encryptor()
    sealed = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    rounds = KDF_ROUNDS.to_bytes(4, "big").lstrip(b"\x00")
    derivation = _der(
        _SEQUENCE,
        _der(_OCTETS, salt) + _der(_INTEGER, rounds) + _der(_SEQUENCE, _HMAC_SHA256),
    )
    schemes = _der(_SEQUENCE, _PBKDF2 + derivation)
    schemes += _der(_SEQUENCE, _AES256_CBC + _der(_OCTETS, start))
    algorithm = _der(_SEQUENCE, _PBES2 + _der(_SEQUENCE, schemes))
    return _pem(_der(_SEQUENCE, algorithm + _der(_OCTETS, sealed)))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(digits)]) + digits + content


def _pem(der: bytes) -> bytes:
    import base64

    text = base64.b64encode(der).decode()
    rows = [text[i : i + _BASE64_COLUMNS] for i in range(0, len(text), _BASE64_COLUMNS)]
    name = "ENCRYPTED PRIVATE KEY"
    return "\n".join([f"-----BEGIN {name}-----", *rows, f"-----END {name}-----", ""]).encode()
