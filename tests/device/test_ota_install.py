"""Installing into a slot: what is fetched, copied and kept, and what is left after any end."""

import gc
import io

import deflate_cases
import ota_releases
import slot_files
import vfs
from check import raises, raises_kind
from custom_release import CustomRelease
from nor_flash import HALF, NorFlash
from ota_releases import Release
from update_world import SIGNER

from formats import errors, manifest, objects, signed
from formats.slot_state import SLOT_A, SLOT_B
from ota.check import SlotCheck
from ota.install import Install
from ota.store import Store
from ota.unpack import Room

MAX_AGAIN_BYTES = objects.CHUNK_BYTES
BLOCK_BYTES = 2048


def _store(n_blocks=64):
    gc.collect()  # the flash of the test before
    flash = NorFlash(None, n_blocks, BLOCK_BYTES)
    vfs.VfsLfs2.mkfs(flash)
    return flash, Store(vfs.VfsLfs2(flash))


def _found(release):
    return manifest.parse(signed.parse(release.content, signed.MANIFEST).body)


def _install(store, release, beside=None):
    active = _found(beside) if beside else None
    return Install(store, SLOT_B, release.content, _found(release), active)


def _run(install, contents, requests=None, most=10000):
    """Install with all that a source has; return whether it came to its end."""
    for _ in range(most):
        if install.is_done:
            return True
        request = install.next_request()
        if request is None:
            install.step()
            continue
        if requests is not None:
            requests.append(request)
        name, offset, n_bytes = request
        install.put(contents[name][offset : offset + min(n_bytes, objects.CHUNK_BYTES)])
    return False


def _must_be_whole(store, release):
    root = store.read_root(ota_releases.root_file(SIGNER, 1), SIGNER.verify)
    check = SlotCheck(store.files, store.slot_path(SLOT_B), root, SIGNER.verify)
    check.run(lambda: None)
    assert check.manifest is not None, check.detail
    for path, content in release.contents.items():
        with store.files.open("%s/%s" % (store.slot_path(SLOT_B), path), "rb") as file:
            assert file.read() == content, path


def test_every_codec_and_length_arrives():
    _, store = _store()
    files = [(1, "packed.py", deflate_cases.CONTENT, deflate_cases.PACKED)]
    files.append((1, "near.py", deflate_cases.NEAR_CONTENT, deflate_cases.NEAR))
    for n_bytes in (0, 1, 1023, 1024, 1025, 2048, 4097):
        files.append((2, "f%d.py" % n_bytes, bytes([n_bytes & 255]) * n_bytes, None))
    release = CustomRelease(files)
    requests = []
    install = _install(store, release)
    assert (install.is_done, install.done_bytes) == (False, 0)
    assert _run(install, release.objects, requests)
    install.step()
    assert install.is_done and install.next_request() is None
    _must_be_whole(store, release)
    assert (
        install.done_bytes
        == install.total_bytes
        == (sum(map(len, release.objects.values())) - len(release.content))
    )
    # One request for each piece, the next one begins where the last ended.
    assert len(requests) == 14 and len(set(requests)) == 14
    # Asked again, it finds everything there.
    requests = []
    assert _run(_install(store, release), release.objects, requests) and requests == []


def test_what_the_other_slot_has_is_copied():
    for codec in (manifest.DEFLATE, manifest.PLAIN):
        table = list(ota_releases.FILES)
        table[2] = table[2][:3] + (codec, 0)
        store = install = None  # their flash
        _, store = _store(96)
        old, new = Release(SIGNER, 1, table=table), Release(SIGNER, 2, table=table)
        slot_files.put(store, SLOT_A, old)
        requests = []
        install = _install(store, new, old)
        assert _run(install, new.objects, requests)
        assert install.done_bytes == install.total_bytes
        _must_be_whole(store, new)
        shared = [name for name in new.objects if name in old.objects]
        assert shared and not [request for request in requests if request[0] in shared]
        assert [entry[0] for entry in store.files.ilistdir("dl")] == ["manifest"]
    # One that has rotted or is gone meanwhile is fetched.
    for is_gone in (False, True):
        _, store = _store(96)
        slot_files.put(store, SLOT_A, old)
        if is_gone:
            store.files.remove("s/a/formats/crc.py")
        else:
            with store.files.open("s/a/formats/crc.py", "r+b") as file:
                file.write(b"#")
        requests = []
        assert _run(_install(store, new, old), new.objects, requests)
        _must_be_whole(store, new)
        digest = objects.hash_id(old.digests["formats/crc.py"])
        assert [request for request in requests if request[0] == digest]


