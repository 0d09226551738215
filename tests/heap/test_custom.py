"""Custom features allocate nothing but what the user's function does."""

from array import array

import obkernels
import obtwin
import sample_model
from check import Random, heap_lock
from feature_programs import random_window

from app.custom import CustomModel
from formats import model, model_pack
from pipeline.custom import CustomFeatures

ROWS = 100
HOOK = b"""
def features_into(samples, out):
    highest = crossings = 0
    for i in range(4, len(samples), 4):
        step = samples[i] - samples[i - 4]
        highest = max(highest, abs(step))
        crossings += (samples[i] < 0) != (samples[i - 4] < 0)
    out[0] = highest >> 2
    out[1] = crossings
    out[2] = samples[len(samples) - 1]
"""


def values(module, start_rows, lock=None, unlock=None):
    file = model_pack.pack(sample_model.with_custom())
    info = model.parse(file)
    kernel_model = module.Model(file, bytearray(module.work_bytes(file)))
    custom = CustomModel(kernel_model, info, CustomFeatures(HOOK, 3))
    ring = random_window(11, ROWS, 4)
    features, result = array("h", bytes(20)), array("i", bytes(28))
    custom.features_into(ring, 0, features)  # the twin looks closer at buffers it has not seen
    custom.predict_into(features, result)
    found = [None] * len(start_rows)
    for i in range(len(start_rows)):
        if lock:
            lock()
        try:
            custom.features_into(ring, start_rows[i], features)
            custom.predict_into(features, result)
        finally:
            if unlock:
                unlock()
        found[i] = (list(features), list(result))
    return found


def test_sensing_with_custom_features_does_not_allocate():
    lock, unlock = heap_lock()
    start_rows = (0, 36, 37, 50, ROWS - 1)
    native = values(obkernels, start_rows, lock, unlock)
    assert native == values(obtwin, start_rows, lock, unlock) == values(obtwin, start_rows)


def test_the_function_sees_the_window_wherever_it_begins():
    file = model_pack.pack(sample_model.with_custom())
    info = model.parse(file)
    kernel_model = obkernels.Model(file, bytearray(obkernels.work_bytes(file)))
    seen = []
    custom = CustomModel(kernel_model, info, CustomFeatures(HOOK, 3))
    custom._custom.compute = seen.append  # stands in for the user's function
    custom._custom.out = [0, 0, 0]
    random = Random(3)
    ring = array("h", [random.between(-999, 999) for _ in range(4 * ROWS)])
    twice = ring + ring
    for start_row in range(ROWS):
        custom.features_into(ring, start_row, array("h", bytes(20)))
        assert seen.pop() == twice[4 * start_row : 4 * (start_row + info.window)]
