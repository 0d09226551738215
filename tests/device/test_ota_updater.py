"""The updater over LittleFS and a scripted network: what is taken, refused, and given up."""

import ota_releases
import scripted_source
import slot_files
from check import Random
from ota_releases import Release
from update_want import want_of
from update_world import SIGNER, World, healthy, limits

from formats import errors, manifest, objects, signed
from formats.slot_state import SLOT_A, SLOT_B
from ota.health import HEALTHY, PENDING, Health


def _is_settled(status):
    return status["refused"] or (status["phase"] == "idle" and status["bad_seq"])


def _world(**limits):
    return World(Release(SIGNER, 1), **limits)


def _until_half(world):
    world.run(lambda s: s["total_bytes"] and 2 * s["done_bytes"] > s["total_bytes"])


def _must_be_unchanged(world, values):
    assert world.store.read_state().values() == values
    assert world.holds(SLOT_A, Release(SIGNER, 1))
    assert world.restarts == 0 and world.downloads() in ([], ["tried"]), world.downloads()


def test_a_release_is_fetched_tried_and_confirmed():
    world = _world()
    new = Release(SIGNER, 2)
    world.wants(new)
    status = world.run_to(2)
    assert world.restarts == 1 and world.holds(SLOT_B, new) and status["slot"] == "b"
    status = world.settle()
    assert status["phase"] == "idle" and world.downloads() == []
    phases = []
    for report in world.reports:
        if report["phase"] not in phases:
            phases.append(report["phase"])
    assert phases == ["idle", "fetch", "verify", "armed", "trial", "confirm"], phases
    assert world.reports[-1] == status
    # A file that the active slot has too is not fetched, and nothing is fetched twice.
    assert world.source.again == 0
    same = [name for name in new.objects if name in Release(SIGNER, 1).objects]
    assert len(same) == 2  # one that never changes and an empty one
    assert not [entry for entry in world.source.requests if entry[0] in same]
    # The same want, as it comes at every connect, does nothing.
    n_requests = len(world.source.requests)
    world.updater.on_want(world.want)
    world.start()
    world.settle()
    assert len(world.source.requests) == n_requests and not world.updater.status()["refused"]
    assert not world.updater.wants_link, "a node that sleeps would stay awake for it"


def test_ten_releases_in_a_row():
    world = _world()
    for seq in range(2, 12):
        world.wants(Release(SIGNER, seq))
        world.run_to(seq)
        assert world.holds(SLOT_B if seq % 2 == 0 else SLOT_A, Release(SIGNER, seq))


def test_a_trial_that_the_server_does_not_acknowledge_is_reverted_in_bounded_time():
    world = _world()
    world.acknowledges = False
    world.wants(Release(SIGNER, 2))
    world.run(lambda s: s["phase"] == "trial")
    began_ms = world.now_ms
    status = world.run(lambda s: s["bad_seq"] == 2)
    assert world.now_ms - began_ms <= world.limits.trial_ms + 1000
    assert status["reason"] == errors.TRIAL_SERVER and world.restarts == 2
    status = world.settle()
    assert (status["phase"], status["slot"], status["installed_seq"]) == ("idle", "a", 1)
    assert (status["refused"], status["refused_seq"]) == (errors.UPDATE_KNOWN_BAD, 2)
    n_requests = len(world.source.requests)
    world.start()
    world.settle()
    assert len(world.source.requests) == n_requests


def test_every_fault_of_a_trial_has_its_reason():
    for name, value, reason in (
        ("model_reason", errors.GOLDEN_MISMATCH, errors.GOLDEN_MISMATCH),
        ("heap_free", 19999, errors.TRIAL_HEAP),
        ("latency_us", 80001, errors.TRIAL_LATENCY),
        ("sensor_ok", False, errors.TRIAL_SENSOR),
        ("windows", 2, errors.TRIAL_WINDOWS),
    ):
        world = _world()
        world.wants(Release(SIGNER, 2, heap_floor_bytes=20000, latency_budget_us=80000))
        world.run(lambda s: s["phase"] == "trial")
        setattr(world.facts, name, value)
        status = world.run(lambda s: s["bad_seq"])
        assert (status["bad_seq"], status["reason"]) == (2, reason), errors.name(reason)
        assert status["installed_seq"] == 1 and world.updater.slot_path == "s/a"


