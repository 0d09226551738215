"""Attacks with keys that leaked, and with the root documents that answer them."""

from lab import CLASS, VENDOR

from formats import errors, objects, root_document, root_pack, signed
from ota import slots

_ALL_TYPES = 0x7FE


def _fields(lab, **changes):
    """Return the fields of a root document of epoch 2 that keeps everything, with other values."""
    document = root_document.parse(signed.parse(lab.roots[0], signed.ROOT).body)
    names = root_pack.NEEDED
    fields = {name: getattr(document, name) for name in names}
    fields.update({"epoch": 2})
    fields.update(changes)
    return fields


def _root(lab, names, **changes):
    """Return a root document that these people have signed."""
    return lab.seal(root_pack.pack(_fields(lab, **changes)), *names, kind=signed.ROOT)


def _try(lab, row, what, content, expected, **options):
    """Offer a root document and judge: the epoch stays, and the release is not fetched."""
    world = lab.world(options.get("base", "idle"))
    epoch = options.get("epoch", 2)
    before = world.kept()
    world.source.objects[objects.root_id(epoch)] = content
    world.serve(lab.new, root=epoch)
    reasons = world.until_refused(), expected
    is_accepted = world.updater.status()["root"] != epoch - 1
    lab.judge_refused(row, what, world, reasons, before)
    lab.judge.note(row, what + ", the epoch", is_accepted)


def compromised_root_key(lab):
    """One of three root keys has leaked: whatever it signs, two are needed."""
    row = "one compromised root key"
    own = [lab.signer.key(name) for name in ("evil1", "evil2", "evil3")]
    mine = {"root_keys": sorted(own)}
    scope = {"release_keys": [(lab.signer.key("attacker"), root_document.ANY_CLASS, _ALL_TYPES)]}
    for what, names, changes, expected in (
        ("a release key of its own", ("root0",), scope, errors.SIGNED_THRESHOLD),
        ("root keys of its own", ("root0", "evil1", "evil2"), mine, errors.SIGNED_THRESHOLD),
        ("a threshold of one", ("root0",), {"threshold": 1}, errors.SIGNED_THRESHOLD),
        ("everybody but two", ("root0", "release", "models"), {}, errors.SIGNED_THRESHOLD),
        ("unknown keys only", ("evil1", "evil2"), mine, errors.SIGNED_KEY),
        ("release keys only", ("release", "models"), {}, errors.SIGNED_KEY),
        ("a stranger beside two", ("root0", "root1", "evil1"), {}, errors.SIGNED_KEY),
        ("no new owner agrees", ("root0", "root1"), mine, errors.SIGNED_THRESHOLD),
        ("one new owner agrees", ("root0", "root1", "evil1"), mine, errors.SIGNED_THRESHOLD),
    ):
        _try(lab, row, what, _root(lab, names, **changes), expected)
    forged = _root(lab, ("root0", "root1"))
    for at in (16, 88):
        bad = forged[:at] + bytes([forged[at] ^ 1]) + forged[at + 1 :]
        _try(lab, row, "one forged signature", bad, errors.SIGNED_INVALID)
    twice = forged[:80] + forged[8:80] + forged[152:]
    _try(lab, row, "one signature twice", twice, errors.SIGNED_LIST)


def rotation(lab):
    """A release key has leaked: the next epoch revokes it; what comes before and after that."""
    row = "release key compromise and rotation"
    good = ("root0", "root1")
    for what, changes, expected, options in (
        ("another vendor", {"vendor": VENDOR + 1}, errors.ROOT_VENDOR, {}),
        ("an epoch too far", {"epoch": 3}, errors.ROOT_EPOCH, {}),
        ("the same epoch", {"epoch": 1}, errors.ROOT_EPOCH, {}),
        ("epoch 0xFFFFFFFF", {"epoch": 0xFFFFFFFF}, errors.ROOT_EPOCH, {}),
        ("forgets what is revoked", {"epoch": 3}, errors.ROOT_REVOKED,
         {"base": "rotated", "epoch": 3}),
        ("back to the first epoch", {"epoch": 1}, errors.ROOT_EPOCH,
         {"base": "rotated", "epoch": 3}),
    ):  # fmt: skip
        _try(lab, row, what, _root(lab, good, **changes), expected, **options)
    # The key that was replaced in epoch 2 counts no more.
    content = _root(lab, ("root1", "root2"), epoch=3)
    _try(lab, row, "by a key that was replaced", content, errors.SIGNED_THRESHOLD,
         base="rotated", epoch=3)  # fmt: skip
    tampered_root(lab)
    _follow(lab, row)


