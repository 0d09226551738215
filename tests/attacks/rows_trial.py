"""Attacks with releases that are signed and bad, and with the messages of a broker."""

import obkernels
from check import Random
from lab import INSTALLED, NEW, names_in, read

from app import loader as app_loader
from formats import errors, manifest, objects, update_messages
from ota import slots
from ota.pace import Limits

# Whether the C check is the one under attack, or its twin in Python.
IS_NATIVE = not hasattr(obkernels, "__file__") or obkernels.__file__.endswith(".mpy")


class Source:
    """A sensor as the sample model wants it."""

    def __init__(self, info):
        self.n_channels = info.n_channels
        self.rate_mhz = info.rate_mhz


class Board:
    """What the app needs to prove a model."""

    kernels = obkernels
    files = None

    def __init__(self, info):
        self.source = Source(info)


class Config:
    """What the app is told."""

    spectrum = "exact"
    custom_path = ""


def model_reason(content):
    """Return why the app refuses a model file, 0 when it runs it: what Facts.model_reason is."""
    try:
        info = app_loader.parse(content, obkernels)
        app_loader.prove(info, content, Board(info), Config())
    except errors.OnebyteError as error:
        return error.code
    return 0


def _with_model(lab, model):
    """Return (signed manifest, object id, object) of the new release with another model."""
    import hashlib

    files = []
    for entry in lab.new.found.files:
        if entry[0] != manifest.MODEL:
            files.append(entry)
            continue
        n_bytes = len(model)
        digest = hashlib.sha256(model).digest()
        files.append((manifest.MODEL, manifest.PLAIN, n_bytes, n_bytes, entry[4], digest))
        name = objects.file_id(files[-1])
    return lab.made(files=files), name


def _try_model(lab, row, what, model):
    """Sign and publish a model: the trial ends with the app's reason, and the node goes back."""
    expected = model_reason(model)
    if not expected:
        return False
    content, name = _with_model(lab, model)
    world = lab.world()
    before, counters = world.kept(), world.counters()
    del before["st/state"]
    world.serve(lab.new, content)
    world.source.objects[name] = model
    world.run(lambda status: status["phase"] == slots.TRIAL)
    # The app of the slot looks at the model that came, not at ours.
    path = world.updater.slot_path + "/model/model.obm"
    with world.store.files.open(path, "rb") as file:
        world.facts.model_reason = model_reason(file.read())
    world.acknowledges = True
    status = world.run(lambda status: status["bad_seq"] == NEW)
    world.facts.model_reason = 0
    status = world.settle()
    after = world.kept()
    del after["st/state"]
    is_accepted = status["seq"] != INSTALLED or status["installed_seq"] != INSTALLED
    is_changed = after != before or world.counters() != counters
    lab.judge.note(row, what, is_accepted, (status["reason"], expected), is_changed)
    return True


def malformed_model(lab):
    """Damaged models, signed: the C check refuses each, and none is executed."""
    assert IS_NATIVE, "the twin is not what is under attack"
    n_cases = 0
    for name in names_in(lab.folder + "/models"):
        model = read("%s/models/%s" % (lab.folder, name))
        n_cases += _try_model(lab, "malformed model into C", name, model)
    assert n_cases > 30


def bad_model(lab):
    """Models that are whole and compute something else than their golden vectors say."""
    import sample_model

    random = Random(9)
    for i in range(12):
        fields = sample_model.fields()
        vectors = [list(vector) for vector in fields["golden_vectors"]]
        vector = vectors[random.below(len(vectors))]
        vector[1] = (vector[1] + 1 + random.below(200)) & 0xFF
        fields["golden_vectors"] = [tuple(one) for one in vectors]
        model = sample_model.model_pack.pack(fields)
        found = model_reason(model)
        reasons = found, errors.GOLDEN_MISMATCH
        lab.judge.note("signed but bad model", "%d, the app" % i, not found, reasons)
        _try_model(lab, "signed but bad model", "%d" % i, model)


