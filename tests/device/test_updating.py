"""A node's part in its updates: another model, restarts, facts for a trial, and its sleep."""

import sys
from array import array

import micropython
import sample_model
from check import Random, raises_kind
from duty_node import N_CHANNELS, RATE_MHZ, SPREADS, Link, World, kernels, make_model, turn
from fake_board import Board, MemoryUplink, Source, make_node, run
from fake_power import DeepSleep
from fake_updater import Updater

from app import power
from app.updating import Updating
from formats import errors, messages, model_pack

PATIENCE_MS = 60000


def other_model(**changes):
    """Return a model that names the classes the other way round."""
    fields = sample_model.fields(
        trees=[[(0, 500), 2, (0, 1500), 1, 0]],
        min_confidence=10,
        k=1,
        n=3,
        golden_vectors=[],
        golden_windows=[],
        name="other",
        labels=["x", "y", "z"],
    )
    fields.update(changes)
    return model_pack.pack(fields)


class Uplink(MemoryUplink):
    """Notes when another meta message was announced."""

    def __init__(self, made):
        super().__init__(made)
        self.announced = []

    def announce(self, meta):
        """Note the meta message, and how much was delivered before it."""
        self.announced.append((messages.parse_meta(meta)["name"], len(self.records)))


class Channel:
    """A channel with nothing to say."""

    error = ""
    is_due = False


class Scene:
    """An awake node with an updater, whose model lies in slot a."""

    def __init__(self, model=None, **changes):
        source = Source(N_CHANNELS, RATE_MHZ)
        random = Random(4)
        source.samples = array("h", [random.between(-200, 200) for _ in range(N_CHANNELS * 20000)])
        self.board = Board(make_model(), source, kernels)
        self.files = self.board.files
        for folder in ("/s", "/s/a", "/s/a/model", "/s/b", "/s/b/model"):
            self.files.mkdir(folder)
        self.write("/s/b/model/m.obm", other_model() if model is None else model)
        self.updater = Updater()
        self.updater.slot_path = "/s/a"
        self.channel = Channel()
        self.made, _ = make_node(self.board, model_path="/s/a/model/m.obm", **changes)
        self.uplink = self.made._uplink = Uplink(self.made)
        self.config = self.made._config
        self.updating = Updating(self.updater, self.channel, self.config, self.board)
        self.made.update_with(self.updating)

    def write(self, path, content):
        """Write a file."""
        with self.files.open(path, "wb") as file:
            file.write(content)

    def run(self, steps=60):
        """Let the node work."""
        run(self.made, self.board.clock, steps)

    def swap(self):
        """Ask for the model of slot b."""
        self.updater.slot_path = "/s/b"
        self.updater.action = "swap"


def test_another_model_takes_over_without_a_gap_in_the_numbers():
    scene = Scene()
    scene.run()
    before = scene.made.summary()
    n_before = len(scene.uplink.records)
    assert n_before > 5 and not scene.made.outbox.queued()
    scene.swap()
    scene.run()
    assert scene.updater.noted == ["swapped"]
    (name, n_delivered) = scene.uplink.announced[0]
    assert name == "other" and len(scene.uplink.announced) == 1
    records = scene.uplink.records
    assert [record[3] for record in records] == list(range(len(records)))
    assert {record[0] for record in records} == {1}, "the epoch goes on"
    classes = [record[1] & 15 for record in records]
    assert set(classes[:n_delivered]) == {0} and set(classes[n_delivered + 2 :]) == {2}
    after = scene.made.summary()
    assert after["windows"] == len(records) > before["windows"]
    assert scene.config.model_path == "/s/b/model/m.obm"
    assert messages.parse_meta(scene.made.meta)["labels"] == ["x", "y", "z"]
    assert scene.updating.facts().model_reason == 0


def test_the_search_path_follows_the_model():
    scene = Scene()
    before = sys.path[:]
    sys.path[:] = ["/s/a", "/s/a/top", "/s/ab", ".frozen"]
    try:
        scene.swap()
        scene.run()
        assert sys.path == ["/s/b", "/s/b/top", "/s/ab", ".frozen"]
    finally:
        sys.path[:] = before


