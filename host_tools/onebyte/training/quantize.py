"""From a scikit-learn ensemble to the integer forest of a model file, through emlearn.

emlearn flattens the trees and quantizes the leaves. scikit-learn goes left on `x <= threshold`,
the device (as emlearn's C) on `x < threshold` with integers, so an integer x takes the same path
with `floor(threshold) + 1`. What cannot change a vote is then left out: equal rows are stored
once, and a split whose two sides are the same leaf becomes that leaf.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from emlearn import trees as emlearn_trees

__all__ = ["Forest", "Prediction", "from_emlearn", "from_estimator", "to_emlearn"]

Node = int | tuple[int, int]  # a leaf, or (feature, threshold) of a split
EmlearnForest = tuple[list[list[int]], list[int], list[Any]]
_SPLIT_FIELDS = 4


@dataclass(frozen=True)
class Prediction:
    """Results of many windows, one entry each."""

    class_id: np.ndarray
    confidence: np.ndarray
    votes: np.ndarray  # (n, n_classes)

    def differs(self, said: Mapping[str, np.ndarray] | np.ndarray) -> np.ndarray:
        """Return a mask of the windows where the kernels say anything else."""
        mask: np.ndarray = (
            (said["votes"] != self.votes).any(axis=1)
            | (said["class_id"] != self.class_id)
            | (said["confidence"] != self.confidence)
        )
        return mask


@dataclass(frozen=True)
class Forest:
    """An ensemble in the terms of SPEC section 3.

    Attributes:
        trees: each tree's nodes in preorder.
        rows: rows of votes that the leaves name; empty when leaves name classes.
    """

    trees: list[list[Node]]
    rows: list[tuple[int, ...]]
    n_features: int
    n_classes: int

    @property
    def n_nodes(self) -> int:
        """Splits and leaves."""
        return sum(len(tree) for tree in self.trees)

    def predict(self, features: np.ndarray) -> Prediction:
        """The reference: classify int16 features (n, n_features) as the SPEC says."""
        votes = np.zeros((len(features), self.n_classes), dtype=np.int64)
        table = np.array(self.rows) if self.rows else np.eye(self.n_classes, dtype=np.int64)
        for tree in self.trees:
            votes += table[_leaves(tree, features)]
        class_id = votes.argmax(axis=1)  # the first, so the lowest, of equals
        best = votes[np.arange(len(votes)), class_id]
        return Prediction(class_id, best * 255 // votes.sum(axis=1), votes)


def from_estimator(estimator: Any, leaf_bits: int) -> Forest:
    """Convert a fitted ExtraTreesClassifier or RandomForestClassifier.

    Args:
        estimator: fitted on int16 features with classes 0..n-1.
        leaf_bits: 0 for hard votes, 2-8 for rows of class shares of that resolution.
    """
    leaf = "probabilities" if leaf_bits else "argmax"
    trees = [tree.tree_ for tree in estimator.estimators_]
    nodes, roots, leaves = _joined(
        [emlearn_trees.flatten_tree(tree, leaf=leaf, leaf_bits=leaf_bits) for tree in trees]
    )
    integers = [
        [int(feature), math.floor(threshold) + 1, left, right]
        for feature, threshold, left, right in nodes
    ]
    if leaf_bits:
        shares = _leaf_shares(trees)
        leaves = [_with_votes(row, share) for row, share in zip(leaves, shares, strict=True)]
    return from_emlearn(
        (integers, roots, leaves), int(estimator.n_features_in_), int(estimator.n_classes_)
    )


def _joined(trees: list[tuple[list[list[Any]], list[Any]]]) -> EmlearnForest:
    """Put emlearn's trees behind one another.

    emlearn's flatten_forest does the same and checks everything so far after each tree, which
    takes most of a search over settings.
    """
    nodes: list[list[Any]] = []
    roots: list[int] = []
    leaves: list[Any] = []
    for tree, tree_leaves in trees:
        first, first_leaf = len(nodes), len(leaves)
        roots.append(first)
        for feature, threshold, *children in tree:
            moved = [child + first if child >= 0 else child - first_leaf for child in children]
            nodes.append([feature, threshold, *moved])
        leaves += tree_leaves
    return nodes, roots, leaves


def _leaf_shares(trees: list[Any]) -> list[np.ndarray]:
    # In emlearn's order of leaves: by the split that refers to them, left before right.
    shares = []
    for tree in trees:
        for left, right in zip(tree.children_left, tree.children_right, strict=True):
            children = (left, right) if left >= 0 else ()
            shares += [tree.value[i][0] for i in children if tree.children_left[i] < 0]
        if tree.node_count == 1:
            shares.append(tree.value[0][0])
    return shares


def _with_votes(row: np.ndarray, share: np.ndarray) -> tuple[int, ...]:
    """Let a leaf whose shares were all rounded to no vote at all vote for its best class."""
    if row.any():
        return tuple(int(votes) for votes in row)
    best = int(share.argmax())
    return tuple(int(i == best) for i in range(len(row)))


def from_emlearn(forest: EmlearnForest, n_features: int, n_classes: int) -> Forest:
    """Convert emlearn's flat form.

    Args:
        forest: nodes [feature, threshold, left, right] with absolute child indices or leaves as
            -1 - index; roots; leaves, all class ids or all rows of votes.
        n_features: number of features of a vector.
        n_classes: number of classes.
    """
    nodes, roots, leaves = forest
    soft = bool(leaves) and np.ndim(leaves[0]) > 0
    values = [tuple(int(votes) for votes in leaf) if soft else int(leaf) for leaf in leaves]
    ids: dict[Any, int] = {}
    leaf_ids = [ids.setdefault(value, len(ids)) for value in values]
    trees = [_preorder(nodes, root, leaf_ids) for root in roots]
    if not soft:
        classes = list(ids)
        return Forest(
            [_renamed(tree, dict(enumerate(classes))) for tree in trees], [], n_features, n_classes
        )
    used = dict.fromkeys(node for tree in trees for node in tree if isinstance(node, int))
    new = {old: number for number, old in enumerate(used)}
    rows = [value for value, number in ids.items() if number in new]
    rows.sort(key=lambda row: new[ids[row]])
    return Forest([_renamed(tree, new) for tree in trees], rows, n_features, n_classes)


def to_emlearn(forest: Forest) -> EmlearnForest:
    """Return emlearn's flat form; every child comes after its parent, as its formats require."""
    nodes: list[list[int]] = []
    roots = []
    for tree in forest.trees:
        roots.append(len(nodes))
        if isinstance(tree[0], int):
            nodes.append([0, 0, -1 - tree[0], -1 - tree[0]])  # emlearn has no tree without a split
            continue
        parents: list[list[int]] = []  # splits that lack a child, innermost last
        for node in tree:
            encoded = -1 - node if isinstance(node, int) else len(nodes)
            if parents:
                parents[-1].append(encoded)
                if len(parents[-1]) == _SPLIT_FIELDS:
                    parents.pop()
            if not isinstance(node, int):
                nodes.append([*node])
                parents.append(nodes[-1])
    leaves = list(forest.rows) if forest.rows else list(range(forest.n_classes))
    return nodes, roots, leaves


def _preorder(nodes: list[list[int]], at: int, leaf_ids: list[int]) -> list[Node]:
    if at < 0:
        return [leaf_ids[-1 - at]]
    feature, threshold, left, right = nodes[at]
    below = _preorder(nodes, left, leaf_ids)
    above = _preorder(nodes, right, leaf_ids)
    if len(below) == 1 and below == above:
        return below
    return [(feature, threshold), *below, *above]


def _renamed(tree: list[Node], new: dict[int, int]) -> list[Node]:
    return [new[node] if isinstance(node, int) else node for node in tree]


def _leaves(tree: list[Node], features: np.ndarray) -> np.ndarray:
    """Return the leaf that every vector reaches."""
    leaf = np.zeros(len(features), dtype=np.int64)
    at = 0

    def walk(reached: np.ndarray) -> None:
        nonlocal at
        node = tree[at]
        at += 1
        if isinstance(node, int):
            leaf[reached] = node
            return
        feature, threshold = node
        left = features[reached, feature] < threshold
        walk(reached[left])
        walk(reached[~left])

    walk(np.arange(len(features)))
    return leaf
