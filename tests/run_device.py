"""Run test files that know no pytest: on MicroPython's unix port, and on CPython.

    micropython tests/run_device.py tests/both/test_result.py ...

A test is a function test_* without arguments. It fails by an exception and skips by raising an
exception of a class named Skip with the reason. Each file runs in this one process, in the order
given. The last line counts; the exit status is 1 after a failure, and with CI=true after a skip on
MicroPython.
"""

import os
import sys

IS_MICROPYTHON = sys.implementation.name == "micropython"


def absolute(path):
    """Return an absolute path; MicroPython has no os.path."""
    return path if path.startswith("/") else os.getcwd() + "/" + path


def folder(path):
    """Return the folder of an absolute path."""
    return path.rsplit("/", 1)[0]


ROOT = folder(folder(absolute(__file__)))


def import_roots(file):
    """Return sys.path for tests: what a device has, then what only tests have."""
    names = ["lib", "firmware", "build/device/lib", "build/natmod/x64", "lib/native/obkernels"]
    names += ["build/natmod-obed25519/x64", "lib/native/obed25519"]
    tests = (folder(file), ROOT + "/tests/both", ROOT + "/tests/fakes")
    if IS_MICROPYTHON:
        rest = [".frozen"]  # not the current folder, where a file could shadow a module
    else:
        rest = [path for path in sys.path if path != ROOT + "/tests"]
    return [ROOT + "/" + name for name in names] + list(tests) + rest


def print_exception(error):
    """Print a traceback to stdout, where the test's own output stands."""
    if IS_MICROPYTHON:
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(error, file=sys.stdout)


def run_test(test, name):
    """Run one test, print how it ended and return 0 passed, 1 failed, 2 skipped."""
    try:
        test()
    except Exception as error:
        if type(error).__name__ == "Skip":
            print("skip %s: %s" % (name, error))
            return 2
        print("FAIL", name)
        print_exception(error)
        return 1
    print("ok", name)
    return 0


def run_file(file, counts):
    """Run every test of one file and add to the counts of passed, failed and skipped tests."""
    sys.path[:] = import_roots(file)
    name = file.rsplit("/", 1)[-1][: -len(".py")]
    try:
        module = __import__(name)
    except Exception as error:
        print("FAIL", name)
        print_exception(error)
        counts[1] += 1
        return
    for test in sorted(dir(module)):
        if test.startswith("test_"):
            counts[run_test(getattr(module, test), test)] += 1


def main(files):
    """Run the files and return the exit status."""
    counts = [0, 0, 0]
    for file in files:
        before = sum(counts)
        run_file(absolute(file), counts)
        if sum(counts) == before:
            print("FAIL no test in", file)
            counts[1] += 1
    print("%d passed, %d failed, %d skipped" % tuple(counts))
    # CPython may lack what is MicroPython's own; a MicroPython that skips lacks a build.
    skip_is_failure = IS_MICROPYTHON and os.getenv("CI") == "true"
    return 1 if counts[1] or not files or (counts[2] and skip_is_failure) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
