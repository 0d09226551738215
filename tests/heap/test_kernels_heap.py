"""Features and classes allocate nothing, in the native module and in its twin."""

from array import array

import obkernels
import obtwin
import sample_model
from check import heap_lock


def run_locked(module):
    lock, unlock = heap_lock()
    file = sample_model.pack()
    model = module.Model(file, bytearray(module.work_bytes(file)))
    ring = array("h", [i * 7919 % 4001 - 2000 for i in range(4 * 100)])
    features = array("h", bytes(20))
    result = array("i", bytes(28))
    model.features_into(ring, 0, features)  # the twin looks closer at buffers it has not seen
    model.predict_into(features, result)
    lock()
    try:
        for start_row in (0, 50, 99):
            model.features_into(ring, start_row, features)
            model.predict_into(features, result)
    finally:
        unlock()
    return list(features), list(result)


def test_decision_does_not_allocate():
    assert run_locked(obkernels) == run_locked(obtwin)
