"""`make attacks`: no attack gets through, and one that could is noticed."""

import re
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).with_name("run.py")
TIMEOUT_S = 1200


def last_line(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, RUN, *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def test_no_attack_gets_through() -> None:
    found = re.fullmatch(
        r"attacks cases=(\d+) accepted=0 wrong_reason=0 state_changed=0", last_line()
    )
    assert found is not None
    assert int(found[1]) >= 5000


def test_every_check_that_is_taken_away_is_missed() -> None:
    found = re.fullmatch(r"attacks planted bugs=(\d+) caught=(\d+)", last_line("planted=all"))
    assert found is not None
    assert int(found[1]) == int(found[2]) >= 16