def test_a_packed_file_that_is_longer_than_it_may_be_is_fetched_again():
    _, store = _store()
    packed = deflate_cases.PACKED
    release = CustomRelease([(1, "packed.py", deflate_cases.CONTENT, packed)])
    for left in (packed + b"x", b"x" * 300, packed, packed[:50]):
        slot_files.write_file(store.files, "dl/manifest", release.content)
        slot_files.write_file(store.files, "dl/0.z", left)
        slot_files.write_file(store.files, "s/b/app/packed.py", b"old")
        here = len(left) if len(left) <= len(packed) else 0
        requests = []
        install = _install(store, release)
        assert _run(install, release.objects, requests)
        _must_be_whole(store, release)
        assert [request[1:] for request in requests] == (
            [(here, len(packed) - here)] if here < len(packed) else []
        )
        assert install.done_bytes == install.total_bytes
        assert [entry[0] for entry in store.files.ilistdir("dl")] == ["manifest"]


def test_what_another_release_has_left_is_removed():
    _, store = _store(96)
    slot_files.put(store, SLOT_B, Release(SIGNER, 1))
    for path in ("app/old.py", "app/node.py", "custom/custom.py", "evil.py"):
        slot_files.write_file(store.files, "s/b/" + path, b"left")
    slot_files.write_file(store.files, "dl/0.z", b"left")
    slot_files.write_file(store.files, "dl/3.z", b"left")
    slot_files.write_file(store.files, "dl/manifest", b"left")
    release = Release(SIGNER, 2)
    assert _run(_install(store, release), release.objects)
    _must_be_whole(store, release)
    assert [entry[0] for entry in store.files.ilistdir("dl")] == ["manifest"]


def test_the_old_manifest_goes_first_and_the_new_one_comes_last():
    _, store = _store(96)
    slot_files.put(store, SLOT_B, Release(SIGNER, 1))
    release = Release(SIGNER, 2)
    install = _install(store, release)
    n_without = 0
    while not install.is_done:
        assert not _run(install, release.objects, None, 1) or install.is_done
        try:
            with store.files.open(store.manifest_path(SLOT_B), "rb") as file:
                content = file.read()
        except OSError:
            n_without += 1
            continue
        if content == release.content:
            for path, expected in release.contents.items():
                with store.files.open("s/b/" + path, "rb") as file:
                    assert file.read() == expected
        else:
            assert n_without == 0, "the old manifest is there in the middle"
    assert n_without > 20


def test_wrong_bytes_are_found_and_fetched_again():
    for path in ("app/node.py", "app/sensing.py"):
        _, store = _store(96)
        release = Release(SIGNER, 2)
        name = [
            objects.file_id(entry)
            for entry in _found(release).files
            if manifest.path(entry[0], entry[4]) == path
        ].pop()
        bad = dict(release.objects)
        bad[name] = bad[name][:100] + b"#" + bad[name][101:]
        install = _install(store, release)
        raises(errors.UPDATE_HASH, _run, install, bad)
        kept = [entry[0] for entry in store.files.ilistdir("s/b/app")]
        assert path[len("app/") :] not in kept
        requests = []
        assert _run(install, release.objects, requests)
        _must_be_whole(store, release)
        assert requests[0][:2] == (name, 0) and install.done_bytes == install.total_bytes
    print("ota wrong bytes: fetched again, the others kept")


