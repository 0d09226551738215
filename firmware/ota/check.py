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
        has_failed: whether a read has failed, even if the next one did not.
    """

    def __init__(self, files, path: str, root, verify, device=None) -> None:
        self.manifest = None
        self.content = b""
        self.reason = 0
        self.detail = ""
        self.has_failed = False
        self._files = files
        self._path = path
        self._root = root
        self._verify = verify
        self._device = device
        self._buffer = bytearray(_BUFFER_BYTES)
        self._is_done = False
        self._steps = self._check()

    def step(self) -> bool:
        """Do a bounded part: the manifest, the listing, or a part of a file; True at the end.

        After the last step either `manifest` or `reason` is set.
        """
        if not self._is_done:
            try:
                next(self._steps)
            except StopIteration:
                self._is_done = True
            except OnebyteError as error:
                self.reason, self.detail = error.code, error.detail
                self._is_done = True
        return self._is_done

    def run(self, feed) -> None:
        """Do all of it.

        Args:
            feed: called between the steps.
        """
        while not self.step():
            feed()

    def _check(self):
        opened = []
        yield from self._patiently(self._open, opened)
        found = opened[-1][0]
        for entry in found.files:
            # Firmware is in a partition of the chip.
            if manifest.path(entry[0], entry[4]):
                yield from self._patiently(self._hash, entry)
        self.manifest, self.content = opened[-1]

    def _patiently(self, make_steps, argument):
        """Do a part once more where it fails."""
        for _ in range(_TRIES):
            try:
                yield from make_steps(argument)
                return
            except OSError as error:
                self.has_failed = True
                wrong = OnebyteError(errors.SLOT_DAMAGED, "%s: %s" % (self._path, error))
            except OnebyteError as error:
                wrong = error
            yield
        raise wrong

    def _open(self, opened):
        """Append (manifest, signed file) once the slot holds what it lists and nothing else."""
        content = self._read_manifest()
        document = signed.parse(content, signed.MANIFEST)
        key = trust.signer_of(document, self._root, self._verify, self._root.retired)
        yield
        found = manifest.parse(document.body)
        reason = trust.key_reason(found, document.signatures[0][0], key)
        for entry in self._root.retired:
            if reason and entry[0] == key[0]:  # it could sign more when this was installed
                reason = trust.key_reason(found, document.signatures[0][0], entry)
        if not reason and self._device is not None:
            reason = trust.hardware_reason(found, self._device)
        if reason:
            raise OnebyteError(reason, "manifest %d" % found.manifest_seq)
        check_listing(self._files, self._path, found)
        opened.append((found, content))

    def _read_manifest(self):
        try:
            with self._files.open("%s/%s" % (self._path, _MANIFEST), "rb") as file:
                return file.read(signed.MAX_BYTES + 1)
        except OSError as error:
            if error.errno in (2, 20):  # ENOENT, ENOTDIR
                raise OnebyteError(errors.SLOT_EMPTY) from None
            raise

    def _hash(self, entry):
        kind, _, size, _, name, digest = entry
        path = manifest.path(kind, name)
        found = hashlib.sha256()
        left = size
        with self._files.open("%s/%s" % (self._path, path), "rb") as file:
            while True:
                n_bytes = file.readinto(self._buffer)
                left -= n_bytes
                if not n_bytes or left < 0:
                    break
                found.update(memoryview(self._buffer)[:n_bytes])
                if left % STEP_BYTES < _BUFFER_BYTES:
                    yield
        if left:
            raise OnebyteError(errors.SLOT_FILE_SIZE, path)
        if found.digest() != digest:
            raise OnebyteError(errors.SLOT_FILE_HASH, path)


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
    types = found.types_mask()
    for entry in _entries(files, path):
        name, kind = entry[0], entry[1]
        if kind == _IS_FILE and name == _MANIFEST:
            continue
        listed = manifest.type_of(name)
        if kind != _IS_FOLDER or not types >> listed & 1:
            raise OnebyteError(errors.SLOT_UNLISTED, "%s/%s" % (path, name))
        for inner in _entries(files, "%s/%s" % (path, name)):
            if inner[1] != _IS_FILE or not found.files.named(listed, inner[0]):
                raise OnebyteError(errors.SLOT_UNLISTED, "%s/%s/%s" % (path, name, inner[0]))


def _entries(files, path: str) -> list:
    # As a list: a listing that is left in the middle stays open in LittleFS, which crashes later.
    try:
        return list(files.ilistdir(path))
    except ValueError:  # a name that is no UTF-8
        raise OnebyteError(errors.SLOT_UNLISTED, path) from None
