"""What a sleep owes to others: a goodbye to the network, votes and time to the next boot."""

import duty_node
from duty_node import World, turn
from fake_board import Board
from fake_power import DeepSleep, LiveSource

from app import power


class Modem:
    """A link that comes up in a while and whose end takes until `left_ms`; see `app.link_ppp`."""

    last_error = ""
    failures = 0

    def __init__(self, clock):
        self._clock = clock
        self._since_ms = -1
        self.left_ms = 0
        self.answer_ms = 300

    def step(self, now_ms):
        """Come up 500 ms after the first step."""
        if self._since_ms < 0:
            self._since_ms = now_ms
        return now_ms - self._since_ms >= 500

    def rest_ms(self, _now_ms):
        """Nothing happens meanwhile."""
        return 500

    def doubt(self):
        """The broker does not answer."""

    def close(self):
        """Hang up."""
        self._since_ms = -1
        self.left_ms = self._clock.now + self.answer_ms

    def has_left(self, now_ms):
        """Whether the other end knows."""
        return now_ms >= self.left_ms


def with_modem(**changes):
    made = World(**changes).boot()
    made._link = Modem(made.clock)
    made._link_is_up = False
    made.duty._has_network = True
    return made


def check_goodbye(**changes):
    made = with_modem(**changes)
    assert turn(made, 100000, lambda: made.duty.link_is_wanted)
    assert turn(made, 100000, lambda: not made.duty.link_is_wanted)
    closed_ms = made.clock.now
    asleep_ms = []
    sleep = made.chip.light_sleep_ms
    made.chip.light_sleep_ms = lambda ms: (asleep_ms.append(made.clock.now), sleep(ms))
    assert turn(made, 1000, lambda: asleep_ms)
    assert 290 <= asleep_ms[0] - closed_ms <= 330, asleep_ms[0] - closed_ms


def test_no_sleep_begins_before_the_goodbye_is_answered():
    check_goodbye(sleep="light")
    check_goodbye(sleep="light", wake_interval_s=30)


def test_the_wait_for_the_network_is_charged_as_such():
    made = with_modem(sleep="light", wake_interval_s=30)
    for phase in range(len(power.PHASES)):
        made.duty.ledger._currents[phase] = 1
    assert turn(made, 100000, lambda: made.duty.link_is_wanted)
    assert turn(made, 100000, lambda: max(made.chip.naps) > 20000), made.chip.naps
    spent = dict(zip(power.PHASES, made.duty.ledger.rest))
    assert 480 <= spent["connect"] <= 520, spent
    assert 300 <= spent["radio"] <= 360, "the goodbye is a part of the session"


class ColdSource(LiveSource):
    """A chip that its driver starts at the first read, which counts a gap; see `FifoChip`."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.is_started = False

    def read_into(self, ring, row, max_rows):
        """As every driver."""
        if not self.is_started:
            self.is_started = True
            self.gaps += 1
            return 0
        return super().read_into(ring, row, max_rows)

    def restart(self):
        """A planned start is no gap."""
        self.is_started = True
        super().restart()


class SlowBoard(Board):
    """It takes so long to read and prove a model."""

    def read_model(self):
        """Return the model file."""
        self.clock.now += 700
        return super().read_model()


def lives(n_wakes, **parts):
    """Yield each of so many boots before and after its life until the deep sleep."""
    world = World(sleep="deep", wake_interval_s=30, policy="all")
    before = {name: getattr(duty_node, name) for name in parts}
    for name, value in parts.items():
        setattr(duty_node, name, value)
    try:
        for i in range(n_wakes):
            made = world.boot("deep_sleep" if i else "power_on")
            yield made
            try:
                turn(made, 100000)
                raise AssertionError("no sleep")
            except DeepSleep:
                pass
            yield made
    finally:
        for name, value in before.items():
            setattr(duty_node, name, value)


def test_the_votes_outlive_a_deep_sleep_of_a_chip_that_starts_anew():
    n_votes = []
    for i, made in enumerate(lives(3, LiveSource=ColdSource)):
        if i % 2:
            _, votes, _ = made.sensing._decision.history()
            n_votes.append(sum([vote != 255 for vote in votes]))
    assert n_votes == [1, 2, 3], n_votes


def test_the_proof_of_the_model_is_a_part_of_the_uptime():
    for i, made in enumerate(lives(6, Board=SlowBoard)):
        if not i % 2:
            made._status.tick(made.clock.now)
            # The first 100 ms of the first boot are before all clocks.
            shown_ms = i // 2 * 30000 + 800 - made._status.uptime_ms
            assert shown_ms == (100 if i == 0 else shown_ms) and abs(shown_ms) <= 100, shown_ms
