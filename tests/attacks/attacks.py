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
import planted
import rows_around
import rows_bytes
import rows_desk
import rows_documents
import rows_roots
import rows_trial
from lab import Judge, Lab

ROWS = rows_documents.ROWS + rows_bytes.ROWS + rows_roots.ROWS
ROWS += rows_trial.ROWS + rows_around.ROWS + rows_desk.ROWS


# What no device can refuse by itself; docs/SECURITY.md says what is left then.
OUTSIDE = (
    "client-id takeover: whoever has the broker's credentials; TLS and ACL are the broker's",
    "L1 filesystem writer or REPL: the loader is a file there; L2 freezes it",
    "flashing the chip by wire: a matter of L3",
)


def main(folder, arguments):
    """Run the rows; return the exit status."""
    is_planted = "planted" in arguments
    judge = Judge(0 if is_planted else 8)
    lab = Lab(folder, judge)
    wanted = [arguments["only"]] if "only" in arguments else [row.__name__ for row in ROWS]
    if is_planted:
        take_away, wanted = planted.PLANTED[arguments["planted"]]
        lab.prepare()
        take_away(lab)
    for row in ROWS:
        if row.__name__ not in wanted:
            continue
        began = time.ticks_ms()
        before = judge.cases
        row(lab)
        assert judge.cases > before
        if "times" in arguments:
            print("# %s: %d ms" % (row.__name__, time.ticks_diff(time.ticks_ms(), began)))
    for name in sorted(judge.rows):
        print("attacks row=%s cases=%d" % (name.replace(" ", "_"), judge.rows[name]))
    for text in OUTSIDE if len(wanted) == len(ROWS) else ():
        print("attacks not counted, outside: %s" % text)
    values = (judge.cases, judge.accepted, judge.wrong_reason, judge.state_changed)
    print("attacks cases=%d accepted=%d wrong_reason=%d state_changed=%d" % values)
    return 1 if any(values[1:]) else 0


sys.exit(main(sys.argv[1], dict([argument.split("=") for argument in sys.argv[2:]])))
