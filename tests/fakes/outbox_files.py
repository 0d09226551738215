"""An outbox on LittleFS over a fake flash, and a filesystem whose operations fail."""

import vfs
from nor_flash import NorFlash

from app.outbox import Outbox

FOLDER = "/q"


def make_filesystem(n_blocks=64):
    """Return an empty LittleFS."""
    flash = NorFlash(n_blocks=n_blocks, block_bytes=512)
    vfs.VfsLfs2.mkfs(flash)
    return vfs.VfsLfs2(flash)


def make_outbox(files, capacity=100, ram_records=4, segment_records=3, drop_newest=False):
    """Boot an outbox on a filesystem."""
    return Outbox(files, FOLDER, capacity, ram_records, segment_records, drop_newest)


def append(outbox, count):
    """Append decisions whose byte and time follow from their number."""
    for _ in range(count):
        seq = outbox.next_seq
        assert outbox.append(seq & 255, 0, 1000 + seq, seq % 1000) == seq


def drain(outbox, max_records=256):
    """Takes everything out, as the uplink does."""
    records = []
    while True:
        batch = outbox.peek_batch(max_records)
        if not batch:
            assert outbox.queued() == 0
            return records
        records += batch
        outbox.acked(batch[-1][0], batch[-1][3])


def keys_of(records):
    """Return (epoch, seq) of each record."""
    return [(entry[0], entry[3]) for entry in records]


def segment_files(files):
    """Return the names of the segments, oldest first."""
    return sorted(entry[0] for entry in files.ilistdir(FOLDER) if entry[0].endswith(".q"))


class Failing:
    """A filesystem whose operations fail at random, before or after they were done."""

    def __init__(self, files, random, permille):
        self._files = files
        self._random = random
        self.permille = permille
        self.failures = 0

    def _maybe(self):
        if self._random.below(1000) < self.permille:
            self.failures += 1
            raise OSError(28 if self.failures % 2 else 5)

    def open(self, path, mode):
        self._maybe()
        return _FailingFile(self._files.open(path, mode), self)

    def remove(self, path):
        self._maybe()
        self._files.remove(path)

    def rename(self, old, new):
        self._maybe()
        self._files.rename(old, new)

    def mkdir(self, path):
        self._maybe()
        self._files.mkdir(path)

    def ilistdir(self, path):
        self._maybe()
        return self._files.ilistdir(path)


class _FailingFile:
    def __init__(self, file, files):
        self._file = file
        self._files = files

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self._files._maybe()

    def write(self, content):
        self._files._maybe()
        return self._file.write(content)

    def read(self, n):
        self._files._maybe()
        return self._file.read(n)

    def seek(self, at):
        self._file.seek(at)
