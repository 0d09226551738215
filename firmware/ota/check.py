"""Whether a slot is whole: signed for this node, every file as its manifest says, and no other."""

import hashlib

from formats import errors, manifest, signed
from formats.errors import OnebyteError
from ota import trust

STEP_BYTES = 4096  # hashed between two chances to feed the watchdog
_BUFFER_BYTES = 1024
# A read may fail because the supply was weak. It may just come out shorter then, and LittleFS goes
# on with what is left in its cache: the next one can find no file where there is one.
_TRIES = 3
_MANIFEST = "manifest"
_IS_FOLDER = 0x4000
_IS_FILE = 0x8000


class SlotCheck:
    """The check of one slot, in steps.

    Args:
        files: filesystem.
        path: the slot's folder.
        root: `RootDocument` in force.
        verify: checks one Ed25519 signature.
        device: `trust.Device` that the slot has to be for, its tenant and room left aside; None
            for any.

    Attributes:
        manifest: the `Manifest` once the slot has turned out whole, else None.
        content: the bytes of the signed manifest, with `manifest`.
        reason: why it is not, 0 until that is known.
        detail: the same for people.
    """

    def __init__(self, files, path: str, root, verify, device=None) -> None:
        self.manifest = None
        self.content = None
        self.reason = 0
        self.detail = ""
        self._files = files
        self._path = path
        self._root = root
        self._verify = verify
        self._device = device
        self._is_done = False
        self._found = None
        self._content = None
        self._n_checked = 0
        self._file = None
        self._hash = None
        self._left = 0
        self._tries_left = _TRIES
        self._buffer = bytearray(_BUFFER_BYTES)

    def step(self) -> bool:
        """Do a bounded part: the manifest, the listing, or a part of a file; True at the end.

        After the last step either `manifest` or `reason` is set.
        """
        if self._is_done:
            return True
        try:
            self._go_on()
        except OnebyteError as error:
            self._retry(error.code, error.detail)
        except OSError as error:
            self._retry(errors.SLOT_DAMAGED, "%s: %s" % (self._path, error))
        return self._is_done

    def run(self, feed) -> None:
        """Do all of it.

        Args:
            feed: called between the steps.
        """
        while not self.step():
            feed()

    def _go_on(self) -> None:
        if self._found is None:
            found = self._open_manifest()
            check_listing(self._files, self._path, found)
            self._found = found
            self._tries_left = _TRIES
        elif self._n_checked < len(self._found.files):
            self._hash_file(self._found.files[self._n_checked])
        else:
            self.manifest, self.content = self._found, self._content
            self._end(0, "")

    def _end(self, reason: int, detail: str) -> None:
        self._close()
        self.reason = reason
        self.detail = detail
        self._is_done = True

    def _retry(self, reason: int, detail: str) -> None:
        """Begin the same file once more, or give up."""
        self._close()
        self._tries_left -= 1
        if not self._tries_left:
            self._end(reason, detail)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open_manifest(self):
        try:
            with self._files.open("%s/%s" % (self._path, _MANIFEST), "rb") as file:
                content = file.read(signed.MAX_BYTES + 1)
        except OSError as error:
            if error.errno in (2, 20):  # ENOENT, ENOTDIR
                raise OnebyteError(errors.SLOT_EMPTY) from None
            raise
        document = signed.parse(content, signed.MANIFEST)
        key = trust.signer_of(document, self._root, self._verify, self._root.retired)
        found = manifest.parse(document.body)
        reason = trust.key_reason(found, document.signatures[0][0], key)
        if not reason and self._device is not None:
            reason = trust.hardware_reason(found, self._device)
        if reason:
            raise OnebyteError(reason, "manifest %d" % found.manifest_seq)
        self._content = content
        return found

    def _hash_file(self, entry) -> None:
        kind, _, size, _, name, digest = entry
        path = manifest.path(kind, name)
        if not path:  # firmware is in a partition of the chip
            self._next_file()
            return
        if self._file is None:
            self._file = self._files.open("%s/%s" % (self._path, path), "rb")
            self._hash = hashlib.sha256()
            self._left = size
        for _ in range(STEP_BYTES // _BUFFER_BYTES):
            n_bytes = self._file.readinto(self._buffer)
            if n_bytes > self._left or not n_bytes:
                break
            self._hash.update(memoryview(self._buffer)[:n_bytes])
            self._left -= n_bytes
        else:
            return
        if n_bytes or self._left:
            self._retry(errors.SLOT_FILE_SIZE, path)
        elif self._hash.digest() != digest:
            self._retry(errors.SLOT_FILE_HASH, path)
        else:
            self._next_file()

    def _next_file(self) -> None:
        self._close()
        self._n_checked += 1
        self._tries_left = _TRIES


def check_listing(files, path: str, found) -> None:
    """Raise SLOT_UNLISTED unless a slot holds nothing that its manifest does not list.

    A folder without a listed file is refused too: MicroPython would import it as a package.

    Args:
        files: filesystem.
        path: the slot's folder.
        found: its `Manifest`; a file that is missing shows when it is read.

    Raises:
        OSError: it cannot be read.
    """
    listed = set([manifest.path(entry[0], entry[4]) for entry in found.files])
    folders = set([name.split("/")[0] for name in listed])
    for entry in files.ilistdir(path):
        name, kind = entry[0], entry[1]
        if kind == _IS_FILE and name == _MANIFEST:
            continue
        if kind != _IS_FOLDER or name not in folders:
            raise OnebyteError(errors.SLOT_UNLISTED, "%s/%s" % (path, name))
        for inner in files.ilistdir("%s/%s" % (path, name)):
            if inner[1] != _IS_FILE or "%s/%s" % (name, inner[0]) not in listed:
                raise OnebyteError(errors.SLOT_UNLISTED, "%s/%s/%s" % (path, name, inner[0]))
