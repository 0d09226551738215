"""What held-out predictions say about confidence and novelty."""

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score

__all__ = ["LEVEL_SHARES", "auroc", "confidence_levels", "novelty_scores", "novelty_threshold"]

# Level l of the result byte: at least this share of the held-out windows with such a confidence
# were right. The last steps are small because that is where a receiver draws its line.
LEVEL_SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
NEVER_NOVEL = 65535


def confidence_levels(confidence: np.ndarray, right: np.ndarray) -> list[int]:
    """Return the seven level bounds of a model file from held-out windows.

    An isotonic regression gives the share of right windows at each confidence; a bound is the
    lowest confidence whose share reaches `LEVEL_SHARES`. A share that no confidence reaches gets
    255: only a unanimous vote is that level.
    """
    grid = np.arange(256)
    curve = IsotonicRegression(out_of_bounds="clip").fit(confidence, right).predict(grid)
    return [
        int(np.argmax(curve >= share)) if curve[-1] >= share else 255 for share in LEVEL_SHARES
    ]


def novelty_scores(ranges: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Return the novelty score (SPEC section 4) of features (n, m) for ranges (m, 2)."""
    low, high = ranges[:, 0], ranges[:, 1]
    values = features.astype(np.int64)
    excess = np.maximum(low - values, 0) + np.maximum(values - high, 0)
    steps = np.where(excess > 0, 1 + np.minimum(15, 4 * excess // (high - low + 1)), 0)
    total: np.ndarray = steps.sum(axis=1)
    return total


def novelty_threshold(scores: np.ndarray, false_rate: float) -> int:
    """Return the lowest threshold that at most `false_rate` of known windows reach."""
    for threshold in range(1, int(scores.max()) + 2):
        if (scores >= threshold).mean() <= false_rate:
            return threshold
    return NEVER_NOVEL


def auroc(known: np.ndarray, novel: np.ndarray) -> float:
    """Return how often a novel window scores above a known one (ties count half)."""
    truth = np.repeat([0, 1], [len(known), len(novel)])
    return float(roc_auc_score(truth, np.concatenate([known, novel])))
