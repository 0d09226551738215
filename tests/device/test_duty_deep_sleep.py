"""A node that sleeps deeply: what goes on over it, what it costs, and what does not fit."""

from check import raises_kind
from duty_node import SPREADS, World, total_uams, turn
from fake_power import DeepSleep, Memory

from app import power


def test_deep_sleep_goes_on_where_it_stopped():
    world = World(sleep="deep", wake_interval_s=60, policy="on_change", heartbeat_s=3600)
    made = world.boot()
    epoch = made.outbox.epoch
    error = raises_kind(DeepSleep, turn, made, 100000)
    assert 50000 < error.args[0] <= 60000
    assert made.source.sleeps, "the sensor sleeps, too"
    assert len(made.link.records) == 1
    charge = sessions = 0
    for wake in range(1, 31):
        made = world.boot("deep_sleep")
        assert made.outbox.epoch == epoch and made.duty.wakes == wake
        raises_kind(DeepSleep, turn, made, 100000)
        assert made.link.records == [], "the same class is no change after a sleep, either"
        sessions += made.link.sessions
        values = made.summary()
        assert values["windows"] == wake + 1
        assert values["uptime_s"] - 60 * wake in (0, 1, 2)
        total = values["uah_active"] + values["uah_radio"]
        assert total >= charge
        charge = total
    assert 5 <= sessions <= 6, "but a status is due every five minutes"
    for n_published in (0, 1):
        made = world.boot("deep_sleep")
        made.source.change(SPREADS[2])
        raises_kind(DeepSleep, turn, made, 100000)
        assert len(made.link.records) == n_published, "2 of the last 3 windows, over three wakes"
    ((record_epoch, _, _, seq, _, _),) = made.link.records
    assert (record_epoch, seq) == (epoch, 1)


def test_another_model_inherits_no_votes():
    import duty_node

    world = World(sleep="deep", wake_interval_s=60, policy="on_change", heartbeat_s=3600)
    raises_kind(DeepSleep, turn, world.boot(), 100000)
    made = world.boot("deep_sleep")
    assert made.sensing._policy.last >= 0
    assert set(made.sensing._decision.history()[1]) != {255}
    own = duty_node.MODEL
    duty_node.MODEL = duty_node.make_model(min_confidence=11)
    try:
        made = world.boot("deep_sleep")
    finally:
        duty_node.MODEL = own
    assert made.outbox.has_resumed, "its numbers go on"
    assert made.sensing._policy.last < 0
    assert set(made.sensing._decision.history()[1]) == {255}


def test_the_clock_of_the_records_goes_on():
    import fake_board

    told = []
    fake_board.Clock.go_on = lambda clock, up_ms: told.append(up_ms)
    try:
        world = World(sleep="deep", wake_interval_s=60)
        made = world.boot()
        for _ in range(3):
            raises_kind(DeepSleep, turn, made, 100000)
            made = world.boot("deep_sleep")
    finally:
        del fake_board.Clock.go_on
    assert max([abs(up_ms - 60000 * (i + 1)) for i, up_ms in enumerate(told)]) <= 200, told


def test_the_heartbeat_counts_the_sleep():
    world = World(sleep="deep", wake_interval_s=60, policy="on_change", heartbeat_s=600)
    published = 0
    made = world.boot()
    for _ in range(61):
        raises_kind(DeepSleep, turn, made, 100000)
        published += len(made.link.records)
        made = world.boot("deep_sleep")
    assert 6 <= published <= 7, "at once and every ten minutes of an hour"


def test_auto_takes_deep_sleep_only_where_it_pays():
    for interval_s, boot_uc, mode in (
        (60, 1000, power.CYCLE_DEEP),
        (60, 41900, power.CYCLE_LIGHT),
        (600, 41900, power.CYCLE_DEEP),
    ):
        import duty_node

        duty_node.CURRENTS["boot_uc"] = boot_uc
        try:
            made = World(sleep="auto", wake_interval_s=interval_s).boot()
        finally:
            del duty_node.CURRENTS["boot_uc"]
        assert made.duty.mode == mode, interval_s


