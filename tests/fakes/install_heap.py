"""How little free heap an update needs, from the want to the armed slot; here and on a board."""

import gc

from formats import objects
from formats.slot_state import SLOT_A
from ota import loader, updater
from ota.downloads import entries, is_folder
from ota.mqtt_source import MqttSource

_STEP_BYTES = 1024
_MOST_STEPS = 5000


class Platform:
    """What the updater asks of a chip."""

    firmware = None
    partition_bytes = 0


class Bench:
    """A node that installs one release again and again.

    Args:
        store, product, verify: as for `loader.boot`.
        read: function(object id, offset, number of bytes) -> bytes.
        want: the message.
    """

    def __init__(self, store, product, verify, read, want):
        self._store = store
        self._verify = verify
        self._boot = loader.boot(store, product, verify, lambda: None)
        self._read = read
        self._source = MqttSource("home", 20000)
        self._want = want

    def least(self, limit_bytes):
        """Return the least free heap, in steps of 1 kB down from a limit, that was enough.

        0 when not even the limit is.
        """
        found = 0
        while limit_bytes > 0 and self.install(limit_bytes):
            found = limit_bytes
            limit_bytes -= _STEP_BYTES
        return found

    def install(self, limit_bytes):
        """Install from nothing with so much free heap; return whether no memory was missing."""
        self._forget()
        update = updater.Updater(self._boot, self._verify, Platform(), max)
        update.sources = (self._source, None)
        update.link(True)
        ballast = fill_heap(limit_bytes)
        try:
            return self._run(update)
        except MemoryError:
            return False
        finally:
            del ballast

    def _run(self, update):
        update.on_want(self._want)
        for now_ms in range(0, 10 * _MOST_STEPS, 10):
            self._carry()
            update.step(now_ms)
            if update.action:
                return True
            if "memory" in update.error:
                return False
            assert not update.error, update.error
        raise AssertionError("it does not end")

    def _carry(self):
        """Be the uplink, and a broker where every chunk lies retained."""
        packet = self._source.next_packet()
        if packet is None:
            return
        is_subscribe, topic = packet
        self._source.sending(is_subscribe, topic)
        self._source.settled(False)
        if is_subscribe:
            _, object_id, chunk = objects.parse_topic(topic.decode())
            offset = chunk * objects.CHUNK_BYTES
            self._source.take(topic, self._read(object_id, offset, objects.CHUNK_BYTES))

    def _forget(self):
        """Nothing was ever installed."""
        folder = self._store.slot_path(SLOT_A)
        for entry in entries(self._store.files, folder):
            path = "%s/%s" % (folder, entry[0])
            if is_folder(entry):
                for inner in entries(self._store.files, path):
                    self._store.files.remove("%s/%s" % (path, inner[0]))
                self._store.files.rmdir(path)
            else:
                self._store.files.remove(path)
        for entry in entries(self._store.files, self._store.path("dl")):
            self._store.files.remove(self._store.path("dl/" + entry[0]))


def fill_heap(free_bytes):
    """Return what has to be kept so that only one piece of that many bytes is free."""
    gc.collect()
    reserve = bytearray(free_bytes)
    ballast = None
    n_bytes = 65536
    while n_bytes >= 16:
        try:
            ballast = (ballast, bytearray(n_bytes))  # a list would need room to grow
        except MemoryError:
            n_bytes //= 2
    del reserve
    gc.collect()
    return ballast


def on_board(want, places, most_bytes):
    """Print `Bench.least` of a board whose files are its identity, and `objects`.

    Args:
        want: as for `Bench`.
        places: where in that file which object begins. It stays open: a node's broker takes none
            of its heap either.
        most_bytes: as for `Bench.least`.
    """
    from chip import Files

    from ota import product, store, verifier

    folders = store.Store(Files(), "/")
    verify = verifier.make(lambda: None)

    with open("/objects", "rb") as file:

        def read(object_id, offset, n_bytes):
            begin, end = places[object_id]
            file.seek(begin + offset)
            return file.read(min(n_bytes, end - begin - offset))

        bench = Bench(folders, product.load(folders), verify, read, want)
        print(bench.least(most_bytes))
