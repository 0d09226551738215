"""What every board of a chip gives a node; a board's own file adds pins, network and power."""

import sys

import chip
import figures
import obchoice
import sensors

IS_PROCESS = False  # a node that ends leaves the prompt


def make_files():
    """Returns the filesystem."""
    return chip.Files()


def known_currents() -> dict:
    """Returns the known currents in microampere by phase, and `boot_uc`, the charge of a boot."""
    known = {phase: figures.CURRENTS_UA[phase][0] for phase in figures.CURRENTS_UA}
    if "boot" in figures.CHARGES_UC:
        known["boot_uc"] = figures.CHARGES_UC["boot"][0]
    return known


class NodeBoard:
    """A board without network. `boards/unix/board.py` says what the attributes mean.

    Args:
        config: Config.
        wiring: chip.Wiring.

    Raises:
        OnebyteError: the configuration does not fit this board, or there are no kernels.
    """

    ppp: object = None
    radio: object = None
    wifi_store: object = None
    write_line: object = None
    power: object = None
    retained: object = None

    def __init__(self, config, wiring):
        self._model_path = config.model_path
        self.clock = chip.Clock()
        self.files = chip.Files()
        self.kernels = obchoice.choose(print)
        self.source = sensors.make_source(config, wiring, self.clock)
        self.currents_ua = known_currents()

    def read_model(self) -> bytes:
        """Returns the model file, empty when it cannot be read."""
        return chip.read_file(self._model_path)

    def idle(self, duration_ms: int) -> None:
        """Sleeps until an interrupt or for so long; the bus and the network's interrupts go on."""
        self.clock.sleep_ms(duration_ms)


def write_console(line: bytes) -> None:
    """Writes a line to the console, which turns LF into CR LF."""
    sys.stdout.write(line.decode())
