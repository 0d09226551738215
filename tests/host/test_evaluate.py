"""Held-out figures are held out, and a recording is predicted as the device would."""

import json
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import own_data
import pytest

from formats import recording as recording_format
from formats import result
from onebyte import cli
from onebyte.errors import UserError
from onebyte.training import calibrate, datasets, evaluate, export, golden, recipe, studio, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = own_data.write_model_folder(tmp_path_factory.mktemp("motion"))
    loaded = recipe.load(path)
    studio.write_quick(loaded, train.load_table(loaded)[1])
    return path


@pytest.fixture(scope="module")
def table(folder: Path) -> train.FeatureTable:
    return train.load_table(recipe.load(folder))[1]


def test_every_window_is_predicted_by_a_model_without_its_group(
    folder: Path, table: train.FeatureTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = recipe.load(folder)
    seen = []
    fit = train.fit

    def spy(recipe_: recipe.Recipe, table_: train.FeatureTable, chosen: np.ndarray) -> train.Fit:
        seen.append(set(table_.windows.groups[chosen]))
        return fit(recipe_, table_, chosen)

    monkeypatch.setattr(train, "fit", spy)
    outcome = evaluate.evaluate(loaded, table, n_jobs=1)
    assert seen == [{"ben", "chris"}, {"anna", "chris"}, {"anna", "ben"}]
    assert outcome.tested.tolist() == list(range(len(table.windows)))
    assert np.array_equal(outcome.truth, table.windows.class_ids)
    assert [fold.n_reference_differs for fold in outcome.folds] == [0, 0, 0]
    assert outcome.confusion(3).sum() == len(table.windows)


def test_fit_learns_nothing_from_the_windows_of_others(
    folder: Path, table: train.FeatureTable
) -> None:
    # Selection, trees and ranges stay the same whatever the held-out group's windows hold.
    loaded = recipe.load(folder)
    chosen = table.windows.groups != "ben"
    values, class_ids = table.values.copy(), table.windows.class_ids.copy()
    values[~chosen] = np.random.default_rng(4).integers(-32768, 32767, values[~chosen].shape)
    class_ids[~chosen] = 0
    spoilt = train.FeatureTable(values, None, replace(table.windows, class_ids=class_ids))
    fitted, again = train.fit(loaded, table, chosen), train.fit(loaded, spoilt, chosen)
    assert again.columns == fitted.columns
    assert again.forest == fitted.forest
    assert again.ranges == fitted.ranges


def test_calibration_takes_the_chosen_windows_only(
    folder: Path, table: train.FeatureTable
) -> None:
    loaded = recipe.load(folder)
    outcome = evaluate.evaluate(loaded, table, n_jobs=1)
    chosen = table.windows.groups != "ben"
    novelty = np.where(chosen, outcome.novelty, 2032)
    class_id = np.where(chosen, outcome.class_id, 0)
    spoilt = replace(outcome, novelty=novelty, class_id=class_id)
    expected = evaluate.calibration_of(loaded, outcome, chosen)
    assert evaluate.calibration_of(loaded, spoilt, chosen) == expected
    everything = np.ones(len(chosen), dtype=bool)
    assert evaluate.calibration_of(loaded, spoilt, everything) != expected


def test_a_label_that_cannot_be_learned_scores_like_chance(
    folder: Path, table: train.FeatureTable
) -> None:
    # If anything of the held-out group leaked into training, random labels would look learnable.
    loaded = recipe.load(folder)
    shuffled = np.random.default_rng(1).permutation(table.windows.class_ids)
    windows = datasets.Windows(
        table.windows.samples,
        shuffled,
        table.windows.groups,
        table.windows.recordings,
        table.windows.splits,
    )
    outcome = evaluate.evaluate(loaded, train.FeatureTable(table.values, None, windows), 1)
    assert outcome.accuracy < 0.6


def test_evaluate_prints_one_line_for_scripts(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(folder), "--jobs", "1"]) == 0
    *_, agreement, last = capsys.readouterr().out.splitlines()
    number = r"[01]\.\d{3}"
    pattern = (
        rf"macro_f1_loso={number} accuracy_loso={number} model_bytes=(\d+) nodes=\d+ features=6"
    )
    match = re.fullmatch(pattern, last)
    assert match is not None, last
    assert int(match[1]) == (folder / "model.obm").stat().st_size
    found = re.fullmatch(
        r"model\.obm: the reference agrees in (\d+) of (\d+) windows, "
        r"emlearn's C in \d+, without exact ties of votes in (\d+)",
        agreement,
    )
    assert found is not None, agreement
    assert found[1] == found[2] == found[3]


def test_evaluate_shows_what_the_seed_changes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(folder), "--jobs", "1", "--seeds", "3"]) == 0
    printed = capsys.readouterr().out
    each = [float(f1) for f1 in re.findall(r"^seed \d: macro F1 (\S+)$", printed, re.MULTILINE)]
    summary = re.search(r"seeds 1 to 3: macro F1 of (\S+) to (\S+), mean (\S+)$", printed, re.M)
    assert summary is not None
    assert len(each) == 3
    assert [float(summary[1]), float(summary[2])] == [min(each), max(each)]
    assert abs(float(summary[3]) - sum(each) / 3) < 0.0011
    held_out = re.search(r"macro_f1_loso=(\S+)", printed)
    assert held_out is not None
    assert float(held_out[1]) == each[0]  # the recipe's own seed is 1


