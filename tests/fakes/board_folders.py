"""Imports the files of a board on the unix port, over the fake modules of its hardware."""

import sys

ROOT = __file__.rsplit("/", 3)[0]
_MODULES = ("board", "node_board", "chip", "chip_rp2040", "chip_esp32", "sensors", "wifi_radio")
_HARDWARE = ("machine", "network", "figures")


def load(name):
    """Return (board, machine, network): the board's file and the fakes that it got, all new."""
    for module in _MODULES + _HARDWARE:
        sys.modules.pop(module, None)
    folders = ["boards", "boards/" + name, "tests/fakes/hardware"]
    kept = list(sys.path)
    sys.path[:0] = [ROOT + "/" + folder for folder in folders]
    try:
        import board
        import machine
        import network
    finally:
        sys.path[:] = kept
    return board, machine, network
