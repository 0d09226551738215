"""Cuts the power while a computer writes a node's configuration, in the order that it keeps.

What the board executes for `onebyte provision`: each of the two sealed copies is written under
another name in pieces and renamed, the one that does not count first.
"""

import binascii
import struct

import vfs
from nor_flash import KINDS, NorFlash, Wire, apply
from ota_oracle import LOST_CONFIG

from app import settings
from formats import sealed

_PATHS = ("/id/config.a", "/id/config.b")
_PIECE_BYTES = 768  # as the computer sends it
_HEADER_BYTES = 16


def content_of(number):
    """Return the configuration with a number: text that is its own, and of its own length."""
    return ('{"tenant":"t%d","rest":"' % number).encode() + b"x" * (700 + 150 * number) + b'"}'


class ConfigLife:
    """A configuration that is written again and again.

    Args:
        geometry: An `ota_engine.Geometry`.
        stride: Every so manieth operation is cut, in all four ways.
        count: An `ota_cuts.Count`.
    """

    def __init__(self, geometry, stride, count):
        self._geometry = geometry
        self._stride = stride
        self._count = count
        self._flash = geometry.make_flash()
        self._copy = NorFlash(n_blocks=geometry.n_blocks, block_bytes=geometry.block_bytes)
        self._allowed = ()
        self._n_ops = 0

    def live(self, n_times):
        """Write so many configurations."""
        self._geometry.make_filesystem(self._flash)
        files = self._geometry.mount(self._flash)
        files.mkdir("/id")
        self._provision(files, 1)
        self._flash.watch = self._cut
        for number in range(2, n_times + 1):
            self._allowed = (number - 1, number)
            self._provision(files, number)
            self._allowed = (number,)

    def _provision(self, files, number):
        copy = sealed.pack(number, content_of(number))
        found = settings.find("/config.json", files.open)
        for i in range(2):
            path = _PATHS[(i + (found[2] + 1 if found else 0)) % 2]
            for at in range(0, len(copy), _PIECE_BYTES):
                with files.open(path + ".new", "ab" if at else "wb") as file:
                    file.write(copy[at : at + _PIECE_BYTES])
            files.rename(path + ".new", path)

    def _cut(self, flash, operation):
        self._n_ops += 1
        if self._n_ops % self._stride:
            return
        for kind in KINDS:
            self._count.cuts += 1
            self._copy.image[:] = flash.image
            apply(self._copy.image, operation, kind, self._count.cuts)
            try:
                reason = self._judge()
            except Exception as error:
                reason = "raised %r" % error
            if reason:
                self._count.found[LOST_CONFIG] += 1
                print("%s, configuration, %s: %s" % (self._geometry.name, kind, reason))

    def _judge(self):
        files = vfs.VfsLfs2(Wire(self._copy), progsize=self._geometry.page_bytes)
        best = max([_number_of(files, path) for path in _PATHS])
        if best not in self._allowed:
            return "configuration %d, allowed are %r" % (best, self._allowed)
        found = settings.find("/config.json", files.open)
        if found is None or (found[0], found[1]) != (best, content_of(best)):
            return "the node takes %r" % (found and found[0],)
        return ""


def _number_of(files, path):
    """Return the number of a copy that is whole to the last byte, 0 when it is not."""
    try:
        with files.open(path, "rb") as file:
            copy = file.read()
    except OSError:
        return 0
    if len(copy) < _HEADER_BYTES + 4 or copy[:4] != b"OBC\x1a":
        return 0
    number = struct.unpack("<I", copy[8:12])[0]
    is_whole = binascii.crc32(copy[:-4]) & 0xFFFFFFFF == struct.unpack("<I", copy[-4:])[0]
    return number if is_whole and copy[_HEADER_BYTES:-4] == content_of(number) else 0
