"""The line of docs/BOARDS.md that sets the clock, typed at a real image."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from onebyte.boards.link import open_board
from onebyte.crossbuild import firmware
from onebyte.emulator.machine import Machine

ROOT = Path(__file__).parents[2]
LONG_S = 120
WINDOW_MS = 10000  # in which Ctrl-C stops a start, and more


def test_documented_line_sets_the_clock_and_starts_the_node(pico_ppp: firmware.Firmware) -> None:
    text = (ROOT / "docs" / "BOARDS.md").read_text(encoding="utf-8")
    ((line),) = re.findall(r"^    mpremote (resume rtc --set [^#\n]*)", text, re.MULTILINE)
    with Machine(pico_ppp.uf2) as machine:
        machine.boot()
        with machine.serial_port() as url:
            with open_board(url) as board:
                # As within the first seconds: the node's own part has not begun.
                board.exec("import sys\nsys.modules.pop('firmware.main', None)\nmarked = 1")
                assert not board.ask(
                    "import machine\nprint(int(machine.RTC().datetime()[0] > 2024))"
                )
            command = [Path(sys.executable).with_name("mpremote"), "connect", url]
            done = subprocess.run(
                [*command, *shlex.split(line)],
                capture_output=True,
                text=True,
                timeout=LONG_S,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        machine.run_ms(WINDOW_MS)  # it starts, and there is no configuration
        with machine.serial_port() as url, open_board(url) as board:
            assert board.ask("print(int('firmware.main' in sys.modules))") == 1, "not started"
            assert board.ask("print(int(machine.RTC().datetime()[0] > 2024))") == 1
            assert board.ask("print(marked)") == 1, "it was reset"
