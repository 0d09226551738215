"""The RP2040's power, watchdog and registers that a reset leaves alone.

`machine.deepsleep` of MicroPython is a light sleep that ends in a reset by the watchdog. Of the
watchdog's scratch registers the chip's boot code uses 4 to 7; 0 to 2 are `Retained`, 3 says how
the last run ended.
"""

import time

import machine
from chip import Watchdog
from micropython import const

_REASON = const(0x40058008)
_SCRATCH0 = const(0x4005800C)
_SCRATCH3 = const(0x40058018)
_SCRATCH4 = const(0x4005801C)
_BY_TIMEOUT = const(0x6AB73121)  # SCRATCH4 while the watchdog counts; machine.reset() clears it
_ASLEEP = const(0x0B5EE9A0)  # SCRATCH3
_RUNNING = const(0x0B5EE9A1)
_WORDS = const(3)

WATCHDOG_MAX_MS = 8388
_CHUNK_MS = 4000  # while the watchdog counts, which light sleep does not stop
_LONGEST_SLEEP_MS = 3600000  # the port refuses 2^32 microseconds
_LEAST_SUPPLY_MV = 1700  # nothing runs below: what reads less is not connected


class Retained:
    """12 bytes that every reset but a power cut leaves alone."""

    max_bytes = 4 * _WORDS

    def read(self) -> bytes:
        """Returns the 12 bytes, whatever they are."""
        content = bytearray(self.max_bytes)
        for i in range(_WORDS):
            word = machine.mem32[_SCRATCH0 + 4 * i]
            for j in range(4):
                content[4 * i + j] = word >> 8 * j & 0xFF
        return bytes(content)

    def write(self, content: bytes) -> None:
        """Keeps at most 12 bytes; what is missing becomes zero."""
        padded = content + bytes(self.max_bytes - len(content))
        for i in range(_WORDS):
            machine.mem32[_SCRATCH0 + 4 * i] = int.from_bytes(padded[4 * i : 4 * i + 4], "little")


class Power(Watchdog):
    """What the RP2040 can do about its power.

    Args:
        read_supply_mv: function that returns the supply voltage, None where nothing measures it.
    """

    can_light_sleep = True
    can_deep_sleep = True
    _cause = ""

    def __init__(self, read_supply_mv=None):
        super().__init__(WATCHDOG_MAX_MS)
        self._read_supply_mv = read_supply_mv

    def reset_cause(self) -> str:
        """Returns "power_on", "reset", "watchdog" or "deep_sleep"; the chip knows no brownout."""
        # Asked once in a program, since that also leaves the mark for the next one.
        if not Power._cause:
            Power._cause = _take_cause()
        return Power._cause

    def light_sleep_ms(self, duration_ms: int) -> None:
        """Stops all clocks but the timer's; RAM stays, UART and USB stop, the ticks go on."""
        chunk_ms = _CHUNK_MS if self._watchdog else _LONGEST_SLEEP_MS
        start_ms = time.ticks_ms()
        left_ms = duration_ms
        while left_ms > 0:
            self.feed()
            machine.lightsleep(min(left_ms, chunk_ms))
            # Any interrupt ends a sleep, such as that of lwIP's timer every 64 ms.
            left_ms = duration_ms - time.ticks_diff(time.ticks_ms(), start_ms)
        self.feed()

    def deep_sleep_ms(self, duration_ms: int) -> None:
        """Sleeps, then boots anew; never returns."""
        machine.mem32[_SCRATCH3] = _ASLEEP
        self.light_sleep_ms(duration_ms - 1)
        machine.deepsleep(1)

    def supply_mv(self) -> int:
        """Returns the supply voltage, -1 when it is not known."""
        if self._read_supply_mv is None:
            return -1
        millivolts = self._read_supply_mv()
        return millivolts if millivolts >= _LEAST_SUPPLY_MV else -1


def _take_cause() -> str:
    mark = machine.mem32[_SCRATCH3]
    machine.mem32[_SCRATCH3] = _RUNNING
    if mark == _ASLEEP:
        return "deep_sleep"
    if mark != _RUNNING:
        return "power_on"
    if machine.mem32[_REASON] and machine.mem32[_SCRATCH4] == _BY_TIMEOUT:
        return "watchdog"
    return "reset"