def test_a_model_that_is_refused_changes_nothing_and_is_told():
    golden = [(1, 99, 0, (1,) * 10)]
    for model, reason in (
        (other_model(golden_vectors=golden), errors.GOLDEN_MISMATCH),
        (other_model(rate_mhz=1000), errors.SAMPLES),
        (other_model()[:-1], errors.SIZE),
        (b"", errors.TOO_SHORT),
    ):
        scene = Scene(model)
        scene.run()
        meta, path = scene.made.meta, sys.path[:]
        scene.swap()
        scene.run()
        assert scene.updater.noted == ["swapped"]
        assert scene.updating.facts().model_reason == reason
        assert scene.made.meta == meta and scene.uplink.announced == []
        assert scene.config.model_path == "/s/a/model/m.obm" and sys.path == path
        assert {record[1] & 15 for record in scene.uplink.records} == {0}
        assert scene.made.summary()["windows"] == len(scene.uplink.records) > 10


def test_a_model_that_is_not_there_is_refused():
    scene = Scene()
    scene.files.remove("/s/b/model/m.obm")
    scene.swap()
    scene.run()
    assert scene.updating.facts().model_reason == errors.TOO_SHORT
    assert scene.updater.noted == ["swapped"]


def test_the_model_waits_for_what_the_one_before_has_said():
    scene = Scene()
    scene.run()
    scene.uplink.online = False
    scene.run()
    assert scene.made.outbox.queued() > 3
    scene.swap()
    scene.run()
    assert scene.updater.noted == [] and scene.uplink.announced == []
    scene.uplink.online = True
    scene.run()
    (_, n_delivered) = scene.uplink.announced[0]
    classes = [record[1] & 15 for record in scene.uplink.records]
    assert set(classes[:n_delivered]) == {0}, "all of the old model went out under its own meta"
    assert 2 not in classes[:n_delivered] and 2 in classes[n_delivered:]


def test_a_broker_that_stays_away_does_not_hold_the_model_for_ever():
    scene = Scene()
    scene.uplink.online = False
    scene.run()
    scene.swap()
    scene.run(3)
    scene.board.clock.now += PATIENCE_MS - 10
    scene.run(3)
    assert scene.updater.noted == []
    scene.board.clock.now += 10
    scene.run(3)
    assert scene.updater.noted == ["swapped"] and scene.uplink.announced


def test_where_two_models_do_not_fit_a_start_tries_the_new_one():
    scene = Scene()

    def full(content):
        raise MemoryError

    scene.made.take_model = full
    scene.swap()
    scene.run()
    assert scene.updating.must_restart and scene.updater.noted == []


def test_a_restart_waits_until_every_record_is_safe():
    scene = Scene(outbox_flush_s=86400)
    scene.uplink.online = False
    scene.run()
    assert scene.made.outbox.unsaved > 3 and not scene.updating.must_restart
    scene.updater.action = "restart"
    scene.run(3)
    assert scene.updating.must_restart and scene.made.outbox.unsaved == 0


def test_a_restart_does_not_wait_for_a_flash_that_never_answers():
    scene = Scene(outbox_flush_s=86400)
    scene.uplink.online = False
    scene.run()
    scene.made.outbox.flush = lambda: False
    scene.updater.action = "restart"
    scene.run(3)
    assert not scene.updating.must_restart
    scene.board.clock.now += PATIENCE_MS
    scene.run(2)
    assert scene.updating.must_restart


def test_facts_say_how_the_trial_gets_on():
    scene = Scene()
    facts = scene.updating.facts()
    assert (facts.windows, facts.sensor_ok, facts.model_reason) == (0, False, 0)
    assert facts.heap_free > 0 and facts.latency_us == 0
    scene.run()
    facts = scene.updating.facts()
    assert facts.windows == scene.made.sensing.windows > 3 and facts.sensor_ok
    assert facts.uptime_s == scene.made.uptime_ms // 1000
    scene.swap()
    while not scene.updater.noted:
        scene.run(1)
    assert scene.updating.facts().windows == 0, "those of the model before do not count"
    scene.board.source.fails = True
    scene.run()
    assert not scene.updating.facts().sensor_ok


def test_a_slow_decision_is_noticed():
    scene = Scene()
    inner = scene.made.sensing._model.predict_into

    def slow(features, found):
        scene.board.clock.now += 70
        inner(features, found)

    class Slow:
        features_into = staticmethod(scene.made.sensing._model.features_into)
        predict_into = staticmethod(slow)

    scene.made.sensing._model = Slow
    scene.run()
    assert 70000 <= scene.updating.facts().latency_us <= 71000


