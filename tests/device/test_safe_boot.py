"""The window in which Ctrl-C stops a start, and the count of boots that ended early."""

from check import raises_kind
from duty_node import World, turn
from fake_power import DeepSleep, Memory

from app import safe_boot
from formats import retained


class Chip:
    def __init__(self, cause):
        self.cause = cause

    def reset_cause(self):
        return self.cause


class Sleeps:
    """A sleep_ms that counts, or that somebody interrupts with Ctrl-C."""

    def __init__(self, ctrl_c_after_ms=-1):
        self.ms = 0
        self.ctrl_c_after_ms = ctrl_c_after_ms

    def __call__(self, duration_ms):
        self.ms += duration_ms
        if 0 <= self.ctrl_c_after_ms <= self.ms:
            raise KeyboardInterrupt


def window(cause, memory, sleeps=None, path="/nowhere.json"):
    """A new start of the program."""
    safe_boot._is_over = False
    sleeps = sleeps or Sleeps()
    waited_ms = safe_boot.window(Chip(cause) if cause else None, memory, path, sleeps)
    assert waited_ms == sleeps.ms
    return waited_ms


def early_ends(memory):
    return retained.parse_mark(memory.read())[0]


def test_a_start_waits_and_a_wake_does_not():
    for cause, waits_ms in (
        ("power_on", 2000),
        ("reset", 2000),
        ("watchdog", 2000),
        ("brownout", 2000),
        ("unknown", 2000),
        ("deep_sleep", 0),
        (None, 0),
    ):
        assert window(cause, Memory(12)) == waits_ms, cause
        assert window(cause, None) == waits_ms, "also without retained memory"


def test_it_waits_once():
    memory = Memory(12)
    assert window("reset", memory) == 2000
    sleeps = Sleeps()
    assert safe_boot.window(Chip("reset"), memory, "/nowhere.json", sleeps) == 0
    assert early_ends(memory) == 1


def test_ctrl_c_goes_through():
    raises_kind(KeyboardInterrupt, window, "reset", Memory(12), Sleeps(500))


def test_a_loop_of_early_ends_opens_the_window_wide():
    memory = Memory(12)
    assert [window("watchdog", memory) for _ in range(5)] == [2000, 2000, 2000, 20000, 20000]
    assert early_ends(memory) == 5
    memory.fails = True
    assert window("watchdog", memory) == 20000, "a memory that fails does not stop the start"


def test_the_configuration_says_how_long():
    path = "/tmp/onebyte_test_safe_boot.json"
    for text, waits_ms in (
        (b'{"tenant":"a","device":"b","broker_host":"c","safe_boot_ms":300}', 300),
        (b'{"tenant":"a","device":"b","broker_host":"c","safe_boot_ms":0}', 0),
        (b"{", 2000),
    ):
        with open(path, "wb") as file:
            file.write(text)
        assert window("power_on", Memory(12), None, path) == waits_ms


def test_a_node_that_lasts_or_sleeps_ends_the_count():
    world = World()
    for cause in ("power_on", "watchdog"):
        window(cause, world.memory)
    assert early_ends(world.memory) == 2
    made = world.boot("watchdog")
    turn(made, 10000, lambda: made.clock.now > 50000)
    assert early_ends(world.memory) == 2
    turn(made, 10000, lambda: made.clock.now > 62000)
    assert early_ends(world.memory) == 0
    world = World(sleep="deep", wake_interval_s=60)
    window("power_on", world.memory)
    raises_kind(DeepSleep, turn, world.boot(), 100000)
    assert early_ends(world.memory) == 0


def test_the_window_keeps_the_records_of_a_sleep_that_a_reset_ended():
    world = World(sleep="deep", wake_interval_s=60, policy="all", outbox_flush_s=86400)
    world.online = False
    raises_kind(DeepSleep, turn, world.boot(), 100000)
    window("reset", world.memory)
    made = world.boot("reset")
    assert made.outbox.epoch == 2 and not made.outbox.has_resumed
    ((epoch, _, _, seq, _, _),) = made.outbox.peek_batch(9)
    assert (epoch, seq) == (1, 0)
