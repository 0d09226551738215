"""A Raspberry Pi Pico on a USB cable: it has no network, its decisions are lines on the console.

Can: FIFO sensors on I2C, an analog pin, a pin that switches; a watchdog of at most 8.4 s; state
kept in 12 bytes over a reset, and on flash.
Cannot: notice that nobody reads its lines; sleep deeply and stay on USB; keep its clock over a
reset; tell a brownout from a power-on.
"""

import chip
import chip_rp2040
from machine import ADC, Pin
from node_board import IS_PROCESS, NodeBoard, make_files, write_console  # noqa: F401

# Pins by their GP number.
SENSOR_I2C = 0
SENSOR_SDA = 4
SENSOR_SCL = 5
ANALOG = 26
SIGNAL = 22
SUPPLY_ADC = 29  # a third of VSYS


def read_supply_mv() -> int:
    """Returns the voltage at VSYS."""
    return ADC(Pin(SUPPLY_ADC)).read_u16() * 3 * 3300 // 65535


def make_power():
    """Returns what the chip can do about its power; touches nothing else."""
    return chip_rp2040.Power(read_supply_mv)


def make_retained():
    """Returns what a reset leaves alone."""
    return chip_rp2040.Retained()


class Board(NodeBoard):
    """See NodeBoard."""

    write_line = staticmethod(write_console)

    def __init__(self, config):
        super().__init__(config, chip.Wiring(SENSOR_I2C, SENSOR_SDA, SENSOR_SCL, ANALOG, SIGNAL))
        self.power = make_power()
        self.retained = make_retained()
