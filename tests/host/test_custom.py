"""Custom features from the recipe to the device: the examples of the documentation, every bit."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import own_data
import pytest
from command_line import assert_refused, onebyte

from formats import model as model_format
from onebyte import kernels
from onebyte.errors import UserError
from onebyte.simulation import device
from onebyte.training import custom, evaluate, recipe, studio, train

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "CUSTOM_FEATURES.md").read_text(encoding="utf-8")
EXAMPLE, NUMPY_EXAMPLE = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
(TABLE,) = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
HOOK = "def features_into(samples, out):\n"


def write(folder: Path, hook: str = EXAMPLE, table: str = TABLE, n_features: int = 40) -> Path:
    """Write a model folder with a custom.py; `n_features` above all candidates selects all."""
    text = own_data.RECIPE.replace("features = 6", f"features = {n_features}")
    own_data.write_model_folder(folder, text.replace("[select]", f"{table}\n[select]"))
    (folder / "custom.py").write_text(hook)
    return folder


def trained(folder: Path) -> tuple[recipe.Recipe, train.FeatureTable, bytes]:
    loaded = recipe.load(folder)
    _, table = train.load_table(loaded)
    return loaded, table, studio.write_quick(loaded, table).read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model with the documentation's custom features."""
    folder = write(tmp_path_factory.mktemp("strokes"))
    trained(folder)
    return folder


def test_model_carries_the_hash_and_the_outputs(folder: Path) -> None:
    loaded, table, file = trained(folder)
    assert loaded.custom is not None
    names = [feature.name for feature in loaded.features]
    assert names[-2:] == ["custom(strokes)", "custom(longest_stroke)"]
    parsed = model_format.parse(file)
    n = len(names)
    assert parsed.custom == (2, loaded.custom.digest)
    assert parsed.custom_outputs == [(n - 2, 0), (n - 1, 1)]
    assert parsed.n_golden_windows == 2 and parsed.n_golden_vectors == 3
    strokes = table.values[:, n - 2]
    by_class = [strokes[table.windows.class_ids == i].mean() for i in range(3)]
    assert by_class[2] > by_class[1] + 1, "shaking swings more often than walking"


