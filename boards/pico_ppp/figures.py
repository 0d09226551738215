"""Raspberry Pi Pico with a modem on its UART: what is known of its currents, and where it is from.

Nothing here was measured by this project. The modem is yours: its
currents are not known here.
"""

NAME = "pico_ppp"
CHIP = "RP2040"
CPU_HZ = 125000000

MEASURED = "measured"  # by the source named
DATASHEET = "datasheet"

_TABLE = "github.com/cpottle9/RP2-PowerControl, POWER_MEASUREMENTS.md, PICO at 5 V: "

# phase: (microampere, measured or datasheet, source). A phase that is not here is not known.
CURRENTS_UA = {
    "active": (21240, MEASURED, _TABLE + "busy wait at 125 MHz"),
    "light_sleep": (1290, MEASURED, _TABLE + "lightsleep"),
    "deep_sleep": (
        1290,
        MEASURED,
        _TABLE + "lightsleep; MicroPython's deepsleep on this chip is lightsleep and a reset",
    ),
}

# step: (milliseconds, measured or datasheet, source)
TIMES_MS: dict = {}
CHARGES_UC: dict = {}
