"""The desk's cable over a console that a test plays, and an install that it feeds."""

import gc
import hashlib

import custom_release
import ota_releases
import sample_release
import slot_files
import vfs
from check import raises
from nor_flash import NorFlash

import ota.cable
from formats import errors, manifest, objects
from formats.crc import crc32
from formats.slot_state import SLOT_A, SLOT_B
from ota import desk, loader
from ota.cable import PIECE_BYTES, TIMEOUT, Cable, CableInstall
from ota.check import SlotCheck
from ota.store import Store

SIGNER = ota_releases.StandIn
TABLE = (
    (1, "node.py", 6400, manifest.PLAIN, None),
    (1, "sensing.py", 5200, manifest.DEFLATE, None),
    (2, "crc.py", 704, manifest.PLAIN, 0),
    (9, "exercise.obm", 64, manifest.PLAIN, None),
)


def _escaped(content):
    return content.replace(b"\x1b", b"\x1b[").replace(b"\x03", b"\x1bE")


def _answer(piece, crc):
    wire = _escaped(piece)
    assert b"\x03" not in wire
    return b"%08x%08x" % (len(wire), crc) + wire


class Console:
    """What the host would answer, with its faults.

    Args:
        contents: object id -> bytes.
        damage: numbers of answers that are damaged.
        lies: number of an answer -> what comes in its place.
        silent_from: number of the answer from which nobody answers.
    """

    def __init__(self, contents, damage=(), silent_from=10000, lies=()):
        self._contents = contents
        self._damage = damage
        self._lies = dict(lies)
        self._silent_from = silent_from
        self._answers = []
        self._at = 0
        self.asked = []
        self.most_waiting = 0

    def answer(self, line):
        """Answer a line that the node prints."""
        word, verb, name, offset, n_bytes = line.split(" ")
        assert (word, verb) == ("desk", "get")
        request = name, int(offset), int(n_bytes)
        self.asked.append(request)
        if len(self.asked) > self._silent_from:
            return
        piece = self._contents[name][request[1] : request[1] + request[2]]
        answer = _answer(piece, crc32(piece) ^ (len(self.asked) in self._damage))
        self._answers.append(self._lies.get(len(self.asked), answer))
        waiting = sum([len(answer) for answer in self._answers]) - self._at
        self.most_waiting = max(self.most_waiting, waiting)

    def is_ready(self, _wait_ms):
        """Whether something waits."""
        return bool(self._answers)

    def readinto(self, target):
        """Read a part of one answer; the real one waits until all of that is there."""
        answer = self._answers[0]
        n_bytes = len(target)
        assert 0 < n_bytes <= min(64, len(answer) - self._at), "it would wait for ever"
        target[:n_bytes] = answer[self._at : self._at + n_bytes]
        self._at += n_bytes
        if self._at == len(answer):
            self._answers.pop(0)
            self._at = 0
        return n_bytes


def _cable(contents, window_bytes=PIECE_BYTES, **faults):
    console = Console(contents, **faults)
    ota.cable.print = console.answer
    return console, Cable(console, console.is_ready, window_bytes)


def _node(table=TABLE):
    gc.collect()  # the flash of the test before
    flash = NorFlash(n_blocks=64)
    vfs.VfsLfs2.mkfs(flash)
    store = Store(vfs.VfsLfs2(flash))
    slot_files.put(store, SLOT_A, ota_releases.Release(SIGNER, 1, table=table))
    slot_files.put_state(store, active=SLOT_A, installed_seq=1)
    product = slot_files.Product(sample_release.device(hardware=2))
    return store, loader.boot(store, product, SIGNER.verify, lambda: None)


def _packed(n_bytes, end=None):
    """Return a packed file of a release; nothing of the 9000 bytes at its end is needed."""
    content = ota_releases.text_of(1, "packed", n_bytes)
    packed = ota_releases.deflated(content) + bytes(9000)
    return (1, "packed%d.py" % n_bytes, content, packed[:end])


def test_a_packed_file_of_any_length_comes_and_what_follows_it_too():
    release = custom_release.CustomRelease(
        [_packed(6400), _packed(20032), (2, "after.py", b"AFTER = 1\n" * 700, None)]
    )
    store, boot = _node()
    _, cable = _cable(release.objects)
    install = _install(store, boot, release, cable)
    assert _check(store, boot).manifest is not None
    assert install.done_bytes == install.total_bytes


def test_pieces_are_gathered_to_just_their_bytes():
    assert ota.cable._Stored(iter((b"abc", b"", b"de")), 5).gather() == b"abcde"


