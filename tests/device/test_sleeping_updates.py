"""Updates of a node that sleeps deep: real updater, loader, uplink and flash; a fake network.

Each wake is a boot. What a session did not fetch comes in the next one, and a trial lives through
its sleeps on its tries.
"""

import gc

import ota_releases
import sample_model
import sample_release
import slot_files
import vfs
from check import raises_kind
from duty_node import CURRENTS, N_CHANNELS, RATE_MHZ, SPREADS, kernels
from fake_board import CONFIG, Board
from fake_broker import BrokerNet
from fake_power import Chip, DeepSleep, LiveSource, Memory
from nor_flash import NorFlash
from update_want import want_of

from app import config, node, power
from app.client import CHUNK_PACKET_BYTES
from app.update_channel import UpdateChannel
from app.updating import Updating
from app.uplink import Identity, Pace, Uplink
from formats import batch, errors, manifest, model_pack, objects, slot_state, update_messages
from mqtt.client import Client
from mqtt.session import Limits
from ota import loader
from ota.store import Store
from ota.updates import Updates

PREFIX = "ob/farm-7/n1"
TRIES = 8
DRAG_MS = 30  # of a turn of the loop while the link is open: a network that takes its time


class Release(ota_releases.Release):
    """A release of a model, and of a file that takes a while to fetch."""

    def __init__(self, seq, class_id, n_bytes, **changes):
        fields = sample_model.fields(
            trees=[[(0, 500), class_id, (0, 1500), 1, 1]],
            min_confidence=10,
            k=1,
            n=1,
            golden_vectors=[],
            golden_windows=[],
        )
        self._real = {"m.obm": model_pack.pack(fields), "big.py": b"#%6d\n" % seq * (n_bytes // 8)}
        table = [
            (1, "big.py", 64, manifest.PLAIN, None),
            (manifest.MODEL, "m.obm", 64, manifest.PLAIN, None),
        ]
        signer = ota_releases.StandIn
        super().__init__(signer, seq, table=table, **dict({"tries": TRIES}, **changes))

    def _entry(self, kind, name, codec, content):
        return super()._entry(kind, name, codec, self._real[name])


class Restart(BaseException):
    """The chip starts anew."""


class Platform:
    """A chip without firmware to update."""

    firmware = None
    partition_bytes = 0

    def restart(self):
        """Start anew."""
        raise Restart


class World:
    """What outlives a boot.

    Attributes:
        sent: (epoch, seq, class) of every record that the broker took, and of every live byte.
        reports: every report.
        acknowledges: whether somebody acknowledges trials.
        n_chunks: chunks that were asked for.
    """

    def __init__(self, first, **changes):
        flash = NorFlash(n_blocks=160, block_bytes=1024)
        vfs.VfsLfs2.mkfs(flash)
        self.files = vfs.VfsLfs2(flash)
        self.memory = Memory(1952)
        store = Store(self.files)
        slot_files.put(store, slot_state.SLOT_A, first)
        slot_files.put_state(store, active=slot_state.SLOT_A, installed_seq=first.seq)
        values = {"tenant": "farm-7", "sleep": "deep", "wake_interval_s": 10, "policy": "all"}
        values.update({"awake_budget_ms": 3000, "model_path": "m.obm", "outbox_path": "q"})
        self.config = dict(CONFIG)
        self.config.update(values)
        self.config.update(changes)
        self.retained = {}
        self.sent = []
        self.reports = []
        self.acknowledges = True
        self.cause = "power_on"
        self.n_boots = self.n_chunks = 0

    def want(self, release):
        """Lay a release on the broker."""
        for name in release.objects:
            content = release.objects[name]
            for at in range(0, len(content), objects.CHUNK_BYTES):
                topic = objects.pack_topic("farm-7", name, at // objects.CHUNK_BYTES)
                self.retained[topic] = content[at : at + objects.CHUNK_BYTES]
        self.retained[PREFIX + "/want"] = want_of(release)

    def boot(self):
        """Return the node of a new boot."""
        gc.collect()
        self.n_boots += 1
        store = Store(self.files)
        product = slot_files.Product(sample_release.device())
        verify = ota_releases.StandIn.verify
        updates = Updates(loader.boot(store, product, verify, lambda: None), Platform(), verify)
        settings = config.Config(self.config)
        settings.model_path = updates.slot_path + "/model/m.obm"
        with self.files.open(settings.model_path, "rb") as file:
            board = Board(file.read(), None, kernels, self.files)
        board.clock.now = 100
        board.source = LiveSource(board.clock, N_CHANNELS, RATE_MHZ, seed=self.n_boots)
        board.source.change(SPREADS[0])
        board.power = Chip(board.clock, self.cause)
        board.retained, board.currents_ua = self.memory, CURRENTS
        self.net = BrokerNet(board.clock)
        self.net.retained = self.retained
        limits = {"deadline_ms": 2000, "base_ms": 100, "trial_windows": 3}
        updater = updates.make_updater("farm-7", lambda low, high: low, None, None, limits)
        channel = UpdateChannel(PREFIX, updater, updater.sources[0])
        made = node.Node(settings, board, lambda made: self._uplink(made, board, channel))
        made.update_with(Updating(updater, channel, settings, board))
        made.board, made.updater, made.updates = board, updater, updates
        return made

    def _uplink(self, made, board, channel):
        limits = Limits(2000, 2000, 2000, CHUNK_PACKET_BYTES)
        client = Client("id", "broker", limits=limits, net=self.net, clock=board.clock)
        identity = Identity(PREFIX, made.meta, made.status)
        uplink = Uplink(client, made.outbox, identity, Pace(base_ms=100), lambda low, high: low)
        uplink.guest = channel
        return uplink

    def live(self, turns=4000):
        """Let one boot live until it sleeps or restarts."""
        made = self.boot()
        try:
            for _ in range(turns):
                if not made.step():
                    made.idle()
                made.board.clock.now += DRAG_MS if made.duty.link_is_wanted else 1
                self._listen()
                if made.updating.must_restart:
                    made.close()
                    made.updater.restart()
            raise AssertionError("neither sleep nor restart")
        except DeepSleep:
            self.cause = power.WOKE
        except Restart:
            self.cause = "reset"
        self.n_chunks += len([name for name in self.net.subscribed if "/~/" in name])
        return made

    def _listen(self):
        """Be the server."""
        for topic, payload, _ in self.net.log:
            kind = topic.split("/")[-1]
            if kind == "b":
                parsed = batch.parse(payload)
                self.next = parsed.epoch, parsed.next_seq
                for record in parsed.records:
                    self.sent.append((record[0], record[3], record[1] & 15))
            elif kind == "r":
                self.sent.append((self.next[0], self.next[1], payload[0] & 15))
                self.next = self.next[0], self.next[1] + 1
            elif kind == "u":
                report = update_messages.parse_report(payload)
                self.reports.append(report)
                if report["phase"] == "trial" and self.acknowledges:
                    ack = update_messages.pack_ack(report["pending_seq"], report["record"])
                    self.net.send(PREFIX + "/ack", ack)
        self.net.log.clear()

    def live_until(self, is_over, most=60):
        """Live boot after boot."""
        for _ in range(most):
            self.live()
            if is_over():
                return
        raise AssertionError(self.reports[-1] if self.reports else "no report")

    def said(self, **values):
        """Return whether the last report says this."""
        return bool(self.reports) and all(
            [self.reports[-1][name] == value for name, value in values.items()]
        )

    def check_numbers(self):
        """Each record arrived once, but for those that a broken session may have sent twice."""
        by_epoch = {}
        for epoch, seq, _ in self.sent:
            by_epoch.setdefault(epoch, set()).add(seq)
        for seqs in by_epoch.values():
            assert sorted(seqs) == list(range(len(seqs)))
        assert len(self.sent) - sum([len(seqs) for seqs in by_epoch.values()]) <= self.n_boots // 4


def test_a_download_goes_on_over_deep_sleeps_and_its_trial_too():
    first, second = Release(1, 0, 800), Release(2, 2, 24000)
    world = World(first)
    world.live()
    assert world.said(phase="idle", slot="a", seq=1)
    world.want(second)
    world.live_until(lambda: world.said(phase="trial"))
    n_fetching = world.n_boots
    assert n_fetching > 4, "the download has to take several wakes"
    n_needed = sum([-(-len(content) // 1024) for content in second.objects.values()])
    assert n_needed <= world.n_chunks <= n_needed + n_fetching, (world.n_chunks, n_needed)
    assert world.reports[-1]["pending_seq"] == 2
    n_trial = world.n_boots
    world.live_until(lambda: world.said(installed_seq=2))
    assert 2 <= world.n_boots - n_trial < TRIES - 1, "its windows come from several wakes"
    world.live()
    assert world.said(slot="b", seq=2, reason=0, refused=0)
    world.check_numbers()
    epochs = sorted({epoch for epoch, _, _ in world.sent})
    assert len(epochs) == 2, "only the restart begins an epoch"
    for epoch, class_id in zip(epochs, (0, 2)):
        assert {entry[2] for entry in world.sent if entry[0] == epoch} == {class_id}


def test_a_trial_that_nobody_acknowledges_spends_its_tries_asleep():
    first, second = Release(1, 0, 800), Release(2, 2, 800)
    world = World(first)
    world.acknowledges = False
    world.want(second)
    world.live_until(lambda: world.said(phase="trial"))
    world.live_until(lambda: world.said(bad_seq=2), TRIES + 3)
    assert world.said(slot="a", seq=1, installed_seq=1, reason=errors.TRIAL_SPENT)
    n_trials = len({one["record"] for one in world.reports if one["phase"] == "trial"})
    assert TRIES - 1 <= n_trials <= TRIES
    world.live()
    assert world.sent[-1][2] == 0, "the first model again"
    world.check_numbers()


def test_a_broker_that_is_silent_leaves_the_node_as_it_was():
    first, second = Release(1, 0, 800), Release(2, 2, 8000)
    world = World(first)
    world.want(second)
    made = world.boot()
    world.net.accepts = False
    raises_kind(DeepSleep, run, made)
    assert world.files.stat("s/a/manifest") and made.updater.status()["phase"] == "idle"
    world.cause = power.WOKE
    world.live_until(lambda: world.said(installed_seq=2))
    world.check_numbers()


def run(made):
    """Let a node live."""
    while True:
        if not made.step():
            made.idle()
        made.board.clock.now += 10
