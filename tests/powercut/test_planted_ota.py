"""Every bug that is planted into the updates is caught by the cuts of the power."""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import planted_ota

TIMEOUT_S = 1200


def test_every_planted_bug_is_caught():
    command = [sys.executable, str(Path(planted_ota.__file__))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    n_bugs = len(planted_ota.BUGS)
    line = (done.stdout.strip().splitlines() or [""])[-1]
    assert line == f"planted bugs={n_bugs} caught={n_bugs}", done.stdout + done.stderr
    assert n_bugs >= 15
    assert done.returncode == 0
