"""What a node accepts: every reason by its code, every bit and every cut of a signed file."""

import sample_release
from check import raises
from sample_release import (
    device,
    flips,
    key,
    model_fields,
    reason,
    release,
    root,
    root_fields,
    seal,
    sign,
    state,
    verify,
)

from formats import errors, manifest, manifest_pack, root_document, root_pack, signed, signed_pack
from ota import trust


def judge(file, **changes):
    """Return the code that the file is refused with; changes replace root, device or state."""
    return reason(
        trust.open_manifest,
        file,
        changes.get("root", root()),
        changes.get("device", device()),
        changes.get("state", state()),
        verify,
    )


def test_a_good_release_is_accepted():
    found = trust.open_manifest(release(), root(), device(), state(), verify)
    assert found.manifest_seq == 12 and found.tenant == "farm-7"
    assert judge(release(tenant="")) == 0
    assert judge(release(root_epoch=1), root=root(epoch=5)) == 0
    model = model_fields(key_id=signed.key_id(key("models")))
    assert judge(seal(signed.MANIFEST, manifest_pack.pack(model), "models")) == 0


def test_every_reason_has_its_code():
    for code, releases, changes in (
        (errors.UPDATE_VENDOR, {"vendor": 8}, {}),
        (errors.UPDATE_CLASS, {"product_class": 4}, {}),
        (errors.UPDATE_HARDWARE, {"hardware_mask": 0b11}, {}),
        (errors.UPDATE_TENANT, {"tenant": "farm-8"}, {}),
        (errors.UPDATE_TENANT, {}, {"device": device(tenant="")}),
        (errors.UPDATE_ABI, {"mpy_abi": 5}, {}),
        (errors.UPDATE_ABI, {"arch": 10}, {}),
        (errors.UPDATE_FIRMWARE, {"min_firmware": 5}, {}),
        (errors.UPDATE_SIZE, {}, {"device": device(slot_bytes=11006)}),
        (errors.UPDATE_ROOT, {"root_epoch": 2}, {}),
        (errors.ROOT_EPOCH, {}, {"state": state(root_epoch=2)}),
        (errors.UPDATE_KEY, {"key_id": signed.key_id(key("models"))}, {}),
        (errors.UPDATE_SEQ, {"manifest_seq": 11}, {}),
        (errors.UPDATE_SEQ, {"manifest_seq": 1}, {}),
        (errors.UPDATE_KNOWN_BAD, {}, {"state": state(last_bad_seq=12)}),
        (errors.UPDATE_KNOWN_BAD, {}, {"state": state(last_bad_seq=13)}),
        (errors.UPDATE_SEQ_STEP, {"manifest_seq": 11 + 65537}, {}),
        (errors.UPDATE_FLOOR, {}, {"state": state(security_floor=11)}),
    ):
        assert judge(release(**releases), **changes) == code, errors.name(code)
    assert judge(release(manifest_seq=11 + 65536)) == 0
    assert judge(release(), state=state(security_floor=10)) == 0
    assert judge(release(), device=device(slot_bytes=11007)) == 0


def test_firmware_needs_room_in_its_partition():
    image = (manifest.FIRMWARE, manifest.PLAIN, 5000, 5000, "firmware.bin", bytes(32))
    file = release(files=[image], mpy_abi=0, arch=0, golden_hash=bytes(32))
    assert judge(file) == errors.UPDATE_SIZE
    assert judge(file, device=device(partition_bytes=5000)) == 0


def test_a_key_releases_only_what_it_may():
    named = {"key_id": signed.key_id(key("models"))}
    for values, code in (
        (sample_release.fields(**named), errors.UPDATE_SCOPE),
        (model_fields(product_class=4, **named), errors.UPDATE_SCOPE),
    ):
        assert judge(seal(signed.MANIFEST, manifest_pack.pack(values), "models")) == code


