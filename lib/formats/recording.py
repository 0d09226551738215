"""The recording `.obr`: int16 samples, row after row, in segments without gaps inside."""

import struct

from formats import errors

MAGIC = b"OBR\x1a"
VERSION = 1
HEADER_BYTES = 16
MAX_CHANNELS = 16
MAX_SEGMENTS = 4096

_HEADER = "<4sBBHII"
_CHUNK_BYTES = 256


def pack_header(n_channels: int, rate_mhz: int, segments) -> bytes:
    """Return what stands before the samples.

    Args:
        n_channels: 1-16.
        rate_mhz: Sample rate in millihertz, at least 1.
        segments: Number of rows of each segment.

    Raises:
        OnebyteError: RECORDING_HEADER or RECORDING_SEGMENTS: out of range.
    """
    n_rows = sum(segments)
    _check_segments(len(segments), min(segments) if segments else 0)
    _check_header(n_channels, rate_mhz, n_rows)
    header = struct.pack(_HEADER, MAGIC, VERSION, n_channels, len(segments), rate_mhz, n_rows)
    return header + b"".join([struct.pack("<I", rows) for rows in segments])


class Reader:
    """Reads a recording from an open file, a piece at a time; little-endian machines only.

    Attributes:
        n_channels: 1-16.
        rate_mhz: Sample rate in millihertz.
        n_rows: Rows in all segments.
        n_segments: Segments in the file.
        segment: Index of the segment that is being read, -1 before the first.
        rows_left: Rows of that segment that were not read yet.
    """

    def __init__(self, file) -> None:
        """Check header, segment table and length.

        Args:
            file: Open for reading bytes, with `seek`; stays the caller's to close.

        Raises:
            OnebyteError: The file is not a valid recording.
        """
        self._file = file
        size = file.seek(0, 2)
        file.seek(0)
        header = file.read(HEADER_BYTES)
        if header[:4] != MAGIC[: len(header)]:
            raise errors.OnebyteError(errors.RECORDING_MAGIC)
        if len(header) < HEADER_BYTES:
            raise errors.OnebyteError(errors.RECORDING_SIZE)
        _, version, n_channels, n_segments, rate_mhz, n_rows = struct.unpack(_HEADER, header)
        if version != VERSION:
            raise errors.OnebyteError(errors.RECORDING_VERSION, "version %d" % version)
        _check_segments(n_segments, 1)
        _check_header(n_channels, rate_mhz, n_rows)
        self.n_channels = n_channels
        self.rate_mhz = rate_mhz
        self.n_rows = n_rows
        self.n_segments = n_segments
        self._data_at = HEADER_BYTES + 4 * n_segments
        if size != self._data_at + 2 * n_channels * n_rows:
            raise errors.OnebyteError(errors.RECORDING_SIZE, "%d bytes" % size)
        if self._count_rows() != n_rows:
            raise errors.OnebyteError(errors.RECORDING_SEGMENTS, "their sum")
        self.rewind()

    def _count_rows(self):
        """Add up the segment table, which is read in small pieces."""
        left = 4 * self.n_segments
        n_rows = 0
        while left:
            chunk = self._file.read(min(left, _CHUNK_BYTES))
            if not chunk or len(chunk) & 3:
                raise errors.OnebyteError(errors.RECORDING_SIZE, "segment table")
            for at in range(0, len(chunk), 4):
                rows = struct.unpack_from("<I", chunk, at)[0]
                if rows == 0:
                    raise errors.OnebyteError(errors.RECORDING_SEGMENTS, "an empty segment")
                n_rows += rows
            left -= len(chunk)
        return n_rows

    def rewind(self) -> None:
        """Go back to before the first segment."""
        self.segment = -1
        self.rows_left = 0
        self._row = 0

    def next_segment(self) -> int:
        """Go to the beginning of the next segment; return its rows, 0 after the last one."""
        if self.segment + 1 >= self.n_segments:
            self.rows_left = 0
            return 0
        self._row += self.rows_left
        self.segment += 1
        self._file.seek(HEADER_BYTES + 4 * self.segment)
        self.rows_left = struct.unpack("<I", self._file.read(4))[0]
        self._file.seek(self._data_at + 2 * self.n_channels * self._row)
        return self.rows_left

    def read_into(self, samples, max_rows: int) -> int:
        """Read the next rows of this segment.

        Args:
            samples: Memoryview of an array('h') with room for `max_rows` rows.
            max_rows: How many rows to read at most.

        Returns:
            How many rows were read, 0 at the end of the segment.

        Raises:
            OSError: The file became shorter or cannot be read.
        """
        rows = min(max_rows, self.rows_left)
        if rows == 0:
            return 0
        n_bytes = self._file.readinto(samples[: rows * self.n_channels])
        if n_bytes != 2 * rows * self.n_channels:
            raise OSError("recording became shorter")
        self.rows_left -= rows
        self._row += rows
        return rows


def write(file, n_channels: int, rate_mhz: int, segments) -> None:
    """Write a recording to an open file.

    Args:
        file: Open for writing bytes.
        n_channels: 1-16.
        rate_mhz: Sample rate in millihertz.
        segments: The segments, each an array('h') or memoryview of int16, row after row.

    Raises:
        OnebyteError: A segment is empty or holds a part of a row, or there are too many.
    """
    for samples in segments:
        if n_channels < 1 or len(samples) % n_channels:
            raise errors.OnebyteError(errors.RECORDING_SEGMENTS, "part of a row")
    rows = [len(samples) // n_channels for samples in segments]
    file.write(pack_header(n_channels, rate_mhz, rows))
    for samples in segments:
        file.write(samples)


def _check_segments(n_segments, fewest_rows):
    if n_segments < 1 or n_segments > MAX_SEGMENTS or fewest_rows < 1:
        raise errors.OnebyteError(errors.RECORDING_SEGMENTS, "%d segments" % n_segments)


def _check_header(n_channels, rate_mhz, n_rows):
    if not 1 <= n_channels <= MAX_CHANNELS:
        raise errors.OnebyteError(errors.RECORDING_HEADER, "%d channels" % n_channels)
    if not 1 <= rate_mhz <= 0xFFFFFFFF or not 1 <= n_rows <= 0xFFFFFFFF:
        raise errors.OnebyteError(errors.RECORDING_HEADER, "rate or rows")
