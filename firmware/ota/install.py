"""Installing a release into a slot: keep, copy or fetch each file. docs/SPEC.md: Download.

What is on flash says how far it got: a new `Install` of the same release goes on after a power
cut, and one that raised goes on when it is asked again.
"""

import gc
import hashlib

from formats import errors, manifest, objects
from formats.errors import OnebyteError
from ota import prepare, slot_changes
from ota.downloads import BLOCK_BYTES, MANIFEST, Downloads, append, length, remove
from ota.store import make_folders
from ota.unpack import Room, unpack_into

_STEP_BLOCKS = 4  # read and hashed in a step


class Install:
    """One release on its way into one slot, in bounded steps.

    Ask `next_request`: fetch that and `put` it; while it is None, `step`, until `is_done`.

    Args:
        store: Store.
        slot: the slot that it goes to; nothing may run from it.
        signed_manifest: the release's signed manifest, accepted by `ota.trust`.
        found: the `Manifest` in it.
        active: `Manifest` of the other slot if that is whole, or None: what it holds is copied.

    Attributes:
        firmware: what takes a file of type firmware, see `ota.platform_esp32`; None: nothing does.
        room: `unpack.Room` for packed files; None: one is made when it is needed.
        is_done: every file and the manifest are in the slot, each hash was right when read back.
        total_bytes: bytes of all files as they are sent.
        done_bytes: how many of them are there.
    """

    def __init__(self, store, slot, signed_manifest, found, active=None):
        self.is_done = False
        self.total_bytes = sum([entry[3] for entry in found.files])
        self.done_bytes = 0
        self._files = store.files
        self._store = store
        self._slot = slot
        self._signed = signed_manifest
        self._digest = hashlib.sha256(signed_manifest).digest()
        self._found = found
        self._active = active
        self.firmware = None
        self._downloads = Downloads(store)
        self._buffer = memoryview(bytearray(BLOCK_BYTES))
        self._is_whole = bytearray(len(found.files))
        self.room = None
        self._work = self._request = self._target = None

    def next_request(self):
        """Return (object id, offset, bytes) of what to fetch, None while there is other work."""
        return self._request

    def put(self, piece) -> None:
        """Take the beginning of what `next_request` asked for; durable when this returns.

        Raises:
            OnebyteError: UPDATE_CHUNK: it is empty or longer than that.
            OSError: the flash failed.
        """
        request, self._request = self._request, None
        try:
            if not 0 < len(piece) <= request[2]:
                raise OnebyteError(errors.UPDATE_CHUNK, "%d bytes" % len(piece))
            self._target(piece)
        except Exception:
            self.close()
            raise
        self.done_bytes += len(piece)

    def step(self) -> None:
        """Do a piece of the work that needs no bytes from outside.

        Raises:
            OnebyteError: UPDATE_HASH, UPDATE_DEFLATE (that file is fetched again) or UPDATE_SPACE.
            OSError: the flash failed.
        """
        if self.is_done or self._request is not None:
            return
        if self._work is None:
            self.done_bytes = 0
            self._work = self._install()
        try:
            next(self._work)
        except StopIteration:
            self._work = self._found = self._active = self._buffer = None  # whoever still holds us
            self.is_done = True
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Close what is open; the next step begins anew, from what is on flash."""
        work, self._work = self._work, None
        self._request = self._target = None
        if work is not None:
            work.close()

    def _install(self):
        yield from prepare.prepare(
            self._store, self._slot, self._found, self._signed, self._digest
        )
        self._signed = b""  # it is in `dl` now, and its 4 kB are needed for the files
        for i, entry in enumerate(self._found.files):
            if not self._is_whole[i]:
                gc.collect()  # what lives as long as this file is to lie close together
                before = self.done_bytes
                if entry[0] == manifest.FIRMWARE:
                    yield from self._install_firmware(entry)
                else:
                    yield from self._install_file(i, entry)
                self._is_whole[i] = 1
                self.done_bytes = before
            self.done_bytes += entry[3]
        # Only here could the slot be taken for whole, and only if every hash is right.
        if self.room:
            self.room.give()  # to the manifest
        content = self._downloads.read(MANIFEST)
        if hashlib.sha256(content).digest() != self._digest:
            raise OnebyteError(errors.UPDATE_HASH, "manifest")
        with self._files.open(self._store.manifest_path(self._slot), "wb") as file:
            file.write(content)
        del content
        yield

    def _install_file(self, i: int, entry):
        kind, codec, size, _, name, digest = entry
        path = "%s/%s" % (self._store.slot_path(self._slot), manifest.path(kind, name))
        make_folders(self._files, path)
        if length(self._files, path) == size:
            if (yield from self._is_right(path, digest)):
                return
            remove(self._files, path)
            yield
        beside = self._find_copy(size, digest)
        if beside and (yield from self._copy(beside, path, digest)):
            return
        packed = self._downloads.path("%d.z" % i)
        if codec == manifest.PLAIN:
            yield from self._fetch(path, entry)
        else:
            yield from self._fetch(packed, entry)
            yield from self._unpack(packed, path, size)
        if not (yield from self._is_right(path, digest)):
            remove(self._files, path)
            remove(self._files, packed)
            raise OnebyteError(errors.UPDATE_HASH, name)
        if codec != manifest.PLAIN:
            remove(self._files, packed)
            yield

    def _find_copy(self, size: int, digest) -> str:
        """Return where the other slot has the same file, empty when it has not."""
        entry = self._active.files.find(digest) if self._active else None
        if entry is None or entry[0] == manifest.FIRMWARE or entry[2] != size:
            return ""
        folder = self._store.slot_path(slot_changes.other(self._slot))
        return "%s/%s" % (folder, manifest.path(entry[0], entry[4]))

    def _copy(self, source: str, path: str, digest):
        """Copy a file of the other slot; False when that is not as it should be any more."""
        try:
            with self._files.open(source, "rb") as old, self._files.open(path, "wb") as new:
                while True:
                    n_bytes = old.readinto(self._buffer)
                    if not n_bytes:
                        break
                    new.write(self._buffer[:n_bytes])
                    yield
            if (yield from self._is_right(path, digest)):
                return True
        except OSError:
            pass  # of the source, or fetching fails in the same way
        remove(self._files, path)
        return False

    def _fetch(self, path: str, entry):
        """Append what is missing of a file as it is sent, piece by piece."""
        stored = entry[3]
        here = max(0, length(self._files, path))
        if here > stored:
            remove(self._files, path)
            here = 0
        if not stored:
            append(self._files, path, b"")
        before = self.done_bytes
        self.done_bytes += here
        self._target = lambda piece: append(self._files, path, piece)
        while self.done_bytes - before < stored:
            here = self.done_bytes - before
            self._request = objects.file_id(entry), here, stored - here
            yield

    def _unpack(self, packed: str, path: str, size: int):
        remove(self._files, path)
        self.room = self.room or Room()
        try:
            with self._files.open(packed, "rb") as source, self._files.open(path, "wb") as target:
                yield from unpack_into(source, target, size, self._buffer, self.room)
        except OnebyteError:
            remove(self._files, path)
            remove(self._files, packed)
            raise
        yield
        self.room.take()

    def _is_right(self, path: str, digest):
        """Read a file back and return whether its hash is right."""
        found = hashlib.sha256()
        with self._files.open(path, "rb") as file:
            n_blocks = 0
            while True:
                n_bytes = file.readinto(self._buffer)
                if not n_bytes:
                    break
                found.update(self._buffer[:n_bytes])
                n_blocks += 1
                if not n_blocks % _STEP_BLOCKS:
                    yield
        yield
        return found.digest() == digest

    def _install_firmware(self, entry):
        firmware, size, digest = self.firmware, entry[2], entry[5]
        if firmware is None:
            raise OnebyteError(errors.UPDATE_PARTITION)
        firmware.begin(size, digest)
        while not firmware.step():
            yield
        self.done_bytes += firmware.position
        self._target = firmware.write
        while firmware.position < size:
            at = firmware.position
            self._request = objects.file_id(entry), at, size - at
            yield
        while True:
            is_right = firmware.finish()
            if is_right is not None:
                break
            yield
        if not is_right:
            raise OnebyteError(errors.UPDATE_HASH, entry[4])
