"""A training run on a small folder: its files, that they repeat, and that they hold together."""

import json
from pathlib import Path

import numpy as np
import own_data
import pytest

from formats import model as model_format
from formats.crc import crc32
from onebyte import cli, kernels
from onebyte.errors import UserError
from onebyte.training import golden, recipe, studio, train

FILES = ("model.obm", "holdout.obm", "metrics.json", "MODEL.md", "confusion.png", "groups.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = own_data.write_model_folder(tmp_path_factory.mktemp("motion"))
    assert cli.main(["train", str(folder), "--jobs", "1"]) == 0
    return folder


def test_train_writes_all_files(trained: Path) -> None:
    for name in FILES:
        assert (trained / name).stat().st_size > 0, name
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["macro_f1"] > 0.9  # still, walking and shaking are easy
    assert metrics["kernel_differs_from_reference"] == 0
    assert metrics["model"]["agreement"]["emlearn_differs_without_tie"] == 0
    assert metrics["model"]["agreement"]["reference_differs"] == 0
    assert metrics["model"]["model_bytes"] == (trained / "model.obm").stat().st_size


def test_train_repeats_bit_by_bit(trained: Path, tmp_path: Path) -> None:
    again = own_data.write_model_folder(tmp_path)
    assert cli.main(["train", str(again), "--jobs", "2"]) == 0
    for name in ("model.obm", "holdout.obm"):
        assert (again / name).read_bytes() == (trained / name).read_bytes(), name


def test_model_holds_what_the_recipe_says(trained: Path) -> None:
    loaded = recipe.load(trained)
    model = model_format.parse((trained / "model.obm").read_bytes())
    assert model.recipe_hash == loaded.sha256[:16]
    assert (model.model_version, model.name) == (3, "motion 3")
    assert (model.window, model.hop, model.rate_mhz) == (32, 16, 25000)
    assert model.channels[1] == ("ay", 1, 1_000_000)
    assert model.labels == ["at rest", "walking", "shaking"]
    assert (model.k, model.n, model.n_features) == (2, 3, 6)
    assert model.has_novelty
    assert list(model.levels) == sorted(model.levels)


def test_golden_results_come_from_the_kernels(trained: Path) -> None:
    file = (trained / "model.obm").read_bytes()
    model, kernel = model_format.parse(file), kernels.KernelModel(file)
    assert (model.n_golden_vectors, model.n_golden_windows) == (3, 2)
    for class_id, confidence, novelty, features in model.golden_vectors:
        (said,) = kernel.predict(np.array([features], dtype=np.int16))
        assert (said["class_id"], said["confidence"], said["novelty"]) == (
            class_id,
            confidence,
            novelty,
        )
    for seed, crc, class_id, *_ in model.golden_windows:
        features = kernel.features(golden.seed_window(seed, 32, 3)[None])
        assert crc32(features.astype("<i2").tobytes()) == crc
        assert kernel.predict(features)[0]["class_id"] == class_id


def test_seed_window_is_xorshift32() -> None:
    # Seed 1 by hand: 1 ^ 1<<13 = 0x2001, ^ >>17 = 0x2001, ^ <<5 = 0x42021; 0x42021 >> 16 = 4.
    assert golden.seed_window(1, 8, 1)[0, 0] == 4 >> 1
    assert len(set(golden.seeds(32))) == 32
    assert golden.seeds(32)[0] != 0


def test_holdout_was_not_trained_on_the_demo_group(trained: Path) -> None:
    assert (trained / "holdout.obm").read_bytes() != (trained / "model.obm").read_bytes()
    loaded = recipe.load(trained)
    _, table = train.load_table(loaded)
    others = table.windows.groups != "ben"
    fitted = train.fit(loaded, table, others)
    model = model_format.parse((trained / "holdout.obm").read_bytes())
    assert [model.trees.nodes(i) for i in range(model.n_trees)] == fitted.forest.trees


def test_selection_needs_no_knowledge_of_the_number_of_rounds(trained: Path) -> None:
    loaded = recipe.load(trained)
    _, table = train.load_table(loaded)
    values, class_ids = table.values, table.windows.class_ids
    long = train.rank(loaded, values, class_ids, 2)
    short = train.rank(loaded, values, class_ids, 6)
    assert train.select(long, 6, 16) == train.select(short, 6, 16)
    assert train.select(short, 16, 16) == list(range(16))


def test_mirrored_windows_train_but_do_not_widen_the_ranges(tmp_path: Path) -> None:
    text = own_data.RECIPE.replace("[labels]", '[augmentation]\nmirror = ["ax"]\n[labels]')
    loaded = recipe.load(own_data.write_model_folder(tmp_path, text))
    _, table = train.load_table(loaded)
    assert table.mirrored is not None
    n = len(table.windows)
    mean_ax = [feature.name for feature in loaded.features].index("mean(ax)")
    assert np.array_equal(table.mirrored[:, mean_ax], -table.values[:, mean_ax])
    values, class_ids = train.training_rows(table, np.ones(n, dtype=bool))
    assert (len(values), len(class_ids)) == (2 * n, 2 * n)


def test_a_model_over_its_limit_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = own_data.RECIPE.replace("leaf_bits = 4", "leaf_bits = 4\nlimit_bytes = 200")
    folder = own_data.write_model_folder(tmp_path, text)
    assert cli.main(["train", str(folder), "--quick"]) == 2
    error = capsys.readouterr().err
    assert "limit_bytes is 200; lower n_trees" in error
    assert error.count("\n") == 1


def test_recordings_shorter_than_a_window_are_mentioned(tmp_path: Path) -> None:
    folder = own_data.write_model_folder(tmp_path)
    short = own_data.samples_of("walking", "anna", seconds=1)
    own_data.write_csv(folder / "data" / "anna" / "walking_2.csv", short)
    dataset, _ = train.load_table(recipe.load(folder))
    assert dataset.notes[-1] == "1 recordings are shorter than a window and were not used"


def test_an_unknown_demo_group_is_refused(tmp_path: Path) -> None:
    text = own_data.RECIPE.replace('group = "ben"', 'group = "eve"')
    loaded = recipe.load(own_data.write_model_folder(tmp_path, text))
    dataset, table = train.load_table(loaded)
    with pytest.raises(UserError, match="'eve' has no recording; there are anna, ben, chris"):
        studio.finish(loaded, dataset, table, 1, lambda name: None)


def test_quick_writes_a_model_only(tmp_path: Path) -> None:
    folder = own_data.write_model_folder(tmp_path)
    assert cli.main(["train", str(folder), "--quick"]) == 0
    assert model_format.check((folder / "model.obm").read_bytes()) == 0
    assert not (folder / "metrics.json").exists()