@pytest.mark.parametrize("module", ["obkernels", "obtwin"])
def test_device_has_the_host_s_bits(folder: Path, tmp_path: Path, module: str) -> None:
    loaded, _, file = trained(folder)
    if module == "obkernels" and not (ROOT / "build/natmod/x64/obkernels.mpy").is_file():
        reason = "no native module: run make natmod"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    rows = own_data.samples_of("shaking", "ben", seconds=40) * 1000
    rows = np.vstack([rows, own_data.samples_of("walking", "ben", seconds=40) * 1000])
    samples = rows.round().astype(np.int16)
    (tmp_path / "samples").write_bytes(samples.tobytes())
    done = subprocess.run(
        [
            device.find_micropython(),
            ROOT / "tests" / "fakes" / "feature_dump.py",
            *(module, folder / "model.obm", folder / "custom.py", tmp_path / "samples"),
        ],
        env={"MICROPYPATH": ":".join(map(str, device.import_roots()))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    windows = np.stack([samples[at : at + 32] for at in range(0, len(samples) - 31, 16)])
    expected = custom.features_of(kernels.KernelModel(file), windows, loaded.custom)
    assert done.stdout.split() == [row.tobytes().hex() for row in expected]
    assert len(windows) > 100 and len(set(expected[:, -1])) > 3


def test_predictions_of_a_recording_use_the_custom_features(folder: Path) -> None:
    loaded, _, file = trained(folder)
    rows = (own_data.samples_of("shaking", "ben", seconds=20) * 1000).round().astype(np.int16)
    said = evaluate.predict_recording(file, rows, [len(rows)], loaded.custom)
    assert len(said) > 20
    with pytest.raises(UserError, match=r"\[custom\] is needed"):
        evaluate.predict_recording(file, rows, [len(rows)])


def test_simulated_nodes_get_their_custom_py(folder: Path) -> None:
    code, text, error = onebyte("simulate", "--model", folder, "--nodes", 2, "--seconds", 10)
    assert code == 0, error
    assert re.search(r"windows=(\d\d) published=\1 received=\1 lost=0 wrong=0", text), text


def test_inspect_shows_them(folder: Path) -> None:
    _, text, _ = onebyte("inspect", folder / "model.obm")
    digest = recipe.load(folder).custom
    assert digest is not None
    assert f"2 outputs of a custom.py whose SHA-256 begins with {digest.digest.hex()}" in text
    assert re.search(r"custom +output 1 ", text)


def test_a_model_that_uses_none_of_them_carries_none(tmp_path: Path) -> None:
    write(tmp_path, HOOK + "    out[0] = 7\n", '[custom]\noutputs = "seven"\n', n_features=3)
    loaded, _, file = trained(tmp_path)
    assert model_format.parse(file).custom is None
    assert "custom(seven)" in [feature.name for feature in loaded.features]


def test_they_may_be_the_only_features(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "recipe.toml"
    text = re.sub(r"\[\[features\]\]\n.*?\n\n", "", path.read_text(), flags=re.DOTALL)
    path.write_text(text)
    _, _, file = trained(tmp_path)
    assert [entry[0] for entry in model_format.parse(file).program] == [26, 26]


def test_numpy_example_runs(tmp_path: Path) -> None:
    write(tmp_path, NUMPY_EXAMPLE, '[custom]\noutputs = ["middle", "highest"]\n')
    _, table, _ = trained(tmp_path)
    az = table.windows.samples[:, :, 2]
    assert table.values[:, -2].tolist() == np.median(az, axis=1).astype(int).tolist()
    assert table.values[:, -1].tolist() == az.argmax(axis=1).tolist()


def test_another_custom_py_is_not_used_for_an_old_model(tmp_path: Path) -> None:
    write(tmp_path)
    _, table, file = trained(tmp_path)
    (tmp_path / "custom.py").write_text(EXAMPLE + "\n")
    changed = recipe.load(tmp_path).custom
    with pytest.raises(UserError, match="is not the one that the model was trained with"):
        custom.features_of(kernels.KernelModel(file), table.windows.samples, changed)


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        (HOOK + "    out[0] = 40000\n", "custom.py: window 0: out[0] = 40000 is not within"),
        (HOOK + "    out[0] = 0.5\n", "window 0: out[0] is float, not int: put int() around it"),
        (
            "import numpy as np\n" + HOOK + "    out[0] = np.frombuffer(samples, np.int16)[0]\n",
            "out[0] is int16, not int",
        ),
        (HOOK + "    pass\n", "window 0: out[0] was not set"),
        (HOOK + "    out[0] = 1\n    out.append(2)\n", "window 0: 2 outputs, not 1"),
        (HOOK + "    out[1] = 1\n", "window 0: IndexError: "),
        (HOOK + "    out[0] = 1 // (samples[0] - samples[0])\n", "window 0: ZeroDivisionError"),
        (
            "SEEN = []\n" + HOOK + "    SEEN.append(1)\n    out[0] = len(SEEN)\n",
            "gives other values when it sees window",
        ),
        ("def features_into(samples, out:\n", "custom.py: SyntaxError: "),
        ("import no_such_module\n", "custom.py: ModuleNotFoundError: "),
        ("FEATURES = 1\n", "custom.py: there is no function features_into"),
    ],
)
def test_a_wrong_custom_py_is_one_line(tmp_path: Path, hook: str, message: str) -> None:
    write(tmp_path, hook, '[custom]\noutputs = ["one"]\n')
    with pytest.raises(UserError) as caught:
        train.load_table(recipe.load(tmp_path))
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('[custom]\noutputs = ["a"]\nfile = "other.py"\n', "other.py: No such file or directory"),
        ('[custom]\noutputs = ["a", "a"]\n', "[custom]: outputs names one of them twice"),
        ('[custom]\noutputs = ["A b"]\n', "'A b' must be 1-32 of a-z, 0-9 and _"),
        ("[custom]\noutputs = []\n", "[custom]: outputs must name what custom.py computes"),
        ('[custom]\noutput = "a"\n', "unknown key 'output'; did you mean 'outputs'?"),
        (
            "[custom]\noutputs = [" + ",".join(f'"o{i}"' for i in range(128)) + "]\n",
            "128 outputs; at most 127",
        ),
        (
            '[[features]]\nop = "custom"\nof = "all"\n',
            "custom features are listed in [custom] outputs",
        ),
    ],
)
def test_a_wrong_recipe_is_one_line(tmp_path: Path, table: str, message: str) -> None:
    write(tmp_path, table=table)
    with pytest.raises(UserError) as caught:
        recipe.load(tmp_path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "custom.py").unlink()
    assert_refused(onebyte("train", tmp_path, "--quick"), "custom.py: No such file or directory")
