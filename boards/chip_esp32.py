"""The ESP32's power, watchdog and memory that deep sleep leaves alone."""

import machine
from chip import Watchdog

_MEMORY_BYTES = 2048
_WATCHDOG_MAX_MS = 3600000

_CAUSES = {
    machine.PWRON_RESET: "power_on",  # or a brownout: the port does not tell them apart
    machine.HARD_RESET: "reset",
    machine.SOFT_RESET: "reset",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "deep_sleep",
}


class Retained:
    """A part of the RTC's memory; the parts do not overlap.

    Args:
        start: first byte.
        end: the byte after the last one, at most 2048.
    """

    def __init__(self, start: int, end: int):
        self._start = start
        self.max_bytes = end - start - 2

    def read(self) -> bytes:
        """Returns what was written last, empty after a power cut."""
        memory = machine.RTC().memory()
        at = self._start
        if len(memory) != _MEMORY_BYTES:
            return b""
        length = memory[at] | memory[at + 1] << 8
        return memory[at + 2 : at + 2 + length] if length <= self.max_bytes else b""

    def write(self, content: bytes) -> None:
        """Keeps at most `max_bytes`."""
        if len(content) > self.max_bytes:
            raise ValueError("%d bytes, at most %d" % (len(content), self.max_bytes))
        memory = bytearray(machine.RTC().memory())
        if len(memory) != _MEMORY_BYTES:
            memory = bytearray(_MEMORY_BYTES)
        at = self._start
        memory[at] = len(content) & 0xFF
        memory[at + 1] = len(content) >> 8
        memory[at + 2 : at + 2 + len(content)] = content
        machine.RTC().memory(memory)


class Power(Watchdog):
    """What the ESP32 can do about its power."""

    can_light_sleep = True
    can_deep_sleep = True

    def __init__(self):
        super().__init__(_WATCHDOG_MAX_MS)

    def reset_cause(self) -> str:
        """Returns "power_on", "reset", "watchdog", "deep_sleep" or "unknown"."""
        return _CAUSES.get(machine.reset_cause(), "unknown")

    def feed_for_ms(self, duration_ms: int) -> None:
        """As of any chip; for a bounded time the watchdog itself waits longer.

        Timers call back in the task that a name lookup blocks.
        """
        super().feed_for_ms(min(duration_ms, 0))
        if self._watchdog and duration_ms >= 0:
            self._watchdog = machine.WDT(timeout=duration_ms or self._timeout_ms)
            self.feed()

    def light_sleep_ms(self, duration_ms: int) -> None:
        """Stops the clocks; RAM stays, Wi-Fi is lost, USB too."""
        if duration_ms > 0:
            self.feed()
            machine.lightsleep(duration_ms)
            self.feed()

    def deep_sleep_ms(self, duration_ms: int) -> None:
        """Switches all off but the RTC, then boots anew; never returns."""
        machine.deepsleep(duration_ms)

    def supply_mv(self) -> int:
        """Returns -1: what a board wires to which pin differs."""
        return -1
