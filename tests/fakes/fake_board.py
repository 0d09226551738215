"""A whole node around fakes: time is a number, samples are a list, the broker is a list."""

from array import array

import fake_net
import vfs
from nor_flash import NorFlash

from app import config, node

CONFIG = {"tenant": "lab", "device": "n1", "broker_host": "nowhere", "policy": "all"}


class Clock(fake_net.Clock):
    """Ticks and a time of day that follow the same number."""

    quality = 1

    def read(self):
        """Take the time of now."""
        self.time_s = self.now // 1000
        self.time_ms = self.now % 1000


class Source:
    """A driver that delivers what a test gives it, at most `rows_due` rows a read."""

    def __init__(self, n_channels, rate_mhz):
        self.n_channels = n_channels
        self.rate_mhz = rate_mhz
        self.overruns = 0
        self.gaps = 0
        self.samples = array("h")
        self.rows_due = 16
        self.fails = False
        self._at = 0

    def read_into(self, ring, row, max_rows):
        """As every driver; allocates nothing."""
        if self.fails:
            raise OSError(5)
        n = self.n_channels
        n_rows = min(max_rows, self.rows_due, len(self.samples) // n - self._at)
        for i in range(n_rows * n):
            ring[row * n + i] = self.samples[self._at * n + i]
        self._at += n_rows
        return n_rows


class MemoryUplink:
    """Delivers into a list while `online`; every record travels under its number."""

    def __init__(self, made):
        self.node = made
        self.online = True
        self.connects = 1
        self.failures = 0
        self.refusals = 0
        self.statuses = 0
        self.last_error = ""
        self.records = []
        self.closed = False
        self.is_done = False
        self.lazy_records = 256

    def step(self, now_ms):
        """Deliver what waits."""
        if self.online:
            self.statuses += not self.is_done
            self.is_done = True
            outbox = self.node.outbox
            records = outbox.peek_batch(self.lazy_records) if outbox.queued() else ()
            if records:
                self.records += records
                outbox.acked(records[-1][0], records[-1][3])

    def begin(self):
        """A session begins."""

    def close(self):
        """Leave."""
        self.closed = True
        self.is_done = False

    def bytes(self):
        """Return the result bytes that arrived."""
        return [record[1] for record in self.records]


class Board:
    """What a node needs from the world; see boards/unix/board.py."""

    def __init__(self, model, source, kernels, files=None):
        self.clock = Clock()
        self.source = source
        self.kernels = kernels
        self._flash = NorFlash(n_blocks=64, block_bytes=512)
        self.files = files or _format(self._flash)
        self.power = None
        self.retained = None
        self.currents_ua = {}
        self._model = model

    def read_model(self):
        """Return the model file, empty when there is none."""
        return self._model

    def flash_ops(self):
        """Return how often the filesystem made for this board was written or erased."""
        return self._flash.ops

    def idle(self, duration_ms):
        """Let the time pass."""
        self.clock.now += duration_ms


def new_filesystem():
    """Return an empty LittleFS in RAM."""
    return _format(NorFlash(n_blocks=64, block_bytes=512))


def _format(flash):
    vfs.VfsLfs2.mkfs(flash)
    return vfs.VfsLfs2(flash)


def make_node(board, **changes):
    """Return (node, its MemoryUplink)."""
    values = dict(CONFIG)
    values.update(changes)
    made = node.Node(config.Config(values), board, MemoryUplink)
    return made, made._uplink


def run(made, clock, steps, tick_ms=1):
    """Let the node work; time goes on by `tick_ms` a step."""
    for _ in range(steps):
        made.step()
        clock.now += tick_ms
