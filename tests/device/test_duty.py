"""A node that sleeps: rhythm, radio, budget, weak supply, on a clock of its own."""

import micropython
from check import raises_kind
from duty_node import HOP, RATE_MHZ, SPREADS, WINDOW, World, total_uams, turn
from fake_power import DeepSleep, Memory

from app import power
from formats import messages, retained

WINDOW_MS = WINDOW * 1000000 // RATE_MHZ
HOP_MS = HOP * 1000000 // RATE_MHZ


def asleep_share(made, duration_ms):
    return sum(made.chip.naps) * 100 // duration_ms


def test_never_means_as_ever():
    made = World().boot()
    turn(made, 3000)
    assert made.duty.mode == power.AWAKE
    assert made.chip.naps == [] and made.link.sessions == 0 and not made.link.closed
    assert made.sensing.windows > 3


def test_naps_lose_no_sample_and_judge_every_window():
    made = World(sleep="light", policy="all").boot()
    made.source.change(SPREADS[1])
    turn(made, 2000)
    passed_ms = made.clock.now - 100
    expected = (passed_ms - WINDOW_MS) // HOP_MS + 1
    assert made.duty.mode == power.NAPS
    assert made.source.overruns == 0 and made.source.starts == 1
    assert expected - 2 <= made.sensing.windows <= expected and expected > 20
    assert len(made.link.records) + made.outbox.queued() == made.sensing.windows
    assert asleep_share(made, passed_ms) > 80


def test_a_node_that_naps_opens_its_link_only_when_it_has_something_to_say():
    made = World(sleep="light", policy="on_change", heartbeat_s=86400).boot()
    turn(made, 300)
    assert made.link.sessions == 2, "the status after the start, and the first decision"
    steps = made.link.steps
    turn(made, 3000, lambda: made.clock.now > 200000)
    assert made.link.sessions == 2 and made.link.steps == steps and made.link.closed
    made.source.change(SPREADS[2])
    assert turn(made, 3000, lambda: len(made.link.records) == 2)
    assert made.link.sessions == 3
    turn(made, 100)
    assert not made.duty.link_is_wanted


def test_a_status_that_is_due_opens_the_link():
    made = World(sleep="light", policy="on_change", heartbeat_s=86400, status_interval_s=60).boot()
    turn(made, 100000, lambda: made.clock.now > 200000)
    assert made.link.statuses == made.link.sessions == 5, "twice at the start, then each minute"


def test_a_timer_does_not_tick_in_a_nap():
    world = World(sleep="light")
    made = world.boot()
    type(made.source).samples_alone = False
    try:
        made = world.boot()
    finally:
        type(made.source).samples_alone = True
    assert made.duty.mode == power.AWAKE
    turn(made, 500)
    assert made.chip.naps == []


def test_a_cycle_judges_its_windows_and_sleeps_the_rest():
    world = World(
        sleep="light", wake_interval_s=60, policy="on_change", heartbeat_s=86400, wake_windows=2
    )
    made = world.boot()
    rows = []
    power_down = made.source.power_down
    made.source.power_down = lambda: rows.append(made.source._read_rows) or power_down()
    assert turn(made, 100000, lambda: made.duty.wakes == 10)
    assert made.duty.mode == power.CYCLE_LIGHT
    assert len(rows) == 10 and min(rows) >= WINDOW + HOP, "no window spans a sleep"
    assert made.sensing.windows == 20
    assert made.source.starts == 11 and made.source.overruns == 0
    assert abs(made.clock.now - 600000) < 1500, "the wakes keep their interval"
    assert asleep_share(made, made.clock.now) > 95
    assert made.link.sessions == 2, "the first decision, and one status after five minutes"


def test_a_cycle_without_light_sleep_waits_awake():
    world = World(sleep="light", wake_interval_s=60)
    made = world.boot()
    type(made.chip).can_light_sleep = False
    try:
        made = world.boot()
        assert turn(made, 100000, lambda: made.duty.wakes == 3)
    finally:
        type(made.chip).can_light_sleep = True
    assert made.chip.naps == []
    uah = made.duty.ledger.charge_uah
    assert uah[power.PHASE_SLEEP] == 0 and uah[power.PHASE_ACTIVE] > 900, "nothing was saved"