def test_heap_that_is_low_at_three_looks_in_a_row_fails():
    facts = healthy()
    content = Release(SIGNER, 2, heap_floor_bytes=20000).content
    found = manifest.parse(signed.parse(content, signed.MANIFEST).body)
    judge = Health(found, limits(), 0).judge
    seen = []
    for free in (19999, 19999, 20000, 19999, 19999, 19999):
        facts.heap_free = free
        seen.append(judge(facts))
    assert seen == [PENDING, PENDING, HEALTHY, PENDING, PENDING, errors.TRIAL_HEAP]


def test_an_acknowledgement_of_another_trial_confirms_nothing():
    world = _world()
    world.acknowledges = False
    world.wants(Release(SIGNER, 2))
    status = world.run(lambda s: s["phase"] == "trial")
    record = status["record"]
    for seq, number in ((2, record - 1), (2, record + 1), (1, record), (3, record)):
        world.updater.on_ack(b'{"v":1,"seq":%d,"record":%d}' % (seq, number))
        assert world.settle(50)["phase"] == "trial"
    world.updater.on_ack(b'{"v":1,"seq":2,"record":%d}' % record)
    assert world.settle(50)["installed_seq"] == 2


def test_an_acknowledgement_waits_for_the_local_health():
    world = _world()
    world.facts.sensor_ok = False
    world.wants(Release(SIGNER, 2))
    world.run(lambda s: s["phase"] == "trial")
    assert world.settle(100)["phase"] == "trial"
    world.facts.sensor_ok = True
    assert world.settle(20)["installed_seq"] == 2


def test_a_release_that_may_confirms_alone_after_its_hours():
    for may, expected in ((True, 2), (False, 1)):
        world = _world()
        world.acknowledges = False
        changes = {"may_confirm_offline": True, "offline_h": 2} if may else {}
        world.wants(Release(SIGNER, 2, **changes))
        world.run(lambda s: s["phase"] == "trial")
        world.facts.uptime_s = 7199
        # Longer than the deadline of those that need the server.
        world.settle(1900)
        assert world.updater.is_trial
        world.settle(200)
        world.facts.uptime_s = 7200
        status = world.settle(30)
        assert status["installed_seq"] == expected, status


def test_wrong_bytes_are_given_up_after_five_attempts():
    world = _world()
    before = world.store.read_state().values()
    new = Release(SIGNER, 2)
    good = new.contents["app/node.py"]
    path = objects.hash_id(new.digests["app/node.py"])
    new.objects[path] = b"v" + good[1:]
    world.wants(new)
    status = world.run(_is_settled)
    assert (status["refused"], status["refused_seq"]) == (errors.UPDATE_HASH, 2)
    _must_be_unchanged(world, before)
    n_firsts = len([entry for entry in world.source.requests if entry[:2] == (path, 0)])
    assert n_firsts == world.limits.attempts
    n_requests = len(world.source.requests)
    world.settle()
    world.start()
    world.settle()
    assert len(world.source.requests) == n_requests, "it is remembered over a restart"
    # Another message is another try, and so is another day.
    world.source.objects[path] = good
    world.wants(Release(SIGNER, 2), url="http://host/")
    world.run_to(2)


