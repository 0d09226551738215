"""Every attack on updates, on a node with the real code; started by run.py, which holds the keys.

micropython tests/attacks/attacks.py FOLDER [only=ROW] [planted=NAME]
"""

import sys
import time

ROOT = __file__.rsplit("/", 1)[0] + "/../.."
_FOLDERS = ["lib", "firmware", "build/device/lib", "build/natmod/x64", "lib/native/obkernels"]
_FOLDERS += ["build/natmod-obed25519/x64", "lib/native/obed25519", "tests/both", "tests/fakes"]
_FOLDERS += ["tests/attacks"]
sys.path[:] = [ROOT + "/" + name for name in _FOLDERS] + [".frozen"]

# ruff: noqa: E402 - the imports need the path
import rows_bytes
import rows_documents
import rows_roots
import rows_trial
from lab import Judge, Lab


def main(folder, arguments):
    """Run the rows; return the exit status."""
    judge = Judge()
    lab = Lab(folder, judge)
    rows = rows_documents.ROWS + rows_bytes.ROWS + rows_roots.ROWS + rows_trial.ROWS
    for row in rows:
        if arguments.get("only", row.__name__) != row.__name__:
            continue
        began = time.ticks_ms()
        before = judge.cases
        row(lab)
        assert judge.cases > before
        if "times" in arguments:
            print("# %s: %d ms" % (row.__name__, time.ticks_diff(time.ticks_ms(), began)))
    for name in sorted(judge.rows):
        print("attacks row=%s cases=%d" % (name.replace(" ", "_"), judge.rows[name]))
    values = (judge.cases, judge.accepted, judge.wrong_reason, judge.state_changed)
    print("attacks cases=%d accepted=%d wrong_reason=%d state_changed=%d" % values)
    return 1 if any(values[1:]) else 0


sys.exit(main(sys.argv[1], dict([argument.split("=") for argument in sys.argv[2:]])))
