"""Lives of a node that sleeps deep lose nothing beyond the bound, and find each planted defect."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import run

LAST_LINE = re.compile(
    r"powercut sleep boots=(\d+) records=(\d+) corrupt=(\d+) lost_beyond_bound=(\d+)"
)


def live(*arguments: str) -> tuple[int, int, int, int, int]:
    """Return exit status, boots, records, corrupt lives, records lost beyond the bound."""
    program = run.find_micropython()
    assert program, "no micropython beside python or on PATH: run make venv"
    done = subprocess.run(
        [program, str(Path(run.__file__).with_name("sleep_lives.py")), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
        check=False,
    )
    found = LAST_LINE.fullmatch(done.stdout.strip().splitlines()[-1])
    assert found, done.stdout
    boots, records, corrupt, lost = (int(n) for n in found.groups())
    return done.returncode, boots, records, corrupt, lost


def test_no_sleep_costs_a_number_or_a_record():
    status, boots, records, corrupt, lost = live()
    assert (status, corrupt, lost) == (0, 0, 0)
    assert boots > 900 and records > 800


@pytest.mark.parametrize("bug", ["never_claimed", "any_state", "records_forgotten"])
def test_lives_find_a_planted_defect(bug):
    status, _, _, corrupt, lost = live("24", bug)
    assert status == 1
    assert corrupt or lost
