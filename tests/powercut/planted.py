"""Defects on purpose, to prove that the power cuts find them."""

from app import epoch, segments


def epoch_removed_first():
    """The epoch's file is removed before the new one takes its place."""

    def write(files, path, value):
        content = bytearray(4)
        epoch.struct.pack_into("<H", content, 0, value)
        epoch.struct.pack_into("<H", content, 2, epoch.crc16(content, 0, 2))
        with files.open(path + ".tmp", "wb") as file:
            file.write(content)
        try:
            files.remove(path)
        except OSError:
            pass
        files.rename(path + ".tmp", path)

    epoch.write = write


def segment_removed_early():
    """A segment goes when its first record is acknowledged."""
    genuine = segments.Segments.acked

    def acked(self, number, seq):
        n = genuine(self, number, seq)
        if n and self._segments and self._segments[0].next:
            self._remove(self._segments[0].number)
        return n

    segments.Segments.acked = acked


def segment_rewritten():
    """A segment grows by being written anew, record by record, in place."""

    def write(self, segment, content):
        name = self._name(segment.number)
        try:
            old = b""
            if segment.count:
                with self._files.open(name, "rb") as file:
                    old = file.read()
            for offset in range(0, len(old) + len(content), 16):
                with self._files.open(name, "ab" if offset else "wb") as file:
                    file.write((old + bytes(content))[offset : offset + 16])
            return True
        except OSError:
            return False

    segments.Segments._write = write


BUGS = {
    "epoch_removed_first": epoch_removed_first,
    "segment_removed_early": segment_removed_early,
    "segment_rewritten": segment_rewritten,
}
