"""One boot of a node that sleeps deep, as a process of its own: its end is the sleep.

    micropython sleeping_node.py FOLDER CAUSE SEED ONLINE

FOLDER outlives the process: flash in `flash/`, the retained memory in `memory`. Each line says
what happens: `making BYTE` before a record is made, `made EPOCH SEQ BYTE` after it,
`got EPOCH SEQ BYTE` when the broker has it, `asleep` when the node sleeps.
"""

import os
import sys

import vfs

ROOT = __file__.rsplit("/", 1)[0] + "/../.."
FOLDERS = ("lib", "firmware", "build/natmod/x64", "lib/native/obkernels", "tests/fakes")
sys.path[:] = [ROOT + "/" + name for name in FOLDERS + ("tests/both",)] + [".frozen"]

# ruff: noqa: E402 - the imports need the path
from duty_node import SPREADS, Link, World, turn
from fake_power import DeepSleep

from app.kept_outbox import KeptOutbox


class FileMemory:
    """Retained memory that outlives a process."""

    max_bytes = 1952

    def read(self):
        """Return what it holds."""
        try:
            with open("memory", "rb") as file:
                return file.read()
        except OSError:
            return b""

    def write(self, content):
        """Keep the content."""
        with open("memory", "wb") as file:
            file.write(content)


class TellingLink(Link):
    """Says what the broker has before it is acknowledged."""

    def step(self, now_ms):
        """Deliver what waits."""
        n_told = len(self.records)
        if self.online and self.node.outbox.queued():
            for entry in self.node.outbox.peek_batch(256):
                print("got", entry[0], entry[3], entry[1])
        super().step(now_ms)
        assert len(self.records) >= n_told


def main(folder, cause, seed, online):
    """Boot once."""
    os.chdir(folder)
    world = World(
        files=vfs.VfsPosix(),
        memory=FileMemory(),
        link=TellingLink,
        sleep="deep",
        wake_interval_s=60,
        policy="all",
        wake_windows=3,
        outbox_path="flash",
        outbox_flush_s=200,
        outbox_ram_records=8,
    )
    world.seed = int(seed)
    world.online = online == "1"
    made = world.boot(cause)
    made.source.change(SPREADS[int(seed) % 3])
    outbox = made.outbox

    def append(result_byte, quality, time_s, time_ms):
        print("making", result_byte)
        seq = KeptOutbox.append(outbox, result_byte, quality, time_s, time_ms)
        print("made", outbox.epoch, seq, result_byte)
        return seq

    outbox.append = append
    try:
        turn(made, 100000)
    except DeepSleep:
        print("asleep", made.outbox.queued())


main(*sys.argv[1:])
