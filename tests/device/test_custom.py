"""A node with custom features: it runs the file that the model was trained with, or refuses."""

import hashlib
import sys
from array import array

import board_folders
import fake_board
import sample_model
from check import Random
from fake_board import Board, Source, make_node, run

from app.config import Config
from formats import crc, errors, golden, model, model_pack, result

try:
    import obkernels as kernels
except ImportError:
    import obtwin as kernels

N_CHANNELS, WINDOW, HOP, RATE_MHZ = 4, 64, 32, 52000
HOOK = b"""
def features_into(samples, out):
    out[0] = max(samples) >> 1
    out[1] = samples[0] // 4
"""


def _outputs(samples):
    return [max(samples) >> 1, samples[0] // 4]


def _fields(hook, **changes):
    # The classes follow the first custom feature.
    fields = sample_model.fields(
        program=[(1, 0, 0, 0, 0), (26, 0, 1, 0, 0), (26, 0, 0, 0, 0)],
        trees=[[(2, 600), 0, (2, 3000), 1, 2]],
        fft_log2=0,
        fft_window=0,
        novelty_ranges=None,
        golden_vectors=[],
        golden_windows=[],
        custom=(2, hashlib.sha256(hook).digest()[:16]),
        k=1,
        n=1,
        min_confidence=0,
    )
    fields.update(changes)
    return fields


def _answer(plain, samples):
    """Return the features and the result for a window; custom features computed here."""
    info = model.parse(plain)
    kernel = kernels.Model(plain, bytearray(kernels.work_bytes(plain)))
    features = array("h", bytes(2 * info.n_features))
    answer = array("i", bytes(4 * (4 + info.n_classes)))
    kernel.features_into(samples, 0, features)
    features[2], features[1] = _outputs(samples)
    kernel.predict_into(features, answer)
    return features, answer


def _model(hook=HOOK):
    """Return a model file with golden windows, whatever its custom.py."""
    plain = model_pack.pack(_fields(hook))
    ring = array("h", bytes(2 * WINDOW * N_CHANNELS))
    windows = []
    for seed in (1, 77, 0xDEADBEEF):
        golden.fill_into(ring, seed)
        features, answer = _answer(plain, ring)
        windows.append((seed, crc.crc32(features), answer[0], answer[1], answer[2]))
    return model_pack.pack(_fields(hook, golden_windows=windows))


def _samples(rows):
    random = Random(5)
    samples = array("h")
    for row in range(rows):
        spread = 500 << (row // 150 % 6)
        for _ in range(N_CHANNELS):
            samples.append(random.between(-spread, spread))
    return samples


def _node(file, hook, samples=None, **changes):
    files = fake_board.new_filesystem()
    if hook is not None:
        with files.open(changes.get("custom_path", "custom.py"), "wb") as out:
            out.write(hook)
    source = Source(N_CHANNELS, RATE_MHZ)
    source.samples = samples or array("h")
    board = Board(file, source, kernels, files)
    made, uplink = make_node(board, **changes)
    return made, uplink, board


def _refused(code, file, hook, text=""):
    made, uplink, board = _node(file, hook)
    assert made.model_error.code == code, made.model_error
    assert text in made.model_error.detail, made.model_error.detail
    run(made, board.clock, 3)
    assert uplink.bytes() == [0x4F], "model_invalid, once a heartbeat"


def test_decisions_follow_the_custom_features():
    samples = _samples(1000)
    file = _model()
    made, uplink, board = _node(file, HOOK, samples)
    assert made.model_error is None, made.model_error
    run(made, board.clock, 200)
    expected = []
    for row in range(0, 1000 - WINDOW + 1, HOP):
        window = samples[row * N_CHANNELS : (row + WINDOW) * N_CHANNELS]
        expected.append(_answer(file, window)[1][0])
    found = [result.parse(result.A, byte)[0] for byte in uplink.bytes()]
    assert found == expected
    assert set(found) == {0, 1, 2}, "the test would not see a mix-up"
    assert made.summary()["custom_error"] == ""


def test_custom_path_says_where_it_stands():
    made, _, _ = _node(_model(), HOOK, custom_path="/hook_7.py")
    assert made.model_error is None, made.model_error


class _Updates:
    """As much of the updates of a start as the app asks where its files are."""

    is_trial = False

    def __init__(self, slot_path):
        self.slot_path = slot_path


def test_an_image_for_a_product_runs_no_custom_py_but_that_of_a_slot():
    board_folders.load("unix")
    from app import run as app_run

    before = sys.path[:]
    try:
        # None: its loader has failed, and whoever writes the filesystem can make it fail.
        for search_path, updates, expected in (
            ([".frozen"], None, ""),
            ([".frozen"], _Updates(""), ""),
            (["/s/a", "/s/a/top", ".frozen"], _Updates("/s/a"), "/s/a/custom/custom.py"),
            ([".frozen", "/lib"], None, "custom.py"),
            ([".frozen", "/lib"], _Updates(""), "custom.py"),
        ):
            config = Config({"tenant": "t", "device": "d", "broker_host": "h"})
            sys.path[:] = search_path
            app_run.use_slot(config, updates)
            assert config.custom_path == expected, (search_path, updates)
    finally:
        sys.path[:] = before


def test_only_where_a_watchdog_runs_another_model_comes_without_a_start():
    board_folders.load("unix")
    from app import run as app_run

    class Updates:
        """Keeps what the app says of its updates."""

        def make_updater(self, *arguments):
            return arguments[-1]

    given = {"tenant": "t", "device": "d", "broker_host": "h"}
    for watchdog_ms, sleep, expected in (
        (8000, "never", True),
        (0, "never", False),  # a custom.py that hangs would stop the node for ever
        (8000, "deep", False),
    ):
        changes = {"watchdog_ms": watchdog_ms, "sleep": sleep}
        changes["wake_interval_s"] = 60 if sleep == "deep" else 0
        config = Config(dict(given, **changes))
        settings = app_run.make_updater(config, Updates(), None)
        assert settings["can_swap"] == expected, changes


def test_a_model_without_custom_features_needs_no_file():
    made, _, _ = _node(sample_model.pack(golden_vectors=[], golden_windows=[]), None)
    assert made.model_error is None, made.model_error


def test_without_its_file_the_model_is_refused():
    _refused(errors.CUSTOM_MISSING, _model(), None, "no file custom.py")


def test_with_another_file_the_model_is_refused():
    for other in (HOOK + b"\n", HOOK[:-1], b"", HOOK.replace(b">> 1", b">> 2")):
        _refused(errors.CUSTOM_HASH, _model(), other, "custom.py is not the one")


def test_a_file_that_is_right_but_useless_is_refused():
    hook = b"def other():\n    pass\n"
    _refused(errors.CUSTOM_FAILED, _model(hook), hook, "no function features_into")
    hook = b"import numpy_that_a_board_lacks\n"
    _refused(errors.CUSTOM_FAILED, _model(hook), hook, "ImportError")


def test_golden_windows_prove_the_custom_features():
    # The file is the right one, yet here it computes something else than on the host.
    hook = HOOK.replace(b">> 1", b">> 2")
    _refused(errors.GOLDEN_MISMATCH, _model(hook), hook, "features of window 0")
    hook = HOOK.replace(b"samples[0] // 4", b"1 // (max(samples) - max(samples))")
    _refused(errors.CUSTOM_FAILED, _model(hook), hook, "ZeroDivisionError")
    hook = HOOK.replace(b">> 1", b"<< 2")
    _refused(errors.CUSTOM_VALUE, _model(hook), hook, "is not within -32768 to 32767")
    hook = HOOK.replace(b"samples[0] // 4", b"samples[0] / 4")
    _refused(errors.CUSTOM_VALUE, _model(hook), hook, "put int() around it")


def test_a_failure_in_the_field_is_a_fault_and_passes():
    # It never fails in a golden window, whose samples differ.
    hook = HOOK + b"    assert samples[0] != samples[4] or samples[0] != 123, 'stuck at 123'\n"
    samples = _samples(3 * WINDOW)
    at = N_CHANNELS * WINDOW
    samples[at] = samples[at + 4] = 123
    made, uplink, board = _node(_model(hook), hook, samples)
    assert made.model_error is None, made.model_error
    run(made, board.clock, 60)
    reasons = [result.parse(result.A, byte)[3] for byte in uplink.bytes()]
    assert reasons == [-1, -1, result.INTERNAL, -1, -1]
    summary = made.summary()
    assert summary["faults"] == 1
    assert summary["custom_error"] == "CUSTOM_FAILED(112): AssertionError: stuck at 123"
