"""Cuts the power at every write and erase of a node's updates on LittleFS.

    micropython -X heapsize=128m tests/powercut/ota_cuts.py [short|long|full|planted] [story]

An oracle outside the node judges the bytes on flash after the real loader has recovered; then,
every few cuts, the node is started again and again, or has to go on with the update and take
another one. `short` cuts a sample, `long` every operation in four ways, `full` also every
operation of each recovery, `planted` until the first finding. The last line counts.
"""

import gc
import os
import sys
import time

ROOT = __file__.rsplit("/", 3)[0] if __file__.startswith("/") else "."
SOURCES = os.getenv("OTA_SOURCES") or ROOT  # of the device, into which bugs may be planted
sys.path[:] = [SOURCES + "/lib", SOURCES + "/firmware"]
for _name in ("lib", "firmware", "tests/fakes", "tests/both", "tests/powercut"):
    sys.path.append(ROOT + "/" + _name)
sys.path.append(".frozen")

import ota_config  # noqa: E402
import ota_lives  # noqa: E402
from nor_flash import REFUSES, SILENT  # noqa: E402
from ota_engine import Geometry, Plan  # noqa: E402
from ota_oracle import KINDS  # noqa: E402

_BAD_BLOCKS = {7: REFUSES, 12: SILENT, 19: REFUSES, 33: SILENT, 50: REFUSES}
GEOMETRIES = (
    Geometry("4096 x 96", 4096, 96, 256),
    Geometry("4096 x 64, nearly full", 4096, 64, 256, free_bytes=24 * 4096),
    Geometry("512 x 512", 512, 512, 64),
    Geometry("4096 x 96, worn", 4096, 96, 256, bad_blocks=_BAD_BLOCKS),
)
FORMS = {
    "short": {"stride": 13, "n_kinds": 1, "rescue_every": 7, "read_stride": 79},
    "long": {"read_stride": 3},
    "full": {"is_nested": True, "rescue_every": 61, "read_stride": 1},
    "planted": {
        "stride": 5,
        "read_stride": 7,
        "settle_every": 3,
        "rescue_every": 5,
        "stops_early": True,
    },
    "unplanted": {"stride": 29, "read_stride": 151, "settle_every": 5, "rescue_every": 11},
}


class Count:
    """What all lives together have shown."""

    def __init__(self):
        self.cuts = self.second_cuts = self.trials = self.rescues = 0
        self.found = {kind: 0 for kind in KINDS}

    def add(self, cutter):
        """Add a life."""
        self.cuts += cutter.cuts
        self.second_cuts += cutter.second_cuts
        self.trials += cutter.trials
        self.rescues += cutter.rescues
        for kind in KINDS:
            self.found[kind] += cutter.found[kind]
        if cutter.first_finding:
            print(cutter.first_finding)

    def last_lines(self):
        """Return what is printed at the end."""
        found = " ".join(["%s=%d" % (kind, self.found[kind]) for kind in KINDS])
        numbers = (self.second_cuts, self.trials, self.rescues)
        return "ota second_cuts=%d weak_starts=%d rescues=%d\npowercut ota cuts=%d %s" % (
            numbers + (self.cuts, found)
        )


def live(geometry, values, story, count):
    """Live one story on one flash."""
    gc.enable()
    gc.collect()
    start_ms = time.ticks_ms()
    life = ota_lives.Life(geometry, Plan(**values))
    life.live(story)
    count.add(life.cutter)
    cutter = life.cutter
    text = "%s, %s: %d operations, %d cuts, %d ms"
    spent_ms = time.ticks_diff(time.ticks_ms(), start_ms)
    print(text % (geometry.name, story.__name__, cutter.n_ops, cutter.cuts, spent_ms))


def main(arguments):
    """Live every story on every flash; return the exit status."""
    form = arguments[0] if arguments else "short"
    count = Count()
    first = 0
    for geometry in GEOMETRIES[: 1 if form.endswith("planted") else None]:
        for story in ota_lives.STORIES:
            if arguments[1:] and story.__name__ not in arguments[1:]:
                continue
            values = dict(FORMS[form])
            values["first"] = first  # a sample of other operations in each life
            first += 3
            live(geometry, values, story, count)
        if not arguments[1:]:
            ota_config.ConfigLife(geometry, FORMS[form].get("stride", 1), count).live(6)
    print(count.last_lines())
    return 1 if sum(count.found.values()) or not (count.cuts and count.rescues) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
