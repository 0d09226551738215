"""The recording file, read in pieces."""

import io
from array import array

from check import Random, raises

from formats import errors, recording


def samples(*values):
    return array("h", values)


SEGMENTS = [samples(1, -1, 2, -2, 3, -3), samples(32767, -32768), samples(5, 5, 6, 6)]


def written(n_channels=2, rate_mhz=52000, segments=None):
    file = io.BytesIO()
    recording.write(file, n_channels, rate_mhz, segments or SEGMENTS)
    return file.getvalue()


def read_all(reader, max_rows):
    """Return the segments of a reader, read at most `max_rows` rows at a time."""
    found = []
    buf = memoryview(array("h", [0] * (max_rows * reader.n_channels)))
    while reader.next_segment():
        rows = []
        while True:
            count = reader.read_into(buf, max_rows)
            if count == 0:
                break
            rows.extend(list(buf[: count * reader.n_channels]))
        found.append(array("h", rows))
    return found


def test_recordings_survive():
    for max_rows in (1, 2, 100):
        reader = recording.Reader(io.BytesIO(written()))
        assert (reader.n_channels, reader.rate_mhz) == (2, 52000)
        assert (reader.n_rows, reader.n_segments) == (6, 3)
        assert reader.segment == -1 and reader.rows_left == 0
        assert read_all(reader, max_rows) == SEGMENTS
        assert reader.next_segment() == 0
        reader.rewind()
        assert read_all(reader, max_rows) == SEGMENTS


def test_random_recordings_survive():
    random = Random(31)
    for _ in range(20):
        n_channels = random.between(1, 16)
        segments = [
            array("h", [random.between(-32768, 32767) for _ in range(n_channels * rows)])
            for rows in [random.between(1, 30) for _ in range(random.between(1, 100))]
        ]
        reader = recording.Reader(io.BytesIO(written(n_channels, random.bits(31) + 1, segments)))
        assert read_all(reader, random.between(1, 40)) == segments


def test_bytes_stand_where_the_spec_says():
    assert written(1, 258, [samples(1), samples(-2, 3)]) == (
        b"OBR\x1a\x01\x01\x02\x00\x02\x01\x00\x00\x03\x00\x00\x00"
        b"\x01\x00\x00\x00\x02\x00\x00\x00\x01\x00\xfe\xff\x03\x00"
    )


def test_segments_can_be_skipped():
    reader = recording.Reader(io.BytesIO(written()))
    buf = memoryview(array("h", bytes(4)))
    assert reader.next_segment() == 3
    assert reader.read_into(buf, 1) == 1 and list(buf) == [1, -1] and reader.rows_left == 2
    assert reader.next_segment() == 1 and reader.segment == 1
    assert reader.read_into(buf, 1) == 1 and list(buf) == [32767, -32768]
    assert reader.read_into(buf, 1) == 0
    assert reader.next_segment() == 2
    assert reader.read_into(buf, 1) == 1 and list(buf) == [5, 5]


def open_bytes(data):
    return recording.Reader(io.BytesIO(data))


def patched(at, replacement):
    data = written()
    return data[:at] + replacement + data[at + len(replacement) :]


def test_bad_recordings_have_their_reasons():
    for code, data in (
        (errors.RECORDING_SIZE, b""),
        (errors.RECORDING_SIZE, b"OBR"),
        (errors.RECORDING_MAGIC, b"OBX"),
        (errors.RECORDING_MAGIC, patched(3, b"\n")),
        (errors.RECORDING_VERSION, patched(4, b"\x02")),
        (errors.RECORDING_HEADER, patched(5, b"\x00")),
        (errors.RECORDING_HEADER, patched(5, b"\x11")),
        (errors.RECORDING_SEGMENTS, patched(6, b"\x00\x00")),
        (errors.RECORDING_SEGMENTS, patched(6, b"\x01\x10")),
        (errors.RECORDING_HEADER, patched(8, bytes(4))),
        (errors.RECORDING_HEADER, patched(12, bytes(4))),
        (errors.RECORDING_SIZE, patched(12, b"\xff\xff\xff\xff")),
        (errors.RECORDING_SIZE, patched(5, b"\x03")),
        (errors.RECORDING_SIZE, written() + b"\0"),
        (errors.RECORDING_SEGMENTS, patched(16, b"\x02")),
        (errors.RECORDING_SEGMENTS, patched(16, b"\x00")),
        (errors.RECORDING_SEGMENTS, patched(16, b"\xff\xff\xff\xff")),
    ):
        raises(code, open_bytes, data)
    data = written()
    for length in range(len(data)):
        raises(errors.RECORDING_SIZE, open_bytes, data[:length])


def test_long_segment_tables_are_added_up_in_pieces():
    segments = [samples(i) for i in range(300)]
    data = written(1, 1, segments)
    assert read_all(open_bytes(data), 8) == segments
    last = 16 + 4 * 299
    raises(errors.RECORDING_SEGMENTS, open_bytes, data[:last] + b"\2" + data[last + 1 :])


def test_writer_refuses_what_does_not_fit():
    for code, n_channels, rate_mhz, segments in (
        (errors.RECORDING_SEGMENTS, 1, 1, []),
        (errors.RECORDING_SEGMENTS, 1, 1, [samples()]),
        (errors.RECORDING_SEGMENTS, 2, 1, [samples(1, 2, 3)]),
        (errors.RECORDING_SEGMENTS, 0, 1, [samples(1)]),
        (errors.RECORDING_HEADER, 17, 1, [array("h", bytes(34))]),
        (errors.RECORDING_HEADER, 1, 0, [samples(1)]),
        (errors.RECORDING_HEADER, 1, 1 << 32, [samples(1)]),
        (errors.RECORDING_SEGMENTS, 1, 1, [samples(1)] * 4097),
    ):
        raises(code, recording.write, io.BytesIO(), n_channels, rate_mhz, segments)


class Shrinking:
    """A file whose last bytes vanish after it was opened."""

    def __init__(self, data):
        self._file = io.BytesIO(data)
        self.seek = self._file.seek
        self.read = self._file.read

    def readinto(self, buf):
        return self._file.readinto(memoryview(buf)[:-1])


def test_file_that_became_shorter_is_an_io_failure():
    reader = recording.Reader(Shrinking(written()))
    reader.next_segment()
    try:
        reader.read_into(memoryview(array("h", bytes(100))), 3)
    except OSError:
        return
    raise AssertionError("a short read went unnoticed")


def test_random_headers_raise_nothing_else():
    random = Random(32)
    for _ in range(1000):
        data = bytearray(written())
        for _ in range(random.between(1, 3)):
            data[random.between(4, 30)] = random.bits(8)
        try:
            reader = open_bytes(bytes(data))
        except errors.OnebyteError as error:
            assert 90 <= error.code < 100
        else:
            assert sum([len(rows) for rows in read_all(reader, 4)]) == reader.n_rows * 2