def test_a_broker_that_is_silent_for_ever_costs_its_budget_and_no_record():
    for sleep in ("light", "deep"):
        world = World(
            sleep=sleep,
            wake_interval_s=60,
            policy="all",
            awake_budget_ms=5000,
            outbox_flush_s=86400,
        )
        world.online = False
        made = world.boot()
        made_records = []
        wakes = 0
        while wakes < 12:
            start_ms = made.clock.now
            ended = False
            try:
                n_wakes = made.duty.wakes
                ended = turn(made, 100000, lambda m=made, n=n_wakes: m.duty.wakes > n)
            except DeepSleep:
                ended = True
            assert ended, "the node never slept"
            # What naps between two reads there are belongs to the time awake.
            slept_ms = max(made.chip.naps) if sleep == "light" else 0
            assert made.clock.now - start_ms - slept_ms <= 5000 + 1300
            made.chip.naps.clear()
            wakes += 1
            if sleep == "deep":
                made_records = retained.parse(world.memory.content[12:]).records
                made = world.boot("deep_sleep")
                assert made.outbox.queued() == wakes
        assert made.outbox.queued() == 12
        world.online = made.link.online = True
        try:
            turn(made, 10000000, lambda m=made: len(m.link.records) >= 12)
        except DeepSleep:
            made = world.boot("deep_sleep")
            made.duty._pause_ms = 0
            turn(made, 10000, lambda m=made: len(m.link.records) >= 12)
        assert [record[3] for record in made.link.records][:12] == list(range(12))
        assert made_records or sleep == "light"


def test_pauses_after_a_silent_broker_grow():
    world = World(sleep="light", wake_interval_s=60, policy="all", awake_budget_ms=5000)
    world.online = False
    made = world.boot()
    turn(made, 1000000, lambda: made.duty.wakes == 60)
    assert 5 <= made.link.sessions <= 10, "an hour: not sixty sessions"
    steps = made.link.sessions
    made.link.online = True
    turn(made, 1000000, lambda: made.link.sessions > steps)
    turn(made, 3)
    made.link.records.clear()
    turn(made, 1000000, lambda: made.duty.wakes == 200)
    n_wakes = made.duty.wakes
    assert turn(made, 1000000, lambda: made.duty.wakes == n_wakes + 1)
    assert made.outbox.queued() == 0, "one success, and every wake delivers again"


def test_a_deep_sleep_shortens_the_pause():
    world = World(sleep="deep", wake_interval_s=60, policy="all", awake_budget_ms=5000)
    world.online = False
    sessions = 0
    made = world.boot()
    for _ in range(40):
        raises_kind(DeepSleep, turn, made, 100000)
        sessions += made.link.sessions
        made = world.boot("deep_sleep")
    assert 4 <= sessions <= 9, "40 minutes, as without a sleep that deep"


def test_two_failures_end_a_session():
    made = World(sleep="light", policy="all").boot()
    made.link.online = False
    assert turn(made, 1000, lambda: made.duty.link_is_wanted)
    made.link.failures += 1
    turn(made, 2)
    assert made.duty.link_is_wanted
    made.link.refusals += 1
    turn(made, 2)
    assert not made.duty.link_is_wanted and made.link.closed


class Network:
    """A link to a network, up unless it fails; see `app.link_wifi`."""

    last_error = ""

    def __init__(self):
        self.failures = 0
        self.doubts = 0
        self.fails = False
        self.leaves_at_ms = 0

    def step(self, now_ms):
        """Come up, or fail once more."""
        self.failures += self.fails
        return not self.fails

    def rest_ms(self, now_ms):
        """Nothing happens meanwhile."""
        return 100

    def doubt(self):
        """The broker does not answer."""
        self.doubts += 1

    def close(self):
        """Switch off."""

    def has_left(self, now_ms):
        """Whether its other end knows."""
        return now_ms >= self.leaves_at_ms


def with_network(**changes):
    made = World(sleep="light", policy="all", awake_budget_ms=4000, **changes).boot()
    made._link = Network()
    made._link_is_up = False
    return made


def test_two_attempts_to_join_a_network_that_fail_end_a_session():
    made = with_network()
    made._link.fails = True
    assert turn(made, 1000, lambda: made.duty.link_is_wanted)
    start_ms = made.clock.now
    assert turn(made, 1000, lambda: not made.duty.link_is_wanted)
    assert made._link.failures == 2
    assert made.clock.now - start_ms < 2000, "not the whole budget, and a nap after it"


