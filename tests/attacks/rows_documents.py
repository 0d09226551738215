"""Attacks with manifests: changed, forged, old, for others, malformed."""

import struct

from lab import CLASS, INSTALLED, NEW, id_of

from formats import errors, manifest, objects, signed
from ota import slots, trust

_BODY_AT = signed.HEADER_BYTES + signed.ENTRY_BYTES
_L = 2**252 + 27742317777372353535851937790883648493


def tampered_manifest(lab):
    """Every bit of a signed manifest; one of every byte goes the whole way over the air."""
    content = lab.new.content
    world = lab.world()
    device, record, root = world.product.device, world.updater._at.record, world.boot.root
    for bit in range(8 * len(content)):
        bad = bytearray(content)
        bad[bit >> 3] ^= 1 << (bit & 7)
        expected = _reason_of(bit, len(content))
        try:
            trust.open_manifest(bytes(bad), root, device, record, lab.signer.verify)
            found = 0
        except errors.OnebyteError as error:
            found = error.code
        what = "bit %d" % bit
        lab.judge.note("tampered manifest", what, found == 0, (found, expected))
    for at in range(len(content)):
        bad = content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :]
        expected = _reason_of(8 * at + at % 8, len(content))
        lab.try_manifest("tampered manifest", "byte %d over the air" % at, bad, expected)
    # As it comes, under the id of the right one.
    world = lab.world()
    before = world.kept()
    world.serve(lab.new)
    world.source.objects[lab.new.id] = content[:-1] + bytes([content[-1] ^ 1])
    reasons = world.until_refused(), errors.UPDATE_HASH
    lab.judge_refused("tampered manifest", "under the right id", world, reasons, before)


def _reason_of(bit, n_bytes):
    """Return what the order of checks in docs/SPEC.md says about a changed bit."""
    at = bit >> 3
    if at < 4:
        return errors.SIGNED_MAGIC
    if at == 4:
        return errors.SIGNED_VERSION
    if at == 5:
        return errors.SIGNED_KIND
    if at < 8:
        count = 1 ^ 1 << bit - 48
        is_too_short = 1 <= count <= 16 and n_bytes <= 8 + 72 * count
        return errors.SIGNED_SIZE if is_too_short else errors.SIGNED_LIST
    return errors.SIGNED_KEY if at < 16 else errors.SIGNED_INVALID


def forged_keys(lab):
    """Signed by nobody, by the wrong people, for another purpose."""
    row = "forged, unknown or revoked key"
    body = lab.body()
    good = lab.new.content
    no_signature = good[:16] + bytes(64) + good[_BODY_AT:]
    root_message = signed.message(signed.ROOT, body)
    cases = (
        ("no signature", no_signature, errors.SIGNED_INVALID),
        ("random signature", good[:16] + bytes(range(64)) + good[_BODY_AT:],
         errors.SIGNED_INVALID),
        ("unknown key", lab.made("attacker"), errors.SIGNED_KEY),
        ("a root key", lab.made("root0"), errors.SIGNED_KEY),
        ("a device's key", lab.made("device"), errors.SIGNED_KEY),
        ("two signatures", lab.seal(body, "release", "models"), errors.SIGNED_LIST),
        ("signed as a root document", lab.seal(body, "release", message=root_message),
         errors.SIGNED_INVALID),
        ("signed without a purpose", lab.seal(body, "release", message=body),
         errors.SIGNED_INVALID),
        ("names another key", lab.seal(lab.body(key_id=bytes(8)), "release"), errors.UPDATE_KEY),
        ("a key for models", lab.made("models"), errors.UPDATE_SCOPE),
        ("a key of another class", lab.made("other_class"), errors.UPDATE_SCOPE),
        ("a root document", lab.roots[1], errors.SIGNED_KIND),
    )  # fmt: skip
    for what, content, expected in cases:
        lab.try_manifest(row, what, content, expected)
    lab.try_manifest(row, "revoked key", lab.made("stolen"), errors.SIGNED_REVOKED, "rotated")
    # Somebody else's id before a signature that fits nobody.
    stolen = lab.seal(body, "attacker")
    for name in ("release", "models", "other_class", "stolen"):
        key_id = signed.key_id(lab.signer.key(name))
        lab.try_manifest(row, "%s's id" % name, stolen[:8] + key_id + stolen[16:],
                         errors.SIGNED_INVALID)  # fmt: skip


