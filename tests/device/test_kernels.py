"""The native module: the same bits as its twin, and a clear refusal of every wrong buffer."""

import gc
from array import array

import obkernels
import obtwin
import sample_model
from check import Random, raises_kind
from feature_programs import random_window

from formats import errors, model_pack
from formats.crc import crc32

N_MODELS = 12
LAGS = (18, 19)  # ops whose arguments depend on the window


def case(seed):
    """Return a valid model file and its sizes: n_channels, window, n_features, n_classes."""
    fields = sample_model.random_fields(seed)
    fields["window"] = 8 + fields["window"] % 120  # the twin takes its time
    fields["hop"] = 1
    fields["program"] = [
        (entry[0], entry[1], 1, 7, 0) if entry[0] in LAGS else entry for entry in fields["program"]
    ]
    file = model_pack.pack(fields)
    n_features, n_classes = len(fields["program"]), len(fields["labels"])
    return file, len(fields["channels"]), fields["window"], n_features, n_classes


def both(file):
    """Return the native and the twin's Model of a file."""
    work = bytearray(obkernels.work_bytes(file))
    return obkernels.Model(file, work), obtwin.Model(file, bytearray(len(work)))


def sample():
    """Return the sample model's file, Model, ring, features and result."""
    file = sample_model.pack()
    native = obkernels.Model(file, bytearray(obkernels.work_bytes(file)))
    return file, native, array("h", range(4 * 70)), array("h", bytes(20)), array("i", bytes(28))


def refused(text, function, *args):
    error = raises_kind(ValueError, function, *args)
    assert str(error) == text, error


def test_versions_agree():
    assert obkernels.KERNEL_VERSION == obtwin.KERNEL_VERSION


