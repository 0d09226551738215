"""Store, slot check and loader over LittleFS in RAM: what a start runs, and what it writes."""

import gc
import sys

import ota_releases
import sample_release
import slot_files
import vfs
from nor_flash import DONE, NorFlash

from formats import errors, manifest, signed, slot_state
from formats.slot_state import NO_SLOT, SLOT_A, SLOT_B
from ota import loader, slots
from ota.check import STEP_BYTES, SlotCheck
from ota.store import Store

SIGNER = ota_releases.StandIn
LARGE = ((1, "node.py", 9000, manifest.PLAIN, None), (9, "exercise.obm", 2100, 0, None))


def _device(**changes):
    return sample_release.device(hardware=2, **changes)


def _store(image=None):
    gc.collect()  # the flash of before, while there is room for another in one piece
    flash = NorFlash(image, n_blocks=64)
    if image is None:
        vfs.VfsLfs2.mkfs(flash)
    return flash, Store(vfs.VfsLfs2(flash))


def _filled(active=SLOT_A, seqs=(1, 2), **state):
    """A node with a release in each slot."""
    flash, store = _store()
    for slot, seq in zip((SLOT_A, SLOT_B), seqs):
        if seq:
            slot_files.put(store, slot, ota_releases.Release(SIGNER, seq))
    if state:
        slot_files.put_state(store, active=active, **state)
    return flash, store


def _boot(store, device=None):
    product = slot_files.Product(device or _device())
    return loader.boot(store, product, SIGNER.verify, lambda: None)


def _check(store, slot=SLOT_A, root=None, device=None):
    root = root or store.read_root(ota_releases.root_file(SIGNER, 1), SIGNER.verify)
    check = SlotCheck(store.files, store.slot_path(slot), root, SIGNER.verify, device)
    check.run(lambda: None)
    return check


def _rot(store, slot, name, at=70):
    path = "%s/%s" % (store.slot_path(slot), name)
    with store.files.open(path, "r+b") as file:
        file.seek(at)
        file.write(b"\xa5")


def test_a_state_survives_its_file_and_nothing_else_passes_for_one():
    _, store = _store()
    assert store.read_state() is None
    state = slot_files.put_state(store, active=SLOT_B, installed_seq=7)
    assert store.read_state().values() == state.values()
    content = bytes(slot_state.pack(state))
    for bad in (b"", content[:-1], content + b"\x00", bytes(44), b"\xff" * 44):
        slot_files.write_file(store.files, "st/state", bad)
        assert store.read_state() is None, bad


def test_a_state_is_the_old_or_the_new_one_wherever_power_fails():
    flash, store = _filled(installed_seq=1)
    before = bytes(flash.image)
    n_cuts = cut = 0
    while True:
        flash = NorFlash(before)
        store = Store(vfs.VfsLfs2(flash))
        flash.cut_power(cut, DONE if cut % 2 else "half")
        state = store.read_state()
        state.record_seq = 9
        try:
            store.write_state(state)
        except OSError:
            pass
        if not flash.dead:
            break
        found = Store(vfs.VfsLfs2(NorFlash(flash.image))).read_state()
        assert found is not None and found.record_seq in (1, 9), (cut, found)
        n_cuts += 1
        cut += 1
    assert n_cuts >= 3, n_cuts
    print("state cuts=%d" % n_cuts)


def test_the_active_slot_runs():
    _, store = _filled(installed_seq=2, active=SLOT_B)
    found = _boot(store)
    assert (found.node.phase, found.node.running) == (slots.IDLE, SLOT_B)
    assert found.manifest.manifest_seq == 2 and found.slot_path == "s/b"
    assert found.content == store.read("s/b/manifest", 4096)
    assert found.found == (None, None, found.manifest), "slot a was looked at for nothing"
    assert not found.is_trial


def test_a_rotten_byte_falls_back_to_the_other_slot_for_good():
    for name in ("manifest", "app/node.py", "model/exercise.obm"):
        _, store = _filled(installed_seq=2, active=SLOT_B)
        _rot(store, SLOT_B, name)
        found = _boot(store)
        assert (found.node.running, found.manifest.manifest_seq) == (SLOT_A, 1), name
        state = store.read_state()
        assert (state.active, state.fail_reason) == (SLOT_A, errors.SLOT_DAMAGED)
        assert state.installed_seq == 2