def test_pieces_of_a_wrong_size_and_wrong_answers_are_survived():
    for fault, reason in (
        (scripted_source.LONG, errors.UPDATE_CHUNK),
        (scripted_source.EMPTY, errors.UPDATE_CHUNK),
        (scripted_source.NOT_FOUND, errors.SOURCE_REPLY),
        (scripted_source.WRONG, errors.UPDATE_HASH),
        (scripted_source.DROP, errors.UPDATE_ATTEMPTS),
        (scripted_source.STALL, errors.UPDATE_ATTEMPTS),
    ):
        world = _world()
        before = world.store.read_state().values()
        world.source.always = fault
        world.wants(Release(SIGNER, 2))
        status = world.run(_is_settled)
        assert status["refused"] == reason, (fault, errors.name(status["refused"]))
        _must_be_unchanged(world, before)
        n_requests = len(world.source.requests)
        world.settle()
        assert len(world.source.requests) == n_requests == world.limits.attempts, fault
        # A day later it is tried again, and what was wrong has passed.
        world.source.always = None
        world.now_ms += world.limits.forget_ms
        world.run_to(2)


def test_a_want_that_comes_again_and_again_changes_nothing():
    for fault, reason in ((scripted_source.DROP, errors.UPDATE_ATTEMPTS), (None, 0)):
        world = _world()
        world.source.always = fault
        world.wants(Release(SIGNER, 2))
        for _ in range(2000):
            world.updater.on_want(world.want)
            world.turn()
            if _is_settled(world.updater.status()) or world.restarts:
                break
        assert world.updater.status()["refused"] == reason, errors.name(reason)
        assert world.source.again == 0 and (reason or world.restarts == 1)


def test_a_day_goes_on_in_deep_sleep():
    world = _world()
    world.source.always = scripted_source.WRONG
    world.facts.uptime_s = 5000
    world.wants(Release(SIGNER, 2))
    world.run(_is_settled)
    world.source.always = None
    n_requests = len(world.source.requests)

    def wakes(hours):
        for _ in range(hours):
            world.facts.uptime_s += 3600
            world.now_ms = 500  # each wake is a start
            world.start()
            world.settle(20)

    wakes(20)
    world.facts.uptime_s = 30  # the battery was changed: nobody knows how long that took
    wakes(23)
    assert len(world.source.requests) == n_requests, "too early"
    wakes(2)
    assert world.run_to(2)["installed_seq"] == 2


def test_a_source_that_gets_on_is_never_given_up():
    world = _world()
    for number in range(1, 100, 2):
        world.source.script[number] = (scripted_source.DROP, scripted_source.STALL)[
            number // 2 % 2
        ]
    world.source.script[4] = scripted_source.SHORT
    world.wants(Release(SIGNER, 2))
    world.run_to(2)
    assert world.source.again <= 1024


def test_slow_data_ends_at_the_deadline_of_the_attempt():
    world = _world(attempt_ms=1500, piece_ms=1000)
    world.source._looks = 40
    world.wants(Release(SIGNER, 2))
    errors_seen = set()
    while not world.reports or world.reports[-1]["installed_seq"] != 2:
        world.settle(10)
        errors_seen.add(world.updater.error)
    # It gets on with every attempt, and so comes to its end.
    assert [text for text in errors_seen if "ETIMEDOUT" in text]
    assert world.source.again == 0 and not world.reports[-1]["refused"]


def test_a_release_that_is_not_for_this_node_is_refused_once():
    for changes, reason in (
        ({"product_class": 9}, errors.UPDATE_CLASS),
        ({"vendor": 8}, errors.UPDATE_VENDOR),
        ({"hardware_mask": 1}, errors.UPDATE_HARDWARE),
        ({"tenant": "farm-8"}, errors.UPDATE_TENANT),
        ({"min_firmware": 5}, errors.UPDATE_FIRMWARE),
        ({"root_epoch": 2}, errors.UPDATE_ROOT),
        ({"version": 0}, errors.UPDATE_FLOOR),
    ):
        world = _world()
        before = world.store.read_state().values()
        world.wants(Release(SIGNER, 2, **changes))
        status = world.run(_is_settled)
        assert (status["refused"], status["refused_seq"]) == (reason, 2), errors.name(reason)
        _must_be_unchanged(world, before)
        assert world.holds_nothing(SLOT_B)
        n_requests = len(world.source.requests)
        world.settle()
        world.start()
        status = world.settle()
        assert len(world.source.requests) == n_requests == 1
        assert status["refused"] == reason, "and says so after a restart"