def test_features_have_the_bits_of_the_twin():
    for seed in range(1, N_MODELS + 1):
        file, n_channels, window, n_features, _ = case(seed)
        native, twin = both(file)
        assert obkernels.work_bytes(file) == obtwin.work_bytes(file)
        rows = window + seed % 3
        ring = random_window(seed, rows, n_channels)
        one, other = array("h", bytes(2 * n_features)), array("h", bytes(2 * n_features))
        for start_row in (0, rows // 2, rows - 1):
            native.features_into(ring, start_row, one)
            twin.features_into(ring, start_row, other)
            assert one == other, (seed, start_row)
            native.features_into(memoryview(bytearray(bytes(ring))), start_row, one)
            assert one == other, (seed, start_row)


def test_classes_have_the_bits_of_the_twin():
    for seed in range(1, N_MODELS + 1):
        file, _, _, n_features, n_classes = case(seed)
        native, twin = both(file)
        one, other = [array("i", bytes(16 + 4 * n_classes)) for _ in range(2)]
        random = Random(seed)
        for bits in (15, 15, 15, 9, 9, 4, 0):
            vector = [random.between(-1 << bits, (1 << bits) - 1) for _ in range(n_features)]
            features = array("h", vector)
            native.predict_into(features, one)
            twin.predict_into(features, other)
            assert one == other, (seed, bits)


def test_check_gives_the_reason_of_the_twin():
    file = bytearray(sample_model.pack())
    for at in range(0, len(file), 3):
        file[at] ^= 0x41
        assert obkernels.check(file) == obtwin.check(file) != 0, at
        file[at] ^= 0x41
    assert obkernels.check(file) == obtwin.check(file) == 0
    assert obkernels.check(b"") == obtwin.check(b"") == errors.TOO_SHORT


def without_custom_section():
    """Return a model with custom features whose section is another, unknown one."""
    file = bytearray(model_pack.pack(sample_model.with_custom()))
    last = 40 + 12 * (file[5] - 1)
    file[last : last + 2] = bytes([10, 0])
    return bytes(file[:-4]) + crc32(bytes(file[:-4])).to_bytes(4, "little")


def test_custom_features_keep_what_is_there():
    file = model_pack.pack(sample_model.with_custom())
    plain = model_pack.pack(sample_model.fields())
    ring = random_window(5, 64, 4)
    for (model, module_like), before in zip(zip(both(file), both(plain)), (7, -7)):
        features, expected = array("h", [before] * 10), array("h", [0] * 10)
        model.features_into(ring, 3, features)
        module_like.features_into(ring, 3, expected)
        for i in (0, 4, 6, 9):
            expected[i] = before
        assert features == expected


def test_unsound_model_is_refused_by_name():
    file = sample_model.pack()
    for module in (obkernels, obtwin):
        refused("SIZE(4)", module.work_bytes, file + b"\0")
        refused("MAGIC(2)", module.Model, b"X" + file[1:], bytearray(100))
        refused("CUSTOM(26)", module.work_bytes, without_custom_section())
    refused("ALIGNMENT(25)", obkernels.work_bytes, memoryview(b"\0" + file)[1:])


def test_every_reason_has_the_name_of_formats():
    names = [errors.name(code) for code in range(1, errors.CUSTOM + 1)]
    with open(obtwin.__file__[: -len("obtwin.py")] + "obkernels.c") as source:
        text = source.read()
    start = text.find("reason_names[] =")
    table = text[start : text.find(";", start)]
    table = "".join([part for part in table.split('"')[1::2]])
    assert table.split("\\0") == names


def test_wrong_buffers_are_refused():
    file, native, ring, features, result = sample()
    work = bytearray(obkernels.work_bytes(file))
    refused("model: not bytes", obkernels.check, 3)
    refused("model: not bytes", obkernels.check, array("h", file))
    refused("work: too small", obkernels.Model, file, work[:-1])
    refused("work: not a writable buffer", obkernels.Model, file, bytes(work))
    aligned = memoryview(bytearray(len(work) + 4))[4:]
    refused("work: not aligned to 8 bytes", obkernels.Model, file, aligned)
    twin = obtwin.Model(file, work)
    refused("work: too small", obtwin.Model, file, work[:-1])
    refused("work: not a writable buffer", obtwin.Model, file, bytes(work))
    for model in (native, twin):
        refused("features: not an array('h')", model.predict_into, bytearray(20), result)
        refused("features: not n_features long", model.predict_into, features[1:], result)
        refused("result: not an array('i')", model.predict_into, features, array("I", result))
        refused("result: not 4 + n_classes long", model.predict_into, features, result[1:])
        text = "ring: not whole rows, or fewer than the window"
        refused(text, model.features_into, ring[:-1], 0, features)
        refused(text, model.features_into, ring[: 4 * 63], 0, features)
        refused(text, model.features_into, bytearray(8 * 63), 0, features)
        for start_row in (-1, 70, 1 << 40, None):
            refused("start_row: outside the ring", model.features_into, ring, start_row, features)
        text = "ring: not an array('h') or aligned bytes"
        refused(text, model.features_into, array("i", ring), 0, features)
        refused(text, model.features_into, None, 0, features)
    odd = memoryview(bytearray(1 + 8 * 64))[1:]
    refused(text, native.features_into, odd, 0, features)


def test_resized_buffers_are_refused():
    file, _, _, features, result = sample()
    model = bytearray(file)
    native = obkernels.Model(model, bytearray(obkernels.work_bytes(file)))
    native.predict_into(features, result)
    model.extend(bytes(50000))
    refused("model: buffer was resized", native.predict_into, features, result)


def test_buffers_live_as_long_as_the_model():
    file = sample_model.pack()
    models = [
        obkernels.Model(bytes(bytearray(file)), bytearray(obkernels.work_bytes(file)))
        for _ in range(50)
    ]
    _, native, ring, features, result = sample()
    native.features_into(ring, 3, features)
    native.predict_into(features, result)
    expected = list(features), list(result)
    gc.collect()
    waste = [bytes([255]) * len(file) for _ in range(200)]
    for model in models:
        model.features_into(ring, 3, features)
        model.predict_into(features, result)
        assert (list(features), list(result)) == expected
    assert waste


def test_resized_work_is_refused():
    file, _, ring, features, _ = sample()
    work = bytearray(obkernels.work_bytes(file))
    native = obkernels.Model(file, work)
    work.extend(bytes(50000))
    refused("work: buffer was resized", native.features_into, ring, 0, features)


def test_stub_names_what_there_is():
    with open(obtwin.__file__[: -len("obtwin.py")] + "obkernels.pyi") as stub:
        lines = stub.read().split("\n")
    functions = {line.split("(")[0][4:] for line in lines if line.startswith("def ")}
    methods = {line.split("(")[0][8:] for line in lines if line.startswith("    def ")}
    assert functions | {"Model", "KERNEL_VERSION"} == {
        name for name in dir(obkernels) if not name.startswith("__")
    }
    native = {name for name in dir(obkernels.Model) if not name.startswith("__")}
    assert methods - {"__init__"} == native
    assert native <= set(dir(obtwin.Model))
