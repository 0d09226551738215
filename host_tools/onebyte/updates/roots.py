"""The chain of root documents in a folder: `root.1`, `root.2`, ..., and the draft of the next one.

Every one is verified as a node does it, by `ota.trust`. A draft is the next root document with too
few signatures; its holders of keys add theirs one after the other. docs/SPEC.md: Root folder.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from formats import errors, root_document, root_pack, signed, signed_pack
from formats.errors import OnebyteError
from onebyte.errors import UserError
from onebyte.updates import keys
from ota import trust

__all__ = ["Chain", "Draft", "file_of", "read_chain", "read_draft"]


@dataclass(frozen=True)
class Chain:
    """Verified root documents of epoch 1, 2, ...

    Attributes:
        folder: Where they lie.
        files: Their signed files, in order.
        newest: The last one, a `root_document.RootDocument`; None before the first.
    """

    folder: Path
    files: tuple[bytes, ...] = ()
    newest: Any = None

    @property
    def epoch(self) -> int:
        """Of the newest one, 0 without any."""
        return len(self.files)


@dataclass(frozen=True)
class Draft:
    """A root document that is not signed by enough keys yet.

    Attributes:
        body: Its bytes.
        signatures: Key id -> signature.
        before: The `RootDocument` in force; None for the first one.
    """

    body: bytes
    signatures: dict[bytes, bytes]
    before: Any

    @property
    def document(self) -> Any:
        """What it says, a `RootDocument`."""
        return root_document.parse(self.body)

    def public_keys(self) -> dict[bytes, bytes]:
        """Return the keys whose signatures count, by their id."""
        old = self.before.root_keys if self.before else []
        return {signed.key_id(key): key for key in [*old, *self.document.root_keys]}

    def missing(self) -> list[str]:
        """Say in words which signatures are still needed; nothing when it is complete."""
        lines = []
        for document in ([self.before] if self.before else []) + [self.document]:
            names = [signed.key_id(key) for key in document.root_keys]
            lacking = document.threshold - sum(name in self.signatures for name in names)
            if lacking > 0:
                open_names = " ".join(n.hex() for n in names if n not in self.signatures)
                lines.append(f"{lacking} more of epoch {document.epoch}'s keys: {open_names}")
        return lines

    def sign(self, key: keys.PrivateKey) -> "Draft":
        """Return the draft with one more signature.

        Raises:
            UserError: The key is no root key of this document or of the one before.
        """
        if key.key_id not in self.public_keys():
            names = " ".join(name.hex() for name in self.public_keys())
            raise UserError(f"key {key.key_id.hex()} is no root key; those are {names}")
        signature = key.sign(signed.message(signed.ROOT, self.body))
        return replace(self, signatures={**self.signatures, key.key_id: signature})

    def packed(self) -> bytes:
        """Return the file; at least one signature has to be there."""
        known = self.public_keys()
        pairs = [(known[name], value) for name, value in self.signatures.items()]
        return signed_pack.pack(signed.ROOT, pairs, self.body)


def file_of(folder: Path, epoch: int) -> Path:
    """Return where the root document of an epoch lies."""
    return folder / f"root.{epoch}"


def draft_file_of(folder: Path, epoch: int) -> Path:
    """Return where the draft of an epoch lies."""
    return folder / f"root.{epoch}.draft"


def read_chain(folder: Path, may_be_empty: bool = False) -> Chain:
    """Return the chain in a folder, verified from the first one to the last.

    Raises:
        UserError: There is none, it cannot be read, or one does not follow on the one before.
    """
    chain = Chain(folder)
    while file_of(folder, chain.epoch + 1).exists():
        path = file_of(folder, chain.epoch + 1)
        try:
            content = path.read_bytes()
            newest = follow(chain, content)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from None
        except OnebyteError as error:
            raise UserError(
                f"{path} is refused: {error}; get root.1, root.2, ... again from who keeps them"
            ) from None
        chain = Chain(folder, (*chain.files, content), newest)
    if not chain.epoch and not may_be_empty:
        what = "holds no root.1" if folder.is_dir() else "is no folder of root documents"
        raise UserError(f"{folder} {what}; onebyte keygen root makes one")
    return chain


def follow(chain: Chain, content: bytes) -> Any:
    """Return the `RootDocument` in a signed file that follows on a chain.

    Raises:
        OnebyteError: It does not.
    """
    if chain.newest is not None:
        return trust.open_root(content, chain.newest, keys.verify)
    document = signed.parse(content, signed.ROOT)
    found = root_document.parse(document.body)
    signers = trust.valid_signers(document, found.root_keys, keys.verify)
    if len(signers) < found.threshold:
        raise OnebyteError(errors.SIGNED_THRESHOLD, f"{len(signers)} of its own keys")
    if len(signers) != len(document.signatures):
        raise OnebyteError(errors.SIGNED_KEY)
    if found.epoch != 1:
        raise OnebyteError(errors.ROOT_EPOCH, f"epoch {found.epoch} before the first")
    return found


def new_draft(chain: Chain, fields: dict[str, Any]) -> Draft:
    """Return the next root document without signatures.

    Args:
        chain: What it follows on.
        fields: As `root_pack.pack` takes them, without the epoch.

    Raises:
        OnebyteError: The fields do not make a root document.
    """
    body = root_pack.pack({**fields, "epoch": chain.epoch + 1})
    return Draft(body, {}, chain.newest)


def read_draft(chain: Chain) -> Draft | None:
    """Return the draft of the next epoch in the folder of a chain, None when there is none.

    Raises:
        UserError: It is damaged, or a signature in it is not valid.
    """
    path = draft_file_of(chain.folder, chain.epoch + 1)
    if not path.exists():
        return None
    try:
        document = signed.parse(path.read_bytes(), signed.ROOT)
        draft = Draft(bytes(document.body), dict(document.signatures), chain.newest)
        known = draft.public_keys()
        signers = trust.valid_signers(document, list(known.values()), keys.verify)
        if len(signers) != len(document.signatures):
            raise OnebyteError(errors.SIGNED_KEY)
        _check_follows(chain, draft.document)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except OnebyteError as error:
        raise UserError(f"{path} is refused: {error}") from None
    return draft


def _check_follows(chain: Chain, document: Any) -> None:
    """Raise unless enough signatures are all that the document lacks."""
    if document.epoch != chain.epoch + 1:
        raise OnebyteError(errors.ROOT_EPOCH, f"epoch {document.epoch} after {chain.epoch}")
    if chain.newest is None:
        return
    if document.vendor != chain.newest.vendor:
        raise OnebyteError(errors.ROOT_VENDOR)
    if any(name not in document.revoked for name in chain.newest.revoked):
        raise OnebyteError(errors.ROOT_REVOKED, "a revoked key is forgotten")


def write(chain: Chain, draft: Draft) -> Path:
    """Write the draft, or the root document when nothing is missing; return where it lies.

    Raises:
        UserError: It cannot be written.
        OnebyteError: A node would refuse it although nothing is missing.
    """
    draft_path = draft_file_of(chain.folder, chain.epoch + 1)
    content = draft.packed()
    if draft.missing():
        keys.write_file(draft_path, content)
        return draft_path
    follow(chain, content)
    path = file_of(chain.folder, chain.epoch + 1)
    keys.write_file(path, content)
    draft_path.unlink(missing_ok=True)
    return path
