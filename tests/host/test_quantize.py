"""From scikit-learn through emlearn to integers: the same paths, the same votes."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from onebyte.training import agreement, quantize

N_CLASSES = 5


def make_data(n: int = 1200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    values = rng.integers(-300, 300, (n, 8)).astype(np.int16)
    noise = rng.integers(0, 2, n)
    return values, (values[:, 0] // 100 + values[:, 1] // 150 + noise) % N_CLASSES


VALUES, CLASS_IDS = make_data()
ESTIMATOR = ExtraTreesClassifier(7, max_leaf_nodes=30, random_state=1).fit(VALUES, CLASS_IDS)


def test_integer_thresholds_reach_the_same_leaves() -> None:
    forest = quantize.from_estimator(ESTIMATOR, 0)
    votes = np.zeros((len(VALUES), N_CLASSES), dtype=int)
    for tree in ESTIMATOR.estimators_:
        votes[np.arange(len(VALUES)), tree.predict(VALUES).astype(int)] += 1
    assert np.array_equal(forest.predict(VALUES).votes, votes)


def test_trees_are_joined_as_emlearn_joins_them() -> None:
    from emlearn import trees as emlearn_trees

    trees = [tree.tree_ for tree in ESTIMATOR.estimators_]
    nodes, roots, leaves = emlearn_trees.flatten_forest(trees, leaf="argmax", leaf_bits=0)
    for node in nodes:
        node[1] = int(np.floor(node[1])) + 1
    theirs = quantize.from_emlearn((nodes, roots, leaves), 8, N_CLASSES)
    assert theirs == quantize.from_estimator(ESTIMATOR, 0)


def test_a_threshold_on_an_integer_goes_left() -> None:
    values = np.array([[0], [1], [2], [3]], dtype=np.int16)
    estimator = RandomForestClassifier(1, bootstrap=False, random_state=0)
    estimator.fit(values, [0, 0, 1, 1])
    estimator.estimators_[0].tree_.threshold[0] = 2.0  # x <= 2 goes left
    (tree,) = quantize.from_estimator(estimator, 0).trees
    assert tree == [(0, 3), 0, 1]


@pytest.mark.parametrize("leaf_bits", [2, 3, 4, 8])
def test_rows_are_unique_used_and_never_empty(leaf_bits: int) -> None:
    forest = quantize.from_estimator(ESTIMATOR, leaf_bits)
    assert len(set(forest.rows)) == len(forest.rows)
    assert all(sum(row) > 0 for row in forest.rows)
    used = {node for tree in forest.trees for node in tree if isinstance(node, int)}
    assert used == set(range(len(forest.rows)))


def test_finer_rows_agree_better_with_scikit_learn() -> None:
    said = ESTIMATOR.predict(VALUES)
    same = [
        (quantize.from_estimator(ESTIMATOR, bits).predict(VALUES).class_id == said).mean()
        for bits in (2, 4, 8)
    ]
    assert same[0] < same[1] < same[2]
    assert same[2] > 0.98


def test_a_split_between_equal_leaves_disappears() -> None:
    nodes = [[0, 5, 1, -1], [1, 7, -2, -3]]  # both leaves of node 1 are class 2
    forest = quantize.from_emlearn((nodes, [0], [0, 2, 2]), 2, 3)
    assert forest.trees == [[(0, 5), 2, 0]]


@pytest.mark.parametrize("leaf_bits", [0, 4])
def test_to_emlearn_is_the_inverse_of_from_emlearn(leaf_bits: int) -> None:
    forest = quantize.from_estimator(ESTIMATOR, leaf_bits)
    again = quantize.from_emlearn(quantize.to_emlearn(forest), 8, N_CLASSES)
    assert again == forest


def test_a_tree_of_one_leaf_survives_emlearn() -> None:
    forest = quantize.Forest([[1], [(0, 3), 0, 1]], [], 1, 2)
    assert quantize.from_emlearn(quantize.to_emlearn(forest), 1, 2) == forest
    values = np.array([[2], [3]], dtype=np.int16)
    assert agreement.emlearn_predict(forest, values).tolist() == [0, 1]


@pytest.mark.parametrize("leaf_bits", [0, 2, 4, 8])
def test_emlearns_c_differs_only_at_exact_ties(leaf_bits: int) -> None:
    forest = quantize.from_estimator(ESTIMATOR, leaf_bits)
    found = agreement.compare_with_emlearn(forest, VALUES, forest.predict(VALUES).votes)
    assert found.windows == len(VALUES)
    assert found.differ_without_tie == 0
    assert found.differ < len(VALUES) / 100


@pytest.mark.parametrize("field", ["votes", "class_id", "confidence"])
def test_one_other_value_is_a_difference(field: str) -> None:
    said = quantize.from_estimator(ESTIMATOR, 4).predict(VALUES)
    other = {name: getattr(said, name).copy() for name in ("votes", "class_id", "confidence")}
    assert not said.differs(other).any()
    other[field][7] += 1
    assert np.flatnonzero(said.differs(other)).tolist() == [7]


def test_a_class_unlike_emlearns_is_counted() -> None:
    forest = quantize.from_estimator(ESTIMATOR, 4)
    votes = forest.predict(VALUES).votes
    before = agreement.compare_with_emlearn(forest, VALUES, votes)
    votes[7] = np.roll(votes[7], 1)
    after = agreement.compare_with_emlearn(forest, VALUES, votes)
    assert after.differ_without_tie == before.differ_without_tie + 1


def test_predict_breaks_ties_to_the_lowest_class_and_rounds_confidence_down() -> None:
    forest = quantize.Forest([[2], [1], [1], [2]], [], 1, 3)
    said = forest.predict(np.zeros((1, 1), dtype=np.int16))
    assert (said.class_id[0], said.confidence[0]) == (1, 127)