def test_what_nobody_may_sign_is_refused_once():
    release = Release(SIGNER, 2)
    body = signed.parse(release.content, signed.MANIFEST).body
    for content, reason in (
        (release.content[:-1] + b"\x01", errors.SIGNED_INVALID),
        (ota_releases.seal(SIGNER, signed.MANIFEST, body, "nobody"), errors.SIGNED_KEY),
        (ota_releases.seal(SIGNER, signed.ROOT, body, "release"), errors.SIGNED_KIND),
        (release.content + b"\x00", errors.SIGNED_INVALID),
        (b"x" * 300, errors.SIGNED_MAGIC),
    ):
        world = _world()
        before = world.store.read_state().values()
        world.wants(Signed(2, content))
        status = world.run(_is_settled)
        assert status["refused"] == reason, errors.name(status["refused"])
        _must_be_unchanged(world, before)
        assert len(world.source.requests) == 1


class Signed:
    """A file that a want names as a release."""

    def __init__(self, seq, content):
        from update_world import digest_id

        self.seq = seq
        self.content = content
        self.id = digest_id(content)
        self.objects = {self.id: content}


def test_a_want_that_lies_is_refused():
    world = _world()
    before = world.store.read_state().values()
    release = Release(SIGNER, 2)
    world.wants(release, seq=3)
    status = world.run(_is_settled)
    assert (status["refused"], status["refused_seq"]) == (errors.UPDATE_WANT, 3)
    world.wants(release, bytes=len(release.content) - 1)
    assert world.run(lambda s: s["refused_seq"] == 2)["refused"] == errors.UPDATE_HASH
    world.wants(Release(SIGNER, 1), seq=4)
    assert world.run(lambda s: s["refused_seq"] == 4)["refused"] == errors.UPDATE_SEQ
    _must_be_unchanged(world, before)


def test_older_and_bad_releases_are_not_even_fetched():
    world = World(Release(SIGNER, 5))
    world.wants(Release(SIGNER, 4))
    status = world.run(_is_settled)
    assert (status["refused"], status["refused_seq"]) == (errors.UPDATE_SEQ, 4)
    assert world.source.requests == []


def test_a_want_that_is_withdrawn_ends_the_download():
    world = _world()
    before = world.store.read_state().values()
    world.wants(Release(SIGNER, 2))
    _until_half(world)
    world.updater.on_want(b"")
    assert not world.source.is_open
    n_requests = len(world.source.requests)
    status = world.settle()
    assert status["phase"] == "idle" and not status["refused"] and not status["total_bytes"]
    assert len(world.source.requests) == n_requests and not world.updater.wants_link
    _must_be_unchanged(world, before)
    world.wants(Release(SIGNER, 2))
    world.run_to(2)


def test_a_newer_want_takes_the_place_of_an_older_one():
    world = _world()
    world.wants(Release(SIGNER, 2))
    _until_half(world)
    world.updater.on_want(want_of(Release(SIGNER, 1)))
    assert world.updater.status()["phase"] == "fetch", "an older one changes nothing"
    world.wants(Release(SIGNER, 3))
    assert world.updater.status()["phase"] == "idle"
    world.run_to(3)
    assert world.holds(SLOT_B, Release(SIGNER, 3))


def test_another_place_for_the_same_release_goes_on_from_there():
    world = _world()
    world.wants(Release(SIGNER, 2))
    _until_half(world)
    world.wants(Release(SIGNER, 2), url="http://host/folder/")
    world.run_to(2)
    assert world.source.url == "http://host/folder/" and world.source.again <= 1024
    world.updater.sources = (None, None)
    world.wants(Release(SIGNER, 3))
    assert world.run(_is_settled)["refused"] == errors.SOURCE_URL


