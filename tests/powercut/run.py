"""Runs the power cuts on MicroPython's unix port; the last line counts them.

    python tests/powercut/run.py [lives] [planted bug]

The exit status is 1 when anything was corrupt or lost beyond the bound.
"""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIMEOUT_S = 1200


def find_micropython() -> str | None:
    """Find the unix port: beside this interpreter, or on PATH."""
    beside = Path(sys.executable).with_name("micropython")
    return str(beside) if beside.is_file() else shutil.which("micropython")


def run(*arguments: str) -> tuple[int, str]:
    """Run the cuts; return exit status and output."""
    program = find_micropython()
    if program is None:
        return 1, "no micropython beside python or on PATH: run make venv"
    done = subprocess.run(
        [program, str(HERE / "outbox_cuts.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.returncode, done.stdout


if __name__ == "__main__":
    status, output = run(*sys.argv[1:])
    print(output, end="")
    sys.exit(status)
