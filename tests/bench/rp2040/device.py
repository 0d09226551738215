"""Runs on the emulated chip: prints a name and a figure a line. The host appends a call of `main`.

SysTick counts cycles down from 2^24; with interrupts off, all repeats exactly. `machine.mem32` of
the emulator's mailbox counts without that limit, for what takes long.
"""

import gc
from array import array

import callout
import machine
import micropython
import uctypes
import viper_walk

from formats import model as model_file
from pipeline.decision import Decision

NOTHING, PREDICT, EMLEARN, FEATURES, FFT = range(5)
CONTROL = 0xE000E010
RELOAD = 0xE000E014
CURRENT = 0xE000E018
CYCLES = 0x5F000010
WINDOWS = 20  # in which the heap must not grow
SEED = 12345


def start_counter():
    """Let SysTick count the processor's cycles, without an interrupt."""
    machine.mem32[RELOAD] = 0xFFFFFF
    machine.mem32[CURRENT] = 0
    machine.mem32[CONTROL] = 5


def empty():
    """Do nothing: what measuring itself costs."""


def cycles_of(function):
    """Return the cycles of a call, up to 2^24 of them, without what measuring costs."""
    gc.collect()
    state = machine.disable_irq()
    before = machine.mem32[CURRENT]
    empty()
    middle = machine.mem32[CURRENT]
    function()
    after = machine.mem32[CURRENT]
    machine.enable_irq(state)
    return ((middle - after) & 0xFFFFFF) - ((before - middle) & 0xFFFFFF)


def native_call():
    """Return what a call of a native function costs that takes nothing and does nothing."""
    return cycles_of(callout.nothing) - cycles_of(empty) + empty_call()


def empty_call():
    """Return what a call of `empty` costs."""
    state = machine.disable_irq()
    before = machine.mem32[CURRENT]
    middle = machine.mem32[CURRENT]
    empty()
    after = machine.mem32[CURRENT]
    machine.enable_irq(state)
    return ((middle - after) & 0xFFFFFF) - ((before - middle) & 0xFFFFFF)


def many_cycles_of(function):
    """Return the cycles of a call that takes millions."""
    gc.collect()
    state = machine.disable_irq()
    before = machine.mem32[CYCLES]
    function()
    after = machine.mem32[CYCLES]
    machine.enable_irq(state)
    return after - before


def read_file(name):
    """Return a file of the bench."""
    with open("/bench/" + name, "rb") as file:
        return file.read()


def noise(count):
    """Return samples of a generator that does not repeat soon."""
    state = SEED
    samples = array("h", bytes(2 * count))
    for i in range(count):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        samples[i] = ((state >> 8) & 0x3FFF) - 8192
    return samples


class Image:
    """Code in RAM, at the place that it was linked for."""

    def __init__(self, code, place):
        self._code = code  # keeps it from being collected
        self._place = place
        self._arguments = array("I", bytes(32))
        self._at = uctypes.addressof(self._arguments)
        self._nothing = 0
        self._nothing = self.cycles(NOTHING)

    def cycles(self, work, *arguments):
        """Return the cycles of a piece of work; buffers count as their addresses."""
        self._arguments[0] = work
        for i, argument in enumerate(arguments):
            is_number = isinstance(argument, int)
            self._arguments[i + 1] = argument if is_number else uctypes.addressof(argument)
        state = machine.disable_irq()
        found = callout.call(self._place, self._at)
        machine.enable_irq(state)
        assert found != 0x3FFFFFFF, "the model is refused"
        return found - self._nothing


def vectors_of(name, n_features):
    """Return the feature vectors of a forest."""
    data = read_file(name)
    return [array("h", data[i : i + 2 * n_features]) for i in range(0, len(data), 2 * n_features)]


