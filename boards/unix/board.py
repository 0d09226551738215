"""A PC as a board: MicroPython's unix port, folders as flash, a recording as sensor."""

import os
import time

import obchoice

from drivers.replay import Replay
from formats import errors

IS_PROCESS = True  # a node that ends leaves an exit status

IDLE_MS = 1
HEARTBEAT_MS = 500


class Clock:
    """Ticks and the time of day, as `time` has them.

    Attributes:
        quality: time quality of the records: the PC keeps its clock synchronised.
        time_s: seconds since 1970 at the last `read()`.
        time_ms: and its milliseconds.
    """

    quality = 2
    ticks_ms = staticmethod(time.ticks_ms)

    def __init__(self):
        self.time_s = 0
        self.time_ms = 0
        self.heartbeat = None

    def read(self) -> None:
        """Takes the time of now, as every decision does."""
        if self.heartbeat is not None:
            self.heartbeat.turn()
        now_ms = time.time_ns() // 1000000
        self.time_s = now_ms // 1000
        self.time_ms = now_ms % 1000

    def sleep_ms(self, duration_ms: int) -> None:
        """Sleeps."""
        time.sleep_ms(duration_ms)


class Heartbeat:
    """Shows a supervisor that decisions are made, as feeding a watchdog does: writes a file anew.

    Args:
        path: of the file.
        clock: object with `ticks_ms()`.
    """

    def __init__(self, path, clock):
        self._path = path
        self._clock = clock
        self._last_ms = clock.ticks_ms() - HEARTBEAT_MS

    def turn(self) -> None:
        """Writes when it is time."""
        now_ms = self._clock.ticks_ms()
        if time.ticks_diff(now_ms, self._last_ms) >= HEARTBEAT_MS:
            self._last_ms = now_ms
            with open(self._path, "w") as file:
                file.write("%d\n" % now_ms)


class Files:
    """The PC's filesystem with the methods of a MicroPython filesystem object."""

    open = staticmethod(open)
    remove = staticmethod(os.remove)
    rename = staticmethod(os.rename)
    ilistdir = staticmethod(os.ilistdir)
    mkdir = staticmethod(os.mkdir)
    rmdir = staticmethod(os.rmdir)
    stat = staticmethod(os.stat)
    statvfs = staticmethod(os.statvfs)


def make_files():
    """Returns the filesystem."""
    return Files()


def make_power():
    """Returns None: a process does not sleep for its battery's sake."""


def make_retained():
    """Returns None: a process has no deep sleep."""


class Board:
    """What a node needs from the world.

    Args:
        config: Config with a `replay_path`.

    Attributes:
        clock: `ticks_ms()`, `read()`, `time_s`, `time_ms`, `quality`, `sleep_ms()`.
        files: filesystem of the outbox.
        kernels: the native module, or its twin.
        source: the driver.
        ppp: `network.PPP` of a board whose network is that, else None.
        radio: interface of a board with Wi-Fi, see `boards/wifi_radio.py`, else None.
        wifi_store: with `radio`, where it remembers: `read()`, `write(content)`.
        write_line: on a board without any network, takes the lines of `app.uplink_serial`.
        power: None, or what the chip can do about its power, see `boards/chip.py`.
        retained: None, or memory that deep sleep leaves alone: `read()`, `write(content)`.
        currents_ua: known currents by phase.

    Raises:
        OnebyteError: no recording is configured, it cannot be opened, or is none.
    """

    ppp = None
    radio = None
    wifi_store = None
    write_line = None

    def __init__(self, config):
        if config.sensor != "replay":
            raise errors.OnebyteError(
                errors.CONFIG_RANGE, "sensor: replay, not %r: a PC has no sensor" % config.sensor
            )
        if not config.replay_path:
            raise errors.OnebyteError(
                errors.CONFIG_MISSING, "replay_path is required: a PC has no sensor"
            )
        self._model_path = config.model_path
        self.clock = Clock()
        path = os.getenv("ONEBYTE_HEARTBEAT") if hasattr(os, "getenv") else ""
        if path:
            self.clock.heartbeat = Heartbeat(path, self.clock)
        self.files = Files()
        self.kernels = obchoice.choose(print)
        self.power = make_power()
        self.retained = make_retained()
        self.currents_ua = {}
        try:
            file = open(config.replay_path, "rb")
        except OSError as error:
            detail = "replay_path %s: %s" % (config.replay_path, error)
            raise errors.OnebyteError(errors.CONFIG_MISSING, detail) from None
        self.source = Replay(file, config.replay_speed, self.clock, config.replay_fifo_rows)

    def read_model(self) -> bytes:
        """Returns the model file, empty when it cannot be read."""
        try:
            with open(self._model_path, "rb") as file:
                return file.read()
        except OSError:
            return b""

    def idle(self, duration_ms: int) -> None:
        """Sleeps, at most so long: a replay's end has to be seen."""
        self.clock.sleep_ms(min(duration_ms, IDLE_MS))
