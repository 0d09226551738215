"""A PC as a board: MicroPython's unix port, folders as flash, a recording as sensor."""

import os
import time

from drivers.replay import Replay
from formats import errors

try:
    import obkernels as kernels
except ImportError:
    import obtwin as kernels  # type: ignore[no-redef]

IDLE_MS = 1


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

    def read(self) -> None:
        """Takes the time of now."""
        now_ms = time.time_ns() // 1000000
        self.time_s = now_ms // 1000
        self.time_ms = now_ms % 1000

    def sleep_ms(self, duration_ms: int) -> None:
        """Sleeps."""
        time.sleep_ms(duration_ms)


class Files:
    """The PC's filesystem with the methods of a MicroPython filesystem object."""

    open = staticmethod(open)
    remove = staticmethod(os.remove)
    rename = staticmethod(os.rename)
    ilistdir = staticmethod(os.ilistdir)
    mkdir = staticmethod(os.mkdir)


class Board:
    """What a node needs from the world.

    Args:
        config: Config with a `replay_path`.

    Attributes:
        clock: `ticks_ms()`, `read()`, `time_s`, `time_ms`, `quality`, `sleep_ms()`.
        files: filesystem of the outbox.
        kernels: the native module, or its twin.
        source: the driver.

    Raises:
        OnebyteError: no recording is configured, it cannot be opened, or is none.
    """

    def __init__(self, config):
        if not config.replay_path:
            raise errors.OnebyteError(
                errors.CONFIG_MISSING, "replay_path is required: a PC has no sensor"
            )
        self._model_path = config.model_path
        self.clock = Clock()
        self.files = Files()
        self.kernels = kernels
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

    def idle(self) -> None:
        """Sleeps until there may be something to do."""
        self.clock.sleep_ms(IDLE_MS)
