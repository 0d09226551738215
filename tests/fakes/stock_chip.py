"""A chip with MicroPython's own image on the unix port: its modules, and its start.

The modules of tests/fakes/hardware take the places of its own. An MPU-6050 on its bus samples in
real time, and a Wi-Fi named "home" takes everybody. Of the chip's architecture only what `sys`
says is different from this machine's.
"""

import os
import sys
import time

import micropython

_CHIPS = {
    "rp2": ("rp2", "Raspberry Pi Pico W with RP2040"),
    "esp32": ("esp32", "Generic ESP32S3 module with ESP32S3"),
}


class _Time:
    """See `i2c_chips.Time`; it passes by itself."""

    def __init__(self):
        self._last_us = time.ticks_us()
        self._us = 0

    @property
    def us(self):
        now_us = time.ticks_us()
        self._us += time.ticks_diff(now_us, self._last_us)
        self._last_us = now_us
        return self._us

    @us.setter
    def us(self, value):
        pass  # what a byte on the bus takes


class _Implementation(tuple):
    pass


class _Sys:
    """The module, but for the names that a chip has others of."""

    def __init__(self, real, platform, machine):
        self._real = real
        self.platform = platform
        found = real.implementation
        self.implementation = _Implementation((found[0], found[1]))
        self.implementation._mpy = found._mpy
        self.implementation._machine = machine

    def __getattr__(self, name):
        return getattr(self._real, name)


class _Partition:
    """Of the one app partition that the image has."""

    TYPE_APP, TYPE_DATA, RUNNING = 0, 1, 1

    def info(self):
        return (0, 0, 0x10000, 0x1F0000, "factory", False)

    @classmethod
    def find(cls, kind, subtype=255):
        return [cls()] if kind == cls.TYPE_APP else []


class _Esp32:
    Partition = _Partition


def _reset():
    """Ends the process; from here on Ctrl-C is not heard, as by a chip that starts."""
    micropython.kbd_intr(-1)
    try:
        for _ in range(2):
            pass  # a jump raises a Ctrl-C that is pending
    except KeyboardInterrupt:
        pass
    sys.exit()


def make(name, unique_id):
    """Put the chip's modules in place.

    Args:
        name: of _CHIPS.
        unique_id: bytes.
    """
    del sys.argv[1:]  # a board has none
    sys.path.append(__file__.rsplit("/", 1)[0] + "/hardware")
    import machine
    import network  # noqa: F401
    from fake_mpu6050 import FakeMPU6050
    from i2c_chips import Bus

    machine.reset = _reset
    machine.unique_id = lambda: unique_id
    machine.world.bus = Bus(_Time())
    machine.world.bus.chips[0x68] = FakeMPU6050(machine.world.bus.time)
    if name == "esp32":
        sys.modules["esp32"] = _Esp32
    sys.modules["sys"] = _Sys(sys, *_CHIPS[name])


def _load_native():
    """Load native modules from their files, since this interpreter has its own compiled in."""
    path = sys.path[:]
    for name in ("obkernels", "obed25519"):
        try:
            os.stat("/lib/%s.mpy" % name)
        except OSError:
            continue
        sys.path[:] = [""]
        module = __import__("/lib/" + name)
        sys.path[:] = path
        module.__name__ = name
        sys.modules[name] = module


def start(names):
    """Run boot.py and main.py as the image does.

    Raises:
        SystemExit: a reset.
        BaseException: What ends either; the prompt comes next.
    """
    _load_native()
    for path in ("/boot.py", "/main.py"):
        try:
            with open(path) as file:
                text = file.read()
        except OSError:
            continue
        exec(compile(text, path, "exec"), names)