def bad_encodings(lab):
    """The same signature in other bytes, and the edges of RFC 8032."""
    row = "bad Ed25519 encodings"
    good = lab.new.content
    scalar = int.from_bytes(good[48:80], "little")
    for n in range(1, 16):
        other = scalar + n * _L
        if other < 1 << 256:
            bad = good[:48] + other.to_bytes(32, "little") + good[80:]
            lab.try_manifest(row, "S + %d L" % n, bad, errors.SIGNED_INVALID)
    negative = (_L - scalar).to_bytes(32, "little")
    lab.try_manifest(row, "-S", good[:48] + negative + good[80:], errors.SIGNED_INVALID)
    with open(lab.folder + "/edges", "rb") as file:
        content = file.read()
    at = 0
    while at < len(content):
        (n_bytes,) = struct.unpack("<I", content[at : at + 4])
        key, signature = content[at + 4 : at + 36], content[at + 36 : at + 100]
        message = content[at + 100 : at + 100 + n_bytes]
        is_valid = lab.signer.verify(key, signature, (message,))
        lab.judge.note(row, "edge at %d" % at, is_valid)
        at += 100 + n_bytes


def downgrade(lab):
    """A validly signed older release, in every state a node can be in."""
    row = "downgrade"
    for base, seq, expected in (
        ("idle", 4, errors.UPDATE_SEQ),
        ("idle", 1, errors.UPDATE_SEQ),
        ("recovery", 4, errors.UPDATE_SEQ),
        ("rotated", 4, errors.UPDATE_SEQ),
        ("reverted", 4, errors.UPDATE_SEQ),
        ("reverted", NEW, errors.UPDATE_KNOWN_BAD),
        ("confirmed", 4, errors.UPDATE_SEQ),
        ("confirmed", INSTALLED, errors.UPDATE_SEQ),
    ):
        content = lab.made(manifest_seq=seq, content_version=seq, security_floor=0)
        lab.try_manifest(
            row, "%d in %s" % (seq, base), content, expected, base, wants={"seq": seq}
        )
        if base != "confirmed":
            # The message says another number than the manifest.
            what = "%d in %s under a new number" % (seq, base)
            lab.try_manifest(row, what, content, expected, base, wants={"seq": NEW + 3})
    for version in (0, 1, 2):
        content = lab.made(content_version=version, security_floor=0)
        lab.try_manifest(row, "content %d below the floor" % version, content, errors.UPDATE_FLOOR)
    for base in ("trial", "armed"):
        while_pending(lab, row, base, 4)


def while_pending(lab, row, base, seq):
    """Offer an older release to a node that waits for a trial or is in one: it is not taken up."""
    world = lab.world(base)
    world.acknowledges = False
    before, pending = world.kept(), world.updater.status()["pending_seq"]
    content = lab.made(manifest_seq=seq, content_version=seq, security_floor=0)
    world.serve(lab.new, content, seq=seq)
    for _ in range(300):
        world.turn()
    status = world.updater.status()
    is_accepted = status["pending_seq"] != pending or status["installed_seq"] != INSTALLED
    lab.judge.note(row, "%d in %s" % (seq, base), is_accepted, (0, 0), world.kept() != before)


