"""Attacks with the bytes of files, and with how they come."""

from lab import INSTALLED
from scripted_source import EMPTY, LONG, SHORT, STALL

from formats import errors, manifest, objects
from formats.slot_state import SLOT_B
from ota import slots
from ota.mqtt_source import MqttSource

# 920 bytes of raw deflate, and one that unpacks to 1 MiB.
_CONTENT = b"the quick brown fox %d " * 40
_PACKED = bytes.fromhex("2bc94855282ccd4cce56482aca2fcf5348cbaf50504d512819151e151e151e386100")


def tampered_payload(lab):
    """Every byte of a file that comes as it is, and of one that comes packed."""
    row = "tampered payload"
    for entry in lab.new.found.files:
        name = objects.file_id(entry)
        content = lab.new.objects[name]
        if len(content) > 200:
            continue
        expected = errors.UPDATE_HASH
        if entry[1] == manifest.DEFLATE:
            # Whether packed bytes still unpack is a matter of the bytes.
            expected = (errors.UPDATE_HASH, errors.UPDATE_DEFLATE)
        for at in range(len(content)):
            bad = content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :]
            serve_bad(lab, row, "%s byte %d" % (entry[4], at), name, bad, expected)


def serve_bad(lab, row, what, name, bad, expected, **limits):
    """Serve other bytes under an object's id and judge; return the node."""
    world = lab.world(**limits)
    before = world.kept()
    world.serve(lab.new)
    world.source.objects[name] = bad
    lab.judge_refused(row, what, world, (world.until_refused(60000), expected), before)
    return world


def wrong_lengths(lab):
    """Pieces that are too long, too short, empty; objects that end early or never."""
    row = "endless or slow data"
    for fault, expected in (
        (LONG, errors.UPDATE_CHUNK),
        (EMPTY, errors.UPDATE_CHUNK),
        (STALL, errors.UPDATE_ATTEMPTS),
    ):
        for attempts in (1, 5):
            world = lab.world(attempts=attempts, piece_ms=200)
            before = world.kept()
            world.source.always = fault
            world.serve(lab.new)
            reasons = world.until_refused(20000), expected
            lab.judge_refused(row, "%s, %d attempts" % (fault, attempts), world, reasons, before)
            assert len(world.source.requests) <= 2 * attempts, "asked on and on"
    for n_bytes in (1, 50):
        slow(lab, row, n_bytes)
    endless_roots(lab, row)
    short_for_ever(lab, row)


def slow(lab, row, n_bytes):
    """A piece of a few bytes each time, so slowly that the attempt's time is over."""
    world = lab.world(attempt_ms=3000, attempts=1)
    before = world.kept()
    world.source._chunk_bytes = n_bytes
    world.source._looks = 60
    world.serve(lab.new)
    reasons = world.until_refused(20000), errors.UPDATE_ATTEMPTS
    lab.judge_refused(row, "%d bytes each time" % n_bytes, world, reasons, before)


def endless_roots(lab, row):
    """Root documents without an end: the second one is not one that follows."""
    for epoch in (3, 1000, 0xFFFFFFFF):
        world = lab.world()
        before = world.kept()
        for i in range(2, 12):
            world.source.objects[objects.root_id(i)] = lab.roots[0]
        world.serve(lab.new, root=epoch)
        reasons = world.until_refused(), errors.ROOT_EPOCH
        lab.judge_refused(row, "epochs up to %d" % epoch, world, reasons, before)
        assert len(world.source.requests) <= 2
    # One that says of itself that it is longer than any may be.
    long = lab.roots[1][:6] + b"\x10\x00" + bytes(16 * 72) + lab.roots[1][80:]
    world = lab.world()
    before = world.kept()
    world.source.objects["root2"] = long + bytes(8192)
    world.serve(lab.new, root=2)
    found = world.until_refused()
    lab.judge_refused(row, "a long root document", world, (found, _LONG_ROOT), before)


_LONG_ROOT = (errors.SIGNED_LIST, errors.SIGNED_SIZE, errors.SIGNED_KEY, errors.UPDATE_CHUNK)


def short_for_ever(lab, row):
    """Half of a piece each time is slow, and no attack: it arrives, and the hashes are right."""
    world = lab.world()
    world.source.always = SHORT
    world.serve(lab.new)
    world.until_refused()
    assert world.updater.is_trial, "a slow link is no attack"


def bombs(lab):
    """Packed files that unpack to more, to less, to nothing, for ever."""
    row = "decompression bomb"
    entry = _packed_entry(lab)
    for what, packed in (
        ("one byte more", _stored(bytes(entry[2] + 1))),
        ("one byte less", _stored(bytes(entry[2] - 1))),
        ("1 MiB of zeros", _zeros(1 << 20)),
        ("16 MiB of zeros", _zeros(1 << 24)),
        ("no end", _stored(bytes(100))[:-60]),
        ("nothing", b"\x03\x00"),
        ("unknown block", b"\x07" * 40),
        ("a distance before the beginning", b"\x4b\x04\x02\x00" * 9),
        ("another text", _PACKED),
    ):
        bomb(lab, row, what, packed)


def _packed_entry(lab):
    return next(entry for entry in lab.new.found.files if entry[1] == manifest.DEFLATE)


def _stored(content):
    n = len(content)
    return b"\x01" + n.to_bytes(2, "little") + (n ^ 0xFFFF).to_bytes(2, "little") + content


