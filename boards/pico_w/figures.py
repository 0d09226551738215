"""Raspberry Pi Pico W: what is known of its currents, each with where it is from.

Nothing here was measured by this project. How long it takes to join a Wi-Fi network is not known.
"""

NAME = "pico_w"
CHIP = "RP2040"
CPU_HZ = 125000000

MEASURED = "measured"  # by the source named
DATASHEET = "datasheet"

_TABLE = "github.com/cpottle9/RP2-PowerControl, POWER_MEASUREMENTS.md, PICO W at 5 V: "
_RADIO = "github.com/georgerobotics/cyw43-driver, pull request 126: "

# phase: (microampere, measured or datasheet, source). A phase that is not here is not known.
CURRENTS_UA = {
    "active": (20940, MEASURED, _TABLE + "busy wait at 125 MHz, Wi-Fi off"),
    "light_sleep": (1290, MEASURED, _TABLE + "lightsleep, Wi-Fi off"),
    "deep_sleep": (
        1290,
        MEASURED,
        _TABLE + "lightsleep; MicroPython's deepsleep on this chip is lightsleep and a reset",
    ),
    "radio_connect": (
        56940,
        MEASURED,
        _RADIO + "about 36 mA with the radio kept on, and the busy CPU; without bursts of sending",
    ),
    "radio_on": (
        56940,
        MEASURED,
        _RADIO + "about 36 mA with the radio kept on, and the busy CPU; without bursts of sending",
    ),
    "radio_idle": (
        20350,
        MEASURED,
        _RADIO + "about 2 mA in its power-save mode, and 18.35 mA for the CPU in sleep_ms",
    ),
}

# step: (milliseconds, measured or datasheet, source)
TIMES_MS: dict = {}
CHARGES_UC: dict = {}
