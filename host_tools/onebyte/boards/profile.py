"""What boards are to be: from a TOML file, or a CSV file with a row for each board.

All of it is checked before a board is touched. Besides the keys of docs/CONFIG.md there are files:
`ca`, `cert`, `key`, `update_ca`, `product`, `root`.
"""

import csv
import hashlib
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from onebyte.boards import node_config
from onebyte.errors import UserError

__all__ = [
    "FILES",
    "PATH_KEYS",
    "Profile",
    "Target",
    "add_file",
    "read_csv",
    "read_pair",
    "read_toml",
]

# name -> (place on the board, key of the configuration that says so). Another content lies at
# another place, so that a configuration that was not replaced still has the one it names.
FILES = {
    "ca": ("/id/ca-{}.der", "broker_ca_path"),
    "cert": ("/id/cert-{}.der", "broker_cert_path"),
    "key": ("/id/key-{}.der", "broker_key_path"),
    "update_ca": ("/id/ca-{}.der", "update_ca_path"),
    "root": ("/id/root", ""),
    "product": ("/id/product.json", ""),
}
PATH_KEYS = tuple(key for _, key in FILES.values() if key)
_WHERE = ("port", "unique_id")
_MAX_FILE_BYTES = 16384

Passphrase = Callable[[str], str]


@dataclass(frozen=True)
class Profile:
    """What a board is to be.

    Attributes:
        values: Keys of the configuration that are given; the board's own stay otherwise.
        files: Name in FILES -> content as the board takes it.
    """

    values: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def place(self, name: str) -> str:
        """Return where a file of this profile lies on the board."""
        return FILES[name][0].format(hashlib.sha256(self.files[name]).hexdigest()[:16])


@dataclass(frozen=True)
class Target:
    """A row: which board, and what it is to be."""

    port: str
    unique_id: str
    profile: Profile

    def __str__(self) -> str:
        return self.port or self.unique_id or "the board"


def read_toml(path: Path, passphrase: Passphrase) -> Profile:
    """Return the profile in a TOML file; paths in its table `files` begin at its folder.

    Args:
        path: The file.
        passphrase: Asks for the passphrase of an encrypted key, whose file it is given.

    Raises:
        UserError: it cannot be read, or a key or value is refused.
    """
    try:
        content = tomllib.loads(_read(path).decode())
    except ValueError as error:
        raise UserError(f"{path} is no TOML: {_first_line(error)}") from error
    files = content.pop("files", {})
    if not isinstance(files, dict) or not all(isinstance(name, str) for name in files.values()):
        raise UserError(f"{path}: files must be a table of paths")
    profile = Profile(content)
    with _located(str(path)):
        for key, value in content.items():
            node_config.check_value(key, value)
        for name, where in files.items():
            profile = add_file(profile, name, path.parent / where, passphrase)
    return profile


def read_csv(path: Path, base: Profile, passphrase: Passphrase) -> list[Target]:
    """Return a target for each row; its header names keys, files, and `port` or `unique_id`.

    Args:
        path: The file, UTF-8, commas.
        base: What all have in common; a cell that is not empty counts before it.
        passphrase: As for `read_toml`.

    Raises:
        UserError: it cannot be read, a cell is refused, or two rows mean the same board or node.
    """
    try:
        lines = _read(path).decode("utf-8-sig").splitlines()
        reader = csv.DictReader(lines, strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path} is no CSV: {_first_line(error)}") from error
    if not rows:
        raise UserError(f"{path} has no rows below its header")
    names = list(reader.fieldnames or ())
    if twice := _first_twice(names):
        raise UserError(f"{path}: the column {twice!r} stands there twice")
    for name in names:
        if name not in (*_WHERE, *FILES) and name not in node_config.rules():
            raise UserError(f"{path}: {name!r} is no column; docs/BOARDS.md says which there are")
    targets = []
    for number, row in rows:
        with _located(f"{path}, line {number}"):
            targets.append(_target(row, base, path.parent, passphrase))
    _check_different(path, targets)
    return targets


