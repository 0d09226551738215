"""Do emlearn's own C and our kernels say the same with the same forest?"""

from dataclasses import dataclass
from typing import Any

import emlearn
import numpy as np

from onebyte import quantize

__all__ = ["EmlearnAgreement", "compare_with_emlearn", "emlearn_wrapper"]


@dataclass(frozen=True)
class EmlearnAgreement:
    """Counts of windows. emlearn adds floats, we add integers, so only exact ties of votes may
    end differently: `differ_without_tie` must be 0."""

    windows: int
    differ: int
    differ_without_tie: int


def emlearn_wrapper(estimator: Any, forest: quantize.Forest, method: str = "loadable") -> Any:
    """Return emlearn's model of an ensemble, with our integer thresholds in place of its own."""
    wrapper = emlearn.convert(estimator, method=method, dtype="int16_t",
                              leaf_bits=8 if forest.rows else 0)
    nodes, roots, leaves = quantize.to_emlearn(forest)
    wrapper.forest_ = (nodes, roots, [np.array(leaf, dtype=np.uint8) for leaf in leaves]
                       if forest.rows else leaves)
    return wrapper


def compare_with_emlearn(estimator: Any, forest: quantize.Forest,
                         features: np.ndarray) -> EmlearnAgreement:
    """Compile emlearn's C for the forest and run it on int16 features (n, n_features)."""
    theirs = np.asarray(emlearn_wrapper(estimator, forest).predict(features.astype(np.float32)))
    ours = forest.predict(features)
    best_two = np.sort(ours.votes, axis=1)[:, -2:]
    differ = theirs != ours.class_id
    tie = best_two[:, 0] == best_two[:, 1]
    return EmlearnAgreement(len(features), int(differ.sum()), int((differ & ~tie).sum()))
