"""The committed models belong to their recipes, their cards and these kernels."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from formats import model as model_format
from formats.crc import crc32
from onebyte import kernels
from onebyte.training import golden, recipe, report

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "models").glob("*/*.obm"))


def test_there_are_models() -> None:
    assert {path.parent.name for path in FILES} >= {"exercise", "plaid"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_model_belongs_to_its_recipe_and_figures(path: Path) -> None:
    file = path.read_bytes()
    model = model_format.parse(file)
    loaded = recipe.load(path.parent)
    assert model.recipe_hash == loaded.sha256[:16], "run onebyte train"
    assert len(file) <= loaded.classifier.limit_bytes
    metrics = json.loads(path.with_name("metrics.json").read_text())
    entry = metrics["model" if path.stem == "model" else "holdout"]
    assert entry["sha256"] == hashlib.sha256(file).hexdigest()
    assert {key: entry[key] for key in report.file_sizes(file)} == report.file_sizes(file)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden_results_are_those_of_these_kernels(path: Path) -> None:
    file = path.read_bytes()
    model, kernel = model_format.parse(file), kernels.KernelModel(file)
    assert model.n_golden_vectors >= model.n_classes
    assert model.n_golden_windows > 0
    for *expected, vector in model.golden_vectors:
        (said,) = kernel.predict(np.array([vector], dtype=np.int16))
        assert [said["class_id"], said["confidence"], said["novelty"]] == expected
    for seed, crc, *expected in model.golden_windows:
        samples = golden.seed_window(seed, model.window, model.n_channels)
        features = kernel.features(samples[None])
        assert crc32(features.astype("<i2").tobytes()) == crc
        (said,) = kernel.predict(features)
        assert [said["class_id"], said["confidence"], said["novelty"]] == expected


def test_card_and_readme_name_the_smallest_model_that_keeps_080() -> None:
    folder = ROOT / "models" / "exercise"
    small = json.loads((folder / "pareto.json").read_text())["smallest_0.80"]
    assert small["macro_f1"] >= 0.80
    assert f"keeps macro F1 0.80: **{small['model_bytes']} bytes**" in (
        folder / "MODEL.md"
    ).read_text(encoding="utf-8")
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"keeps a macro F1 of 0.80 has {small['model_bytes']} bytes" in readme


@pytest.mark.parametrize("name", ["exercise", "plaid"])
def test_card_quotes_the_figures(name: str) -> None:
    folder = ROOT / "models" / name
    metrics = json.loads((folder / "metrics.json").read_text())
    card = (folder / "MODEL.md").read_text()
    assert f"**{metrics['macro_f1']:.3f}**" in card
    assert f"| {metrics['model']['model_bytes']} bytes" in card
    for link in ("DATASET.md", "confusion.png"):
        assert link in card
        assert (folder / link).exists()
