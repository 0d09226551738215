"""Our kernels, the reference in numpy and emlearn's C give the same class for the same forest.

emlearn sums floats and we integers, so only an exact tie of votes may end differently; the test
prints how many windows tie.
"""

import numpy as np
import pytest
import sample_model
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from formats import model_pack
from onebyte.kernels import KernelModel
from onebyte.training import quantize
from onebyte.training.agreement import compare_with_emlearn, emlearn_predict

N_RANDOM = 20_000


def pack(forest: quantize.Forest) -> bytes:
    """Return a model with this forest; what its features are does not matter here."""
    values = sample_model.smallest()
    values["program"] = [(1, 0, 0, 0, 0)] * forest.n_features
    values["trees"] = forest.trees
    values["rows"] = [bytes(row) for row in forest.rows]
    values["labels"] = [f"class {i}" for i in range(forest.n_classes)]
    return model_pack.pack(values)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Real measurements, 64 pixels in 10 classes, scaled to the width of our features."""
    pixels, classes = load_digits(return_X_y=True)
    noise = np.random.default_rng(1).integers(-64, 64, pixels.shape)
    return (pixels * 1024 - 8192 + noise).astype(np.int16), classes


@pytest.mark.parametrize("leaf_bits", [0, 8])
@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier])
def test_same_class_as_emlearn(kind, leaf_bits, digits):
    features, classes = digits
    n_train = 1200
    estimator = kind(n_estimators=23, max_leaf_nodes=64, random_state=3)
    estimator.fit(features[:n_train], classes[:n_train])
    forest = quantize.from_estimator(estimator, leaf_bits)
    model = KernelModel(pack(forest))
    random = np.random.default_rng(2).integers(-32768, 32768, (N_RANDOM, 64), dtype=np.int16)
    for name, vectors in (("digits", features), ("random", random)):
        ours = model.predict(vectors)
        reference = forest.predict(vectors)
        assert (ours["votes"] == reference.votes).all()
        assert (ours["class_id"] == reference.class_id).all()
        assert (ours["confidence"] == reference.confidence).all()
        agreement = compare_with_emlearn(forest, vectors, ours["votes"])
        assert agreement.differ_without_tie == 0
        best_two = np.sort(ours["votes"], axis=1)[:, -2:]
        ties = int((best_two[:, 0] == best_two[:, 1]).sum())
        print(f"{kind.__name__} leaf_bits={leaf_bits} {name}: {ties} ties of {len(vectors)}")
        assert agreement.differ <= ties
    held_out = model.predict(features[n_train:])["class_id"]
    assert (held_out == classes[n_train:]).mean() > 0.85


def test_thresholds_at_the_ends_of_int16():
    forest = quantize.Forest(
        trees=[[(0, -32768), 0, (0, 32767), 1, 2], [(0, 0), 2, 1], [(0, 1), 1, 0]],
        rows=[],
        n_features=1,
        n_classes=3,
    )
    vectors = np.array([[-32768], [-32767], [-1], [0], [1], [32766], [32767]], np.int16)
    ours = KernelModel(pack(forest)).predict(vectors)
    assert (ours["votes"] == forest.predict(vectors).votes).all()
    assert compare_with_emlearn(forest, vectors, ours["votes"]).differ_without_tie == 0


def test_emlearn_sees_the_forest_that_we_see():
    forest = quantize.Forest(
        trees=[[(1, 10), 0, 1]], rows=[(9, 1), (2, 200)], n_features=2, n_classes=2
    )
    vectors = np.array([[0, 9], [0, 10]], np.int16)
    assert list(emlearn_predict(forest, vectors)) == [0, 1]
    assert list(KernelModel(pack(forest)).predict(vectors)["class_id"]) == [0, 1]
