"""The recipe is read strictly, and every refusal names what to change."""

from pathlib import Path

import own_data
import pytest

from onebyte.errors import UserError
from onebyte.training import recipe
from onebyte.training.features import compile_program

ROOT = Path(__file__).resolve().parents[2]


def load(folder: Path, text: str) -> recipe.Recipe:
    (folder / "recipe.toml").write_text(text)
    return recipe.load(folder)


def changed(old: str, new: str) -> str:
    assert old in own_data.RECIPE
    return own_data.RECIPE.replace(old, new)


def test_load_expands_features_of_all_streams(tmp_path: Path) -> None:
    loaded = load(tmp_path, own_data.RECIPE)
    names = [feature.name for feature in loaded.features]
    assert names[:5] == ["mean(ax)", "mean(ay)", "mean(az)", "mean(a)", "std(ax)"]
    assert len(names) == 16
    assert loaded.select_features == 6
    assert list(loaded.labels) == ["resting", "walking", "shaking"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version = 3", "version = 3\ncolour = 1", "unknown key 'colour'"),
        ("n_trees = 5", "n_tree = 5\nn_trees = 5", "did you mean 'n_trees'"),
        ("n_trees = 5", 'n_trees = "5"', "must be a whole number"),
        ("n_trees = 5", "n_trees = 0", "within 1 to 1024"),
        ('"peak_bin"]', '"peak_pin"]', "no feature 'peak_pin'"),
        ('of = "all"', 'of = "ax2"', "no stream 'ax2'"),
        ("window = 32", "window = 7", "within 8 to 1024"),
        ("window = 32", "window = 2000", "within 8 to 1024"),
        ("hop = 16", "hop = 40", "hop = 40 must be at most window"),
        ("size = 32", "size = 33", "power of two"),
        ("size = 32", "size = 16", "not below the window"),
        ("[fft]\nsize = 32\n", "", "peak_bin needs [fft] size"),
        ("leaf_bits = 4", "leaf_bits = 1", "0 (hard vote) or 2 to 8"),
        ('unit = "g", lsb = 0.001 },\n]', 'unit = "gee", lsb = 0.001 },\n]', "unit = 'gee'"),
        ('name = "ay"', 'name = "ax"', "two channels named 'ax'"),
        ('name = "a"\n', 'name = "ax"\n', "two streams named 'ax'"),
        ('"at rest"', '"walking"', "same label"),
        ("k = 2", "k = 4", "within 1 to 3"),
        ('kind = "folder"', 'kind = "web"', "must be one of seglearn, sktime, folder"),
        ("[validation]", "[valuation]", "unknown key|'validation' is missing"),
        ("per_class = 1", "per_class = 20", "at most 32"),
        (
            "[select]",
            '[[features]]\nop = "band_energy"\nof = "ax"\nbands_hz = [[1, 20]]\n[select]',
            "half the sample rate; end it at 12.5",
        ),
        (
            "[select]",
            '[[features]]\nop = "band_share"\nof = "ax"\nbands_hz = [[0, 0.1]]\n[select]',
            "no usable bin",
        ),
        (
            "[select]",
            '[[features]]\nop = "autocorr_lag"\nof = "ax"\nlags_ms = [100, 2000]\n[select]',
            "within 1 to 31",
        ),
        ("[select]", '[[features]]\nop = "mean"\nof = "ax"\n[select]', "mean(ax) is listed twice"),
        (
            "[select]",
            '[[features]]\nop = "tilt"\ngroups = [["ax", "az", "a"]]\n[select]',
            "follow",
        ),
        ('name = "motion"', 'name = "My Motion"', "1-32 of a-z"),
        ("version = 3", "version 3", "recipe.toml"),
    ],
)
def test_load_refuses(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, changed(old, new))
    text = str(caught.value)
    assert any(part in text for part in message.split("|")), text
    assert "\n" not in text


def test_load_refuses_more_features_than_a_program_holds(tmp_path: Path) -> None:
    quantiles = ", ".join(f"{i / 64:.4f}" for i in range(1, 40))
    more = f'[[features]]\nop = "quantile"\nof = "all"\nq = [{quantiles}]\n'
    text = changed("[select]\nfeatures = 6\n", more)
    with pytest.raises(UserError, match="at most 127; set features in"):
        load(tmp_path, text)


def test_compile_program_keeps_only_needed_streams_and_groups_together(tmp_path: Path) -> None:
    streams = (
        '[[streams]]\nop = "diff"\nof = ["a", "ax", "ay", "az"]\n'
        '[[features]]\nop = "tilt"\ngroups = [["d_ax", "d_ay", "d_az"]]\n[fft]'
    )
    loaded = load(tmp_path, changed("[fft]", streams))
    tilt = next(f for f in loaded.features if f.name == "tilt(d_ay)")
    program = compile_program([tilt], loaded.streams, 3, loaded.fft_log2, loaded.fft_window)
    # The magnitude (3) and its difference (4) are gone, so the group moves from 5 to 3.
    assert program.streams == [(65, 0, 0, 0), (65, 1, 0, 0), (65, 2, 0, 0)]
    assert program.features == [(17, 4, 3, 0, 0)]
    assert (program.fft_log2, program.fft_window) == (0, 0)


@pytest.mark.parametrize("name", ["exercise", "plaid"])
def test_committed_recipes_load(name: str) -> None:
    assert recipe.load(ROOT / "models" / name).name == name
