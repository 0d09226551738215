"""Fetched sets are parsed strictly, values become counts, recordings become windows."""

import io
import os
import pickle
from pathlib import Path

import numpy as np
import own_data
import pytest

from onebyte.errors import UserError
from onebyte.training import datasets, recipe


def npy_of(value: object, protocol: int = 4) -> bytes:
    out = io.BytesIO()
    array = np.empty((), dtype=object)
    array[()] = value
    np.lib.format.write_array_header_1_0(out, {"descr": "|O", "fortran_order": False, "shape": ()})
    pickle.dump(array, out, protocol)
    return out.getvalue()


@pytest.mark.parametrize("protocol", [2, 4])
def test_parse_npy_reads_arrays_lists_and_strings(protocol: int) -> None:
    data = datasets.parse_npy(npy_of({"X": [np.eye(2)], "names": ["a"]}, protocol))
    assert np.array_equal(data["X"][0], np.eye(2))
    assert data["names"] == ["a"]


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 1",)


def test_parse_npy_refuses_a_pickle_that_calls_something() -> None:
    with pytest.raises(UserError, match="refused to load"):
        datasets.parse_npy(npy_of({"X": _Evil()}))


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", npy_of([1]), npy_of({})[:-4]])
def test_parse_npy_refuses_what_is_no_dict(content: bytes) -> None:
    with pytest.raises(UserError):
        datasets.parse_npy(content)


def test_parse_ts_reads_series_and_labels() -> None:
    series = datasets.parse_ts("# text\n@data\n1,2.5:a\n3:b\n", "x.ts")
    assert [(list(values), label) for values, label in series] == [([1, 2.5], "a"), ([3], "b")]


def test_parse_ts_names_file_and_line() -> None:
    with pytest.raises(UserError, match=r"x\.ts, line 3"):
        datasets.parse_ts("@data\n1,2:a\n1,x:a\n", "x.ts")


def test_to_counts_rounds_and_counts_what_it_clips() -> None:
    counts, clipped = datasets.to_counts(np.array([[0.0126], [-400.0]]), np.array([0.01]), False)
    assert counts.ravel().tolist() == [1, -32768]
    assert clipped == 1


def test_to_counts_fills_the_range_of_each_channel() -> None:
    values = np.array([[0.5, 0.0], [-1.0, 0.0]])
    counts, clipped = datasets.to_counts(values, np.array([1.0, 1.0]), True)
    assert counts.tolist() == [[16384, 0], [-32767, 0]]
    assert clipped == 0


def test_cut_windows_never_spans_two_recordings(tmp_path: Path) -> None:
    loaded = recipe.load(own_data.write_model_folder(tmp_path))
    dataset = datasets.load(loaded)
    windows = datasets.cut_windows(dataset, loaded)
    rows = len(dataset.recordings[0].samples)
    assert len(windows) == len(dataset.recordings) * ((rows - 32) // 16 + 1)
    second = np.flatnonzero(windows.recordings == 1)[0]
    assert np.array_equal(windows.samples[second], dataset.recordings[1].samples[:32])


def test_load_refuses_a_window_longer_than_every_recording(tmp_path: Path) -> None:
    text = own_data.RECIPE.replace("window = 32", "window = 500").replace(
        "size = 32", "size = 512"
    )
    loaded = recipe.load(own_data.write_model_folder(tmp_path, text))
    with pytest.raises(UserError, match="window = 500 is longer than the longest"):
        datasets.cut_windows(datasets.load(loaded), loaded)


def test_load_names_a_label_that_the_recipe_lacks(tmp_path: Path) -> None:
    text = own_data.RECIPE.replace('walking = "walking"\n', "")
    loaded = recipe.load(own_data.write_model_folder(tmp_path, text))
    with pytest.raises(UserError, match=r"label 'walking' is not in \[labels\]"):
        datasets.load(loaded)


def test_load_names_a_label_that_no_recording_has(tmp_path: Path) -> None:
    text = own_data.RECIPE.replace("[decision]", 'flying = "flying"\n[decision]')
    loaded = recipe.load(own_data.write_model_folder(tmp_path, text))
    with pytest.raises(UserError, match="names 'flying', which no recording has"):
        datasets.load(loaded)


def test_natural_order_of_groups() -> None:
    assert sorted(["10", "b", "2", "a"], key=datasets.natural) == ["2", "10", "a", "b"]