def test_the_updater_gets_a_turn_where_sensing_never_rests():
    scene = Scene()
    scene.updater.n_steps = 0
    inner = scene.updater.step

    def count(now_ms):
        scene.updater.n_steps += 1
        return inner(now_ms)

    scene.updater.step = count
    scene.board.source.rows_due = 1000  # there is always more to read
    scene.run(400)
    assert 3 <= scene.updater.n_steps <= 5, scene.updater.n_steps


def test_sensing_beside_an_updater_allocates_nothing():
    scene = Scene()
    scene.run()
    sensed = scene.updating.sensed
    micropython.heap_lock()
    try:
        for windows in range(1000, 1020):
            sensed(windows, 5)
    finally:
        micropython.heap_unlock()


class Session(Link):
    """A broker that may pass a few records a step only."""

    def announce(self, meta):
        """Nothing to see."""


def sleeper(updater, **changes):
    """Return a node that naps, with an updater."""
    changes = dict({"sleep": "light", "policy": "on_change", "heartbeat_s": 86400}, **changes)
    world = World(link=Session, **changes)
    made = world.boot()
    channel = Channel()
    made.update_with(Updating(updater, channel, made._config, made.board))
    made.channel = channel
    return made


def test_a_session_lasts_as_long_as_an_update_needs_it():
    updater = Updater()
    made = sleeper(updater)
    turn(made, 300)
    assert made.link.sessions == 2 and not made.duty.link_is_wanted
    updater.needs_report = True
    turn(made, 300)
    assert made.link.sessions == 2, "a report alone opens no link"
    made.source.change(SPREADS[2])
    turn(made, 3000, lambda: made.link.sessions == 3)
    turn(made, 5)
    assert made.duty.link_is_wanted, "but it is said when one is open"
    updater.needs_report = False
    turn(made, 10)
    assert not made.duty.link_is_wanted
    for name in ("channel", "trial", "fetch"):
        made.channel.is_due = name == "channel"
        updater.is_trial = name == "trial"
        updater.wanted = [["root1", 0, 1]] if name == "fetch" else []
        assert made.updating.holds_link == (name != "trial")
        assert made.updating.opens_link == (name != "channel")


def test_an_update_opens_the_link_and_its_budget_ends_the_session():
    updater = Updater([["root1", 0, 100]])
    made = sleeper(updater, awake_budget_ms=20000)
    turn(made, 3000, lambda: made.link.sessions == 1)
    began_ms = made.clock.now
    turn(made, 5000, lambda: made.link.sessions == 2)
    assert 19000 <= made.clock.now - began_ms <= 21000, made.clock.now - began_ms
    assert not made.link.failures


def test_a_session_that_got_on_is_no_failure():
    for gets_on in (True, False):
        updater = Updater([["root1", 0, 100000]])
        made = sleeper(updater, awake_budget_ms=5000)
        made.link.online = False
        n_sessions = made.link.sessions
        for _ in range(4000):
            if not made.step():
                made.idle()
            made.clock.now += 1
            updater.n_fetched += gets_on
            if made.clock.now > 60000:
                break
        n_sessions = made.link.sessions - n_sessions
        # A pause of 30 s and more follows on each session in vain.
        assert (n_sessions > 8) == gets_on, n_sessions


def test_records_that_got_through_make_a_session_good():
    updater = Updater()
    made = sleeper(updater, policy="all", awake_budget_ms=3000)
    made.link.lazy_records = 1
    turn(made, 100)
    assert made.outbox.delivered == len(made.link.records) > 0
    made.duty._n_delivered = made.outbox.delivered - 1
    made.duty._failed_sessions = 3
    made.link.is_done = False
    made.duty._end_session(made.clock.now)
    assert made.duty._failed_sessions == 0
    made.duty._n_delivered = made.outbox.delivered
    made.duty._end_session(made.clock.now)
    assert made.duty._failed_sessions == 1


def test_a_sleeping_trial_keeps_its_windows_over_deep_sleep():
    world = World(link=Session, sleep="deep", wake_interval_s=10, policy="all")
    windows = []
    cause = "power_on"
    for _ in range(4):
        made = world.boot(cause)
        made.update_with(Updating(Updater(), Channel(), made._config, made.board))
        raises_kind(DeepSleep, turn, made, 5000)
        windows.append(made.updating.facts().windows)
        cause = power.WOKE
    assert windows == [1, 2, 3, 4]
