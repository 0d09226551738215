"""The timeline picture: its bands show what was true and what was decided."""

import numpy as np
import pytest
from matplotlib.image import imread

from onebyte.simulation.timeline import (
    Timeline,
    TimelinePoint,
    _band_values,
    _class_colors,
    write_timeline,
)

UNDECIDED = TimelinePoint(0, -1, 0, False, 0)
STUCK = TimelinePoint(0, -1, 0, False, 2)


def right(class_id):
    return TimelinePoint(class_id, class_id, 5, False, -1)


def test_timeline_band_separates_undecided_from_fault():
    points = [right(1), UNDECIDED, STUCK]
    assert _band_values(Timeline("t", ["a", "b", "c"], 1.0, points)) == [1, 3, 4]


def test_timeline_is_a_png_whose_bands_differ_only_where_the_decision_is_wrong(tmp_path):
    points = [right(0)] * 50 + [TimelinePoint(0, 1, 3, True, -1)] * 50
    path = tmp_path / "new" / "timeline.png"
    write_timeline(path, Timeline("t", ["a", "b"], 1.0, points, segment_starts=[0]))
    pixels = imread(path)[:, :, :3]
    height, width = pixels.shape[:2]
    truth, decided = (pixels[int(height * part)] for part in (0.14, 0.31))
    left, right_half = int(width * 0.3), int(width * 0.8)
    assert np.allclose(truth[left], decided[left])
    assert np.allclose(truth[left], truth[right_half])
    assert not np.allclose(decided[left], decided[right_half])


def test_timeline_without_levels_or_with_many_classes(tmp_path):
    labels = [f"class {i}" for i in range(40)]
    points = [right(i) for i in range(40)] + [STUCK]
    path = tmp_path / "b.png"
    write_timeline(path, Timeline("t", labels, 1.0, points, has_levels=False))
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("n_classes", [2, 10, 11, 20, 21, 240])
def test_timeline_gives_every_class_its_own_color(n_classes):
    colors = _class_colors(n_classes)
    assert colors.shape == (n_classes, 4)
    assert len({tuple(color) for color in colors}) == n_classes
