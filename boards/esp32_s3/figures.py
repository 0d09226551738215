"""ESP32-S3: what is known of its currents and times, each with where it is from.

Nothing here was measured by this project. Sleep currents are those of the chip: a board adds its
regulator, its LED and its USB bridge, from 60 uA to several mA.
"""

NAME = "esp32_s3"
CHIP = "ESP32-S3"
CPU_HZ = 160000000

MEASURED = "measured"  # by the source named
DATASHEET = "datasheet"

_BOOT = "github.com/glenn20/upy-esp32-experiments, OptimisingMicropythonBootTime: "
_WIFI = "github.com/glenn20/upy-esp32-experiments, ESPNowvsWifiEnergyUsage: "
_IDF = "ESP-IDF Programming Guide, Low Power Mode in Wi-Fi Scenarios, ESP32-S3: "

# phase: (microampere, measured or datasheet, source). A phase that is not here is not known.
CURRENTS_UA = {
    "active": (
        67400,
        MEASURED,
        _BOOT + "FeatherS3 at 5 V, _boot.py to main.py, 23.6 mC in 350 ms",
    ),
    "light_sleep": (
        240,
        DATASHEET,
        "ESP32-S3 Series Datasheet, current consumption in low-power modes, light-sleep",
    ),
    "deep_sleep": (
        8,
        MEASURED,
        "lucidar.me, Power consumption of ESP32-S3-DevKitM-1: 8 uA at 3.3 V without the LED's "
        "resistor; the datasheet says 7 uA",
    ),
    "radio_connect": (
        146000,
        MEASURED,
        _WIFI + "an ESP32, not S3, static address: 100.2 less 3.32 mC in 734 less 70 ms",
    ),
    "radio_on": (
        210000,
        MEASURED,
        _WIFI + "an ESP32, not S3, one MQTT message: 108.6 less 100.2 mC in 774 less 734 ms",
    ),
    "radio_idle": (
        40100,
        MEASURED,
        _IDF + "modem sleep without DFS, DTIM 1, 160 MHz, average",
    ),
}

# step: (milliseconds, measured or datasheet, source)
TIMES_MS = {
    "boot": (635, MEASURED, _BOOT + "FeatherS3, stock image, wake to main.py and back to sleep"),
    "boot_frozen": (48.8, MEASURED, _BOOT + "the same with the program frozen into _boot.py"),
    "radio_connect": (664, MEASURED, _WIFI + "an ESP32, not S3, static address, 734 less 70 ms"),
    "mqtt": (
        40,
        MEASURED,
        _WIFI + "an ESP32, not S3, TCP, MQTT connect and one message: 774 less 734 ms",
    ),
}

# What a boot takes from the battery, in microcoulomb, where it was measured as a charge.
CHARGES_UC = {
    "boot": (41900, MEASURED, TIMES_MS["boot"][2]),
    "boot_frozen": (1820, MEASURED, TIMES_MS["boot_frozen"][2]),
}
