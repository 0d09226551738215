"""The desk's cable over a console that a test plays, and an install that it feeds."""

import hashlib

import ota_releases
import sample_release
import slot_files
import vfs
from check import raises
from nor_flash import NorFlash

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


class Console:
    """What the host would answer, with its faults.

    Args:
        contents: object id -> bytes.
        damage: numbers of answers that are damaged.
        silent_from: number of the answer from which nobody answers.
    """

    def __init__(self, contents, damage=(), silent_from=10000):
        self._contents = contents
        self._damage = damage
        self._silent_from = silent_from
        self._answers = []
        self._at = 0
        self.asked = []
        self.most_waiting = 0

    def answer(self, request):
        """Answer a request."""
        name, offset, n_bytes = request
        self.asked.append(request)
        if len(self.asked) > self._silent_from:
            return
        piece = self._contents[name][offset : offset + n_bytes]
        wire = _escaped(piece)
        assert b"\x03" not in wire
        crc = crc32(piece) ^ (len(self.asked) in self._damage)
        self._answers.append(b"%08x%08x" % (len(wire), crc) + wire)
        waiting = sum([len(answer) for answer in self._answers]) - self._at
        self.most_waiting = max(self.most_waiting, waiting)

    def is_ready(self, _wait_ms):
        """Whether something waits."""
        return bool(self._answers)

    def readinto(self, target):
        """Read a part of one answer, as a packet of USB has it."""
        answer = self._answers[0]
        n_bytes = min(len(target), len(answer) - self._at)
        target[:n_bytes] = answer[self._at : self._at + n_bytes]
        self._at += n_bytes
        if self._at == len(answer):
            self._answers.pop(0)
            self._at = 0
        return n_bytes


class TestCable(Cable):
    """A cable that asks a console in place of printing."""

    def _ask(self, request):
        self._stream.answer(request)
        self._asked.append(request)


def _cable(contents, window_bytes=PIECE_BYTES, **faults):
    console = Console(contents, **faults)
    return console, TestCable(console, console.is_ready, window_bytes)


def _node():
    flash = NorFlash(n_blocks=64)
    vfs.VfsLfs2.mkfs(flash)
    store = Store(vfs.VfsLfs2(flash))
    slot_files.put(store, SLOT_A, ota_releases.Release(SIGNER, 1, table=TABLE))
    slot_files.put_state(store, active=SLOT_A, installed_seq=1)
    product = slot_files.Product(sample_release.device(hardware=2))
    return store, loader.boot(store, product, SIGNER.verify, lambda: None)


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
    for window_bytes in (7, 100, 112, PIECE_BYTES):
        console, cable = _cable({"x": content, "y": b"\x03"}, window_bytes)
        at = 0
        for piece in cable.fetch([("x", len(content)), ("y", 1)]):
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
    _, cable = _cable({"x": content}, damage=range(2, 9))
    assert _errno(cable, content) == 5
    _, cable = _cable({"x": content}, silent_from=2)
    assert _errno(cable, content) == TIMEOUT


def _errno(cable, content):
    try:
        list(cable.fetch([("x", len(content))]))
    except OSError as error:
        return error.errno
    return 0


class Liar(Console):
    """Its first answer says that it is longer than all memory."""

    def answer(self, request):
        """Answer a request."""
        if self.asked:
            super().answer(request)
        else:
            self.asked.append(request)
            self._answers.append(b"7fffffff00000000")


def test_length_that_no_answer_has_is_not_believed():
    console = Liar({"x": b"content"})
    cable = TestCable(console, console.is_ready)
    assert b"".join(cable.fetch([("x", 7)])) == b"content"
    assert len(console.asked) == 2


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
    store, boot = _node()
    release = ota_releases.Release(SIGNER, 2, table=TABLE)
    console, cable = _cable(release.objects)
    install = _install(store, boot, release, cable)
    assert _check(store, boot).manifest is not None
    kept = [objects.file_id(entry) for entry in boot.manifest.files if entry[4] == "crc.py"]
    asked = set([request[0] for request in console.asked])
    assert len(asked) == 3 and kept[0] not in asked
    assert install.done_bytes == install.total_bytes


def test_an_install_goes_on_where_the_cable_was_pulled():
    store, boot = _node()
    release = ota_releases.Release(SIGNER, 2, table=TABLE)
    seen = []
    for answers in (1, 3, 100):
        console, cable = _cable(release.objects, silent_from=answers)
        try:
            _install(store, boot, release, cable)
        except OSError as error:
            assert error.errno == TIMEOUT
            assert _check(store, boot).manifest is None, "half a slot is no slot"
        seen.append(len(console.asked))
    assert _check(store, boot).manifest is not None
    assert seen[-1] < 5, seen


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
    store, boot = _node()
    with store.files.open("s/a/formats/crc.py", "wb") as file:
        file.write(b"half of it")
    release = ota_releases.Release(SIGNER, 2, table=TABLE)
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
