"""Making room for a release: what does not belong to it leaves the slot, its manifest first."""

from formats import errors, manifest, signed
from formats.errors import OnebyteError
from ota.downloads import MANIFEST, PACKED, TRIED, Downloads, entries, is_folder, length, remove
from ota.store import make_folders

_FOLDER_BLOCKS = 2
_SPARE_BLOCKS = 6  # what the node needs to live: state, results, a copy while a file grows
_INLINE_BYTES = 128  # a shorter file has no block of its own


def slot_files(files, path: str):
    """Yield the path of each file and then of each folder in a slot, its manifest left out."""
    for name, kind in [(entry[0], is_folder(entry)) for entry in entries(files, path)]:
        inner = "%s/%s" % (path, name)
        if kind:
            for entry in entries(files, inner):
                yield "%s/%s" % (inner, entry[0]), is_folder(entry)
        if kind or name != "manifest":
            yield inner, kind


def check_space(store, path: str, found) -> None:
    """Raise UPDATE_SPACE unless the release has room once its slot is empty.

    A filesystem that does not say how much it holds is believed.
    """
    files = store.files
    if not hasattr(files, "statvfs"):
        return
    stat = files.statvfs(store.prefix or ".")
    block_bytes, free = stat[0], stat[3]
    needed = _SPARE_BLOCKS + blocks(signed.MAX_BYTES, block_bytes)
    packed = 0
    folders = set()
    for kind, codec, size, stored, _, _ in found.files:
        if kind != manifest.FIRMWARE:
            needed += blocks(size, block_bytes)
            folders.add(kind)
        if codec == manifest.DEFLATE:
            packed = max(packed, blocks(stored, block_bytes))
    needed += packed + _FOLDER_BLOCKS * len(folders)
    for inner, kind in slot_files(files, path):
        if kind:
            free += _FOLDER_BLOCKS
        else:
            n_bytes = length(files, inner)
            free += blocks(n_bytes, block_bytes) if n_bytes > _INLINE_BYTES else 0
    if needed > free:
        raise OnebyteError(errors.UPDATE_SPACE, "%d blocks, %d are free" % (needed, free))


def blocks(n_bytes: int, block_bytes: int) -> int:
    """Return how many blocks so many bytes take."""
    return -(-n_bytes // block_bytes)


def prepare(store, slot: int, found, signed_manifest, digest):
    """Empty a slot of what the release does not list; a piece each time the generator is asked.

    From its end on, a partial file in the slot or in `dl` is one of this release, and a listed one
    of full length may be; only its hash says so.

    Args:
        store: Store.
        slot: the slot.
        found: the release's `Manifest`.
        signed_manifest: its file; not needed any more once it is in `dl`.
        digest: SHA-256 of that.

    Yields:
        None.

    Raises:
        OnebyteError: UPDATE_SPACE; nothing was changed.
        OSError: the flash failed.
    """
    downloads = Downloads(store)
    goes_on = downloads.digest_of(MANIFEST) == digest
    if not goes_on:
        check_space(store, store.slot_path(slot), found)
        yield
    # Without its manifest no slot is taken for whole, whatever else happens.
    remove(store.files, store.manifest_path(slot))
    yield
    yield from _empty(store.files, store.slot_path(slot), found, goes_on)
    if not goes_on:
        # Partial files of another release must be gone before this one says that they are its own.
        for name in downloads.names():
            if name.endswith(PACKED):
                downloads.remove(name)
                yield
        downloads.write(MANIFEST, signed_manifest)
        yield
    for name in downloads.names():
        if name not in (TRIED, MANIFEST) and not name.endswith(PACKED):
            downloads.remove(name)
            yield
    make_folders(store.files, store.manifest_path(slot))


def _empty(files, path: str, found, keeps_partial: bool):
    """Remove the files and folders that the release does not list, and partial ones of others."""
    for name, kind in list(slot_files(files, path)):
        inner = name[len(path) + 1 :]
        if kind:
            if not has_folder(found, inner):
                files.rmdir(name)
        elif not _may_stay(length(files, name), size_of(found, inner), keeps_partial):
            files.remove(name)
        yield


def size_of(found, path: str) -> int:
    """Return the size of a file by its path in the slot, -1 when the release has none there."""
    folder, _, name = path.partition("/")
    entry = found.files.named(manifest.type_of(folder), name)
    return entry[2] if entry else -1


def has_folder(found, name: str) -> bool:
    """Return whether the release has files of the type that this folder is called after."""
    return bool(found.types_mask() >> manifest.type_of(name) & 1)


def _may_stay(n_bytes: int, size: int, keeps_partial: bool) -> bool:
    return n_bytes == size or (keeps_partial and n_bytes < size)
