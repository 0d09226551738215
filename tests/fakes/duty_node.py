"""A whole node that sleeps, around a sensor that goes on sampling meanwhile."""

import sample_model
from fake_board import CONFIG, Board, MemoryUplink
from fake_power import Chip, LiveSource, Memory

from app import config, node
from formats import model_pack

try:
    import obkernels as kernels
except ImportError:
    import obtwin as kernels

N_CHANNELS, WINDOW, HOP, RATE_MHZ = 4, 64, 32, 52000
SPREADS = (400, 2000, 8000)  # how each of the three classes moves
CURRENTS = {
    "active": 20000,
    "light_sleep": 300,
    "deep_sleep": 10,
    "radio_connect": 90000,
    "radio_on": 120000,
    "radio_idle": 40000,
}
RTC_BYTES = 1952


def make_model(min_confidence=10):
    """Return a model file whose class follows the spread of the first channel."""
    return model_pack.pack(
        sample_model.fields(
            trees=[[(0, 500), 0, (0, 1500), 1, 2]],
            min_confidence=min_confidence,
            k=1,
            n=3,
            golden_vectors=[],
            golden_windows=[],
        )
    )


MODEL = make_model()


class Link(MemoryUplink):
    """A broker that may be silent; counts how long the node held the link open."""

    def __init__(self, made):
        super().__init__(made)
        self.sessions = 0
        self.steps = 0

    def step(self, now_ms):
        """Deliver what waits, or fail now and then."""
        self.steps += 1
        super().step(now_ms)

    def begin(self):
        """A session begins."""
        self.sessions += 1

    def rest_ms(self, now_ms):
        """Nothing arrives by itself."""
        return 1000

    def wait(self, duration_ms):
        """There is no socket to wait for."""
        return False


class World:
    """What outlives a boot: flash, retained memory, the time of day, the broker's side.

    Args:
        files: filesystem; None: a new one.
        memory: Memory; None: RTC memory.
        link: class of the uplink.
        changes: of the configuration.
    """

    def __init__(self, files=None, memory=None, link=Link, **changes):
        values = dict(CONFIG)
        values.update(changes)
        self.config = config.Config(values)
        self.memory = memory or Memory(RTC_BYTES)
        self.files = files
        self.link = link
        self.online = True
        self.seed = 0

    def boot(self, cause="power_on"):
        """Return the node of a new boot; its board, chip, source and link are attributes."""
        self.seed += 1
        board = Board(MODEL, None, kernels, self.files)
        self.files = board.files
        board.clock.now = 100
        board.source = LiveSource(board.clock, N_CHANNELS, RATE_MHZ, seed=self.seed)
        board.source.change(SPREADS[0])
        board.power = Chip(board.clock, cause)
        board.retained = self.memory
        board.currents_ua = CURRENTS
        made = node.Node(self.config, board, self.link)
        made.board, made.chip, made.source = board, board.power, board.source
        made.link, made.clock = made._uplink, board.clock
        made.link.online = self.online
        return made


def turn(made, n_turns, until=None):
    """Run the loop of main.py; stop early when `until()` is true; return whether it was."""
    for _ in range(n_turns):
        if not made.step():
            made.idle()
        made.clock.now += 1
        if until is not None and until():
            return True
    return False


def total_uams(made, phase):
    """Return the microampere milliseconds of a phase."""
    ledger = made.duty.ledger
    return ledger.charge_uah[phase] * 3600000 + ledger.rest[phase]