def test_what_follows_a_packed_file_is_not_its_end():
    release = custom_release.CustomRelease(
        [_packed(20032, 20000), (2, "after.py", b"AFTER = 1\n" * 700, None)]
    )
    store, boot = _node()
    _, cable = _cable(release.objects)
    raises(errors.UPDATE_DEFLATE, _install, store, boot, release, cable)
    assert _check(store, boot).manifest is None


def _install(store, boot, release, cable):
    install = CableInstall(
        cable, store, SLOT_B, release.content, boot_manifest(release), boot.manifest
    )
    while not install.is_done:
        assert install.next_request() is None
        install.step()
    return install


def boot_manifest(release):
    """Return the parsed manifest of a release."""
    from formats import signed

    return manifest.parse(signed.parse(release.content, signed.MANIFEST).body)


def _check(store, boot):
    check = SlotCheck(store.files, store.slot_path(SLOT_B), boot.root, SIGNER.verify)
    check.run(lambda: None)
    return check


def test_every_byte_comes_through():
    content = bytes(range(256)) * 20 + b"\x03\x1b[\x1bE\x03" * 100
    for window_bytes in (7, 100, 112, PIECE_BYTES, 2 * PIECE_BYTES):
        console, cable = _cable({"x": content, "y": b"\x03"}, window_bytes)
        at = 0
        for piece in cable.fetch([("x", len(content)), ("y", 1)]):
            assert len(piece) <= PIECE_BYTES
            assert piece == (content[at : at + len(piece)] or b"\x03")
            at += len(piece)
        assert at == len(content) + 1
        if window_bytes < PIECE_BYTES:
            assert console.most_waiting <= 16 + 2 * window_bytes, "more than a UART holds"
        else:
            assert console.most_waiting > PIECE_BYTES + 100, "nothing was asked for ahead"


def test_damaged_answers_are_asked_for_again():
    content = hashlib.sha256(b"x").digest() * 400
    _, cable = _cable({"x": content}, damage=(1, 3, 4))
    assert b"".join(cable.fetch([("x", len(content))])) == content
    _, cable = _cable({"x": content}, damage=range(2, 8))  # at its third try too
    assert _errno(cable, content) == 5
    _, cable = _cable({"x": content}, silent_from=2)
    assert _errno(cable, content) == TIMEOUT == 110


def _errno(cable, content):
    try:
        list(cable.fetch([("x", len(content))]))
    except OSError as error:
        return error.errno
    return 0


def test_an_answer_that_cannot_be_is_not_believed():
    for lie in (
        b"7fffffff00000000",  # longer than all memory
        b"0000000f00000000" + bytes(14),  # than 7 bytes can become
        b"0000000600000000" + bytes(6),
        b"OSError: [Errno 2] ENOENT\r\n",
        b"00000007" + b"\xff" * 8 + b"content",
        _answer(b"content", crc32(b"content"))[:16] + b"cOntent",
        _answer(b"content and", crc32(b"content and")),
    ):
        console, cable = _cable({"x": b"content", "y": b"y"}, lies={1: lie})
        assert b"".join(cable.fetch([("x", 7), ("y", 1)])) == b"contenty", lie
        assert [request[0] for request in console.asked] == ["x", "y", "x", "y"], lie
    _, cable = _cable({"y": b"y"}, lies={1: b"0000000x00000000"})
    assert list(cable.fetch([("y", 1)])) == [b"y"]


def test_bytes_that_all_have_to_be_escaped_come_through():
    content = b"\x03\x1b" * 4096
    console, cable = _cable({"x": content})
    assert b"".join(cable.fetch([("x", 8192)])) == content
    assert console.most_waiting > 16384


def test_verdict_is_remembered_for_one_key_signature_and_message():
    asked = []

    def verify(*what):
        asked.append(what)
        return what == (b"key", b"good", (b"mess", b"age"))

    remembered = desk.Remembered(verify)
    for _ in range(2):
        assert remembered(b"key", b"good", (b"mess", memoryview(b"age")))
        for what in (
            (b"kex", b"good", (b"message",)),
            (b"key", b"goox", (b"message",)),
            (b"key", b"good", (b"mess", b"agx")),
        ):
            assert not remembered(*what)
    assert len(asked) == 4


