"""The power of the emulated board fails while it updates itself; a release runs all the same."""

import re
import subprocess
import sys
from pathlib import Path

from onebyte.crossbuild import firmware

CUTS = Path(__file__).parents[1] / "powercut" / "emulated_cuts.py"
N_CUTS = 10
HANG_S = 1800
LAST_LINE = re.compile(r"powercut emulator cuts=(\d+)((?: [a-z_]+=0)+)")


def test_an_update_outlives_cuts_of_the_power(pico_ppp: firmware.Firmware) -> None:
    command = [sys.executable, str(CUTS), str(N_CUTS), str(pico_ppp.uf2)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)
    found = LAST_LINE.fullmatch((done.stdout.strip().splitlines() or [""])[-1])
    assert found, done.stdout + done.stderr
    assert int(found[1]) == N_CUTS
    assert done.returncode == 0
