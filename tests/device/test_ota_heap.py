"""The free heap that an update needs on this port, where every reference is twice as wide."""

import os

import custom_release
import ed25519_signer
import install_heap
import ota_releases
import sample_release
import slot_files
from update_want import want_of

from formats.slot_state import SLOT_A
from ota.store import Store

# What counts is the board's own figure: tests/emulator/test_ota_heap.py.
MOST_BYTES = 28672


class Files:
    """The PC's filesystem with the methods of a MicroPython filesystem object.

    A flash that is written in Python would take more heap than all that is measured.
    """

    def open(self, path, mode):
        return open(path, mode)

    def __getattr__(self, name):
        return getattr(os, name)


def _remove(path):
    for entry in list(os.ilistdir(path)):
        inner = "%s/%s" % (path, entry[0])
        if entry[1] == 0x4000:
            _remove(inner)
        else:
            os.remove(inner)
    os.rmdir(path)


def _measure(folder):
    store = Store(Files(), folder + "/")
    release = custom_release.CustomRelease(custom_release.large_files(), ed25519_signer)
    assert len(release.content) > 3400, "a manifest near its limit"
    root = ota_releases.root_file(ed25519_signer, 1)
    product = slot_files.Product(sample_release.device(hardware=2), root)
    contents = release.objects

    def read(object_id, offset, n_bytes):
        return contents[object_id][offset : offset + n_bytes]

    bench = install_heap.Bench(store, product, ed25519_signer.verify, read, want_of(release))
    least = bench.least(MOST_BYTES)
    assert least > MOST_BYTES // 2, "too much, or the limit limits nothing"
    # An address that the failed one has left on the stack may keep garbage of this one.
    assert bench.install(2 * MOST_BYTES)
    path = store.slot_path(SLOT_A)
    for name, content in release.contents.items():
        with open("%s/%s" % (path, name), "rb") as file:
            assert file.read() == content
    return least


def test_a_release_of_64_kb_needs_little_free_heap():
    folder = "/tmp/onebyte_heap_%d" % int.from_bytes(os.urandom(4), "little")
    os.mkdir(folder)
    try:
        least = _measure(folder)
    finally:
        _remove(folder)
    print("install bytes=%d peak_heap=%d" % (custom_release.LARGE_BYTES, least))