def test_only_what_the_board_does_not_have_is_asked_for():
    for codec in (manifest.PLAIN, manifest.DEFLATE):
        table = TABLE[:2] + (TABLE[2][:3] + (codec, 0),) + TABLE[3:]
        store = boot = None  # their flash
        store, boot = _node(table)
        release = ota_releases.Release(SIGNER, 2, table=table)
        console, cable = _cable(release.objects)
        install = _install(store, boot, release, cable)
        assert _check(store, boot).manifest is not None
        kept = [objects.file_id(entry) for entry in boot.manifest.files if entry[4] == "crc.py"]
        asked = set([request[0] for request in console.asked])
        assert len(asked) == 3 and kept[0] not in asked
        assert install.done_bytes == install.total_bytes
        install = None


def test_an_install_goes_on_where_the_cable_was_pulled():
    store, boot = _node()
    release = ota_releases.Release(SIGNER, 2, table=TABLE)
    # Of node.py, the first, come two pieces; sensing.py is packed and has two as well.
    for answers, n_asked in ((1, 3), (4, 5), (100, 1)):
        console, cable = _cable(release.objects, silent_from=answers)
        try:
            install = _install(store, boot, release, cable)
        except OSError as error:
            assert error.errno == TIMEOUT
            assert _check(store, boot).manifest is None, "half a slot is no slot"
        assert len(set(console.asked)) == n_asked, console.asked
    assert _check(store, boot).manifest is not None
    assert install.done_bytes == install.total_bytes


def test_nothing_of_what_lay_there_is_left_when_the_first_file_comes():
    store, boot = _node()
    slot_files.put(store, SLOT_B, ota_releases.Release(SIGNER, 7, table=TABLE))
    slot_files.write_file(store.files, "s/b/app/old.py", b"left")
    release = ota_releases.Release(SIGNER, 2, table=TABLE)
    _, cable = _cable(release.objects, silent_from=0)
    try:
        _install(store, boot, release, cable)
    except OSError as error:
        assert error.errno == TIMEOUT
    assert "manifest" not in [entry[0] for entry in store.files.ilistdir("s/b")]
    assert "old.py" not in [entry[0] for entry in store.files.ilistdir("s/b/app")]


def test_a_file_that_is_not_what_was_signed_is_found():
    store, boot = _node()
    release = ota_releases.Release(SIGNER, 2, table=TABLE)
    contents = dict(release.objects)
    for name in contents:
        contents[name] = bytes([contents[name][0] ^ 1]) + contents[name][1:]
    _, cable = _cable(contents)
    try:
        _install(store, boot, release, cable)
    except Exception as error:
        assert type(error).__name__ == "OnebyteError"
    assert _check(store, boot).manifest is None


def test_a_rotten_file_of_the_other_slot_is_not_armed():
    store, boot = _node()
    with store.files.open("s/a/formats/crc.py", "r+b") as file:
        file.write(b"\xff")
    release = ota_releases.Release(SIGNER, 2, table=TABLE)
    _, cable = _cable(release.objects)
    _install(store, boot, release, cable)
    assert _check(store, boot).manifest is None


def test_file_of_the_same_length_is_another_file():
    store, boot = _node()
    slot_files.put(store, SLOT_B, ota_releases.Release(SIGNER, 7, table=TABLE))
    with store.files.open("s/a/formats/crc.py", "wb") as file:
        file.write(b"half of it")  # and what the other slot has of it may be cut
    release = ota_releases.Release(SIGNER, 2, table=TABLE)
    console, cable = _cable(release.objects)
    _install(store, boot, release, cable)
    assert _check(store, boot).manifest is not None
    # The one file that no release changes is there.
    assert len(set([request[0] for request in console.asked])) == len(TABLE) - 1


def test_file_that_neither_slot_has_whole_is_asked_for():
    table = TABLE + ((9, "gesture.obm", 0, manifest.PLAIN, None),)
    for left in (b"half of it", None):
        store = boot = None
        store, boot = _node(table)
        store.files.remove("s/a/model/gesture.obm")
        store.files.remove("s/a/formats/crc.py")
        if left:
            slot_files.write_file(store.files, "s/a/formats/crc.py", left)
        release = ota_releases.Release(SIGNER, 2, table=table)
        console, cable = _cable(release.objects)
        _install(store, boot, release, cable)
        assert _check(store, boot).manifest is not None
        assert len(set([request[0] for request in console.asked])) == len(TABLE)


def test_firmware_does_not_come_by_cable():
    store, boot = _node()
    table = TABLE + ((manifest.FIRMWARE, "firmware.bin", 64, manifest.PLAIN, None),)
    release = ota_releases.Release(SIGNER, 2, table=table)
    console, cable = _cable(release.objects)
    raises(errors.UPDATE_PARTITION, _install, store, boot, release, cable)
    assert not console.asked