def test_a_broken_link_costs_no_attempt():
    world = _world()
    world.wants(Release(SIGNER, 2))
    for _ in range(20):
        world.settle(7)
        world.updater.link(False)
        assert not world.source.is_open
        n_requests = len(world.source.requests)
        world.settle(20)
        assert len(world.source.requests) == n_requests
        world.updater.link(True)
    world.run_to(2)
    assert world.source.again <= 20 * 1024


def test_root_documents_come_first():
    world = _world()
    for epoch in (2, 3):
        world.source.objects["root%d" % epoch] = ota_releases.root_file(SIGNER, epoch)
    new = Release(SIGNER, 2, root_epoch=3)
    world.wants(new, root=3)
    status = world.run_to(2)
    assert status["root"] == 3
    assert [entry[0] for entry in world.source.requests[:3]] == ["root2", "root3", new.id]
    world.start()
    status = world.updater.status()
    assert status["root"] == 3 and world.store.read_state().root_epoch == 3


def test_a_root_document_that_does_not_follow_is_refused():
    world = _world()
    before = world.store.read_state().values()
    world.source.objects["root2"] = ota_releases.root_file(SIGNER, 3)
    world.wants(Release(SIGNER, 2), root=2)
    assert world.run(_is_settled)["refused"] == errors.SIGNED_THRESHOLD
    _must_be_unchanged(world, before)
    n_requests = len(world.source.requests)
    assert world.updater.status()["root"] == 1 and n_requests == world.limits.attempts


def test_a_wrong_root_document_on_the_way_stops_no_rotation():
    # No message names its hash, so anybody between node and server can put another one there once.
    world = _world()
    right = ota_releases.root_file(SIGNER, 2)
    for wrong in (right[:-1] + bytes([right[-1] ^ 1]), right[:200] + bytes(len(right) - 200)):
        world = _world()
        world.source.objects["root2"] = wrong
        world.wants(Release(SIGNER, 2, root_epoch=2), root=2)
        while world.source.is_open or not world.source.requests:
            world.turn()
        world.source.objects["root2"] = right
        assert world.run_to(2)["root"] == 2


def _count_signatures(world):
    """Return a list that grows with each signature that is verified from now on."""
    counted = []
    standing = world.updater.standing
    verify = standing.verify
    standing.verify = lambda *arguments: counted.append(1) or verify(*arguments)
    return counted


def test_each_signature_has_a_step_of_its_own_and_is_verified_once():
    world = _world()
    counted = _count_signatures(world)
    world.source.objects["root2"] = ota_releases.root_file(SIGNER, 2)
    world.wants(Release(SIGNER, 2, root_epoch=2), root=2)
    while world.updater.status()["phase"] != "fetch":
        n_before = len(counted)
        world.turn()
        assert len(counted) - n_before <= 1, "the watchdog of an RP2040 has 8 s"
    assert len(counted) == 2 + 1


def test_a_manifest_with_a_wrong_signature_is_judged_once():
    world = _world()
    counted = _count_signatures(world)
    world.wants(Signed(2, Release(SIGNER, 2).content[:-1] + b"\x01"))
    assert world.run(_is_settled)["refused"] == errors.SIGNED_INVALID
    assert len(counted) == 1


def _model_release(seq, new_types=(9,)):
    """A release that differs from the one before in files of these types only."""
    table = [list(entry) for entry in ota_releases.FILES]
    for entry in table:
        entry[4] = entry[0] in new_types
    return Release(SIGNER, seq, table=table)


