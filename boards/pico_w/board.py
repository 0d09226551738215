"""A Raspberry Pi Pico W with MicroPython's official image, 1.25 or newer.

Can: Wi-Fi that remembers access point, channel and address in a file; FIFO sensors on I2C, an
analog pin, a pin that switches; light sleep; a watchdog of at most 8.4 s; state kept in 12 bytes
over a reset, and on flash.
Cannot: measure its supply, whose pin the radio uses; deep sleep that costs less than light sleep;
keep its clock over a reset; tell a brownout from a power-on.
"""

import chip
import chip_rp2040
import network
from node_board import IS_PROCESS, NodeBoard, make_files  # noqa: F401
from wifi_radio import Radio

# Pins by their GP number.
SENSOR_I2C = 0
SENSOR_SDA = 4
SENSOR_SCL = 5
ANALOG = 26
SIGNAL = 22

WIFI_FILE = "wifi"


def make_power():
    """Returns what the chip can do about its power; touches nothing else."""
    return chip_rp2040.Power()


def make_retained():
    """Returns what a reset leaves alone."""
    return chip_rp2040.Retained()


class Board(NodeBoard):
    """See NodeBoard."""

    def __init__(self, config):
        super().__init__(config, chip.Wiring(SENSOR_I2C, SENSOR_SDA, SENSOR_SCL, ANALOG, SIGNAL))
        self.radio = Radio(network, takes_channel=True)
        self.wifi_store = chip.FileStore(WIFI_FILE)
        self.power = make_power()
        self.retained = make_retained()
