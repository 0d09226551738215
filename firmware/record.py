"""Streams a recording on the unix port: `micropython firmware/record.py CONFIG.json [ROWS]`.

Standard input and output are the console; the end of the input ends the recording.
"""

import sys
import time

import board as hardware

from app import config as configuration
from app import record_setup, record_stream
from app.recorder import Recorder
from formats import errors

_RECORDED_S = 3  # at most, between two looks at the clock; the recorder's memory holds more
_TICKS_MASK = 0x3FFFFFFF  # as on the boards


class Clock:
    """Ticks that stand still while this process does: no recording goes on while a PC stalls.

    A board's sensor would, and its driver counts what is lost then. What a slow PC has done to a
    recording that is played to it 40 times as fast is of no interest.

    Args:
        most_us: what may pass between two looks.
        ticks_us: microseconds that only grow.
    """

    def __init__(self, most_us: int, ticks_us=time.ticks_us):
        self._most_us = most_us
        self._ticks_us = ticks_us
        self._last_us = ticks_us()
        self._us = 0

    def ticks_us(self):
        """Returns microseconds that wrap at 2^30."""
        now_us = self._ticks_us()
        self._us += min(time.ticks_diff(now_us, self._last_us), self._most_us)
        self._last_us = now_us
        return self._us & _TICKS_MASK

    def ticks_ms(self):
        """Returns milliseconds that wrap at 2^30."""
        self.ticks_us()
        return self._us // 1000 & _TICKS_MASK


def main() -> int:
    """Returns the exit status."""
    try:
        config = configuration.load(sys.argv[1])
        board = hardware.Board(config)
    except (errors.OnebyteError, OSError) as error:
        print("onebyte record:", error)
        return 2
    source = board.source
    pace_mhz = source.pace_mhz or source.rate_mhz
    clock = Clock(_RECORDED_S * 1000000 * source.rate_mhz // pace_mhz)
    board.clock.ticks_ms = clock.ticks_ms  # the source's, too
    recorder = Recorder(source, clock.ticks_us)
    max_rows = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    record_stream.run_on_console(recorder, record_setup.info(config, source), max_rows)
    return 0


sys.exit(main())
