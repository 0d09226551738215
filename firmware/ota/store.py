"""Where a node keeps its slots, their state and its root documents. docs/SPEC.md: On flash.

A record is written beside the old one and renamed over it, so that power may fail at any write.
"""

import hashlib

from formats import errors, root_document, signed, slot_state
from formats.errors import OnebyteError
from ota import trust

STATE = "st/state"
_ROOT = "st/root.%d"
_NEW = ".new"
_HASHED_BYTES = 256  # at a time
_TRIES = 3  # a read that fails once because the supply is weak must not cost the state


class Store:
    """The folders of the updates.

    Args:
        files: filesystem.
        prefix: what stands before every path: "/" on a board, else a folder with a slash.

    Attributes:
        has_failed: whether a read has failed. LittleFS then answers from what it had read before,
            so a file that is missing may be there, and the next write would build on that.
    """

    def __init__(self, files, prefix: str = "") -> None:
        self.files = files
        self.prefix = prefix
        self.has_failed = False

    def path(self, name: str) -> str:
        """Return the path of a name such as "dl/part"."""
        return self.prefix + name

    def slot_path(self, slot: int) -> str:
        """Return the folder of slot a or b."""
        return self.prefix + "s/" + slot_state.NAMES[slot]

    def manifest_path(self, slot: int) -> str:
        """Return where a slot's signed manifest lies."""
        return self.slot_path(slot) + "/manifest"

    def read(self, name: str, max_bytes: int):
        """Return a file's content, None when there is none or it cannot be read.

        Args:
            name: as for `path`.
            max_bytes: of a longer file one byte more is returned, so that it shows.
        """
        return self._use(name, lambda file: file.read(max_bytes + 1))

    def digest(self, name: str) -> bytes:
        """Return the SHA-256 of a file, empty when there is none or it cannot be read."""
        return self._use(name, _sha256) or b""

    def _use(self, name, function):
        for _ in range(_TRIES):
            try:
                with self.files.open(self.path(name), "rb") as file:
                    return function(file)
            except OSError as error:
                if error.errno != 2:  # ENOENT
                    self.has_failed = True
        return None

    def write(self, name: str, content) -> None:
        """Write a file beside the old one, then rename it: power may fail at any moment.

        Raises:
            OSError: the old one, or the new one, is there.
        """
        path = self.path(name)
        make_folders(self.files, path)
        with self.files.open(path + _NEW, "wb") as file:
            file.write(content)
        self.files.rename(path + _NEW, path)

    def read_state(self):
        """Return the `slot_state.State`, None when there is none that is valid."""
        for _ in range(_TRIES):
            content = self.read(STATE, slot_state.STATE_BYTES)
            if content is None:
                return None
            try:
                return slot_state.parse(content)
            except OnebyteError:
                pass  # the same file may read right the next time
        return None

    def write_state(self, state) -> None:
        """Make a state durable.

        Raises:
            OSError: it may or may not be.
            OnebyteError: SLOT_STATE_RANGE: nothing was written.
        """
        self.write(STATE, slot_state.pack(state))

    def read_root(self, first, verify):
        """Return the `RootDocument` in force: the last one of the chain that begins with `first`.

        Args:
            first: signed file of the root document that the product is made with. It is the
                anchor: nothing vouches for it.
            verify: checks one Ed25519 signature.

        Raises:
            OnebyteError: a SIGNED_* or ROOT_* code: `first` is no root document.
        """
        root = root_document.parse(signed.parse(first, signed.ROOT).body)
        while True:
            content = self.read(_ROOT % (root.epoch + 1), signed.MAX_BYTES)
            if content is None:
                return root
            try:
                root = trust.open_root(content, root, verify)
            except OnebyteError as error:
                print("onebyte boot: root document %d: %s" % (root.epoch + 1, error))
                return root

    def add_root(self, content, epoch: int) -> None:
        """Keep the signed root document that `trust.open_root` has accepted.

        Raises:
            OSError: it may or may not be there.
        """
        if not content or len(content) > signed.MAX_BYTES:
            raise OnebyteError(errors.SIGNED_SIZE)
        self.write(_ROOT % epoch, content)


def _sha256(file) -> bytes:
    found = hashlib.sha256()
    buffer = memoryview(bytearray(_HASHED_BYTES))
    while True:
        n_bytes = file.readinto(buffer)
        if not n_bytes:
            return found.digest()
        found.update(buffer[:n_bytes])


def make_folders(files, path: str) -> None:
    """Make the folders that a path leads through, as far as they are missing.

    Raises:
        OSError: one cannot be made.
    """
    at = path.find("/", 1)
    while at > 0:
        try:
            files.mkdir(path[:at])
        except OSError as error:
            if error.errno != 17:  # EEXIST
                raise
        at = path.find("/", at + 1)
