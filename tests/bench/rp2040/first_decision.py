"""The bench's main.py: a decision from what lies in the flash, then the cycles since power-on."""

from array import array

import machine
import obkernels

from formats import model
from pipeline.decision import Decision

with open("/bench/exercise.obm", "rb") as file:
    data = file.read()
with open("/bench/window", "rb") as file:
    window = file.read()
kernels = obkernels.Model(data, bytearray(obkernels.work_bytes(data)))
info = model.parse(data, True)  # the kernels have checked it
features = array("h", bytes(2 * info.n_features))
result = array("i", bytes(4 * (4 + info.n_classes)))
decision = Decision(
    info.encoding, info.k, info.n, info.min_confidence, info.novelty_threshold, info.levels
)
kernels.features_into(window, 0, features)
kernels.predict_into(features, result)
byte = decision.step(result[0], result[1], result[2])
print("first decision", byte, machine.mem32[0x5F000010])