def test_a_model_is_tried_without_a_restart():
    world = World(_model_release(1), can_swap=True)
    world.wants(_model_release(2))
    status = world.run_to(2)
    assert (world.swaps, world.restarts, status["slot"]) == (1, 0, "b")
    assert world.updater.slot_path == "s/b"
    # Code needs a start of its own, wherever it lies.
    for seq, new_types in ((3, (1, 9)), (4, (2,)), (5, (7, 9))):
        world.wants(_model_release(seq, new_types))
        world.run_to(seq)
        assert (world.swaps, world.restarts) == (1, seq - 2)


def test_a_model_that_is_refused_at_the_swap_is_reverted():
    world = World(_model_release(1), can_swap=True)
    world.wants(_model_release(2))
    world.facts.model_reason = errors.GOLDEN_MISMATCH
    status = world.run(lambda s: s["bad_seq"] == 2)
    assert (status["reason"], world.swaps, world.restarts) == (errors.GOLDEN_MISMATCH, 1, 1)
    assert world.updater.slot_path == "s/a"


def test_a_start_in_the_middle_goes_on():
    world = _world()
    new = Release(SIGNER, 2)
    world.wants(new)
    n_starts = 0
    while world.updater.status()["installed_seq"] != 2:
        world.settle(20 + 5 * n_starts)
        world.start()
        n_starts += 1
        assert n_starts < 100, world.updater.status()
    assert world.holds(SLOT_B, new) and n_starts > 2
    assert world.source.again <= 1024 * n_starts, world.source.again
    print("ota starts=%d bytes fetched again=%d" % (n_starts, world.source.again))


def test_what_is_armed_is_what_was_accepted():
    """Another release in the slot, whole and signed, when it is read back."""
    world = _world()
    world.wants(Release(SIGNER, 2))
    world.run(lambda s: "manifest" in world.names(SLOT_B) and s["done_bytes"])
    assert world.updater.status()["phase"] == "fetch", "nothing of it was read back"
    slot_files.put(world.store, SLOT_B, Release(SIGNER, 3))
    world.run(lambda s: s["phase"] == "verify")
    while world.updater.status()["phase"] == "verify":
        world.turn()
    assert world.updater.status()["phase"] == "idle" and world.restarts == 0
    world.run_to(2)
    assert world.holds(SLOT_B, Release(SIGNER, 2))


def test_a_full_flash_is_a_reason():
    world = World(Release(SIGNER, 1), n_blocks=72)
    before = world.store.read_state().values()
    table = ota_releases.FILES + ((1, "large.py", 60000, 0, True),)
    world.wants(Release(SIGNER, 2, table=table))
    assert world.run(_is_settled)["refused"] == errors.UPDATE_SPACE
    assert world.holds_nothing(SLOT_B)
    _must_be_unchanged(world, before)
    # Somebody else fills the flash while the download runs.
    world = _world()
    world.wants(Release(SIGNER, 2))
    _until_half(world)
    filling = bytes(2048)
    try:
        for i in range(1000):
            with world.store.files.open("full%d" % i, "wb") as file:
                file.write(filling)
    except OSError:
        pass
    assert world.run(_is_settled)["refused"] == errors.UPDATE_SPACE


def test_flash_that_fails_ends_nothing():
    for n_ops in (0, 3, 10, 40, 90):
        world = _world()
        world.wants(Release(SIGNER, 2))
        world.flash.writable_ops = n_ops
        status = world.run(_is_settled)
        assert status["refused"] == errors.UPDATE_FLASH, errors.name(status["refused"])
        world.flash.writable_ops = -1
        world.now_ms += world.limits.forget_ms
        world.run_to(2)


def test_no_message_raises():
    world = _world()
    random = Random(5)
    good = want_of(Release(SIGNER, 2))
    for i in range(400):
        noise = bytearray(good)
        noise[random.below(len(noise))] = random.below(256)
        payload = bytes(noise) if i % 2 else random.bytes(random.below(300))
        world.updater.on_want(payload)
        world.updater.on_ack(payload)
        world.settle(2)
    assert world.updater.bad_messages > 400
    assert world.store.read_state().installed_seq == 1