def add_file(profile: Profile, name: str, path: Path, passphrase: Passphrase) -> Profile:
    """Return the profile with a file and the key that says where it lies on the board.

    Certificates and keys may be PEM or DER; the board gets DER.

    Raises:
        UserError: no such file, or not what it should be.
    """
    if name not in FILES:
        raise UserError(f"{name!r} is none of the files {', '.join(FILES)}")
    content = _read(path)
    if name in ("ca", "cert", "update_ca"):
        content = _certificate(content, path)
    elif name == "key":
        content = _key(content, path, passphrase)
    found = replace(profile, files={**profile.files, name: content})
    values = dict(profile.values)
    if key := FILES[name][1]:
        values[key] = found.place(name)
        if key.startswith("broker_"):
            values.setdefault("broker_tls", True)
    return replace(found, values=values)


def read_pair(text: str) -> tuple[str, Any]:
    """Return the key and the value of KEY=VALUE.

    Raises:
        UserError: it is none, or a secret, which every user of this machine could read here.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"{text!r} is not KEY=VALUE")
    if node_config.is_secret(key):
        raise UserError(f"{key} does not belong on a command line: use --file, or let it be asked")
    return key, node_config.convert(key, value)


def _target(
    row: dict[str, str | None], base: Profile, folder: Path, passphrase: Passphrase
) -> Target:
    if None in row or None in row.values():
        raise UserError("has another number of cells than the header")
    cells = {name: text.strip() for name, text in row.items() if text and text.strip()}
    port, unique_id = (cells.pop(name, "") for name in _WHERE)
    values = dict(base.values)
    for name, text in cells.items():
        if name not in FILES:
            values[name] = node_config.convert(name, text)
    profile = replace(base, values=values)
    for name in FILES:
        if name in cells:
            profile = add_file(profile, name, folder / cells[name], passphrase)
    return Target(port, unique_id.lower().replace(":", ""), profile)


def _check_different(path: Path, targets: list[Target]) -> None:
    if len(targets) > 1 and not all(one.port or one.unique_id for one in targets):
        raise UserError(f"{path}: with several rows each needs its port or unique_id")
    for what, seen in (
        ("port", [one.port for one in targets if one.port]),
        ("unique_id", [one.unique_id for one in targets if one.unique_id]),
        ("device", [_node(one) for one in targets if "device" in one.profile.values]),
    ):
        twice = _first_twice(seen)
        if twice:
            raise UserError(f"{path}: {what} {twice} stands in two rows")


def _node(target: Target) -> str:
    values = target.profile.values
    return f"{values.get('tenant', '')}/{values['device']}"


def _first_twice(names: Iterable[str]) -> str:
    seen = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""


@contextmanager
def _located(place: str) -> Iterator[None]:
    """Let a refusal say where it is from."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{place}: {error}") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES * 64 + 1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if len(content) > _MAX_FILE_BYTES * 64:
        raise UserError(f"{path} is too large")
    return content


def _certificate(content: bytes, path: Path) -> bytes:
    try:
        if content.lstrip().startswith(b"-----"):
            certificate = x509.load_pem_x509_certificate(content)
        else:
            certificate = x509.load_der_x509_certificate(content)
    except ValueError as error:
        raise UserError(f"{path} is no certificate, neither PEM nor DER") from error
    return certificate.public_bytes(serialization.Encoding.DER)


def _key(content: bytes, path: Path, passphrase: Passphrase) -> bytes:
    """Return a private key as MicroPython's TLS takes it; nothing of it gets into a message."""
    is_pem = content.lstrip().startswith(b"-----")
    load = serialization.load_pem_private_key if is_pem else serialization.load_der_private_key
    try:
        password = passphrase(str(path)).encode() if b"ENCRYPTED" in content else None
        key = load(content, password)
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is no private key, or its passphrase is another") from error
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
