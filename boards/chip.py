"""What the boards of all chips share: clock, files, buses, the watchdog's feeding."""

import os
import sys
import time

from machine import ADC, I2C, WDT, Pin, Timer

_TICKS_MASK = 0x3FFFFFFF
_SET_AFTER_S = 1704067200  # 2024-01-01: no chip starts there, so somebody has set the clock
_EPOCH_2000_S = 946684800  # 1970 to 2000, where some ports begin to count
_PULSES = 9
_HALF_PULSE_US = 5
_FEED_PERIOD_MS = 250  # the shortest watchdog of a configuration is 5000

# The RP2040 has virtual timers without a number, the ESP32 has four.
_IS_RP2 = sys.platform == "rp2"
_SAMPLE_TIMER = -1 if _IS_RP2 else 0
_FEED_TIMER = -1 if _IS_RP2 else 1


class Clock:
    """Ticks, and the time of day once somebody has set the chip's clock.

    Until then `quality` is 0 and time counts from the start of the program. Nothing here sets the
    clock: `mpremote rtc --set`, or a program of your own, does.

    Attributes:
        quality: 0 seconds since boot, 1 time of day that was set and drifts.
        time_s: seconds since boot or since 1970 at the last `read()`.
        time_ms: and its milliseconds.
    """

    ticks_ms = staticmethod(time.ticks_ms)
    sleep_ms = staticmethod(time.sleep_ms)

    def __init__(self):
        self.quality = 0
        self.time_s = 0
        self.time_ms = 0
        self._shift_s = _EPOCH_2000_S if time.gmtime(0)[0] == 2000 else 0
        self._last_ms = time.ticks_ms()
        self._up_s = 0
        self._up_ms = 0

    def go_on(self, up_ms: int) -> None:
        """Counts from so many milliseconds on: a deep sleep came between."""
        self._last_ms = time.ticks_ms()
        self._up_s = up_ms // 1000
        self._up_ms = up_ms % 1000

    def read(self) -> None:
        """Takes the time of now; call it at least once in 12 days."""
        now_ms = time.ticks_ms()
        up_ms = self._up_ms + (time.ticks_diff(now_ms, self._last_ms) & _TICKS_MASK)
        self._last_ms = now_ms
        self._up_s += up_ms // 1000
        self._up_ms = up_ms % 1000
        if time.time() + self._shift_s < _SET_AFTER_S:
            self.time_s = self._up_s
            self.time_ms = self._up_ms
            return
        self.quality = 1
        day_ms = time.time_ns() // 1000000
        self.time_s = day_ms // 1000 + self._shift_s
        self.time_ms = day_ms % 1000


class Files:
    """The flash's filesystem, as `/` has it."""

    open = staticmethod(open)
    remove = staticmethod(os.remove)
    rename = staticmethod(os.rename)
    ilistdir = staticmethod(os.ilistdir)
    mkdir = staticmethod(os.mkdir)
    rmdir = staticmethod(os.rmdir)
    stat = staticmethod(os.stat)
    statvfs = staticmethod(os.statvfs)


class FileStore:
    """A few bytes in a file, written only when they change.

    Args:
        path: of the file.
    """

    def __init__(self, path: str):
        self._path = path

    def read(self) -> bytes:
        """Returns what was written last, empty when there is nothing."""
        try:
            with open(self._path, "rb") as file:
                return file.read()
        except OSError:
            return b""

    def write(self, content: bytes) -> None:
        """Keeps the content. A flash that fails only costs what is remembered."""
        if content == self.read():
            return
        try:
            with open(self._path, "wb") as file:
                file.write(content)
        except OSError:
            pass


class Wiring:
    """Buses and pins of a board, as `sensors.make_source` wants them.

    Args:
        i2c_id: which of the chip's I2C units.
        sda, scl: its pins.
        analog: pin of an analog sensor.
        signal: pin of a sensor that switches.
    """

    ticks_us = staticmethod(time.ticks_us)

    def __init__(self, i2c_id: int, sda: int, scl: int, analog: int, signal: int):
        self._i2c_id = i2c_id
        self.sda = sda
        self.scl = scl
        self.analog = analog
        self.signal = signal

    def i2c(self, sda: int, scl: int, hz: int):
        """Returns (bus, function that frees the bus when a chip holds it).

        Raises:
            ValueError: the unit cannot use these pins.
        """

        def make():
            return I2C(self._i2c_id, sda=Pin(sda), scl=Pin(scl), freq=hz)

        def recover():
            free_bus(Pin(scl, Pin.OPEN_DRAIN, value=1), Pin(sda, Pin.OPEN_DRAIN, value=1))
            make()  # the pins belong to the unit again; it is the same object

        return make(), recover

    def read_u16(self, pin: int):
        """Returns a function that reads an analog pin, 0-65535."""
        return ADC(Pin(pin)).read_u16

    def pin(self, number: int) -> Pin:
        """Returns an input that reads 0 while nothing drives it."""
        return Pin(number, Pin.IN, Pin.PULL_DOWN)

    def rising(self, pin: Pin, callback) -> None:
        """Calls `callback` at every rising edge of a `pin()`."""
        pin.irq(handler=callback, trigger=Pin.IRQ_RISING)

    def every(self, rate_mhz: int, callback) -> None:
        """Calls `callback` at this rate from now on."""
        settings = {"freq": rate_mhz / 1000, "mode": Timer.PERIODIC, "callback": callback}
        self._timer = Timer(_SAMPLE_TIMER, **settings)  # kept: a lost one is collected and stops


class Watchdog:
    """The part of a chip's `Power` that keeps the watchdog content.

    Args:
        longest_ms: what the chip's watchdog bears.
    """

    def __init__(self, longest_ms: int):
        self._longest_ms = longest_ms
        self._watchdog = None
        self._timeout_ms = 0
        self._feeder = None
        self._feeds_left = 0

    def start_watchdog(self, timeout_ms: int) -> None:
        """Starts the watchdog, with the longest time that the chip has; nothing stops it again."""
        self._timeout_ms = min(timeout_ms, self._longest_ms)
        self._watchdog = WDT(timeout=self._timeout_ms)

    def feed(self) -> None:
        """Tells the watchdog that all is well."""
        if self._watchdog:
            self._watchdog.feed()

    def feed_for_ms(self, duration_ms: int) -> None:
        """Lets a timer feed the watchdog for so long, below 0 for ever; 0 stops that."""
        if self._feeder:
            self._feeder.deinit()
            self._feeder = None
        if self._watchdog and duration_ms:
            self.feed()
            self._feeds_left = duration_ms // _FEED_PERIOD_MS if duration_ms > 0 else -1
            settings = {"period": _FEED_PERIOD_MS, "mode": Timer.PERIODIC}
            self._feeder = Timer(_FEED_TIMER, callback=self._feed_once, **settings)

    def _feed_once(self, _timer) -> None:
        if self._feeds_left:
            self._feeds_left -= 1
            self.feed()
        elif self._feeder:
            self._feeder.deinit()


def free_bus(scl, sda, sleep_us=time.sleep_us) -> None:
    """Lets a chip that stopped in the middle of a byte finish it, then says stop.

    Args:
        scl, sda: open-drain pins, released.
        sleep_us: time.sleep_us, or a test's.
    """
    for _ in range(_PULSES):
        if sda():
            break
        scl(0)
        sleep_us(_HALF_PULSE_US)
        scl(1)
        sleep_us(_HALF_PULSE_US)
    sda(0)
    sleep_us(_HALF_PULSE_US)
    sda(1)


def read_file(path: str) -> bytes:
    """Returns a file's content, empty when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
