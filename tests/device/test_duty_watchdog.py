"""A node and its watchdog: what feeds it, what does not, and what may take its time."""

from check import raises_kind
from duty_node import World
from fake_power import WatchdogReset

from app.watchdog import PatientNet, Watchdog


def run_with_watchdog(made, n_turns):
    """Run as main.py does."""
    watchdog = Watchdog(made.chip, made._config)
    for _ in range(n_turns):
        if not made.step():
            made.idle()
        made.clock.now += 1
        made.chip.look()
        watchdog.turn(made.progress, made.clock.now)
    return watchdog


def test_a_loop_that_gets_on_is_fed():
    for changes in (
        {},
        {"sleep": "light"},
        {"sleep": "light", "wake_interval_s": 60},
    ):
        world = World(watchdog_ms=5000)
        for key in changes:
            setattr(world.config, key, changes[key])
        made = world.boot()
        run_with_watchdog(made, 3000)
        assert made.clock.now > 30000
        assert 0 < made.chip.longest_unfed_ms < 5000
        assert made.chip.timeout_ms == 5000


def test_a_slow_sensor_without_a_broker_is_no_reason_to_reset():
    for sleep in ("never", "light"):
        made = World(watchdog_ms=5000, sleep=sleep).boot()
        made.source.pace_mhz = 1000  # what the next window lacks takes a minute
        made.link.online = False
        made.link.rest_ms = lambda now_ms: 60000  # and so does the next attempt
        run_with_watchdog(made, 1500)
        assert made.clock.now > 60000 and 2000 < made.chip.longest_unfed_ms < 5000


def test_a_cycle_without_light_sleep_is_fed():
    world = World(sleep="light", wake_interval_s=60, watchdog_ms=5000)
    made = world.boot()
    type(made.chip).can_light_sleep = False
    try:
        made = world.boot()
        run_with_watchdog(made, 1000)
    finally:
        type(made.chip).can_light_sleep = True
    assert made.duty.wakes > 3 and made.chip.longest_unfed_ms < 5000


def test_the_first_step_is_watched():
    made = World(watchdog_ms=5000).boot()
    Watchdog(made.chip, made._config)
    assert made.chip.timeout_ms == 5000
    made.source.hangs_ms = 5000
    raises_kind(WatchdogReset, run_with_hang, made)


def test_a_step_that_hangs_is_not_fed():
    made = World(watchdog_ms=5000).boot()
    run_with_watchdog(made, 500)
    made.source.hangs_ms = 3600000
    raises_kind(WatchdogReset, run_with_hang, made)


def run_with_hang(made):
    made.step()
    made.chip.look()  # what the chip finds once the step is over, if ever


def test_a_loop_that_only_turns_is_not_fed():
    made = World(watchdog_ms=5000, awake_budget_ms=1000).boot()
    run_with_watchdog(made, 500)
    made.sensing.step = lambda now_ms: -2  # IDLE for ever: no read, no fault
    raises_kind(WatchdogReset, run_with_watchdog, made, 100000)


def test_a_silent_sensor_is_no_reason_to_reset():
    made = World(watchdog_ms=5000, silent_ms=60000).boot()
    made.source.is_silent = True
    run_with_watchdog(made, 5000)
    assert made.clock.now > 200000
    assert made.sensing.faults > 2


def test_who_stops_the_node_keeps_the_prompt():
    made = World(watchdog_ms=5000).boot()
    watchdog = run_with_watchdog(made, 10)
    watchdog.leave()
    made.clock.now += 3600000
    made.chip.look()
    made = World(watchdog_ms=0).boot()
    run_with_watchdog(made, 10).leave()
    assert made.chip.timeout_ms == 0 and not made.chip.timer_feeds


def test_a_name_lookup_may_take_longer_than_the_watchdog():
    made = World(watchdog_ms=5000).boot()
    made.chip.start_watchdog(5000)

    class Net:
        SOCK_STREAM = 1
        socket = None

        @staticmethod
        def getaddrinfo(host, port):
            made.clock.now += 14000
            if host == "nowhere":
                raise OSError(-2)
            return [(host, port)]

    net = PatientNet(Net, made.chip)
    assert net.getaddrinfo("broker", 1883) == [("broker", 1883)]
    raises_kind(OSError, net.getaddrinfo, "nowhere", 1883)
    assert not made.chip.timer_feeds
    made.clock.now += 5000
    raises_kind(WatchdogReset, made.chip.look)