def test_no_bomb_is_written_and_no_rubbish_stops_the_node():
    content = deflate_cases.CONTENT
    n_bytes = len(content)
    packed = deflate_cases.PACKED
    for size, stored, code in (
        (n_bytes, packed, 0),
        (n_bytes - 1, packed, errors.UPDATE_DEFLATE),
        (n_bytes + 1, packed, errors.UPDATE_DEFLATE),
        (1000, deflate_cases.BOMB, errors.UPDATE_DEFLATE),
        (len(deflate_cases.FAR_CONTENT), deflate_cases.FAR, errors.UPDATE_DEFLATE),
        (n_bytes, packed[:-1], errors.UPDATE_DEFLATE),
        (n_bytes, b"\xff" * 50, errors.UPDATE_DEFLATE),
        (n_bytes, b"\x00", errors.UPDATE_DEFLATE),
    ):
        _, store = _store()
        release = CustomRelease(
            [(1, "packed.py", (content + b"x")[:size] + bytes(max(0, size - n_bytes - 1)), stored)]
        )
        install = _install(store, release)
        if not code:
            assert _run(install, release.objects)
            _must_be_whole(store, release)
            continue
        raises(code, _run, install, release.objects)
        assert [entry[0] for entry in store.files.ilistdir("s/b/app")] == []


def _in_use():
    gc.collect()
    return gc.mem_alloc()


def test_the_room_for_unpacking_is_kept_while_nothing_is_unpacked():
    before = _in_use()
    room = Room()
    assert 5760 <= _in_use() - before < 6400
    room.give()
    assert _in_use() - before < 640
    room.take()
    assert 5760 <= _in_use() - before < 6400


def test_every_byte_of_a_packed_file_may_be_wrong():
    """The packed form is not signed: whatever it is, the unpacked one is right or refused."""
    content = deflate_cases.CONTENT
    n_refused = n_same = 0
    for at in range(len(deflate_cases.PACKED)):
        for change in (1, 0x80):
            bad = bytearray(deflate_cases.PACKED)
            bad[at] ^= change
            _, store = _store(24)
            release = CustomRelease([(1, "packed.py", content, bytes(bad))])
            install = _install(store, release)
            try:
                assert _run(install, release.objects)
                n_same += 1
                _must_be_whole(store, release)
            except errors.OnebyteError as error:
                assert error.code in (errors.UPDATE_HASH, errors.UPDATE_DEFLATE)
                n_refused += 1
    print(
        "ota packed bytes wrong=%d refused=%d harmless=%d"
        % (n_refused + n_same, n_refused, n_same)
    )
    assert n_refused > 200


def test_pieces_of_a_wrong_size_are_refused():
    _, store = _store()
    release = Release(SIGNER, 2)
    install = _install(store, release)
    while install.next_request() is None:
        install.step()
    left = install.next_request()[2]
    raises(errors.UPDATE_CHUNK, install.put, bytes(left + 1))
    while install.next_request() is None:
        install.step()
    raises(errors.UPDATE_CHUNK, install.put, b"")
    assert _run(install, release.objects)


class Files:
    """A filesystem that counts its open files, and that is full in the middle of some writes.

    Attributes:
        n_open: files that are open.
        opened: paths of all that were.
        n_calls: how often one was read or written.
        fails: how many of the next files for writing take half of what is written.
    """

    def __init__(self, files):
        self._files = files
        self.n_open = 0
        self.opened = []
        self.n_calls = 0
        self.fails = 0

    def __getattr__(self, name):
        return getattr(self._files, name)

    def open(self, path, mode):
        """Open a file."""
        is_half = self.fails > 0 and mode != "rb"
        self.fails -= is_half
        file = self._files.open(path, mode)
        self.n_open += 1
        self.opened.append(path)
        return File(self, file, is_half)


