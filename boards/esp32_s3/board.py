"""An ESP32-S3 (ESP32-S3-DevKitC-1 and alike) with MicroPython's official image, 1.25 or newer.

Can: Wi-Fi that remembers access point and address in memory that deep sleep leaves alone; FIFO
sensors on I2C, an analog pin, a pin that switches; light sleep, deep sleep, a watchdog; 2 KiB of
state kept over deep sleep.
Cannot: begin to look for the access point on its channel, which the port's `connect()` does not
take; measure its supply; tell a brownout from a power-on. Wi-Fi is lost in light sleep.
"""

import chip
import chip_esp32
import network
from node_board import IS_PROCESS, NodeBoard, make_files  # noqa: F401
from wifi_radio import Radio

# Pins by their GPIO number.
SENSOR_I2C = 0
SENSOR_SDA = 8
SENSOR_SCL = 9
ANALOG = 4
SIGNAL = 5

# Parts of the RTC's memory.
STATE_END = 1952
MEMORY_END = 2048


def make_power():
    """Returns what the chip can do about its power; touches nothing else."""
    return chip_esp32.Power()


def make_retained():
    """Returns what deep sleep leaves alone, besides what Wi-Fi remembers."""
    return chip_esp32.Retained(0, STATE_END)


class Board(NodeBoard):
    """See NodeBoard."""

    def __init__(self, config):
        super().__init__(config, chip.Wiring(SENSOR_I2C, SENSOR_SDA, SENSOR_SCL, ANALOG, SIGNAL))
        self.radio = Radio(network, takes_channel=False)
        self.wifi_store = chip_esp32.Retained(STATE_END, MEMORY_END)
        self.power = make_power()
        self.retained = make_retained()
