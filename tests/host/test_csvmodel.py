"""emlearn's CSV: there and back, and refused with the line that is wrong."""

from pathlib import Path

import emlearn
import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from formats import model as model_format
from formats.errors import OnebyteError
from onebyte import cli
from onebyte.errors import UserError
from onebyte.training import csvmodel, quantize

ROOT = Path(__file__).resolve().parents[2]
LINES = "f,2 c,3 lf,0 l,0 l,2 r,0 r,2 n,0,5,1,-1 n,1,-7,-2,-1 n,1,0,-1,-2"
GOOD = LINES.replace(" ", "\r\n") + "\r\n"


def fitted(seed: int = 0) -> tuple[ExtraTreesClassifier, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = rng.integers(-200, 200, (400, 4)).astype(np.int16)
    class_ids = (values[:, 0] // 100 + values[:, 1] // 120) % 4
    return ExtraTreesClassifier(5, max_leaf_nodes=20, random_state=1).fit(
        values, class_ids
    ), values


@pytest.mark.parametrize("leaf_bits", [0, 3, 8])
def test_round_trip(leaf_bits: int) -> None:
    forest = quantize.from_estimator(fitted()[0], leaf_bits)
    assert csvmodel.read(csvmodel.write(forest), "a.csv") == forest


def test_write_is_what_emlearn_micropython_reads() -> None:
    lines = csvmodel.write(quantize.Forest([[(1, -4), 2, 0]], [], 2, 3)).split("\r\n")
    assert lines == ["f,2", "c,3", "lf,0", "l,0", "l,1", "l,2", "r,0", "n,1,-4,-3,-1", ""]


@pytest.mark.parametrize("leaf_bits", [0, 8])
def test_read_takes_what_emlearn_writes(leaf_bits: int) -> None:
    estimator, values = fitted()
    text = emlearn.convert(
        estimator, method="loadable", dtype="int16_t", leaf_bits=leaf_bits
    ).save(format="csv", name="x")
    forest = csvmodel.read(text, "emlearn.csv")
    # emlearn-micropython truncates the thresholds; ours are the exact ones.
    exact = quantize.from_estimator(estimator, leaf_bits)
    assert (forest.predict(values).class_id == exact.predict(values).class_id).mean() > 0.9


def test_read_joins_rows_that_numpy_wrapped() -> None:
    votes = [f"{i % 7:3d}" for i in range(20)]
    wrapped = f"l,[{' '.join(votes[:15])}\r\n {' '.join(votes[15:])}]"
    text = f"f,1\nc,20\nlb,8\n{wrapped}\nl,[{' '.join(votes)}]\nr,0\nn,0,1.5,-1,-2\n"
    assert csvmodel.read(text, "x").rows == [tuple(map(int, votes))]


def test_thresholds_are_truncated_as_emlearn_micropython_does() -> None:
    text = GOOD.replace("n,0,5,", "n,0,5.9,").replace("n,1,-7,", "n,1,-7.9,")
    assert csvmodel.read(text, "x") == csvmodel.read(GOOD, "x")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("f,2", "f,128", "line 1: '128' is not a whole number from 1 to 127"),
        ("f,2", "f,1", "line 9: '1' is not a whole number from 0 to 0"),
        ("f,2\r\n", "", "f must come before l"),
        ("c,3", "c,1", "line 2"),
        ("lf,0", "lf,9", "line 3"),
        ("lf,0", "lb,0\r\nlf,0", "line 4: leaf_bits stands here a second time"),
        ("lf,0", "q,0", "line 3: unknown kind 'q'"),
        ("l,2", "l,3", "line 5: '3' is not"),
        ("l,2", "l,2,2", "line 5: l has 2 fields"),
        ("l,2", "l,[0 1 2]", "line 5"),
        ("r,2", "r,3", "line 7: there is no node 3"),
        ("r,2", "r,0", "line 7: node 0 has two parents"),
        ("r,0\r\n", "", "line 7: nothing leads to this node"),
        ("n,0,5,1,-1", "n,0,5,0,-1", "line 8: a node is its own child"),
        ("n,0,5,1,-1", "n,0,5,1,-3", "line 8: there is no leaf 2"),
        ("n,0,5,1,-1", "n,0,5,7,-1", "line 8: there is no node 7"),
        ("n,0,5,1,-1", "n,0,5,1,1", "line 8: node 1 has two parents"),
        ("n,0,5,1,-1", "n,0,nan,1,-1", "line 8: threshold 'nan'"),
        ("n,0,5,1,-1", "n,0,40000,1,-1", "line 8: threshold '40000'"),
        ("n,0,5,1,-1", "n,0,5,1", "line 8: n has 5 fields"),
        ("n,0,5,1,-1", "n,0,5,1,x", "line 8: 'x' is not"),
        ("n,0,5,1,-1", "n,0,5,-1,-1", "line 9: nothing leads to this node"),
    ],
)
def test_read_refuses(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(UserError) as caught:
        csvmodel.read(GOOD.replace(old, new, 1), "a.csv")
    assert str(caught.value).startswith("a.csv, line ")
    assert message in str(caught.value)


def test_read_refuses_a_row_without_votes_and_a_deep_tree() -> None:
    with pytest.raises(UserError, match="line 4: a leaf without any vote"):
        csvmodel.read("f,1\nc,2\nlb,8\nl,[0 0]\nr,0\nn,0,0,-1,-1\n", "a")
    chain = "".join("n,0,0,-1,1\n" for _ in range(40)) + "n,0,0,-1,-1\n"
    with pytest.raises(UserError, match="deeper than 32"):
        csvmodel.read(f"f,1\nc,2\nl,0\nr,0\n{chain}", "a")


def test_read_refuses_empty_text() -> None:
    with pytest.raises(UserError, match="the line f is missing"):
        csvmodel.read("", "a")


def test_replace_trees_keeps_the_model_and_proves_it_anew() -> None:
    base = (ROOT / "models" / "exercise" / "model.obm").read_bytes()
    forest = csvmodel.forest_of(model_format.parse(base))
    assert csvmodel.replace_trees(base, forest) == base
    fewer = quantize.Forest(forest.trees[:4], forest.rows, forest.n_features, forest.n_classes)
    model = model_format.parse(csvmodel.replace_trees(base, fewer))
    assert model.n_trees == 4
    for class_id, confidence, _, features in model.golden_vectors:
        said = fewer.predict(np.array([features], dtype=np.int16))
        assert (said.class_id[0], said.confidence[0]) == (class_id, confidence)


def test_export_and_convert_commands_are_inverse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ROOT / "models" / "exercise"
    base, trees, out = folder / "model.obm", tmp_path / "trees.csv", tmp_path / "out.obm"
    assert cli.main(["export", str(folder), str(trees), "--csv"]) == 0
    assert cli.main(["convert", str(base), str(trees), str(out)]) == 0
    assert out.read_bytes() == base.read_bytes()
    trees.write_text(trees.read_text().replace("c,7", "c,8"))
    assert cli.main(["convert", str(base), str(trees), str(out)]) == 2
    assert cli.main(["convert", str(base), str(tmp_path / "none.csv"), str(out)]) == 2
    assert cli.main(["export", str(folder), str(out)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert "trees.csv, line 4: a leaf needs 8 votes" in errors[0]
    assert "none.csv: No such file" in errors[1]
    assert "either --csv or --recording" in errors[2]


def test_replace_trees_refuses_other_sizes_and_no_model() -> None:
    base = (ROOT / "models" / "exercise" / "model.obm").read_bytes()
    with pytest.raises(UserError, match="1 features and 2 classes, the model has"):
        csvmodel.replace_trees(base, quantize.Forest([[0]], [], 1, 2))
    with pytest.raises(OnebyteError):
        csvmodel.replace_trees(base[:-1], quantize.Forest([[0]], [], 1, 2))