def test_a_try_is_counted_before_the_slot_runs():
    _, store = _filled(installed_seq=1, pending=SLOT_B, pending_seq=2, tries_left=2)
    for left in (1, 0):
        found = _boot(store)
        assert found.is_trial and found.node.running == SLOT_B
        assert store.read_state().tries_left == left
        assert found.found[SLOT_A] is None, "the active slot was looked at for nothing"
    found = _boot(store)
    assert (found.node.phase, found.node.running) == (slots.REVERT, SLOT_A)
    assert store.read_state().fail_reason == errors.TRIAL_SPENT


def test_a_record_with_the_last_number_is_followed_by_the_first():
    _, store = _filled(
        installed_seq=1, pending=SLOT_B, pending_seq=2, tries_left=2, record_seq=0xFFFFFFFF
    )
    assert _boot(store).is_trial
    state = store.read_state()
    assert (state.record_seq, state.tries_left) == (1, 1)


def test_without_a_record_the_higher_release_runs_on_trial():
    _, store = _filled()
    found = _boot(store)
    assert found.is_trial and found.manifest.manifest_seq == 2
    assert store.read_state().fail_reason == errors.STATE_LOST
    _, store = _filled(seqs=(0, 5))
    found = _boot(store)
    assert (found.node.phase, found.node.running) == (slots.IDLE, SLOT_B)


def test_no_slot_may_run():
    _, store = _filled(seqs=(0, 0))
    found = _boot(store)
    assert (found.node.phase, found.node.running, found.slot_path) == (slots.RECOVERY, NO_SLOT, "")
    assert found.manifest is None and store.read_state() is None
    assert loader.describe(found).startswith("no slot may run")


def test_where_no_try_can_be_counted_the_confirmed_slot_runs():
    class Full(Store):
        def write_state(self, state):
            raise OSError(28)

    _, store = _filled(installed_seq=1, pending=SLOT_B, pending_seq=2, tries_left=2)
    found = _boot(Full(store.files))
    assert (found.node.phase, found.node.running) == (slots.IDLE, SLOT_A)
    assert found.manifest.manifest_seq == 1
    assert store.read_state().tries_left == 2
    _rot(store, SLOT_A, "app/node.py")
    found = _boot(Full(store.files))
    assert (found.node.phase, found.node.running) == (slots.RECOVERY, NO_SLOT)


def test_a_slot_is_refused_with_the_reason():
    def extra(path):
        return lambda store: slot_files.write_file(store.files, path, b"VERSION = 6\n")

    def extra_bytes(path):
        return lambda store: store.files.open(path, "wb").close()  # no UTF-8, so no str

    def cut(store):
        content = store.read("s/a/app/node.py", 9000)
        slot_files.write_file(store.files, "s/a/app/node.py", content[:-1])

    def longer(store):
        content = store.read("s/a/app/node.py", 9000)
        slot_files.write_file(store.files, "s/a/app/node.py", content + b"\n")

    cases = (
        (lambda store: None, 0),
        (lambda store: store.files.remove("s/a/manifest"), errors.SLOT_EMPTY),
        (lambda store: store.files.remove("s/a/app/node.py"), errors.SLOT_DAMAGED),
        (lambda store: _rot(store, SLOT_A, "app/node.py"), errors.SLOT_FILE_HASH),
        (cut, errors.SLOT_FILE_SIZE),
        (longer, errors.SLOT_FILE_SIZE),
        (extra("s/a/hashlib.py"), errors.SLOT_UNLISTED),
        (extra("s/a/ota/loader.py"), errors.SLOT_UNLISTED),
        (extra("s/a/app/shadow.py"), errors.SLOT_UNLISTED),
        (extra("s/a/app/deep/shadow.py"), errors.SLOT_UNLISTED),
        (extra("s/a/drivers/lis3dh.py"), errors.SLOT_UNLISTED),
        (lambda store: store.files.mkdir("s/a/drivers"), errors.SLOT_UNLISTED),
        (extra_bytes(b"s/a/\xff"), errors.SLOT_UNLISTED),
        (extra_bytes(b"s/a/app/\xff.py"), errors.SLOT_UNLISTED),
        (lambda store: _rot(store, SLOT_A, "manifest", 100), errors.SIGNED_INVALID),
    )
    for change, reason in cases:
        _, store = _filled(seqs=(1, 0))
        change(store)
        check = _check(store)
        assert check.reason == reason, (check.reason, check.detail, reason)
        assert (check.manifest is None) == bool(reason)


