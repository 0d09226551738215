"""The pairs of the bench, on MicroPython's unix port; prints a name and a figure a line."""

import gc
import sys
import time
from array import array

ROOT = __file__.rsplit("/", 3)[0]
BUILD = ROOT + "/build/bench/"
sys.path[:] = [ROOT + "/lib", ROOT + "/lib/native/obkernels", ROOT + "/build/natmod/x64", BUILD]

# ruff: noqa: E402 - the imports need the path
import emlreference
import obkernels
import obtwin

from formats import model
from pipeline.decision import Decision

PREDICT_PAIRS = 15
WINDOW_PAIRS = 9
LOAD_PAIRS = 9
# How often each side does its work, so that both take about as long and what else the machine does
# slows both alike; the clock counts milliseconds.
PREDICT_ROUNDS = 240, 60  # over all vectors
WINDOWS = 1000, 10
LOADS = 300, 3
ALLOC_WINDOWS = 500


def argmax(values):
    """Return the index of the largest value, as emlearn-micropython's examples do."""
    index_max = 0
    value_max = values[0]
    for i in range(1, len(values)):
        if values[i] > value_max:
            value_max = values[i]
            index_max = i
    return index_max


def load_csv(path):
    """Parse emlearn's CSV line by line into a new builder."""
    builder = emlreference.new(256, 16384, 65536)
    n_features = n_classes = leaf_bits = None
    with open(path) as file:
        for line in file:
            stripped = line.rstrip("\r")
            stripped = stripped.rstrip("\n")
            tokens = stripped.split(",")
            kind = tokens[0]
            if kind == "r":
                builder.addroot(int(tokens[1]))
            elif kind == "n":
                value = int(float(tokens[2]))
                builder.addnode(int(tokens[3]), int(tokens[4]), int(tokens[1]), value)
            elif kind == "l":
                builder.addleaf(int(tokens[1]))
            elif kind == "f":
                n_features = int(tokens[1])
            elif kind == "c":
                n_classes = int(tokens[1])
            elif kind == "lf":
                leaf_bits = int(tokens[1])
    builder.setdata(n_features, n_classes, leaf_bits)
    return builder


def load_obm(path, module=obkernels):
    """Read and check a model file."""
    with open(path, "rb") as file:
        data = file.read()
    return module.Model(data, bytearray(module.work_bytes(data)))


def load_often(load, name, times):
    """Load a model from a file again and again."""
    for _ in range(times):
        load(BUILD + name)


def median(values):
    """Return the median of an odd number of values."""
    return sorted(values)[len(values) // 2]


def elapsed_s(function, *args):
    """Return the processor time of a call; the garbage of what ran before is not its own."""
    gc.collect()
    start = time.clock()
    function(*args)
    return time.clock() - start


def pair_ratio(pairs, counts, ours, theirs):
    """Return the median of theirs / ours for one unit of work over pairs measured in turn.

    `ours` and `theirs` are a function and its arguments; the last argument follows from counts.
    """
    ratios = []
    for _ in range(pairs):
        our_s = elapsed_s(*ours, counts[0]) / counts[0]
        ratios.append(elapsed_s(*theirs, counts[1]) / counts[1] / our_s)
    return median(ratios)


def predict_ours(classifier, vectors, result, rounds):
    """Class and confidence of every vector."""
    for _ in range(rounds):
        for features in vectors:
            classifier.predict_into(features, result)
            class_id = result[0]
            confidence = result[1]
    return class_id, confidence


def predict_emlearn(builder, vectors, out, rounds):
    """Class and probability of every vector, as emlearn-micropython's har_live.py takes them."""
    for _ in range(rounds):
        for features in vectors:
            builder.predict(features, out)
            class_id = argmax(out)
            probability = max(out)
    return class_id, probability


def predict_emlearn_frugal(builder, vectors, out, rounds):
    """The same for a user who spares the second look at all classes."""
    for _ in range(rounds):
        for features in vectors:
            builder.predict(features, out)
            class_id = argmax(out)
            probability = out[class_id]
    return class_id, probability


def predict_pair(name, vectors, n_classes, predict_theirs=predict_emlearn):
    """Return the ratio of one kind of leaf, after making sure that both give the same class."""
    ours = load_obm(BUILD + name + ".obm")
    theirs = load_csv(BUILD + name + ".csv")
    result = array("i", bytes(4 * (4 + n_classes)))
    out = array("f", bytes(4 * n_classes))
    for features in vectors:
        ours.predict_into(features, result)
        theirs.predict(features, out)
        class_id = argmax(out)
        assert class_id == result[0] or result[4 + class_id] == max(result[4:])
    return pair_ratio(
        PREDICT_PAIRS,
        PREDICT_ROUNDS,
        (predict_ours, ours, vectors, result),
        (predict_theirs, theirs, vectors, out),
    )


class Pipeline:
    """Window to result byte, with one of the two modules."""

    def __init__(self, module, parsed):
        self._model = load_obm(BUILD + "soft.obm", module)
        self._rows = 2 * parsed.window
        self._hop = parsed.hop
        self._features = array("h", bytes(2 * parsed.n_features))
        self._result = array("i", bytes(4 * (4 + parsed.n_classes)))
        self._ring = noise(self._rows * parsed.n_channels)
        self._decision = Decision(
            parsed.encoding,
            parsed.k,
            parsed.n,
            parsed.min_confidence,
            parsed.novelty_threshold,
            parsed.levels,
        )

    def run(self, windows):
        """Decide so many windows; return the last byte."""
        result = self._result
        row = 0
        byte = -1
        for _ in range(windows):
            self._model.features_into(self._ring, row, self._features)
            self._model.predict_into(self._features, result)
            byte = self._decision.step(result[0], result[1], result[2])
            row = (row + self._hop) % self._rows
        return byte


def noise(count):
    """Return samples of a generator that does not repeat soon."""
    state = 12345
    samples = array("h", bytes(2 * count))
    for i in range(count):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        samples[i] = ((state >> 8) & 0x3FFF) - 8192
    return samples


def allocated_bytes(pipeline):
    """Return how much the heap grows in one decision."""
    pipeline.run(1)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    pipeline.run(ALLOC_WINDOWS)
    grown = gc.mem_alloc() - before
    gc.enable()
    return grown / ALLOC_WINDOWS


def main():
    """Measure all pairs."""
    with open(BUILD + "soft.obm", "rb") as file:
        parsed = model.parse(file.read())
    with open(BUILD + "vectors.bin", "rb") as file:
        data = file.read()
    size = 2 * parsed.n_features
    vectors = [array("h", data[at : at + size]) for at in range(0, len(data), size)]
    print("predict_vs_emlearn", predict_pair("soft", vectors, parsed.n_classes))
    frugal = predict_pair("soft", vectors, parsed.n_classes, predict_emlearn_frugal)
    print("predict_vs_emlearn_frugal", frugal)
    print("predict_vs_emlearn_hard", predict_pair("hard", vectors, parsed.n_classes))
    native, twin = Pipeline(obkernels, parsed), Pipeline(obtwin, parsed)
    assert native.run(7) == twin.run(7)
    ratio = pair_ratio(WINDOW_PAIRS, WINDOWS, (native.run,), (twin.run,))
    print("window_vs_micropython", ratio)
    ours, theirs = (load_often, load_obm, "soft.obm"), (load_often, load_csv, "soft.csv")
    print("load_vs_csv", pair_ratio(LOAD_PAIRS, LOADS, ours, theirs))
    print("alloc", allocated_bytes(native))


main()
