"""Attacks by whoever has the console's cable, as `onebyte deploy` has it: the rules of the air."""

from lab import CLASS, NEW, id_of

from formats import errors, objects
from ota import desk

_PIECE_BYTES = 512


class FakeCable:
    """A computer on the cable that answers with what it likes."""

    def __init__(self, held):
        self.buffer = memoryview(bytearray(4096))
        self._held = held

    def fetch(self, wanted):
        """Yield the pieces of objects, as `ota.cable.Cable` does."""
        for name, n_bytes in wanted:
            content = self._held[name]
            for at in range(0, n_bytes, _PIECE_BYTES):
                yield content[at : min(n_bytes, at + _PIECE_BYTES)]


class Visit:
    """What the desk gets of the updates."""

    def __init__(self, world):
        self.standing = world.updater._at
        self.updater = world.updater
        self.platform = self.standing.platform


def _receive(world, held, want):
    """Bring a release over the cable; return the reason that the desk prints."""
    said = []
    desk.print = said.append
    desk.open_cable = lambda window_bytes: FakeCable(held)
    try:
        desk.receive(Visit(world), want, _PIECE_BYTES)
    finally:
        del desk.print
    return int(said[-1].split(" ")[2])


def _try(lab, what, content, expected, base="idle", **changes):
    world = lab.world(base)
    before = world.kept()
    held = dict(lab.new.objects)
    held[id_of(content)] = content
    held["root2"] = lab.roots[1]
    held.update(changes.pop("held", {}))
    want = {"seq": NEW, "manifest": id_of(content), "bytes": len(content), "root": 1, "url": ""}
    want.update(changes)
    reasons = _receive(world, held, want), expected
    lab.judge_refused("malicious serial input", what + " by cable", world, reasons, before)


def releases_by_cable(lab):
    """Releases that the air would refuse come over the cable."""
    good = lab.new.content
    old = lab.made(manifest_seq=4, content_version=4, security_floor=0)
    for what, content, expected, changes in (
        ("unknown key", lab.made("attacker"), errors.SIGNED_KEY, {}),
        ("forged signature", good[:16] + bytes(64) + good[80:], errors.SIGNED_INVALID, {}),
        ("tampered manifest", good[:-1] + b"\x00", errors.SIGNED_INVALID, {}),
        ("a key for models", lab.made("models"), errors.UPDATE_SCOPE, {}),
        ("another class", lab.made(product_class=CLASS + 1), errors.UPDATE_CLASS, {}),
        ("an older release", old, errors.UPDATE_SEQ, {"seq": 4}),
        ("an older release under a new number", old, errors.UPDATE_SEQ, {}),
        ("below the floor", lab.made(content_version=1, security_floor=0), errors.UPDATE_FLOOR,
         {}),
        ("too far", lab.made(manifest_seq=1 << 20), errors.UPDATE_SEQ_STEP, {"seq": 1 << 20}),
        ("a root document", lab.roots[1], errors.SIGNED_KIND, {}),
    ):  # fmt: skip
        _try(lab, what, content, expected, **changes)
    _try(lab, "revoked key", lab.made("stolen"), errors.SIGNED_REVOKED, "rotated")
    for entry in lab.new.found.files:
        name = objects.file_id(entry)
        content = lab.new.objects[name]
        bad = content[:-1] + bytes([content[-1] ^ 1])
        expected = (errors.SLOT_FILE_HASH, errors.UPDATE_DEFLATE, errors.UPDATE_HASH)
        _try(lab, "tampered " + entry[4], good, expected, held={name: bad})


def confirmed_by_cable(lab):
    """A trial that is not healthy, or not there, is confirmed by nobody at the console either."""
    for base, seq in (("idle", NEW), ("trial", NEW + 1), ("trial", NEW), ("reverted", NEW)):
        world = lab.world(base)
        world.facts.sensor_ok = False
        before = world.kept()
        said = []
        desk.print = said.append
        try:
            desk.acknowledge(Visit(world), seq)
        finally:
            del desk.print
        is_accepted = world.updater.status()["installed_seq"] == NEW
        what = "confirm %d in %s by cable" % (seq, base)
        reasons = int(said[-1].split(" ")[2]), (errors.TRIAL_SERVER, errors.UPDATE_SEQ)
        lab.judge.note(
            "malicious serial input", what, is_accepted, reasons, world.kept() != before
        )


ROWS = (releases_by_cable, confirmed_by_cable)