def test_a_slot_for_another_node_or_by_another_key_does_not_run():
    _, store = _filled(seqs=(1, 0))
    changes = (
        ({"vendor": 8}, errors.UPDATE_VENDOR),
        ({"product_class": 4}, errors.UPDATE_CLASS),
        ({"hardware": 3}, errors.UPDATE_HARDWARE),
        ({"tenant": "another", "slot_bytes": 10}, 0),
    )
    for change, reason in changes:
        device = sample_release.device(hardware=2)
        for name, value in change.items():
            setattr(device, name, value)
        assert _check(store, device=device).reason == reason, change
    root = store.read_root(ota_releases.root_file(SIGNER, 1), SIGNER.verify)
    entry = root.release_keys[0]
    root.release_keys = []
    assert _check(store, root=root).reason == errors.SIGNED_KEY
    root.retired = [entry]
    assert _check(store, root=root).reason == 0, "what a retired key has signed goes on running"
    root.release_keys = [(entry[0], entry[1], 1 << manifest.FIRMWARE)]
    assert _check(store, root=root).reason == 0, "less for the key stops nothing that runs"
    root.release_keys, root.retired = [entry], [root.release_keys[0]]
    assert _check(store, root=root).reason == 0, "nor that it could sign less once"
    root.release_keys = root.retired
    root.retired = []
    for device in (None, _device()):
        assert _check(store, root=root, device=device).reason == errors.UPDATE_SCOPE
    root.retired = [entry]
    root.revoked = [signed.key_id(entry[0])]
    assert _check(store, root=root).reason == errors.SIGNED_REVOKED


def test_a_check_goes_in_bounded_steps():
    _, store = _store()
    slot_files.put(store, SLOT_A, ota_releases.Release(SIGNER, 1, table=LARGE))
    root = store.read_root(ota_releases.root_file(SIGNER, 1), SIGNER.verify)
    check = SlotCheck(store.files, "s/a", root, SIGNER.verify)
    n_steps = 0
    while not check.step():
        n_steps += 1
    assert check.manifest is not None and check.step()
    assert n_steps >= 2 + 11000 // STEP_BYTES, n_steps


def test_a_read_that_fails_once_costs_nothing():
    flash, store = _filled(installed_seq=2, active=SLOT_B)
    store.add_root(ota_releases.root_file(SIGNER, 2), 2)
    first = flash.reads
    _boot(store)
    n_reads = flash.reads - first
    for i in range(1, n_reads + 1):
        flash.failing_reads = (flash.reads + i,)
        found = _boot(store)
        is_right = found.node.running == SLOT_B and found.root.epoch == 2
        assert is_right, "read %d of %d" % (i, n_reads)
    print("boot reads=%d, each failed once" % n_reads)


def test_the_last_root_document_of_the_chain_is_in_force():
    _, store = _store()
    first = ota_releases.root_file(SIGNER, 1)
    assert store.read_root(first, SIGNER.verify).epoch == 1
    for epoch in (2, 3, 4):
        store.add_root(ota_releases.root_file(SIGNER, epoch), epoch)
    assert store.read_root(first, SIGNER.verify).epoch == 4
    slot_files.write_file(store.files, "st/root.3", ota_releases.root_file(SIGNER, 4))
    assert store.read_root(first, SIGNER.verify).epoch == 2
    sample_reason = sample_release.reason(store.read_root, b"no root", SIGNER.verify)
    assert sample_reason == errors.SIGNED_SIZE


def test_the_path_has_the_slot_first_and_nothing_unchecked():
    path = loader.search_path
    assert path("/s/a", True, [".frozen", "/lib", "/"]) == ["/s/a", "/s/a/top", ".frozen"]
    assert path("", True, [".frozen", "/lib", "/"]) == [".frozen"]
    wanted = ["/s/b", "/s/b/top", ".frozen", "/lib"]
    assert path("/s/b", False, ["", ".frozen", "/lib", "/"]) == wanted


def test_what_a_slot_brings_anew_is_dropped_and_the_loader_stays():
    release = ota_releases.Release(
        SIGNER,
        1,
        golden_hash=bytes(32),
        table=(
            (2, "crc.py", 64, 0, True),
            (7, "hashlib.py", 64, 0, True),
            (7, "ota.py", 64, 0, 1),
        ),
    )
    _, store = _store()
    slot_files.put(store, SLOT_A, release)
    found = _boot(store)
    names = loader.replaced(found.manifest)
    assert "formats" in names and "hashlib" in names and "ota" not in names
    path, modules = sys.path[:], dict(sys.modules)
    try:
        loader.enter(found)
        assert sys.path[:2] == ["s/a", "s/a/top"]
        assert "ota.loader" in sys.modules and "formats.crc" not in sys.modules
        assert "app" not in names
    finally:
        sys.path[:] = path
        sys.modules.update(modules)