def replay(lab):
    """What was right once: the same release, the same message, an acknowledgement of before."""
    row = "replay"
    for base, seq in (("idle", INSTALLED), ("confirmed", NEW)):
        world = lab.world(base)
        before = world.kept()
        for _ in range(5):
            world.serve(lab.releases[seq])
            reasons = world.until_refused(600), 0
        lab.judge_refused(row, "release %d again in %s" % (seq, base), world, reasons, before)
    world = lab.world("reverted")
    before = world.kept()
    for i in range(5):
        world.serve(lab.new, url="" if i % 2 else "http://other/")
        reasons = world.until_refused(600), errors.UPDATE_KNOWN_BAD
    lab.judge_refused(row, "the release that failed", world, reasons, before)


def freeze(lab):
    """The server keeps a node where it is: nothing new, an empty message, the same one again.

    A node cannot know of what it is not told. It says its seq and epoch in every report.
    """
    row = "freeze"
    for what, payload in (("nothing", None), ("withdrawn", b""), ("the old release", b"old")):
        world = lab.world()
        before = world.kept()
        for _ in range(20):
            if payload == b"old":
                world.serve(lab.releases[INSTALLED])
            elif payload is not None:
                world.updater.on_want(payload)
            reasons = world.until_refused(100), 0
        is_silent = world.updater.status()["seq"] != INSTALLED
        lab.judge.note(row, what + ", and the report says so", is_silent)
        lab.judge_refused(row, what, world, reasons, before)


def fast_forward(lab):
    """Numbers that would use up all that there are."""
    row = "fast-forward seq"
    step = trust.MAX_SEQ_STEP
    for seq in (INSTALLED + step + 1, 1 << 20, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF):
        content = lab.made(manifest_seq=seq)
        lab.try_manifest(
            row, "signed %d" % seq, content, errors.UPDATE_SEQ_STEP, wants={"seq": seq}
        )
        # Only the message says it: the manifest is right, and its number is not what was said.
        lab.try_manifest(
            row, "said %d" % seq, lab.new.content, errors.UPDATE_WANT, wants={"seq": seq}
        )


def wrong_node(lab):
    """Releases for other nodes, validly signed."""
    row = "wrong class, hardware, vendor, tenant, ABI"
    mpy = [(7, 0, 10, 10, "native.mpy", bytes(32))] + list(lab.new.found.files)
    compiled = {"files": mpy}
    for what, expected, changes in (
        ("vendor", errors.UPDATE_VENDOR, {"vendor": 8}),
        ("class", errors.UPDATE_CLASS, {"product_class": CLASS + 7}),
        ("hardware", errors.UPDATE_HARDWARE, {"hardware_mask": 0b11}),
        ("hardware 31", errors.UPDATE_HARDWARE, {"hardware_mask": 1 << 31}),
        ("tenant", errors.UPDATE_TENANT, {"tenant": "farm-8"}),
        ("tenant, a longer name", errors.UPDATE_TENANT, {"tenant": "farm-77"}),
        ("mpy version", errors.UPDATE_ABI, _merge(compiled, {"mpy_abi": 5, "arch": 3})),
        ("architecture", errors.UPDATE_ABI, _merge(compiled, {"mpy_abi": 6, "arch": 4})),
        ("firmware", errors.UPDATE_FIRMWARE, {"min_firmware": 5}),
        ("firmware, highest", errors.UPDATE_FIRMWARE, {"min_firmware": 0xFFFFFFFF}),
        ("root epoch", errors.UPDATE_ROOT, {"root_epoch": 2}),
        ("size", errors.UPDATE_SIZE, {"files": [(1, 0, 65537, 65537, "a", bytes(32))],
                                      "golden_hash": bytes(32)}),
        ("firmware image", errors.UPDATE_SIZE, {"files": [(10, 0, 9, 9, "a", bytes(32))],
                                                "golden_hash": bytes(32)}),
        ("16 MB", errors.UPDATE_SIZE, {"files": [(1, 1, 1 << 24, 9, "a", bytes(32))],
                                       "golden_hash": bytes(32)}),
    ):  # fmt: skip
        lab.try_manifest(row, what, lab.made(**changes), expected)