class File(io.IOBase):
    """One file of `Files`."""

    def __init__(self, files, file, is_half):
        self._files = files
        self._file = file
        self._is_half = is_half
        self.read = file.read

    def readinto(self, target):
        """Read as much as fits."""
        self._files.n_calls += 1
        return self._file.readinto(target)

    def write(self, content):
        """Write it, or a half."""
        self._files.n_calls += 1
        if not self._is_half:
            return self._file.write(content)
        self._file.write(content[: len(content) // 2])
        raise OSError(28)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self._files.n_open -= 1


def test_close_closes_every_file_wherever_it_comes():
    packed = CustomRelease([(1, "packed.py", deflate_cases.CONTENT, deflate_cases.PACKED)])
    old = Release(SIGNER, 1)
    n_closed = 0
    for release, beside in ((packed, None), (Release(SIGNER, 2), old)):
        _, store = _store(96)
        slot_files.put(store, SLOT_A, old)
        store.files = Files(store.files)
        install = None
        n_steps = 0
        while not (install and install.is_done):
            n_steps += 1
            install = _install(store, release, beside)
            _run(install, release.objects, None, n_steps)
            n_closed += store.files.n_open
            install.close()
            assert store.files.n_open == 0 and install.next_request() is None
        _must_be_whole(store, release)
    assert n_closed > 3, "no file was ever open"


def test_a_step_is_bounded():
    release = CustomRelease([(2, "large.py", bytes(range(256)) * 64, None)])
    _, store = _store(96)
    slot_files.put(store, SLOT_A, release)
    store.files = Files(store.files)
    # It is copied from the other slot, then fetched, then it is there already.
    for beside, is_there in ((release, False), (None, False), (None, True)):
        if not is_there and not beside:
            store.files.remove("s/b/formats/large.py")
        install = _install(store, release, beside)
        most = 0
        while not install.is_done:
            store.files.n_calls = 0
            _run(install, release.objects, None, 1)
            most = max(most, store.files.n_calls)
        _must_be_whole(store, release)
        # Four blocks are read back at once, after the end of what was copied.
        assert most == (5 if beside else 4)


class Lender:
    """A room for unpacking that notes what is done with it."""

    def __init__(self):
        self.log = []

    def give(self):
        """Note it."""
        self.log.append("give")

    def take(self):
        """Note it."""
        self.log.append("take")


def test_the_room_is_there_whenever_nothing_is_unpacked_until_the_manifest():
    _, store = _store()
    files = [(1, "near.py", deflate_cases.NEAR_CONTENT, deflate_cases.NEAR)]
    files.append((1, "packed.py", deflate_cases.CONTENT, deflate_cases.PACKED))
    release = CustomRelease(files)
    install = _install(store, release)
    install.room = Lender()
    assert _run(install, release.objects)
    assert install.room.log == ["give", "take", "give", "take", "give"]


def test_what_was_right_is_not_read_again():
    _, store = _store()
    store.files = Files(store.files)
    release = CustomRelease([(2, "a.py", b"A = 1\n", None), (2, "b.py", b"B = 1\n", None)])
    bad = dict(release.objects)
    for entry in _found(release).files:
        if entry[4] == "b.py":
            bad[objects.file_id(entry)] = b"B = 2\n"
    install = _install(store, release)
    raises(errors.UPDATE_HASH, _run, install, bad)
    assert "s/b/formats/a.py" in store.files.opened
    store.files.opened.clear()
    assert _run(install, release.objects)
    assert "s/b/formats/a.py" not in store.files.opened
    _must_be_whole(store, release)


def test_a_manifest_that_rots_in_the_journal_makes_no_slot_whole():
    _, store = _store()
    release = CustomRelease([(2, "a.py", b"A = 1\n", None)])
    install = _install(store, release)
    while install.next_request() is None:
        install.step()
    with store.files.open("dl/manifest", "r+b") as file:
        file.write(b"#")
    raises(errors.UPDATE_HASH, _run, install, release.objects)
    assert [entry[0] for entry in store.files.ilistdir("s/b")] == ["formats"]
    assert _run(_install(store, release), release.objects)
    _must_be_whole(store, release)


def test_half_a_piece_that_arrived_is_not_asked_for_again():
    _, store = _store()
    store.files = Files(store.files)
    content = bytes(range(256)) * 16
    release = CustomRelease([(2, "plain.py", content, None)])
    install = _install(store, release)
    while install.next_request() is None:
        install.step()
    name, offset, n_bytes = install.next_request()
    assert (offset, n_bytes) == (0, 4096)
    store.files.fails = 1
    raises_kind(OSError, install.put, content[:1000])
    while install.next_request() is None:
        install.step()
    assert install.next_request() == (name, 500, 3596) and install.done_bytes == 500
    install.step()
    assert install.next_request() == (name, 500, 3596)
    assert _run(install, release.objects)
    _must_be_whole(store, release)


def test_a_step_that_the_flash_fails_is_not_the_last_one():
    _, store = _store()
    store.files = Files(store.files)
    release = CustomRelease([(2, "a.py", b"A = 1\n", None)])
    install = _install(store, release)
    while install.next_request() is None:
        install.step()
    install.put(b"A = 1\n")
    store.files.fails = 1  # the manifest
    assert raises_kind(OSError, _run, install, release.objects).errno == 28
    assert not install.is_done
    install.step()
    assert not install.is_done
    assert _run(install, release.objects)
    _must_be_whole(store, release)


def test_no_release_brings_firmware_where_nothing_takes_it():
    _, store = _store()
    release = CustomRelease([(manifest.FIRMWARE, "firmware.bin", b"firmware", None)])
    raises(errors.UPDATE_PARTITION, _run, _install(store, release), release.objects)


def test_no_room_is_known_before_anything_is_changed():
    flash, store = _store(40)
    slot_files.put(store, SLOT_B, Release(SIGNER, 1))
    before = bytes(flash.image)
    release = Release(SIGNER, 2, table=((1, "large.py", 70000, 0, True),), golden_hash=bytes(32))
    raises(errors.UPDATE_SPACE, _run, _install(store, release), release.objects)
    assert bytes(flash.image) == before


def test_a_cut_in_any_piece_fetches_at_most_that_piece_again():
    """Power fails in the middle of every put, and at every boundary between two."""
    release = Release(SIGNER, 2)
    flash, store = _store(64)
    install = _install(store, release)
    n_boundaries = again = most = 0
    while not install.is_done:
        request = install.next_request()
        if request is None:
            install.step()
            continue
        name, offset, n_bytes = request
        piece = release.objects[name][offset : offset + min(n_bytes, objects.CHUNK_BYTES)]
        for cut in (-1, 0, 3):
            image = bytes(flash.image)
            total = _fetched_after_cut(image, release, request, piece, cut)
            left = install.total_bytes - install.done_bytes
            again += total - left
            most = max(most, total - left)
        n_boundaries += 1
        install.put(piece)
    print("ota resume boundaries=%d again_bytes=%d most=%d" % (n_boundaries, again, most))
    assert n_boundaries >= 11 and most <= MAX_AGAIN_BYTES


def _fetched_after_cut(image, release, request, piece, cut):
    """Return how much is fetched in all from here on, when power fails in the next piece."""
    flash = NorFlash(image, block_bytes=BLOCK_BYTES)
    store = Store(vfs.VfsLfs2(flash))
    install = _install(store, release)
    fetched = 0
    if cut >= 0:
        while install.next_request() is None:
            install.step()
        assert install.next_request() == request
        flash.cut_power(cut, HALF)
        fetched = len(piece)
        try:
            install.put(piece)
        except OSError:
            install.close()
        flash = NorFlash(flash.image, block_bytes=BLOCK_BYTES)
        store = Store(vfs.VfsLfs2(flash))
    requests = []
    install = _install(store, release)
    assert _run(install, release.objects, requests)
    _must_be_whole(store, release)
    for _, _, n_bytes in requests:
        fetched += min(n_bytes, objects.CHUNK_BYTES)
    return fetched
