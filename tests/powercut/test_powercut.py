"""The power cuts find nothing in our outbox, and find each planted defect."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import run

LAST_LINE = re.compile(r"powercut outbox cuts=(\d+) corrupt=(\d+) lost_beyond_bound=(\d+)")


def cut(*arguments: str) -> tuple[int, int, int, int]:
    """Return exit status, cuts, corrupt, lost beyond the bound."""
    status, output = run.run(*arguments)
    found = LAST_LINE.fullmatch(output.strip().splitlines()[-1])
    assert found, output
    cuts, corrupt, lost = (int(n) for n in found.groups())
    return status, cuts, corrupt, lost


def test_no_cut_corrupts_the_outbox():
    status, cuts, corrupt, lost = cut()
    assert (status, corrupt, lost) == (0, 0, 0)
    assert cuts > 2000


@pytest.mark.parametrize(
    "bug", ["epoch_removed_first", "segment_removed_early", "segment_rewritten"]
)
def test_cuts_find_a_planted_defect(bug):
    status, _, corrupt, lost = cut("4", bug)
    assert status == 1
    assert corrupt or lost
