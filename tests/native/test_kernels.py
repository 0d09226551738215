"""The ctypes wrapper: building, refusals, shapes; and the check of feature programs."""

import os

import numpy as np
import pytest
import sample_model
from check import Random
from feature_programs import case, section

from formats import errors, model_sections
from onebyte import kernels
from onebyte.errors import UserError

SMALL = section([], [(1, 0, 0, 0, 0), (5, 1, 0, 0, 0)])


def test_library_is_built_once_and_again_when_a_source_is_newer(tmp_path, monkeypatch):
    target = kernels.build(tmp_path / "library.so")
    first = target.stat().st_mtime_ns
    assert kernels.build(target).stat().st_mtime_ns == first
    source = tmp_path / "newer.c"
    source.write_text("int newer;\n", encoding="utf-8")
    os.utime(source, ns=(first + 1, first + 1))
    monkeypatch.setattr(kernels, "sources", lambda: [*sources, source])
    sources = [*sorted(kernels.KERNELS.glob("*.c")), kernels.BATCH]
    assert kernels.build(target).stat().st_mtime_ns > first


def test_missing_compiler_and_bad_source_are_the_users_to_fix(tmp_path, monkeypatch):
    bad = tmp_path / "bad.c"
    bad.write_text("int f(void) { return 1 }\n", encoding="utf-8")
    monkeypatch.setattr(kernels, "sources", lambda: [bad])
    with pytest.raises(UserError, match=r"bad\.c.*error"):
        kernels.build(tmp_path / "library.so")
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(UserError, match="C compiler"):
        kernels.build(tmp_path / "library.so")
    assert not (tmp_path / "library.so").exists()


def test_windows_of_another_shape_or_type_are_refused():
    program = kernels.Program(SMALL, 2, 8)
    assert program.features(np.zeros((0, 8, 2), np.int16)).shape == (0, 2)
    for windows in (
        np.zeros((1, 8, 2), np.int32),
        np.zeros((1, 9, 2), np.int16),
        np.zeros((1, 8, 3), np.int16),
        np.zeros((8, 2), np.int16),
    ):
        with pytest.raises(ValueError, match="windows must be int16"):
            program.features(windows)


def test_windows_need_not_be_contiguous():
    samples = np.random.default_rng(1).integers(-999, 999, (5, 16, 4)).astype(np.int16)
    view = samples[::2, ::2, 1:3]
    expected = kernels.features(SMALL, view.copy())
    assert np.array_equal(kernels.features(SMALL, view), expected)
    assert np.array_equal(expected[:, 1], view[:, :, 1].max(axis=1))


def test_many_windows_give_what_each_gives_alone():
    n_channels, window, streams, program, fft_log2, fft_window, _ = case(3)
    data = section(streams, program, fft_log2, fft_window)
    rng = np.random.default_rng(2)
    windows = rng.integers(-32768, 32768, (20, window, n_channels)).astype(np.int16)
    together = kernels.features(data, windows)
    alone = [kernels.features(data, windows[i : i + 1])[0] for i in range(20)]
    assert np.array_equal(together, alone)


def test_model_computes_and_predicts_like_its_parts():
    data = sample_model.pack()
    model = kernels.KernelModel(data)
    fields = sample_model.fields()
    assert (model.window, model.n_channels) == (fields["window"], len(fields["channels"]))
    assert (model.n_features, model.n_classes) == (len(fields["program"]), len(fields["labels"]))
    rng = np.random.default_rng(4)
    windows = rng.integers(-3000, 3000, (50, model.window, model.n_channels)).astype(np.int16)
    features = model.features(windows)
    alone = section(fields["streams"], fields["program"], fields["fft_log2"], fields["fft_window"])
    assert np.array_equal(features, kernels.features(alone, windows))
    predicted = model.predict(features)
    assert np.array_equal(predicted["votes"].sum(axis=1), predicted["sum_votes"])
    assert np.array_equal(predicted["votes"].argmax(axis=1), predicted["class_id"])
    most = predicted["votes"].max(axis=1)
    assert np.array_equal(most * 255 // predicted["sum_votes"], predicted["confidence"])
    with pytest.raises(ValueError, match="features must be int16"):
        model.predict(features[:, 1:])


def test_refused_model_says_why():
    data = bytearray(sample_model.pack())
    data[-1] ^= 1
    with pytest.raises(errors.OnebyteError) as caught:
        kernels.KernelModel(bytes(data))
    assert caught.value.code == errors.CRC


def reason_of(function, *args) -> int:
    try:
        function(*args)
    except errors.OnebyteError as error:
        return error.code
    return 0


def test_mutated_programs_are_refused_for_the_reason_that_python_gives():
    random = Random(11)
    reasons = set()
    for i in range(20000):
        if i % 500 == 0:
            n_channels, window, streams, program, fft_log2, fft_window, _ = case(1 + i // 500)
            valid = section(streams, program, fft_log2, fft_window)
        data = bytearray(valid)
        for _ in range(random.below(3)):
            data[random.below(len(data))] = random.bits(8) >> random.below(8)
        if random.below(16) == 0:
            data = data[: random.below(len(data) + 1)] or b"\0"
        reason = reason_of(kernels.Program, bytes(data), n_channels, window)
        place = (0, len(data))
        assert reason == reason_of(model_sections.check_features, data, place, n_channels, window)
        reasons.add(reason)
    assert reasons == {0, errors.FEATURES, errors.STREAM}


def test_cost_grows_with_the_program():
    n_channels, window, streams, program, fft_log2, fft_window, _ = case(5)
    large = kernels.Program(section(streams, program, fft_log2, fft_window), n_channels, window)
    small = kernels.Program(section([], [(1, 0, 0, 0, 0)]), n_channels, window)
    assert 0 < kernels.measure_cost_us(small, n=20) < kernels.measure_cost_us(large, n=20)
