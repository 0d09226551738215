"""Making room for a release: what does not belong to it leaves the slot, its manifest first."""

from formats import errors, manifest
from formats.errors import OnebyteError
from ota.downloads import MANIFEST, PACKED, TRIED, Downloads, entries, is_folder, length, remove
from ota.store import make_folders

# Of a file beside its content, of a folder, and what the node needs to live: state and results.
_FILE_BLOCKS = 1
_FOLDER_BLOCKS = 2
_SPARE_BLOCKS = 8


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
    needed = _SPARE_BLOCKS + _blocks(signed_bytes(found), block_bytes)
    packed = 0
    for kind, codec, size, stored, _, _ in found.files:
        if kind != manifest.FIRMWARE:
            needed += _blocks(size, block_bytes)
        if codec == manifest.DEFLATE:
            packed = max(packed, _blocks(stored, block_bytes))
    needed += packed + _FOLDER_BLOCKS * (manifest.LAST_TYPE + 1)
    for inner, kind in slot_files(files, path):
        if not kind:
            free += length(files, inner) // block_bytes
    if needed > free:
        raise OnebyteError(errors.UPDATE_SPACE, "%d blocks, %d are free" % (needed, free))


def signed_bytes(found) -> int:
    """Return about how long the signed file of a manifest is."""
    return manifest.HEADER_BYTES + manifest.FILE_BYTES * len(found.files) + 80


def _blocks(n_bytes: int, block_bytes: int) -> int:
    return -(-n_bytes // block_bytes) + _FILE_BLOCKS


def prepare(store, slot: int, found, signed_manifest):
    """Empty a slot of what the release does not list; a piece each time the generator is asked.

    From its end on, a partial file in the slot or in `dl` is one of this release, and a listed one
    of full length may be; only its hash says so.

    Args:
        store: Store.
        slot: the slot.
        found: the release's `Manifest`.
        signed_manifest: its file.

    Yields:
        None.

    Raises:
        OnebyteError: UPDATE_SPACE; nothing was changed.
        OSError: the flash failed.
    """
    downloads = Downloads(store)
    goes_on = downloads.read(MANIFEST) == signed_manifest
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
    sizes = {}
    for kind, _, size, _, name, _ in found.files:
        sizes["%s/%s" % (path, manifest.path(kind, name))] = size
    folders = set([name.rsplit("/", 1)[0] for name in sizes])
    for name, kind in list(slot_files(files, path)):
        if kind:
            if name not in folders:
                files.rmdir(name)
        elif name not in sizes or not _may_stay(length(files, name), sizes[name], keeps_partial):
            files.remove(name)
        yield


def _may_stay(n_bytes: int, size: int, keeps_partial: bool) -> bool:
    return n_bytes == size or (keeps_partial and n_bytes < size)
