"""What holders of root keys do: make the first root document, and each next one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from formats import signed
from formats.errors import OnebyteError
from onebyte.errors import UserError
from onebyte.updates import keys, roots, rotation
from onebyte.updates.rotation import Changes

__all__ = ["Plan", "changes_of", "discard", "make_root", "rotate"]

_HEX_DIGITS = set("0123456789abcdef")


@dataclass(frozen=True)
class Plan:
    """The first root document.

    Attributes:
        folder: Where keys and document go.
        scopes: Release keys, as `rotation.parse_scope` reads them.
        held: Public halves of root keys that others hold.
        vendor: Its number.
        n_keys: How many root keys there are, those of others included.
        threshold: How many have to sign.
        force: Overwrite what is there.
    """

    folder: Path
    scopes: tuple[str, ...]
    held: tuple[Path, ...]
    vendor: int
    n_keys: int
    threshold: int
    force: bool = False


def make_root(plan: Plan, new_passphrase: Callable[[str], str]) -> list[str]:
    """Make root keys and the first root document; return what to tell.

    Args:
        plan: What is wanted.
        new_passphrase: Gives the passphrase of the key that it is asked for.

    Raises:
        UserError: The plan contradicts itself, or files are there already.
    """
    n_own = plan.n_keys - len(plan.held)
    if plan.threshold > plan.n_keys:
        raise UserError(f"a threshold of {plan.threshold} of {plan.n_keys} keys cannot be met")
    if n_own < 1:
        raise UserError("at least one root key is made here; the holders of the others sign later")
    others = [keys.read_public(path) for path in plan.held]
    release_keys = [rotation.parse_scope(text) for text in plan.scopes]
    bases = [plan.folder / f"root-{number}" for number in range(1, n_own + 1)]
    documents = [roots.file_of(plan.folder, 1), roots.draft_file_of(plan.folder, 1)]
    for base in bases:
        keys.check_free([keys.private_path(base), keys.public_path(base)], plan.force)
    keys.check_free(documents, plan.force)
    # Nodes go through this chain: a new first document would end it, and take its keys along.
    if roots.file_of(plan.folder, 2).exists():
        raise UserError(f"{plan.folder} holds a chain of root documents; take another folder")
    made = [keys.generate() for _ in bases]
    fields = rotation.first_fields(
        plan.vendor, plan.threshold, [*others, *(key.public for key in made)], release_keys
    )
    draft = _new_draft(roots.Chain(plan.folder), fields)
    for key in made[: max(plan.threshold, 1)]:
        draft = draft.sign(key)
    # Every passphrase is there before the first key is written.
    passphrases = [new_passphrase(str(keys.private_path(base))) for base in bases]
    keys.write_pairs(zip(bases, made, passphrases, strict=True), plan.force)
    lines = [
        f"{keys.private_path(base)}: secret, encrypted; key {key.key_id.hex()}"
        for base, key in zip(bases, made, strict=True)
    ]
    for path in documents:
        path.unlink(missing_ok=True)
    lines += rotation.describe(None, draft.document)
    return lines + _written(roots.Chain(plan.folder), draft)


def changes_of(
    add_root: tuple[Path, ...],
    add_release: tuple[str, ...],
    remove: tuple[str, ...],
    revoke: tuple[str, ...],
    threshold: int | None,
) -> Changes:
    """Return the changes that options name.

    Raises:
        UserError: One names no key.
    """
    return Changes(
        tuple(keys.read_public(path) for path in add_root),
        tuple(rotation.parse_scope(text) for text in add_release),
        tuple(_key_id(text) for text in remove),
        tuple(_key_id(text) for text in revoke),
        threshold,
    )


def rotate(
    folder: Path, changes: Changes, key_paths: tuple[Path, ...], passphrase: Callable[[str], str]
) -> Iterator[str]:
    """Begin the next root document or sign the draft of it; yield what to tell.

    What changes comes before the first passphrase is asked for.

    Args:
        folder: With the chain of root documents.
        changes: What the next one changes; nothing to sign the draft that is there.
        key_paths: Private root keys to sign with, at least one.
        passphrase: Gives the passphrase of the key that it is asked for.

    Raises:
        UserError: The chain or the draft is refused, or a key does not belong to it.
    """
    chain = roots.read_chain(folder, may_be_empty=True)
    draft = roots.read_draft(chain)
    if not chain.epoch and draft is None:
        raise UserError(f"{folder} holds no root.1; onebyte keygen root makes one")
    if not key_paths:
        raise UserError("give the root keys to sign with: --key")
    if draft is not None and changes:
        raise UserError(
            f"{roots.draft_file_of(folder, chain.epoch + 1)} waits for signatures: sign it with "
            "--key alone, or throw it away with --discard"
        )
    if draft is None:
        if not changes:
            raise UserError("nothing to change and no draft to sign: see --help")
        draft = _new_draft(chain, rotation.apply(chain.newest, changes))
    yield f"root document {draft.document.epoch}:"
    yield from rotation.describe(chain.newest, draft.document) or ["no key changes"]
    for path in key_paths:
        key = keys.read_private(path, passphrase(str(path)))
        draft = _signed(draft, key, path)
        yield f"signed by {key.key_id.hex()}"
    yield from _written(chain, draft)


def discard(folder: Path) -> str:
    """Remove the draft in a folder.

    Raises:
        UserError: There is none.
    """
    chain = roots.read_chain(folder, may_be_empty=True)
    path = roots.draft_file_of(folder, chain.epoch + 1)
    if not path.exists():
        raise UserError(f"{folder} holds no draft")
    path.unlink()
    return f"{path}: removed"


def _signed(draft: roots.Draft, key: keys.PrivateKey, path: Path) -> roots.Draft:
    try:
        return draft.sign(key)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _new_draft(chain: roots.Chain, fields: dict[str, object]) -> roots.Draft:
    try:
        return roots.new_draft(chain, fields)
    except OnebyteError as error:
        raise UserError(f"no root document can say this: {error}") from None


def _written(chain: roots.Chain, draft: roots.Draft) -> list[str]:
    path = roots.write(chain, draft)
    missing = draft.missing()
    if missing:
        return [f"{path}: a draft, it needs", *(f"  {line}" for line in missing)]
    return [f"{path}: complete"]


def _key_id(text: str) -> bytes:
    if len(text) == 2 * signed.KEY_ID_BYTES and set(text) <= _HEX_DIGITS:
        return bytes.fromhex(text)
    return signed.key_id(keys.read_public(Path(text)))