def _merge(one, other):
    found = dict(one)
    found.update(other)
    return found


def path_escape(lab):
    """Names and types that would lead out of the slot, signed by a release key that leaked."""
    row = "path escape"
    at = manifest.HEADER_BYTES + 12
    for name in (
        b"../../st/state", b"..", b".hidden", b"/etc", b"a/b", b"a\\b", b"A", b"a b", b"a\x00b",
        b"",         b"\xc3\xa4", b"%2e%2e", b"~", b"a:", b"con\n", b"*", b"a" * 23 + b"/", b"-",
    ):  # fmt: skip
        padded = (name + bytes(24))[:24]
        content = changed_body(lab, at, padded)
        lab.try_manifest(row, "name %r" % name, content, errors.MANIFEST_NAME)
    for kind in (0, 11, 12, 127, 255):
        content = changed_body(lab, manifest.HEADER_BYTES, bytes([kind]))
        lab.try_manifest(row, "type %d" % kind, content, errors.MANIFEST_FILE)


def changed_body(lab, at, part):
    """Return the new release with other bytes in its body, signed by the release key."""
    body = lab.body(key_id=signed.key_id(lab.signer.key("release")))
    return lab.seal(body[:at] + part + body[at + len(part) :], "release")


def malformed_manifest(lab):
    """Everything that the reader of a manifest has to refuse, signed by a release key."""
    row = "malformed manifest"
    for what, at, part, expected in (
        ("magic", 0, b"OBX", errors.MANIFEST_MAGIC),
        ("version", 4, b"\x02", errors.MANIFEST_VERSION),
        ("no files", 5, b"\x00", errors.MANIFEST_SIZE),
        ("49 files", 5, b"\x31", errors.MANIFEST_SIZE),
        ("one file more", 5, b"\x05", errors.MANIFEST_SIZE),
        ("length", 6, b"\xff\xff", errors.MANIFEST_SIZE),
        ("root epoch 0", 16, bytes(4), errors.MANIFEST_RANGE),
        ("seq 0", 20, bytes(4), errors.MANIFEST_RANGE),
        ("floor above content", 28, b"\xff\xff", errors.MANIFEST_RANGE),
        ("vendor 0", 32, bytes(2), errors.MANIFEST_RANGE),
        ("class 0", 34, bytes(2), errors.MANIFEST_RANGE),
        ("no hardware", 36, bytes(4), errors.MANIFEST_RANGE),
        ("architecture without version", 44, b"\x00\x00\x03", errors.MANIFEST_RANGE),
        ("no tries", 47, b"\x00", errors.MANIFEST_RANGE),
        ("101 tries", 47, b"\x65", errors.MANIFEST_RANGE),
        ("unknown flag", 48, b"\x02", errors.MANIFEST_RANGE),
        ("hours without the flag", 50, b"\x01", errors.MANIFEST_RANGE),
        ("flag without hours", 48, b"\x01\x00\x00\x00", errors.MANIFEST_RANGE),
        ("721 hours", 48, b"\x01\x00\xd1\x02", errors.MANIFEST_RANGE),
        ("reserved", 60, b"\x01", errors.MANIFEST_RANGE),
        ("reserved at the end", 143, b"\x01", errors.MANIFEST_RANGE),
        ("tenant", 64, b"a/b", errors.MANIFEST_TENANT),
        ("tenant with a gap", 64, b"a\x00b", errors.MANIFEST_TENANT),
        ("no golden vectors", 96, bytes(32), errors.MANIFEST_FILE),
        ("codec", 145, b"\x02", errors.MANIFEST_FILE),
        ("file reserved", 146, b"\x01", errors.MANIFEST_FILE),
        ("17 MB", 148, b"\x00\x00\x00\x10", errors.MANIFEST_FILE),
        ("compiled without version", 156, b"node.mpy", errors.MANIFEST_FILE),
        ("order", 144, b"\x09", errors.MANIFEST_ORDER),
    ):
        lab.try_manifest(row, what, changed_body(lab, at, part), expected)
    body = lab.body(key_id=signed.key_id(lab.signer.key("release")))
    twice = body[:144] + body[144:212] + body[144:212] + body[280:]
    lab.try_manifest(row, "a file twice", lab.seal(twice, "release"), errors.MANIFEST_ORDER)
    for n_bytes in (1, 68, 143, 144, 211):
        content = lab.seal(body[:n_bytes], "release")
        lab.try_manifest(row, "%d bytes" % n_bytes, content, errors.MANIFEST_SIZE)


