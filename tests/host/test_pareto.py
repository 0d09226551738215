"""The search for small models: its points are held out, its nested choice never saw the group."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import own_data
import pytest

from onebyte import cli
from onebyte.training import pareto, recipe, train
from onebyte.training.pareto import Point, Setting

SETTINGS = [Setting(4, 3, 8, 0), Setting(4, 3, 8, 4), Setting(8, 5, 8, 4)]


def done(name: str) -> None:
    assert name


def make(tmp_path: Path) -> tuple[recipe.Recipe, train.FeatureTable]:
    loaded = recipe.load(own_data.write_model_folder(tmp_path))
    return loaded, train.load_table(loaded)[1]


def test_sweep_scores_like_evaluate(tmp_path: Path) -> None:
    loaded, table = make(tmp_path)
    points, classes = pareto.sweep(loaded, table, SETTINGS, 1, done)
    changed = SETTINGS[2].apply(loaded)
    test = table.windows.groups == "ben"
    fitted = train.fit(changed, table, ~test)
    expected = fitted.forest.predict(table.values[test][:, fitted.columns]).class_id
    assert np.array_equal(classes[2][test], expected)
    assert [point.setting for point in points] == SETTINGS
    assert points[0].model_bytes < points[2].model_bytes
    assert all(point.macro_f1 > 0.8 for point in points)


def test_a_setting_learns_nothing_from_the_windows_of_others(tmp_path: Path) -> None:
    # Trained on anna, tried on chris: what ben's windows hold changes neither classes nor sizes.
    loaded, table = make(tmp_path)
    chosen, test = (table.windows.groups == name for name in ("anna", "chris"))
    values, class_ids = table.values.copy(), table.windows.class_ids.copy()
    others = ~chosen & ~test
    values[others] = np.random.default_rng(4).integers(-32768, 32767, values[others].shape)
    class_ids[others] = 0
    spoilt = train.FeatureTable(values, None, replace(table.windows, class_ids=class_ids))
    said, again = (pareto._run(loaded, one, chosen, test, SETTINGS) for one in (table, spoilt))
    assert again.sizes == said.sizes
    assert all(map(np.array_equal, again.classes, said.classes))


def test_nested_never_trains_on_the_group_it_chooses_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, table = make(tmp_path)
    points, classes = pareto.sweep(loaded, table, SETTINGS, 1, done)
    trained_on = []
    rows = train.training_rows

    def spy(table_: train.FeatureTable, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        trained_on.append(sorted(set(table_.windows.groups[chosen])))
        return rows(table_, chosen)

    monkeypatch.setattr(train, "training_rows", spy)
    honest = pareto.nested(loaded, table, points, classes, 1, done)
    assert trained_on == [["chris"], ["ben"], ["anna"]]
    assert set(honest.choices) == set(own_data.PEOPLE)
    assert honest.macro_f1 > 0.8


def test_front_holds_what_no_smaller_model_reaches() -> None:
    points = [
        Point(SETTINGS[0], f1, f1, size)
        for f1, size in [(0.7, 900), (0.6, 1000), (0.8, 1000), (0.75, 2000), (0.9, 3000)]
    ]
    assert [point.macro_f1 for point in pareto.front(points)] == [0.7, 0.8, 0.9]
    small = pareto.smallest(points, 0.8)
    assert small is not None
    assert small.model_bytes == 1000
    assert pareto.smallest(points, 0.95) is None


def test_write_leaves_table_summary_and_plot(tmp_path: Path) -> None:
    loaded = recipe.load(own_data.write_model_folder(tmp_path))
    points = [Point(setting, 0.8 + i / 100, 0.8, 1000 + i) for i, setting in enumerate(SETTINGS)]
    pareto.write(loaded, points, pareto.Nested(16384, 0.8, 0.8, {"ben": SETTINGS[0]}))
    with (tmp_path / "pareto.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "features": "4",
        "n_trees": "3",
        "max_leaf_nodes": "8",
        "leaf_bits": "4",
        "model_bytes": "1001",
        "macro_f1": "0.8100",
        "accuracy": "0.8000",
    }
    summary = json.loads((tmp_path / "pareto.json").read_text())
    assert summary["smallest_0.80"]["model_bytes"] == 1000
    assert summary["nested"]["choices"]["ben"]["features"] == 4
    assert (tmp_path / "pareto.png").stat().st_size > 0


def test_command_prints_the_front_and_the_nested_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = own_data.write_model_folder(tmp_path)
    monkeypatch.setattr(pareto, "grid", lambda loaded: SETTINGS)
    monkeypatch.setattr(pareto, "nested_grid", lambda loaded: SETTINGS[1:])
    assert cli.main(["pareto", str(folder), "--nested", "--jobs", "1"]) == 0
    printed = capsys.readouterr().out
    assert "smallest with macro F1 0.80: " in printed
    assert "nested choice within 262144 bytes: macro F1 " in printed
    summary = json.loads((folder / "pareto.json").read_text())
    assert set(summary["nested"]["choices"]) == set(own_data.PEOPLE)


def test_grid_asks_for_no_more_features_than_there_are(tmp_path: Path) -> None:
    loaded = recipe.load(own_data.write_model_folder(tmp_path))
    assert max(setting.features for setting in pareto.grid(loaded)) == 16
    assert set(pareto.nested_grid(loaded)) <= set(pareto.grid(loaded))
