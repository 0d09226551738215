"""A Raspberry Pi Pico whose network is PPP: a modem, or a computer, on a UART.

Can: FIFO sensors on I2C, an analog pin, a pin that switches; light sleep; a watchdog of at most
8.4 s; state kept in 12 bytes over a reset, and on flash.
Cannot: deep sleep that costs less than light sleep; keep its clock over a reset; tell a brownout
from a power-on; bring a modem into data mode, which is expected to be there.
"""

import chip
import chip_rp2040
import network
from machine import ADC, UART, Pin
from node_board import IS_PROCESS, NodeBoard, make_files  # noqa: F401

# Pins by their GP number.
SENSOR_I2C = 0
SENSOR_SDA = 4
SENSOR_SCL = 5
ANALOG = 26
SIGNAL = 22
PPP_UART = 0
PPP_TX = 0
PPP_RX = 1
SUPPLY_ADC = 29  # a third of VSYS

PPP_BUFFER_BYTES = 4096  # a packet of 1500 bytes with every byte escaped, and more


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

    def __init__(self, config):
        super().__init__(config, chip.Wiring(SENSOR_I2C, SENSOR_SDA, SENSOR_SCL, ANALOG, SIGNAL))
        uart = UART(
            PPP_UART,
            config.ppp_baud,
            tx=Pin(PPP_TX),
            rx=Pin(PPP_RX),
            txbuf=PPP_BUFFER_BYTES,
            rxbuf=PPP_BUFFER_BYTES,
        )
        self.ppp = network.PPP(uart)
        self.power = make_power()
        self.retained = make_retained()