def trailing_bytes(lab):
    """Bytes that nobody has signed, and files that no manifest lists."""
    row = "trailing bytes and unlisted files"
    good = lab.new.content
    for n_bytes in (1, 68, 72, 500):
        bad = good + bytes(n_bytes)
        lab.try_manifest(row, "%d behind" % n_bytes, bad, errors.SIGNED_INVALID)
        body = lab.body(key_id=signed.key_id(lab.signer.key("release")))
        content = lab.seal(body + bytes(n_bytes), "release")
        lab.try_manifest(row, "%d, signed" % n_bytes, content, errors.MANIFEST_SIZE)
    too_long = good + bytes(4097 - len(good))
    world = lab.world()
    before = world.kept()
    world.source.objects[id_of(too_long)] = too_long
    world.updater.on_want(want_text(lab, too_long))
    lab.judge.note(row, "4097 bytes", not world.updater.bad_messages, (0, 0))
    lab.judge_refused(row, "4097 bytes", world, (world.until_refused(), 0), before)
    for path in ("s/b/evil.py", "s/b/app/evil.py", "s/b/ota/__init__.py", "s/b/app/sub/x.py"):
        _unlisted(lab, row, path)


def want_text(lab, content):
    """Return a message that wants a manifest, whatever its size."""
    text = '{"v":1,"seq":%d,"manifest":"%s","bytes":%d,"root":1,"url":""}'
    return (text % (lab.new.seq, id_of(content), len(content))).encode()


def _unlisted(lab, row, path):
    """A file that was put into the slot while it was being filled."""
    import slot_files

    world = lab.world()
    before = world.kept()
    world.serve(lab.new)
    while world.updater.status()["phase"] != slots.VERIFY:
        world.turn()
    slot_files.write_file(world.store.files, path, b"print('evil')")
    reasons = world.until_refused(), errors.SLOT_UNLISTED
    lab.judge_refused(row, path, world, reasons, before)


def mix_and_match(lab):
    """The manifest of one release with the files of another."""
    row = "mix-and-match"
    for seq in (4, INSTALLED):
        other = lab.releases[seq]
        for i, entry in enumerate(lab.new.found.files):
            world = lab.world()
            before = world.kept()
            world.serve(lab.new)
            name = objects.file_id(entry)
            mixed = other.objects[objects.file_id(other.found.files[i])]
            if name not in world.source.objects or mixed == world.source.objects[name]:
                continue
            world.source.objects[name] = mixed
            what = "file %d of release %d" % (i, seq)
            expected = (errors.UPDATE_HASH, errors.UPDATE_DEFLATE, errors.UPDATE_ATTEMPTS)
            if len(mixed) < entry[3]:
                expected += (errors.UPDATE_CHUNK,)
            reasons = world.until_refused(), expected
            lab.judge_refused(row, what, world, reasons, before)


ROWS = (
    tampered_manifest,
    forged_keys,
    bad_encodings,
    downgrade,
    replay,
    freeze,
    fast_forward,
    wrong_node,
    path_escape,
    malformed_manifest,
    trailing_bytes,
    mix_and_match,
)