def test_a_release_of_a_wrong_key_is_refused():
    body = manifest_pack.pack(sample_release.fields())
    for name, code in (
        ("nobody", errors.SIGNED_KEY),
        ("r1", errors.SIGNED_KEY),
        ("stolen", errors.SIGNED_REVOKED),
    ):
        assert judge(seal(signed.MANIFEST, body, name)) == code
    assert judge(seal(signed.MANIFEST, body, "release", "models")) == errors.SIGNED_LIST
    revoked = root(release_keys=[], revoked=[signed.key_id(key("release"))])
    assert judge(release(), root=revoked) == errors.SIGNED_REVOKED
    assert judge(release(), root=root(release_keys=[])) == errors.SIGNED_KEY


def test_a_signature_is_good_for_one_purpose():
    body = manifest_pack.pack(sample_release.fields())
    for text in (body, signed.message(signed.ROOT, body), b"\0" + body):
        file = signed_pack.pack(
            signed.MANIFEST, [(key("release"), sign(key("release"), text))], body
        )
        assert judge(file) == errors.SIGNED_INVALID
    other = manifest_pack.pack(sample_release.fields(manifest_seq=13))
    mixed = release()[: -len(body)] + other
    assert judge(mixed) == errors.SIGNED_INVALID
    assert judge(seal(signed.ROOT, body, "release")) == errors.SIGNED_KIND


def test_nothing_is_parsed_before_it_is_verified():
    file = release()
    parse, seen = manifest.parse, []
    manifest.parse = lambda body: seen.append(body) or parse(body)
    try:
        for bad in (file[:-1], file[:-1] + b"x", seal(1, b"no manifest", "nobody")):
            assert judge(bad)
            assert not seen
        assert judge(seal(signed.MANIFEST, b"no manifest", "release")) == errors.MANIFEST_SIZE
        assert seen
    finally:
        manifest.parse = parse


def test_every_bit_and_every_cut_of_a_release_is_refused():
    file = release()
    given = root(), device(), state(), verify
    for bad in flips(file):
        assert 130 <= reason(trust.open_manifest, bad, *given) < 140
    for length in range(len(file)):
        assert 130 <= reason(trust.open_manifest, file[:length], *given) < 140
    for more in (b"\0", bytes(68), file, bytes(4096)):
        assert 130 <= judge(file + more) < 140


def second(*names, **changes):
    """Return a root document of epoch 2, signed by these people."""
    values = {"epoch": 2, "root_keys": [key("r2"), key("r3"), key("r4")]}
    values.update(changes)
    return seal(signed.ROOT, root_pack.pack(root_fields(**values)), *names)


def judge_root(file, **changes):
    """Return the code that the file is refused with after the root document of epoch 1."""
    return reason(trust.open_root, file, root(**changes), verify)


def test_the_next_root_document_is_signed_by_both_thresholds():
    for names in (("r2", "r3"), ("r1", "r2", "r4"), ("r1", "r2", "r3", "r4")):
        assert judge_root(second(*names)) == 0, names
    for names, code in (
        (("r1", "r2"), errors.SIGNED_THRESHOLD),
        (("r1", "r3"), errors.SIGNED_THRESHOLD),
        (("r3",), errors.SIGNED_THRESHOLD),
        (("r3", "r4"), errors.SIGNED_THRESHOLD),
        (("r4",), errors.SIGNED_KEY),
        (("release",), errors.SIGNED_KEY),
        (("stolen", "r2"), errors.SIGNED_REVOKED),
        (("r2", "r3", "nobody"), errors.SIGNED_KEY),
    ):
        assert judge_root(second(*names)) == code, names
    found = trust.open_root(second("r2", "r3"), root(), verify)
    assert found.epoch == 2 and key("r4") in found.root_keys


def test_one_stolen_root_key_moves_nothing():
    # Its thief may write any document, sign as often as he likes, and lower the threshold.
    values = {"root_keys": [key("r1")], "threshold": 1}
    assert judge_root(second("r1", **values)) == errors.SIGNED_THRESHOLD
    values = {"root_keys": [key("r1"), key("thief")], "threshold": 2}
    assert judge_root(second("r1", "thief", **values)) == errors.SIGNED_THRESHOLD