def tampered_root(lab):
    """Every byte of the next root document."""
    row = "release key compromise and rotation"
    content = lab.roots[1]
    n_signatures = content[6]
    body_at = signed.HEADER_BYTES + n_signatures * signed.ENTRY_BYTES
    for at in range(4, len(content), 3):
        bad = content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :]
        expected = _reason_of(at, body_at)
        world = lab.world()
        before = world.kept()
        world.source.objects["root2"] = bad
        world.serve(lab.new, root=2)
        found = world.until_refused()
        lab.judge_refused(row, "byte %d of a root document" % at, world, (found, expected), before)


def _reason_of(at, body_at):
    """Return what docs/SPEC.md says about a changed byte behind the magic."""
    if at == 4:
        return errors.SIGNED_VERSION
    if at in (6, 7, body_at + 10, body_at + 11):
        # It says of itself that it is longer, and no more comes; or shorter.
        return errors.UPDATE_CHUNK, errors.SIGNED_LIST, errors.SIGNED_SIZE, errors.SIGNED_INVALID
    if at < body_at and (at - signed.HEADER_BYTES) % signed.ENTRY_BYTES < signed.KEY_ID_BYTES:
        return errors.SIGNED_THRESHOLD, errors.SIGNED_LIST
    return errors.SIGNED_INVALID


def _follow(lab, row):
    """The right root document first, then what the leaked key has signed."""
    world = lab.world()
    content = lab.made("stolen")
    world.source.objects["root2"] = lab.roots[1]
    world.serve(lab.new, content, root=2)
    found = world.until_refused()
    status = world.updater.status()
    is_accepted = status["phase"] == slots.TRIAL or status["root"] != 2
    lab.judge.note(row, "revoked in the same breath", is_accepted, (found, errors.SIGNED_REVOKED))
    before = world.kept()
    for what, root in (("again", 2), ("with the old epoch", 1)):
        world.serve(lab.new, content, root=root)
        world.limits.forget_ms = 0
        found = world.until_refused()
        lab.judge_refused(row, what, world, (found, errors.SIGNED_REVOKED), before)
    # What came from the stolen key before the rotation does not start any more.
    installed_by_stolen(lab, row)
    withheld_root(lab, row)


def installed_by_stolen(lab, row):
    """A slot that was signed by the key that is revoked now: the node goes back."""
    import slot_files

    from formats.slot_state import SLOT_A

    world = lab.world("rotated")
    counters = world.counters()
    entry = lab.releases[5]
    content = lab.made("stolen", manifest_seq=5, content_version=5, files=entry.found.files)
    path = world.store.manifest_path(SLOT_A)
    slot_files.write_file(world.store.files, path, content)
    world.start()
    status = world.updater.status()
    is_accepted = status["slot"] == "a"
    is_changed = world.counters()[1:] != counters[1:]
    reasons = status["reason"], errors.SLOT_DAMAGED
    lab.judge.note(row, "an installed release of a revoked key", is_accepted, reasons, is_changed)


def withheld_root(lab, row):
    """The server says that there is a next epoch and has none: nothing is installed meanwhile."""
    world = lab.world(piece_ms=100)
    before = world.kept()
    world.serve(lab.new, root=2)
    reasons = world.until_refused(20000), errors.SOURCE_REPLY
    lab.judge_refused(row, "a withheld root document", world, reasons, before)


def stolen_device_key(lab):
    """A device's own key signs nothing that counts, whatever it signs."""
    row = "stolen device key"
    lab.try_manifest(row, "a release", lab.made("device"), errors.SIGNED_KEY)
    _try(lab, row, "a root document", _root(lab, ("device",)), errors.SIGNED_KEY)
    both = _root(lab, ("device", "root0"))
    _try(lab, row, "a root document with one root key", both, errors.SIGNED_THRESHOLD)


def compromised_server(lab):
    """A server that has every message, every object and every acknowledgement, and no key."""
    row = "compromised server"
    for what, name, changes, expected in (
        ("a release of its own", "attacker", {}, errors.SIGNED_KEY),
        ("in the name of the release key", "attacker",
         {"key_id": signed.key_id(lab.signer.key("release"))}, errors.SIGNED_KEY),
        ("for another class by another key", "other_class", {"product_class": CLASS + 1},
         errors.UPDATE_CLASS),
    ):  # fmt: skip
        lab.try_manifest(row, what, lab.made(name, **changes), expected)
    # Root documents, releases and acknowledgements, all of its own, at once.
    names = ("attacker", "evil1", "evil2")
    own = sorted([lab.signer.key(name) for name in names])
    content = _root(lab, names, root_keys=own, release_keys=[], revoked=[])
    world = lab.world()
    world.acknowledges = True
    before = world.kept()
    world.source.objects["root2"] = content
    world.serve(lab.new, lab.made("attacker"), root=2)
    reasons = world.until_refused(), errors.SIGNED_KEY
    lab.judge_refused(row, "keys, release and acknowledgement", world, reasons, before)


ROWS = (compromised_root_key, rotation, stolen_device_key, compromised_server)