def compare_trees(image, kind, forest, suffix):
    """Print the mean cycles of both kernels for a forest; their classes must agree."""
    data, other = read_file("%s_%s.obm" % (forest, kind)), read_file("%s_%s.eml" % (forest, kind))
    parsed = model_file.parse(data)
    result = array("i", bytes(4 * (4 + parsed.n_classes)))
    found = array("i", bytes(4))
    ours = theirs = 0
    vectors = vectors_of(forest + ".vectors", parsed.n_features)
    for features in vectors:
        ours += image.cycles(PREDICT, data, len(data), features, result)
        theirs += image.cycles(EMLEARN, other, features, found)
        votes = result[4:]
        # The classes differ only in a tie: emlearn adds rounded floats.
        assert found[0] == result[0] or votes[found[0]] == max(votes), "another class"
    print("ours_%s_%s_%s" % (forest, kind, suffix), ours // len(vectors))
    print("emlearn_%s_%s_%s" % (forest, kind, suffix), theirs // len(vectors))


def measure_fft(image, suffix):
    """Print the cycles of real transforms to powers."""
    for log2 in range(6, 11):
        samples = noise((1 << log2) + 2)
        print("fft_%d_%s" % (1 << log2, suffix), image.cycles(FFT, samples, log2))


def measure_features(image, names):
    """Print the cycles of programs of one feature each."""
    ring = read_file("windows")
    for name in names:
        data = read_file(name + ".obm")
        parsed = model_file.parse(data)
        import obkernels

        work = bytearray(obkernels.work_bytes(data))
        found, same = array("h", [0]), array("h", [0])
        cycles = image.cycles(FEATURES, data, len(data), work, ring, found)
        n_bytes = 2 * parsed.n_channels * parsed.window
        obkernels.Model(data, work).features_into(memoryview(ring)[:n_bytes], 0, same)
        assert found == same, "another value"
        print(name, cycles)


class Pipeline:
    """Window to result byte, as the node's loop calls it."""

    def __init__(self, module, data):
        info = model_file.parse(data)
        self.model = module.Model(data, bytearray(module.work_bytes(data)))
        self.ring = noise(2 * info.window * info.n_channels)
        self.features = array("h", bytes(2 * info.n_features))
        self.result = array("i", bytes(4 * (4 + info.n_classes)))
        self.decision = Decision(
            info.encoding,
            info.k,
            info.n,
            info.min_confidence,
            info.novelty_threshold,
            info.levels,
        )
        self.byte = -1

    def compute(self):
        """Features of the window."""
        self.model.features_into(self.ring, 0, self.features)

    def predict(self):
        """Class of the features."""
        self.model.predict_into(self.features, self.result)

    def decide(self):
        """Byte of the class."""
        result = self.result
        self.byte = self.decision.step(result[0], result[1], result[2])

    def step(self):
        """All three."""
        result = self.result
        self.model.features_into(self.ring, 0, self.features)
        self.model.predict_into(self.features, result)
        self.byte = self.decision.step(result[0], result[1], result[2])

    def answer(self):
        """What came of the last window."""
        return list(self.features), list(self.result), self.byte


def measure_window(data):
    """Print what a window costs, in the firmware's C module and in RAM; return its answer."""
    import obkernels
    import obram

    answers = []
    for module, name in ((obkernels, "c_module"), (obram, "natmod")):
        pipeline = Pipeline(module, data)
        pipeline.step()
        answers.append(pipeline.answer())
        end = "" if module is obkernels else "_" + name
        print("window_to_byte" + end, cycles_of(pipeline.step))
        print("call_features" + end, cycles_of(pipeline.compute))
        print("call_predict" + end, cycles_of(pipeline.predict))
        if module is obkernels:
            print("call_decision", cycles_of(pipeline.decide))
            print("heap_bytes_per_decision", heap_bytes(pipeline))
    assert answers[0] == answers[1], "the native module says something else"
    return answers[0]


def heap_bytes(pipeline):
    """Return how much the heap grows in a decision; it runs with the heap locked as well."""
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(WINDOWS):
        pipeline.step()
    grown = gc.mem_alloc() - before
    micropython.heap_lock()
    pipeline.step()
    micropython.heap_unlock()
    return grown // WINDOWS


def measure_twins(data, answer):
    """Print what the same costs without native code, and the tree walk in viper."""
    import obtwin

    twin = Pipeline(obtwin, data)
    twin.step()  # the first call checks the buffers
    assert twin.answer() == answer, "the twin says something else"
    print("window_micropython", many_cycles_of(twin.step))
    print("predict_micropython", many_cycles_of(twin.predict))
    walk = viper_walk.Walk(data)
    walk.predict_into(twin.features, twin.result)
    assert twin.answer()[:2] == answer[:2], "viper says something else"
    print("predict_viper", cycles_of(lambda: walk.predict_into(twin.features, twin.result)))


def measure_updates():
    """Print what a start with updates costs: one signature, and all for a slot of 64 KiB."""
    import board

    from formats import signed
    from ota import loader, product, store, verifier

    folders = store.Store(board.make_files(), "/")
    made = product.load(folders)
    verify = verifier.make(empty)
    root = folders.read_root(made.root, verify)
    document = signed.parse(folders.read("s/a/manifest", signed.MAX_BYTES), signed.MANIFEST)
    text = document.message()
    key, signature = root.release_keys[0][0], document.signatures[0][1]
    found = []
    cycles = many_cycles_of(lambda: found.append(verify(key, signature, text)))
    print("ed25519_verify", cycles)
    cycles = many_cycles_of(lambda: found.append(loader.boot(folders, made, verify, empty)))
    print("boot_slot_64k", cycles)
    assert found[0] and found[1].node.running == 1, "the slot is refused"


def measure_collection():
    """Print the pause for collecting the garbage of a node: all its modules and its buffers."""
    import obkernels

    import app.node  # noqa: F401

    data = read_file("exercise.obm")
    node = Pipeline(obkernels, data)
    gc.collect()
    print("gc_pause", cycles_of(gc.collect))
    print("heap_in_use", gc.mem_alloc())
    return node
