"""The ring against a plain list of rows."""

from check import Random, raises_kind

from pipeline.window import Window


def _rows_of(win, start):
    n = win.n_channels
    rows = []
    for i in range(win.window):
        at = (start + i) % win.rows * n
        rows.append(list(win.ring[at : at + n]))
    return rows


def test_windows_equal_slices_of_the_stream():
    random = Random(7)
    for n_channels, window, hop, extra in (
        (1, 8, 8, 0),
        (3, 10, 3, 0),
        (2, 16, 1, 5),
        (6, 9, 7, 40),
    ):
        win = Window(n_channels, window, hop, window + hop + extra)
        stream = []
        first = 0  # row of the stream with which the next window begins
        taken = 0
        for _ in range(400):
            n_rows = min(win.room(), random.below(7))
            for i in range(n_rows):
                sample = [(len(stream) * 31 + c * 7) % 65536 - 32768 for c in range(n_channels)]
                for c in range(n_channels):
                    win.ring[(win.row + i) * n_channels + c] = sample[c]
                stream.append(sample)
            win.wrote(n_rows)
            if random.below(50) == 0:
                win.reset()
                first = len(stream)
            while True:
                start = win.ready()
                if start < 0:
                    break
                assert _rows_of(win, start) == stream[first : first + window]
                first += hop
                taken += 1
            assert len(stream) - first < window
        assert taken > 10


def test_room_never_wraps_nor_overwrites_what_is_needed():
    win = Window(1, 8, 4)
    assert win.room() == 12
    win.wrote(10)
    assert win.room() == 2
    assert win.ready() == 0
    win.wrote(2)
    assert win.row == 0
    assert win.room() == 4, "rows 4 to 11 are still needed"
    assert win.ready() == 4
    assert win.ready() == -1


def test_refuses_more_rows_than_room():
    win = Window(1, 8, 8)
    raises_kind(ValueError, win.wrote, 17)
    raises_kind(ValueError, win.wrote, -1)


def test_refuses_sizes_out_of_range():
    for arguments in ((0, 8, 8), (17, 8, 8), (1, 8, 9), (1, 8, 0), (1, 8, 8, 15)):
        raises_kind(ValueError, Window, *arguments)


def test_missing_counts_down_to_the_next_window():
    win = Window(1, 8, 4)
    assert win.missing() == 8
    win.wrote(3)
    assert win.missing() == 5
    win.wrote(7)
    assert win.missing() == 0
    assert win.ready() == 0
    assert win.missing() == 2
    win.reset()
    assert win.missing() == 8
