"""Cuts of the power find nothing in our updates, and find every planted bug."""

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import planted_ota
import run

HERE = Path(__file__).parent
TIMEOUT_S = 1200


def last_line(*command: str | Path) -> tuple[int, str]:
    """Return exit status and last line of a command; all it printed is shown on a failure."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    print(done.stdout, done.stderr)
    return done.returncode, (done.stdout.strip().splitlines() or [""])[-1]


def test_no_cut_bricks_or_mixes_an_update():
    program = run.find_micropython()
    assert program, "no micropython beside python or on PATH: run make venv"
    status, line = last_line(program, "-X", "heapsize=128m", HERE / "ota_cuts.py", "short")
    found = planted_ota.LAST_LINE.fullmatch(line)
    assert found, line
    assert int(found[1]) > 1000
    assert not re.search(r"=[1-9]", found[2]), line
    assert status == 0