def test_a_key_that_may_sign_less_is_retired_for_the_rest():
    wide = next(entry for entry in root().release_keys if entry[0] == key("release"))
    narrow = (wide[0], wide[1], 1 << manifest.FIRMWARE)
    found = trust.open_root(second("r2", "r3", release_keys=[narrow]), root(), verify)
    assert wide in found.retired and narrow not in found.retired
    assert judge(release(), root=found) == errors.UPDATE_SCOPE, "nothing new is taken"
    third = second("r2", "r3", epoch=3, release_keys=[wide])
    again = trust.open_root(third, found, verify)
    assert narrow in again.retired and wide not in again.retired
    names = sorted(root().revoked + [signed.key_id(key("release"))])
    gone = second("r2", "r3", release_keys=[], revoked=names)
    assert wide not in trust.open_root(gone, root(), verify).retired


def test_epochs_vendor_and_revoked_keys_go_on():
    for changes, code in (
        ({"epoch": 1}, errors.ROOT_EPOCH),
        ({"epoch": 3}, errors.ROOT_EPOCH),
        ({"vendor": 8}, errors.ROOT_VENDOR),
        ({"revoked": []}, errors.ROOT_REVOKED),
    ):
        assert judge_root(second("r2", "r3", **changes)) == code
    more = [signed.key_id(key("stolen")), signed.key_id(key("r1"))]
    assert judge_root(second("r2", "r3", revoked=more)) == 0


def test_no_root_document_is_parsed_before_it_is_verified():
    parse, seen = root_document.parse, []
    root_document.parse = lambda body: seen.append(body) or parse(body)
    given = root_document.RootDocument(root_pack.pack(root_fields()))
    seen.clear()
    try:
        for names in (("r1",), ("nobody",), ("r1", "r4")):
            assert reason(trust.open_root, seal(signed.ROOT, b"x", *names), given, verify)
        assert not seen
        raises(
            errors.ROOT_SIZE, trust.open_root, seal(signed.ROOT, b"x", "r1", "r2"), given, verify
        )
        assert seen
    finally:
        root_document.parse = parse


def test_every_bit_and_every_cut_of_a_root_document_is_refused():
    file = second("r1", "r2", "r4")
    given = root(), verify
    for bad in flips(file):
        assert 130 <= reason(trust.open_root, bad, *given) < 140
    for length in range(len(file)):
        assert 130 <= reason(trust.open_root, file[:length], *given) < 140
    for more in (b"\0", bytes(72), file, bytes(4096)):
        assert 130 <= judge_root(file + more) < 140


def test_an_envelope_may_be_as_large_as_the_spec_says():
    signers = [(key("k%d" % i), bytes(64)) for i in range(16)]
    body = bytes(4096 - 8 - 16 * 72)
    for kind, number in ((signed.MANIFEST, 1), (signed.ROOT, 2)):
        file = signed_pack.pack(kind, signers, body)
        assert len(file) == 4096 and file[:8] == b"OBG\x1a\x01" + bytes([number, 16, 0])
        found = signed.parse(file, kind)
        assert len(found.signatures) == 16 and found.body == body


def test_an_envelope_is_refused_by_name():
    file = release()
    for at, value, code in (
        (0, 0, errors.SIGNED_MAGIC),
        (4, 2, errors.SIGNED_VERSION),
        (5, 2, errors.SIGNED_KIND),
        (6, 0, errors.SIGNED_LIST),
        (6, 17, errors.SIGNED_LIST),
        (7, 1, errors.SIGNED_LIST),
        (6, 7, errors.SIGNED_SIZE),
    ):
        bad = bytearray(file)
        bad[at] = value
        raises(code, signed.parse, bytes(bad), signed.MANIFEST)
    for size in (0, 79, 4097):
        raises(errors.SIGNED_SIZE, signed.parse, bytes(size), signed.MANIFEST)
    raises(errors.SIGNED_SIZE, signed.parse, file[:80], signed.MANIFEST)
    twice = [(key("release"), bytes(64))] * 2
    raises(errors.SIGNED_LIST, signed_pack.pack, signed.MANIFEST, twice, b"x")
    raises(errors.SIGNED_LIST, signed_pack.pack, signed.MANIFEST, [], bytes(100))
    raises(errors.SIGNED_SIZE, signed_pack.pack, signed.MANIFEST, [(key("a"), bytes(63))], b"x")
