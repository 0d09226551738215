"""Do emlearn's own C and our kernels say the same with the same forest?"""

import ctypes
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from emlearn import trees as emlearn_trees
from emlearn.common import get_include_dir

from onebyte.errors import UserError
from onebyte.training import quantize

__all__ = ["EmlearnAgreement", "compare_with_emlearn", "emlearn_predict"]

# Runs many windows in one call; everything else is emlearn's.
_BATCH = """
void predict_all(const int16_t *features, int32_t n, int32_t n_features, int32_t *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = forest_predict(features + i * n_features, n_features);
    }
}
"""


@dataclass(frozen=True)
class EmlearnAgreement:
    """Counts of windows.

    emlearn adds floats and we add integers, so an exact tie of votes may end differently and
    nothing else: `differ_without_tie` must be 0.
    """

    windows: int
    differ: int
    differ_without_tie: int


def compare_with_emlearn(
    forest: quantize.Forest, features: np.ndarray, votes: np.ndarray
) -> EmlearnAgreement:
    """Run emlearn's C on int16 features (n, n_features) and compare it with our votes for them."""
    best_two = np.sort(votes, axis=1)[:, -2:]
    differ = emlearn_predict(forest, features) != votes.argmax(axis=1)
    tie = best_two[:, 0] == best_two[:, 1]
    return EmlearnAgreement(len(features), int(differ.sum()), int((differ & ~tie).sum()))


def emlearn_predict(forest: quantize.Forest, features: np.ndarray) -> np.ndarray:
    """Return the class that emlearn's generated C and eml_trees.h give each window."""
    nodes, roots, leaves = quantize.to_emlearn(forest)
    code = emlearn_trees.generate_c_loadable(
        (nodes, roots, leaves),
        name="forest",
        n_features=forest.n_features,
        dtype="int16_t",
        n_classes=forest.n_classes,
        leaf_bits=8 if forest.rows else 0,
    )
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise UserError("there is no C compiler: install gcc or clang, or set CC")
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "forest.c", Path(folder) / "forest.so"
        source.write_text(code + _BATCH)
        subprocess.run(
            [
                compiler,
                "-O2",
                "-shared",
                "-fPIC",
                f"-I{get_include_dir()}",
                "-o",
                str(library),
                str(source),
                "-lm",
            ],
            check=True,
            capture_output=True,
        )
        return _run(library, features)


def _run(library: Path, features: np.ndarray) -> np.ndarray:
    features = np.ascontiguousarray(features, dtype=np.int16)
    out = np.empty(len(features), dtype=np.int32)
    ctypes.CDLL(str(library)).predict_all(
        ctypes.c_void_p(features.ctypes.data),
        ctypes.c_int32(len(features)),
        ctypes.c_int32(features.shape[1]),
        ctypes.c_void_p(out.ctypes.data),
    )
    return out