def test_evaluate_without_a_model_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = own_data.write_model_folder(tmp_path)
    assert cli.main(["evaluate", str(path), "--jobs", "1"]) == 2
    assert "run `onebyte train" in capsys.readouterr().err


def test_one_group_alone_cannot_be_validated(folder: Path, table: train.FeatureTable) -> None:
    windows = datasets.Windows(
        table.windows.samples,
        table.windows.class_ids,
        np.full(len(table.windows), "anna"),
        table.windows.recordings,
        table.windows.splits,
    )
    with pytest.raises(UserError, match="needs two groups"):
        evaluate.folds(recipe.load(folder), windows)


def test_given_split_trains_on_the_training_half(folder: Path, table: train.FeatureTable) -> None:
    text = own_data.RECIPE.replace("leave_one_group_out", "given_split")
    path = folder / "split.toml"
    path.write_text(text)
    loaded = recipe.load(path)
    with pytest.raises(UserError, match="needs a dataset that names training and test"):
        evaluate.folds(loaded, table.windows)
    splits = np.where(table.windows.groups == "ben", "test", "train")
    windows = datasets.Windows(
        table.windows.samples,
        table.windows.class_ids,
        table.windows.groups,
        table.windows.recordings,
        splits,
    )
    ((name, test),) = evaluate.folds(loaded, windows)
    assert name == "test"
    assert set(windows.groups[test]) == {"ben"}


def test_predict_recording_starts_afresh_in_every_segment(
    folder: Path, table: train.FeatureTable
) -> None:
    file = (folder / "model.obm").read_bytes()
    walking = own_data.samples_of("walking", "anna")
    counts, _ = datasets.to_counts(walking, np.array([0.001] * 3), False)
    rows = np.vstack([counts[:80], counts[:80], counts[:20]])
    said = evaluate.predict_recording(file, rows, [80, 80, 20])
    assert [one.start for one in said] == [0, 16, 32, 48, 80, 96, 112, 128]
    assert [one.byte for one in said[:4]] == [one.byte for one in said[4:]]
    # k is 2 of 3, so the first window of a segment decides nothing.
    assert said[0].byte == result.pack_fault(result.A, result.UNDECIDED)
    assert result.parse(result.A, said[1].byte)[0] == said[1].class_id == 1


def test_export_recording_is_what_the_replay_source_reads(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "ben.obr"
    assert cli.main(["export", str(folder), str(out), "--recording", "ben"]) == 0
    reader = recording_format.Reader(BytesIO(out.read_bytes()))
    truth = json.loads(out.with_suffix(".json").read_text())
    assert (reader.n_channels, reader.rate_mhz, reader.n_segments) == (3, 25000, 3)
    assert [segment["label"] for segment in truth["segments"]] == [
        "at rest",
        "shaking",
        "walking",
    ]
    dataset = datasets.load(recipe.load(folder))
    data, segments, class_ids = export.recording(dataset, "ben")
    assert data == out.read_bytes()
    assert class_ids == [0, 2, 1]
    mine = [item for item in dataset.recordings if item.group == "ben"]
    samples = np.frombuffer(data, "<i2", offset=16 + 4 * 3).reshape(-1, 3)
    assert np.array_equal(samples, np.vstack([item.samples for item in mine]))
    assert segments == [len(item.samples) for item in mine]


def test_export_of_an_unknown_subject_names_the_known(folder: Path) -> None:
    with pytest.raises(UserError, match="there are anna, ben, chris"):
        export.recording(datasets.load(recipe.load(folder)), "eve")


def test_confidence_levels_rise_with_how_often_a_confidence_was_right() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.integers(0, 256, 20000)
    right = rng.random(20000) < confidence / 255
    levels = calibrate.confidence_levels(confidence, right)
    assert levels == sorted(levels)
    for level, share in zip(levels, calibrate.LEVEL_SHARES, strict=True):
        assert abs(level / 255 - share) < 0.05


def test_a_share_never_reached_needs_a_unanimous_vote() -> None:
    levels = calibrate.confidence_levels(np.arange(256), np.arange(256) % 2 == 0)
    assert levels[-1] == 255


def test_novelty_scores_are_those_of_the_kernels(folder: Path, table: train.FeatureTable) -> None:
    from formats import model as model_format
    from onebyte import kernels

    file = (folder / "model.obm").read_bytes()
    model = model_format.parse(file)
    features = np.random.default_rng(2).integers(-32768, 32767, (300, 6)).astype(np.int16)
    said = kernels.KernelModel(file).predict(features)
    scores = calibrate.novelty_scores(np.array(model.novelty_ranges), features)
    assert np.array_equal(scores, said["novelty"])


def test_novelty_threshold_keeps_the_false_rate() -> None:
    scores = np.arange(1000) // 10
    threshold = calibrate.novelty_threshold(scores, 0.01)
    assert threshold == 99
    assert (scores >= threshold).mean() <= 0.01
    assert calibrate.novelty_threshold(np.zeros(9, dtype=int), 0.01) == 1


def test_auroc_of_separated_and_equal_scores() -> None:
    assert calibrate.auroc(np.zeros(4), np.ones(4)) == 1.0
    assert calibrate.auroc(np.ones(4), np.ones(4)) == 0.5


def test_golden_rows_are_spread_over_the_chosen_windows() -> None:
    class_ids = np.repeat([0, 1], 50)
    chosen = np.arange(100) != 12
    rows = golden.pick_rows(class_ids, chosen, 2)
    assert class_ids[rows].tolist() == [0, 0, 1, 1]
    assert 12 not in rows