def test_an_address_is_doubted_when_the_budget_ends_before_the_broker_answered():
    made = with_network()
    made.link.online = False
    for n_doubts in (1, 2):
        assert turn(made, 100000, lambda: made.duty.link_is_wanted)
        assert turn(made, 1000, lambda: not made.duty.link_is_wanted)
        assert made._link.doubts == n_doubts and made.link.failures == 0
    made.link.online = True
    assert turn(made, 100000, lambda: made.duty.link_is_wanted)
    assert turn(made, 1000, lambda: not made.duty.link_is_wanted)
    assert made._link.doubts == 2, "what works is not doubted"
    made.link.lazy_records = 0
    assert turn(made, 100000, lambda: made.duty.link_is_wanted)
    made.link.connects += 1
    assert turn(made, 1000, lambda: not made.duty.link_is_wanted)
    assert made._link.doubts == 2, "nor is the way to a broker that is slow"


def test_a_weak_supply_leaves_the_flash_alone():
    world = World(sleep="light", policy="all", outbox_flush_s=1, brownout_mv=3000)
    world.online = False
    made = world.boot()
    made.chip.supply = 2999
    ops = made.board.flash_ops
    before = ops()
    turn(made, 2000)
    assert ops() == before and made.outbox.unsaved > 10
    status = messages.parse_status(made.status())
    assert status["supply_mv"] == 2999 and status["flash_held"] > 0
    made.chip.supply = 3000
    turn(made, 500)
    assert ops() > before and made.outbox.unsaved < 10
    made.outbox.flush()
    made.chip.supply = 2999
    made.link.online = True
    before = ops()
    turn(made, 100000, lambda: made.outbox.queued() == 0)
    assert ops() == before, "what was delivered is removed later"
    made.chip.supply = 3000
    made.outbox.flush()
    assert ops() > before


def test_a_weak_supply_also_puts_off_the_state_file():
    world = World(memory=Memory(12), sleep="deep", wake_interval_s=60, brownout_mv=3000)
    made = world.boot()
    made.chip.supply = 2900
    ops = made.board.flash_ops
    before = ops()
    assert turn(made, 100000, lambda: made.duty.wakes == 2), "light sleep instead"
    assert ops() == before


def test_the_status_says_what_the_node_used():
    made = World(sleep="light", policy="all").boot()
    turn(made, 2000)
    status = messages.parse_status(made.status())
    assert status["reset"] == "power_on"
    seconds = made.clock.now / 1000
    slept = sum(made.chip.naps) / 1000
    assert abs(status["uah_sleep"] - slept * 300 / 3600) < 1.5
    used = status["uah_active"] / 20000 + status["uah_radio"] / 120000
    used += status["uah_connect"] / 90000 + status["uah_flash"] / 20000
    assert abs(used * 3600 - (seconds - slept)) < 0.5, "all the time is accounted for"


def test_a_board_without_a_network_is_active_while_it_is_awake():
    import fake_board

    fake_board.Board.write_line = len
    try:
        made = World().boot()
    finally:
        del fake_board.Board.write_line
    turn(made, 500)
    used_ms = total_uams(made, power.PHASE_ACTIVE) // 20000
    assert abs(used_ms - made.clock.now) < 2000 and used_ms > 2000
    assert total_uams(made, power.PHASE_RADIO) == 0


def test_a_window_longer_than_the_budget_is_said():
    made = World(sleep="light", wake_interval_s=60, awake_budget_ms=1000).boot()
    assert "awake_budget_ms" in str(made.model_error)
    assert turn(made, 1000, lambda: made.link.records)
    assert made.link.bytes() == [0x4F], "model_invalid"
    for changes in ({}, {"sleep": "light"}):
        assert World(awake_budget_ms=1000, **changes).boot().model_error is None


def test_a_board_that_knows_nothing_says_nothing():
    world = World()
    made = world.boot()
    made.duty.has_chip = False
    status = messages.parse_status(made.status())
    assert not [key for key in messages.OPTIONAL_KEYS if key in status]


def test_a_step_with_ledger_and_duty_allocates_nothing():
    for changes in ({}, {"sleep": "light", "policy": "on_change", "heartbeat_s": 86400}):
        made = World(**changes).boot()
        made.source.change(SPREADS[1])
        turn(made, 300)
        made.link.step = lambda now_ms: None  # what the uplink allocates is not our subject
        assert not made.outbox.queued()
        policy = made.sensing._policy
        policy.should_publish = lambda byte, now_ms: False
        for _ in range(5):
            locked_steps(made, 40)
        made._has_garbage = False
        made.sensing._policy = policy
        windows = made.sensing.windows
        for _ in range(40):
            made.clock.now += 150
            made._has_garbage = False
            micropython.heap_lock()
            try:
                made.step()
                made.step()
            finally:
                micropython.heap_unlock()
        assert made.sensing.windows > windows + 3


def locked_steps(made, n_steps):
    for _ in range(n_steps):
        made.clock.now += 20
        made.step()
