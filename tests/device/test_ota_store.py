"""The store alone: names, limits, reads that fail, and what a write leaves."""

import gc
import hashlib

import ota_releases
import vfs
from check import raises, raises_kind
from nor_flash import NorFlash

from formats import errors, signed, slot_state
from formats.slot_state import SLOT_A, SLOT_B
from ota.store import Store, make_folders

_ENOENT = 2
_EIO = 5


class Files:
    """A filesystem whose next calls may fail.

    Attributes:
        failures: errno of each of the next calls of `open`, 0 for none.
        contents: what the next reads find in place of the file's content.
        log: (method, path) of every call.
        n_open: files that are open.
    """

    def __init__(self, files):
        self._files = files
        self.failures = []
        self.contents = []
        self.log = []
        self.n_open = 0

    def open(self, path, mode):
        self.log.append(("open", path))
        failure = self.failures.pop(0) if self.failures else 0
        if failure:
            raise OSError(failure)
        file = File(self, self._files.open(path, mode))
        self.n_open += 1
        return file

    def mkdir(self, path):
        self.log.append(("mkdir", path))
        self._files.mkdir(path)

    def rename(self, old, new):
        self.log.append(("rename", old))
        assert not self.n_open, "what is renamed is not whole yet"
        self._files.rename(old, new)


class File:
    """One file of `Files`."""

    def __init__(self, files, file):
        self._files = files
        self._file = file
        self.write = file.write
        self.readinto = file.readinto

    def read(self, n_bytes):
        if self._files.contents:
            return self._files.contents.pop(0)
        return self._file.read(n_bytes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self._files.n_open -= 1


def _store(prefix=""):
    gc.collect()  # the flash of before
    flash = NorFlash(n_blocks=24)
    vfs.VfsLfs2.mkfs(flash)
    return Store(Files(vfs.VfsLfs2(flash)), prefix)


def test_names_lie_behind_the_prefix():
    for prefix in ("", "/", "node/"):
        store = Store(None, prefix)
        assert store.path("dl/part") == prefix + "dl/part"
        assert store.slot_path(SLOT_A) == prefix + "s/a"
        assert store.manifest_path(SLOT_B) == prefix + "s/b/manifest"


def test_a_longer_file_shows_by_one_byte():
    store = _store()
    for n_bytes in (0, 9, 10, 11, 500):
        store.write("st/x", bytes(n_bytes))
        assert store.read("st/x", 10) == bytes(min(n_bytes, 11))
    assert not store.has_failed and not store.files.n_open


def test_a_digest_is_of_the_whole_file():
    store = _store()
    for n_bytes in (0, 1, 255, 256, 257, 600):
        content = bytes(range(256)) * 3
        store.write("st/x", content[:n_bytes])
        assert store.digest("st/x") == hashlib.sha256(content[:n_bytes]).digest()
    assert store.digest("st/y") == b"" and not store.has_failed and not store.files.n_open


def test_a_read_is_tried_three_times_and_a_failure_is_remembered():
    store = _store("/")
    assert store.read("st/x", 10) is None and not store.has_failed, "no file is no failure"
    store.write("st/x", b"content")
    for failures, expected in (
        ([_EIO], b"content"),
        ([_EIO, _ENOENT], b"content"),
        ([_ENOENT] * 3, None),
        ([_EIO] * 3, None),
    ):
        store.has_failed = False
        store.files.failures = list(failures)
        assert store.read("st/x", 10) == expected, failures
        assert store.has_failed == (_EIO in failures)
        assert not store.files.failures
    store.files.failures = [_EIO] * 3
    assert store.digest("st/x") == b""
    assert store.read("st/x", 10) == b"content"
    # Only the flash's failures are its own.
    store.files.contents = [None]
    raises_kind(ZeroDivisionError, store._use, "st/x", lambda file: 1 // 0)


def test_a_write_goes_beside_the_old_file_and_is_renamed_when_it_is_whole():
    store = _store("node/")
    store.write("st/x", b"old")
    assert store.files.log == [
        ("mkdir", "node"),
        ("mkdir", "node/st"),
        ("open", "node/st/x.new"),
        ("rename", "node/st/x.new"),
    ]
    store.files.failures = [_EIO]
    assert raises_kind(OSError, store.write, "st/x", b"new").errno == _EIO
    assert store.read("st/x", 10) == b"old"
    store.write("st/x", b"new")
    assert store.read("st/x", 10) == b"new" and store.read("st/x.new", 10) is None


def test_a_state_that_reads_wrong_is_read_again():
    store = _store()
    state = slot_state.State()
    state.record_seq = 77
    store.write_state(state)
    store.files.contents = [b"x" * 44, b""]
    assert store.read_state().record_seq == 77
    good = bytes(slot_state.pack(state))
    store.files.contents = [b"x" * 44, b"", good + b"x", good]
    assert store.read_state() is None
    assert store.files.contents == [good]
    # What is not there will not be there the next time; `read` has tried.
    store.files.failures = [_ENOENT] * 3 + [0]
    assert store.read_state() is None and store.files.failures == [0]
    state.record_seq = 1 << 40
    raises(errors.SLOT_STATE_RANGE, store.write_state, state)
    store.files.contents = []
    assert store.read_state().record_seq == 77


def test_a_root_document_has_a_size():
    store = _store()
    first = ota_releases.root_file(ota_releases.StandIn, 1)
    verify = ota_releases.StandIn.verify
    n_calls = len(store.files.log)
    for n_bytes in (0, signed.MAX_BYTES + 1):
        raises(errors.SIGNED_SIZE, store.add_root, bytes(n_bytes), 2)
    assert len(store.files.log) == n_calls
    store.add_root(bytes(signed.MAX_BYTES), 2)
    assert store.read("st/root.2", 5000) == bytes(signed.MAX_BYTES)
    assert store.read_root(first, verify).epoch == 1
    store.add_root(ota_releases.root_file(ota_releases.StandIn, 2), 2)
    assert store.read_root(first, verify).epoch == 2


def test_folders_are_made_as_far_as_they_are_missing():
    files = _store().files
    for _ in range(2):
        make_folders(files, "/a/bc/d/file")
    assert files.log == [("mkdir", "/a"), ("mkdir", "/a/bc"), ("mkdir", "/a/bc/d")] * 2
    make_folders(files, "file")
    make_folders(files, "/file")
    assert len(files.log) == 6
    make_folders(files, "s/b/file")
    assert files.log[6:] == [("mkdir", "s"), ("mkdir", "s/b")]
    with files.open("a/file", "wb") as file:
        file.write(b"content")
    assert raises_kind(OSError, make_folders, files, "a/file/b/c").errno == 20  # ENOTDIR
