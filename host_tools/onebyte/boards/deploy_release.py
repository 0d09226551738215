"""A release for one board: new files, and the rest of what its slot holds already."""

import json
from dataclasses import dataclass
from typing import Any

from formats import manifest, manifest_pack, objects, signed
from formats.errors import OnebyteError
from onebyte.boards.link import Board
from onebyte.errors import UserError
from onebyte.updates import description, keys, packing, signing, sources
from onebyte.updates.release import SignedRelease

__all__ = ["Standing", "make", "read_standing"]

APP = manifest.TYPES.index("app") + 1
_CUSTOM = manifest.TYPES.index("custom") + 1

# Over their USB a byte costs less time than the chip needs to unpack one.
_FAST = ("rp2",)

_OPEN = """
try:
 from ota import updates
 from board import make_files
 u=updates.at_desk(make_files(),'/')
except ImportError as e:
 u=None
 print('desk none',e)
if u:updates.desk.status(u)
else:print('null')
"""


@dataclass(frozen=True)
class Standing:
    """Where a board stands, by its own word.

    Attributes:
        values: What `ota.desk.status` prints.
    """

    values: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def next_seq(self) -> int:
        """The lowest seq that the board takes."""
        return 1 + int(max(self.installed_seq, self.pending_seq, self.last_bad_seq))


def read_standing(board: Board) -> Standing:
    """Ask a board for its slots.

    Raises:
        UserError: It has no loader, or nobody has said whom it trusts.
    """
    lines = board.exec(_OPEN, 60).splitlines() or ["null"]
    if any(line.startswith("desk none") for line in lines):
        raise UserError(
            f"{board.device}: this firmware has no loader for releases: flash an image of "
            "`make firmware`, or `onebyte provision --install BOARD`"
        )
    try:
        values = json.loads(lines[-1])
    except ValueError:
        raise UserError(f"{board.device}: the board's answer is damaged: {lines[-1]!r}") from None
    if values is None:
        raise UserError(
            f"{board.device}: the board trusts nobody yet: onebyte provision --product "
            "product.json --root root.1"
        )
    return Standing(values)


def make(
    board: Board,
    standing: Standing,
    files: list[sources.SourceFile],
    key: keys.PrivateKey,
    values: dict[str, Any],
) -> SignedRelease:
    """Return a release of new files and of those that the running slot holds besides.

    The kept ones are listed with their hashes only: the board copies them from slot to slot.

    Args:
        board: Stopped, in its raw REPL.
        standing: Of that board.
        files: The new ones; an app replaces the whole app.
        key: Release key that signs.
        values: As in a `release.toml`; what the board says is the default. `fresh` keeps nothing.

    Raises:
        UserError: The files do not fit each other or the board.
    """
    is_fresh = values.pop("fresh", False)
    before = None if is_fresh else _running_manifest(board, standing)
    kept = _kept(before, files) if before else []
    sources.check_version(files, standing.mpy_abi)
    mpy_abi, arch = sources.target(files)
    golden = sources.check([*files, *_kept_content(board, standing, kept)])
    if before and any(_is_compiled(entry) for entry in kept):
        mpy_abi, arch = mpy_abi or before.mpy_abi, arch or before.arch
    fields = description.fields(_with_defaults(standing, values))
    fields |= {"key_id": bytes(signed.KEY_ID_BYTES), "golden_hash": golden}
    fields |= {"mpy_abi": mpy_abi, "arch": arch}
    entries, stored_by_id = list(kept), {}
    for file in files:
        entry, stored = packing.stored_form(file, board.facts.platform not in _FAST)
        entries.append(entry)
        stored_by_id[objects.file_id(entry)] = stored
    try:
        body = manifest_pack.pack({**fields, "files": sorted(entries, key=_order)})
        content = signing.sign_manifest(body, key)
    except OnebyteError as error:
        raise UserError(f"{error}; {description.explain(error)}") from None
    found = manifest.parse(signed.parse(content, signed.MANIFEST).body)
    return SignedRelease(content, found, stored_by_id)


def _with_defaults(standing: Standing, values: dict[str, Any]) -> dict[str, Any]:
    wanted = {
        "vendor": standing.vendor,
        "product_class": standing.product_class,
        "hardware": [standing.hardware],
        "seq": standing.next_seq,
        "content_version": max(1, standing.security_floor),
        "root_epoch": standing.epoch,
    }
    return {**wanted, **values}


def _running_manifest(board: Board, standing: Standing) -> Any:
    if not standing.manifest:
        return None
    content = board.read_file(standing.manifest)
    try:
        return manifest.parse(signed.parse(content, signed.MANIFEST).body)
    except OnebyteError as error:
        raise UserError(f"{board.device}: {standing.manifest} is refused: {error}") from None


def _kept(before: Any, files: list[sources.SourceFile]) -> list[tuple[Any, ...]]:
    """Return the entries that stay, as files that are copied, never fetched."""
    new_paths = {file.path for file in files}
    replaced = {APP} & {file.kind for file in files}
    kept = []
    for kind, _, size, _, name, digest in before.files:
        is_replaced = kind in replaced or manifest.path(kind, name) in new_paths
        if kind != manifest.FIRMWARE and not is_replaced:
            kept.append((kind, manifest.PLAIN, size, size, name, digest))
    return kept


def _kept_content(
    board: Board, standing: Standing, kept: list[tuple[Any, ...]]
) -> list[sources.SourceFile]:
    """Read what the check of the models needs."""
    folder = standing.manifest.rpartition("/")[0]
    found = []
    for kind, _, _, _, name, _ in kept:
        if kind in (manifest.MODEL, _CUSTOM):
            path = f"{folder}/{manifest.path(kind, name)}"
            found.append(sources.SourceFile(kind, name, board.read_file(path), path))
    return found


def _order(entry: tuple[Any, ...]) -> tuple[int, str]:
    return entry[0], entry[4]


def _is_compiled(entry: tuple[Any, ...]) -> bool:
    return str(entry[4]).endswith(".mpy")
