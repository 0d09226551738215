"""`spectrum: ulab` changes nothing where there is a native module, or no ulab."""

from array import array

import fake_board
import obkernels
import obtwin
import sample_model
from check import Skip
from fake_board import Board, Source, make_node
from feature_programs import random_window

from formats import model_pack

try:
    import ulab
except ImportError:
    ulab = None


def features_of(kernels, spectrum):
    """Return the features that a node computes of a window."""
    file = model_pack.pack(sample_model.fields(golden_vectors=[], golden_windows=[]))
    board = Board(file, Source(4, 52000), kernels, fake_board.new_filesystem())
    made, _ = make_node(board, spectrum=spectrum)
    assert made.model_error is None, made.model_error
    features = array("h", bytes(20))
    made.sensing._model.features_into(random_window(3, 64, 4), 0, features)
    return features


def test_the_native_module_stays_exact():
    assert features_of(obkernels, "ulab") == features_of(obkernels, "exact")


def test_the_twin_stays_exact_without_ulab():
    if ulab is not None:
        raise Skip("this interpreter has ulab: tests/ulab runs on it")
    assert features_of(obtwin, "ulab") == features_of(obkernels, "exact")
