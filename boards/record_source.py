"""The driver that a configuration names, without the rest of a board: for recording alone."""

import chip
import sensors


def make_source(config, pins):
    """Returns the driver.

    Args:
        config: Config.
        pins: I2C unit, SDA, SCL, analog pin and signal pin, as a board's file has them.
    """
    return sensors.make_source(config, chip.Wiring(*pins), chip.Clock())