def forged_acknowledgements(lab):
    """Acknowledgements from anybody, in every state: only this trial's, and health, confirm it."""
    row = "malicious broker"
    for base in ("idle", "trial", "reverted", "confirmed", "recovery", "rotated", "armed"):
        world = lab.world(base)
        status = world.updater.status()
        before = world.kept()
        for seq in (status["pending_seq"], NEW, INSTALLED, NEW + 1, 1, 0xFFFFFFFF):
            for record in (status["record"] - 1, status["record"] + 1, 1, 0xFFFFFFFF):
                if seq and record:
                    world.updater.on_ack(update_messages.pack_ack(seq, record))
        for _ in range(50):
            world.turn()
        is_accepted = world.updater.status()["installed_seq"] != status["installed_seq"]
        if base == "armed":
            before, after = {}, {}  # it restarts into its trial by itself
        else:
            after = world.kept()
        lab.judge.note(row, "acknowledgements in " + base, is_accepted, (0, 0), before != after)
    sick_trial(lab, row)


def sick_trial(lab, row):
    """The right acknowledgement of a trial that is not healthy confirms nothing."""
    for what, changes, expected in (
        ("no sensor", {"sensor_ok": False}, errors.TRIAL_SENSOR),
        ("no windows", {"windows": 0}, errors.TRIAL_WINDOWS),
        ("a refused model", {"model_reason": errors.GOLDEN_MISMATCH}, errors.GOLDEN_MISMATCH),
    ):
        world = lab.world("trial")
        for name, value in changes.items():
            setattr(world.facts, name, value)
        counters = world.counters()
        status = world.updater.status()
        world.updater.on_ack(update_messages.pack_ack(status["pending_seq"], status["record"]))
        status = world.run(lambda status: status["bad_seq"] == NEW)
        is_accepted = status["installed_seq"] != INSTALLED
        is_changed = world.counters() != counters
        lab.judge.note(row, what, is_accepted, (status["reason"], expected), is_changed)


def floods(lab):
    """Thousands of messages: malformed, contradicting, changing all the time."""
    row = "malicious broker"
    random = Random(3)
    world = lab.world()
    before = world.kept()
    good = b'{"v":1,"seq":6,"manifest":"%s","bytes":428,"root":1,"url":""}'
    good = good.replace(b"%s", lab.new.id.encode())
    for i in range(1500):
        payload = bytearray(good)
        for _ in range(1 + random.below(3)):
            payload[random.below(len(payload))] = random.below(256)
        (world.updater.on_want if i % 3 else world.updater.on_ack)(bytes(payload))
    lab.judge.note(row, "1500 damaged messages", world.updater.bad_messages < 1000)
    world.want = b""
    world.updater.on_want(b"")
    lab.judge_refused(row, "1500 damaged messages", world, (world.until_refused(), 0), before)
    changing_wants(lab, row)
    worn_flash(lab, row)


def worn_flash(lab, row):
    """Another bad manifest after each refusal, for a day: pauses spare the flash."""
    world = lab.world()
    for name, value in vars_of(Limits()):
        setattr(world.limits, name, value)
    good = lab.new.content
    n_wants, n_ops, end_ms = 0, world.flash.ops, world.now_ms + 86400000
    while world.now_ms < end_ms:
        if world.updater.status()["refused"] or not world.want:
            n_wants += 1
            world.serve(lab.new, good[:-4] + n_wants.to_bytes(4, "little"))
        world.turn()
        rest_ms = world.updater.rest_ms(world.now_ms)
        if rest_ms > 100 and not world.updater.is_busy:
            world.now_ms += min(rest_ms, 900000)
    n_ops = world.flash.ops - n_ops
    lab.judge.note(row, "%d wants a day, %d operations" % (n_wants, n_ops), n_ops > 2000)
    assert 10 < n_wants < 500, n_wants


def vars_of(found):
    """Return (name, value) of the fields of an object."""
    return [(name, getattr(found, name)) for name in dir(found) if name[0] != "_"]


def changing_wants(lab, row):
    """Another release wanted at every turn, none of them there: nothing is kept but the state."""
    world = lab.world(attempts=5)
    before = world.kept()
    for i in range(300):
        digest = "%064x" % (i + 1)
        want = {"seq": NEW + i % 40, "manifest": digest, "bytes": 400, "root": 1, "url": ""}
        world.updater.on_want(update_messages.pack_want(want))
        world.turn()
    world.updater.on_want(b"")
    n_left = len(world.downloads())
    lab.judge.note(row, "300 wants", n_left > 3)
    lab.judge_refused(row, "300 wants", world, (world.until_refused(), 0), before)


ROWS = (malformed_model, bad_model, forged_acknowledgements, floods)