def _zeros(n_bytes):
    """Return fixed Huffman codes: a zero, then runs of 258 of them."""
    # The codes of a zero and of the end, and between them 5 zeros for a distance of 1.
    bits, n_bits = 0b011, 3
    out = bytearray()
    n_runs = n_bytes // 258
    for i in range(2 * n_runs + 2):
        code, width = (0b11000101, 8) if i % 2 else (0, 5)
        if i == 0:
            code, width = 0b00110000, 8
        elif i == 2 * n_runs + 1:
            code, width = 0, 7
        for at in range(width - 1, -1, -1):
            bits |= (code >> at & 1) << n_bits
            n_bits += 1
            if n_bits == 8:
                out.append(bits)
                bits = n_bits = 0
    out.append(bits)
    return bytes(out)


def bomb(lab, row, what, packed):
    """A release key that leaked has signed a packed file; no more than its size is written."""
    files = [list(entry) for entry in lab.new.found.files]
    at = next(i for i, entry in enumerate(files) if entry[1] == manifest.DEFLATE)
    files[at][3] = len(packed)
    size = files[at][2]
    content = lab.made(files=[tuple(entry) for entry in files])
    world = lab.world()
    before = world.kept()
    world.serve(lab.new, content)
    world.source.objects[objects.file_id(files[at])] = packed
    largest = Largest(world.store)
    found = world.until_refused()
    expected = (errors.UPDATE_DEFLATE, errors.UPDATE_HASH)
    if len(packed) > 40000:
        expected = (errors.UPDATE_SPACE, errors.UPDATE_SIZE) + expected
    lab.judge_refused(row, what, world, (found, expected), before)
    path = "s/b/" + manifest.path(files[at][0], files[at][4])
    is_more = largest.written.get(path, 0) > size
    lab.judge.note(row, what + ", what was written", is_more)


class Largest:
    """Watches how much is written to each file."""

    def __init__(self, store):
        self.written = {}
        self._files = store.files
        store.files = self

    def __getattr__(self, name):
        return getattr(self._files, name)

    def open(self, path, mode):
        """Open, and count what is written."""
        file = self._files.open(path, mode)
        return Counted(self, path, file) if "w" in mode else file


class Counted:
    """A file that counts."""

    def __init__(self, largest, path, file):
        self._largest = largest
        self._path = path
        self._file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def write(self, content):
        """Write and count."""
        written = self._largest.written
        written[self._path] = written.get(self._path, 0) + len(content)
        return self._file.write(content)

    def close(self):
        """Close."""
        self._file.close()


def check_and_use(lab):
    """What was checked is changed before it is used."""
    row = "change between check and use"
    swapped_manifest(lab, row)
    for entry in lab.new.found.files:
        if entry[2]:
            changed_file(lab, row, manifest.path(entry[0], entry[4]))
    changed_file(lab, row, "manifest")
    different_reads(lab, row)


def swapped_manifest(lab, row):
    """The manifest that was accepted is replaced in the folder of downloads by an older one."""
    import slot_files

    old = lab.releases[4].content
    world = lab.world()
    before = world.kept()
    world.serve(lab.new)
    while world.updater.status()["phase"] != slots.FETCH:
        world.turn()
    for _ in range(10):
        world.turn()
    slot_files.write_file(world.store.files, "dl/manifest", old)
    reasons = world.until_refused(), errors.UPDATE_HASH
    lab.judge_refused(row, "dl/manifest", world, reasons, before)


def changed_file(lab, row, path):
    """A file of the slot is changed between its check and the restart: it never runs."""
    world = lab.world("armed")
    before, counters = world.counters(), None
    world = lab.world("idle")
    world.serve(lab.new)
    while world.updater.status()["phase"] != slots.ARMED:
        world.updater.step(world.now_ms)
        world.now_ms += 10
    full = world.store.slot_path(SLOT_B) + "/" + path
    with world.store.files.open(full, "r+b") as file:
        byte = file.read(1)
        file.seek(0)
        file.write(bytes([byte[0] ^ 1]))
    world.want = b""
    world.start()
    counters = world.counters()
    status = world.updater.status()
    is_accepted = status["slot"] != "a" or status["seq"] != INSTALLED
    before = world.counters()
    lab.judge.note(
        row, path, is_accepted, (status["reason"], errors.SLOT_DAMAGED), counters != before
    )


def different_reads(lab, row):
    """The source gives the right manifest at first and another one when asked again."""
    evil = lab.made("attacker")
    world = lab.world(attempts=5)
    before = world.kept()
    world.serve(lab.new, evil)
    world.source.objects.update({objects.hash_id(_sha(evil)): lab.new.content})
    found = world.until_refused(20000)
    expected = (errors.UPDATE_HASH, errors.UPDATE_CHUNK)
    lab.judge_refused(row, "another manifest under the id", world, (found, expected), before)


def _sha(content):
    import hashlib

    return hashlib.sha256(content).digest()


def oversized_chunks(lab):
    """Chunks over MQTT that are larger than a chunk, or have nothing where something was asked."""
    row = "oversized MQTT packets"
    name = objects.hash_id(bytes(32))
    for n_bytes, offset, expected in (
        (0, 0, errors.SOURCE_SIZE),
        (1025, 0, errors.SOURCE_SIZE),
        (1280, 1024, errors.SOURCE_SIZE),
        (70000, 0, errors.SOURCE_SIZE),
        (10, 10, errors.SOURCE_SIZE),
        (10, 1023, errors.SOURCE_SIZE),
    ):
        source = MqttSource("farm-7", 1000)
        source.begin(name, offset, 100)
        _, topic = source.next_packet()
        source.sending(True, topic)
        source.settled(False)
        source.take(topic, bytes(n_bytes))
        found = 0
        try:
            source.step(0)
        except errors.OnebyteError as error:
            found = error.code
        what = "chunk of %d bytes at %d" % (n_bytes, offset)
        lab.judge.note(row, what, found == 0, (found, expected))


ROWS = (tampered_payload, wrong_lengths, bombs, check_and_use, oversized_chunks)
