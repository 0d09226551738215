"""What a user's custom.py gives is taken when it is right, and refused by name otherwise."""

import sys
from array import array

from check import raises

from formats import errors
from pipeline.custom import CustomFeatures

IS_MICROPYTHON = sys.implementation.name == "micropython"
SAMPLES = array("h", [5, -3, 9, 200, -32768, 32767])


def made(body, n_outputs=2):
    """Return the CustomFeatures of a features_into with this body."""
    lines = ["def features_into(samples, out):"] + ["    " + line for line in body.split("\n")]
    return CustomFeatures("\n".join(lines).encode(), n_outputs)


def refused(code, text, body, n_outputs=2):
    custom = made(body, n_outputs)
    error = raises(code, custom.compute, SAMPLES)
    assert error.detail == text, error.detail
    # Whatever the function did to `out`, the next call begins with a whole one.
    again = raises(code, custom.compute, SAMPLES)
    assert again.detail == text, again.detail


def test_outputs_are_those_of_the_function():
    custom = made("out[0] = max(samples)\nout[1] = sum(samples) // len(samples)")
    custom.compute(SAMPLES)
    assert custom.out == [32767, 35]
    custom.compute(array("h", [-7, -8]))
    assert custom.out == [-7, -8]


def test_ends_of_the_range_are_within():
    custom = made("out[0] = min(samples)\nout[1] = max(samples)")
    custom.compute(SAMPLES)
    assert custom.out == [-32768, 32767]


def test_a_module_may_hold_more_than_the_function():
    custom = CustomFeatures(
        b"SCALE = 3\n\n"
        b"def _scaled(value):\n    return SCALE * value\n\n"
        b"def features_into(samples, out):\n    out[0] = _scaled(samples[0])\n",
        1,
    )
    custom.compute(SAMPLES)
    assert custom.out == [15]


def test_a_file_that_does_not_run_is_refused():
    for content, start in (
        (b"def features_into(samples, out:\n", "SyntaxError: "),
        (b"import no_such_module\n", "ImportError: " if IS_MICROPYTHON else "ModuleNotFoundError"),
        (b"1 / 0\n", "ZeroDivisionError: "),
        (b"", "there is no function features_into"),
        (b"features_into = 3\n", "there is no function features_into"),
        (b"def feature_into(samples, out):\n    pass\n", "there is no function features_into"),
    ):
        error = raises(errors.CUSTOM_FAILED, CustomFeatures, content, 1)
        assert error.detail.startswith(start), error.detail
        assert "\n" not in error.detail


def test_a_function_that_raises_is_refused():
    custom = made("out[0] = samples[0] // (samples[1] + 3)", 1)
    error = raises(errors.CUSTOM_FAILED, custom.compute, SAMPLES)
    assert error.detail.startswith("ZeroDivisionError: "), error.detail
    custom.compute(array("h", [8, 1]))
    assert custom.out == [2]


def test_too_many_arguments_are_refused():
    custom = CustomFeatures(b"def features_into(samples, out, more):\n    pass\n", 1)
    error = raises(errors.CUSTOM_FAILED, custom.compute, SAMPLES)
    assert error.detail.startswith("TypeError: "), error.detail


def test_too_few_or_many_outputs_are_refused():
    refused(errors.CUSTOM_VALUE, "out[1] was not set", "out[0] = 1")
    refused(errors.CUSTOM_VALUE, "3 outputs, not 2", "out[0] = out[1] = 1\nout.append(1)")
    refused(errors.CUSTOM_VALUE, "1 outputs, not 2", "out.pop()")
    error = raises(errors.CUSTOM_FAILED, made("out[2] = 1").compute, SAMPLES)
    assert error.detail.startswith("IndexError: "), error.detail


def test_an_output_of_an_earlier_window_does_not_stand_in():
    custom = made("out[0] = 1\nif samples[0] > 0:\n    out[1] = 2")
    custom.compute(SAMPLES)
    error = raises(errors.CUSTOM_VALUE, custom.compute, array("h", [0]))
    assert error.detail == "out[1] was not set"


def test_what_is_no_int16_is_refused():
    for value, text in (
        ("32768", "out[0] = 32768 is not within -32768 to 32767"),
        ("-32769", "out[0] = -32769 is not within -32768 to 32767"),
        ("1 << 70", "out[0] = %d is not within -32768 to 32767" % (1 << 70)),
        ("1.0", "out[0] is float, not int: put int() around it"),
        ("True", "out[0] is bool, not int: put int() around it"),
        ("'1'", "out[0] is str, not int: put int() around it"),
        ("None", "out[0] was not set"),
    ):
        refused(errors.CUSTOM_VALUE, text, "out[0] = " + value, 1)
