"""Print the features that a node computes of a recording's windows, a line of hex for each.

    micropython tests/fakes/feature_dump.py KERNELS MODEL CUSTOM_PY SAMPLES

KERNELS is obkernels or obtwin, SAMPLES a file of int16 rows. The model proves itself first.
"""

import sys
from array import array
from binascii import hexlify

from app import config, loader


class Files:
    """The PC's filesystem."""

    open = staticmethod(open)


class Source:
    """A sensor as the model wants it."""

    def __init__(self, info):
        self.n_channels = info.n_channels
        self.rate_mhz = info.rate_mhz


class Board:
    """What the loader needs of one."""

    def __init__(self, kernels, source):
        self.kernels = kernels
        self.source = source
        self.files = Files


def main(kernels, model_path, custom_path, samples_path):
    """Print the features of every window."""
    with open(model_path, "rb") as file:
        content = file.read()
    info = loader.parse(content, __import__(kernels))
    settings = {"tenant": "t", "device": "d", "broker_host": "h", "custom_path": custom_path}
    board = Board(__import__(kernels), Source(info))
    proven = loader.prove(info, content, board, config.Config(settings))
    with open(samples_path, "rb") as file:
        samples = array("h", file.read())
    features = array("h", bytes(2 * info.n_features))
    rows = len(samples) // info.n_channels
    for start in range(0, rows - info.window + 1, info.hop):
        proven.features_into(samples, start, features)
        print(hexlify(bytes(features)).decode())


main(*sys.argv[1:])
