"""Run the conformance test of ulab's spectrum on the interpreter that MICROPYTHON names, and here.

    MICROPYTHON=/path/to/micropython python tests/ulab/run.py

Without MICROPYTHON it is the unix port of this environment, which has no ulab. On CPython
tests/fakes/ulab_on_cpython stands in for it. The exit status is 1 when a limit is exceeded.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from onebyte.errors import UserError
from onebyte.simulation import device

HERE = Path(__file__).resolve().parent
STAND_IN = HERE.parent / "fakes" / "ulab_on_cpython"


def interpreter() -> Path:
    """Return the MicroPython to run on.

    Raises:
        UserError: there is none.
    """
    given = os.environ.get("MICROPYTHON")
    if not given:
        return device.find_micropython()
    found = shutil.which(given)
    if found is None:
        raise UserError(f"MICROPYTHON={given} is no program")
    return Path(found)


def main() -> int:
    """Return the exit status."""
    try:
        micropython = interpreter()
    except UserError as error:
        print(f"test-ulab: {error}", file=sys.stderr)
        return 2
    status = 0
    for program, folder in ((micropython, None), (Path(sys.executable), STAND_IN)):
        print(f"on {program}" + (f" with {folder.name}" if folder else ""), flush=True)
        env = dict(os.environ, PYTHONPATH=str(folder)) if folder else None
        done = subprocess.run([program, HERE / "conformance.py"], env=env, check=False)
        status = status or done.returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