def test_the_charge_of_each_boot_counts():
    world = World(sleep="deep", wake_interval_s=60, policy="on_change", heartbeat_s=3600)
    awake_ms = 0
    made = world.boot()
    for _ in range(5):
        raises_kind(DeepSleep, turn, made, 100000)
        awake_ms += made.clock.now - sum(made.chip.naps)
        used_ms = total_uams(made, power.PHASE_ACTIVE) // 20000
        used_ms += total_uams(made, power.PHASE_RADIO) // 120000
        assert abs(used_ms - awake_ms) < 10, (used_ms, awake_ms)
        made = world.boot("deep_sleep")


def test_a_state_that_cannot_be_kept_makes_the_sleep_a_light_one():
    world = World(sleep="deep", wake_interval_s=60)
    made = world.boot()
    world.memory.fails = True
    assert turn(made, 100000, lambda: made.duty.wakes == 2)
    charge = total_uams(made, power.PHASE_SLEEP)
    assert charge == sum(made.chip.naps) * 300, "that of a light sleep, once"
    world.memory.fails = False
    raises_kind(DeepSleep, turn, made, 100000)


def test_fewer_records_in_ram_than_were_kept_are_no_loss():
    world = World(sleep="deep", wake_interval_s=60, policy="all", outbox_flush_s=86400)
    world.online = False
    for cause in ("deep_sleep", "power_on"):
        made = world.boot()
        for _ in range(5):
            raises_kind(DeepSleep, turn, made, 100000)
            made = world.boot("deep_sleep")
        assert made.outbox.queued() == made.outbox.unsaved >= 5
        queued, epoch = made.outbox.queued(), made.outbox.epoch
        world.config.outbox_ram_records = 2
        made = world.boot(cause)
        assert (made.outbox.queued(), made.outbox.dropped) == (queued, 0)
        assert made.outbox.has_resumed == (cause == "deep_sleep")
        assert (made.outbox.epoch == epoch) == made.outbox.has_resumed
        again = world.boot("deep_sleep")
        assert not again.outbox.has_resumed, "the numbers on flash are newer than the state"
        records = again.outbox.peek_batch(256)
        assert [entry[3] for entry in records] == list(range(len(records)))
        world = World(sleep="deep", wake_interval_s=60, policy="all", outbox_flush_s=86400)
        world.online = False


def test_a_state_gives_its_records_to_one_boot_only():
    for n_bytes in (12, 1952):
        world = World(memory=Memory(n_bytes), sleep="deep", wake_interval_s=60, policy="all")
        world.online = False
        raises_kind(DeepSleep, turn, world.boot(), 100000)
        world.config.sleep, world.config.wake_interval_s = "never", 0
        made = world.boot("reset")
        assert made.outbox.queued() == 1
        made = world.boot("reset")
        assert made.outbox.queued() == 1, "a crash before anything else loses nothing"
        world.online = made.link.online = True
        assert turn(made, 100, lambda m=made: m.link.records)
        made.close()
        assert world.boot("reset").outbox.queued() == 0, "and what arrived stays delivered"


def test_scratch_registers_and_a_file_do_as_well():
    world = World(memory=Memory(12), sleep="deep", wake_interval_s=60, policy="all")
    made = world.boot()
    assert made.duty.keeper.uses_flash
    raises_kind(DeepSleep, turn, made, 100000)
    made = world.boot("deep_sleep")
    assert made.outbox.has_resumed and made.outbox.next_seq == 1
    assert world.memory.max_bytes == 12


def test_records_that_grow_too_old_go_to_flash_before_the_sleep():
    world = World(sleep="deep", wake_interval_s=60, policy="all", outbox_flush_s=150)
    world.online = False
    held = []
    made = world.boot()
    for _ in range(6):
        raises_kind(DeepSleep, turn, made, 100000)
        held.append(made.outbox.unsaved)
        made = world.boot("deep_sleep")
    assert held == [1, 2, 0, 1, 2, 0], held
    assert made.outbox.queued() == 6
