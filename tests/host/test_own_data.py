"""A user's folder of CSV and NPZ files: what is read, and where a mistake is pointed at."""

from pathlib import Path

import numpy as np
import pytest

from onebyte.errors import UserError
from onebyte.training import folder
from onebyte.training.recipe import DatasetSource

CHANNELS = ["x", "y"]


def read(root: Path, **source: str) -> list[folder.FolderRecording]:
    return folder.read(root, CHANNELS, DatasetSource("folder", **source))


def test_csv_columns_give_label_group_and_recording(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "y,label,x,who,take\n1,up,2,ann,1\n3,up,4,ann,1\n5,up,6,ann,2\n7,down,8,bob,2\n"
    )
    found = read(tmp_path, label_column="label", group_column="who", recording_column="take")
    assert [(item.label, item.group, item.values.tolist()) for item in found] == [
        ("up", "ann", [[2, 1], [4, 3]]),
        ("up", "ann", [[6, 5]]),
        ("down", "bob", [[8, 7]]),
    ]


def test_path_gives_label_and_group(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "up_1.CSV").write_text("x,y\n1,2\n")
    (found,) = read(tmp_path, pattern=r"(?P<group>[^/]+)/(?P<label>[a-z]+)_.*")
    assert (found.label, found.group) == ("up", "ann")


def test_npz_arrays_are_columns(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz",
        x=np.arange(3),
        y=np.arange(3) * 0.5,
        label="up",
        who=np.array(["a", "a", "b"]),
    )
    found = read(tmp_path, label_column="label", group_column="who")
    assert [(item.group, len(item.values)) for item in found] == [("a", 2), ("b", 1)]
    assert found[1].values.tolist() == [[2, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,2\n1,two\n", "line 3: could not convert"),
        ("x,y\n1,2\n1\n", "line 3: 1 fields, the header has 2"),
        ("x,y\n1,nan\n", "line 2: a value is not finite"),
        ("x,z\n1,2\n", "line 1: there is no column 'y'"),
        ("", "line 1: there is no header"),
        ('x,y\n1,"2\n', "line 2"),
    ],
)
def test_csv_error_names_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(UserError) as caught:
        read(tmp_path)
    assert f"bad.csv, {message}" in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.arange(3)}, "no array 'y'"),
        ({"x": np.arange(3), "y": np.arange(2)}, "must be 3 numbers"),
        ({"x": np.array([1.0, np.inf]), "y": np.zeros(2)}, "not finite"),
        ({"x": np.array([1, "a"], dtype=object), "y": np.zeros(2)}, "allow_pickle"),
    ],
)
def test_npz_error_names_file(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError) as caught:
        read(tmp_path)
    assert "bad.npz" in str(caught.value)
    assert message in str(caught.value)


def test_empty_folder_and_wrong_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no \.csv or \.npz"):
        read(tmp_path)
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(UserError, match="does not match"):
        read(tmp_path, pattern=r"(?P<label>[a-z]+)_.*")
    with pytest.raises(UserError, match="pattern = '\\('"):
        read(tmp_path, pattern="(")
    with pytest.raises(UserError, match="remove one"):
        read(tmp_path, pattern="(?P<label>a).csv", label_column="label")
