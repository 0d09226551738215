"""The releases of the demonstration of updates: good ones, and one for each way to be bad."""

import hashlib
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from formats import errors, manifest
from formats import model as model_format
from formats.crc import crc32
from onebyte import toolchain
from onebyte.training import csvmodel
from onebyte.updates import keys, packing, roots, rotation, signing, sources
from onebyte.updates.product import KEYS as PRODUCT_KEYS
from onebyte.updates.publish import Offer
from onebyte.updates.release import Release
from onebyte.updates.rollout import CONFIRMED, REFUSED, REVERTED
from onebyte.updates.sources import Compiler, SourceFile

__all__ = ["Step", "Vendor", "course", "weaker", "with_wrong_golden"]

VENDOR, PRODUCT_CLASS = 1, 7
_ALL_TYPES = (1 << manifest.LAST_TYPE + 1) - 2
_N_WEAK_TREES = 1

# Each becomes the `run.py` of an app whose own is called run_good.py.
_CRASHES = """from app import run_good
def main(updates, path):
    raise ValueError("a mistake that no test has seen")
"""
_HANGS = """import time
from app import run_good
def run(node, log, watchdog, console, ticks_ms):
    for _ in range(20):
        if not node.step():
            node.idle()
    while True:
        time.sleep(1)
run_good.run = run
main = run_good.main
"""
_UNREACHABLE = """from app import run_good, settings
right = settings.load
def load(path):
    config = right(path)
    config.broker_port = 9
    return config
settings.load = load
main = run_good.main
"""


@dataclass(frozen=True)
class Step:
    """One release and what the node has to make of it.

    Attributes:
        title: what it is, for people.
        offer: what the node is offered.
        outcome: how it has to end, of `updates.rollout`.
        reasons: reason codes that are right then; none for a confirmation.
    """

    title: str
    offer: Offer
    outcome: str
    reasons: tuple[int, ...] = ()


@dataclass
class Vendor:
    """Keys in memory, root documents and releases in a folder."""

    folder: Path
    root_keys: list[keys.PrivateKey] = field(default_factory=list)
    release_key: keys.PrivateKey = field(default_factory=keys.generate)

    def __post_init__(self) -> None:
        self.root_keys = [keys.generate() for _ in range(3)]
        public = [key.public for key in self.root_keys]
        scope = [(self.release_key.public, 0, _ALL_TYPES)]
        draft = roots.new_draft(self.chain(), rotation.first_fields(VENDOR, 2, public, scope))
        for key in self.root_keys[:2]:
            draft = draft.sign(key)
        roots.write(self.chain(), draft)

    def chain(self) -> roots.Chain:
        """Return the root documents."""
        return roots.read_chain(self.folder / "keys", may_be_empty=True)

    def rotate(self) -> None:
        """Replace the release key: the next root document, signed by two of three."""
        new = keys.generate()
        changes = rotation.Changes(
            add_release=((new.public, 0, _ALL_TYPES),), remove=(self.release_key.key_id,)
        )
        chain = self.chain()
        draft = roots.new_draft(chain, rotation.apply(chain.newest, changes))
        for key in self.root_keys[1:]:
            draft = draft.sign(key)
        roots.write(chain, draft)
        self.release_key = new

    def identity(self) -> dict[str, bytes]:
        """Return the files that make a node one of this vendor's, trust level L1."""
        values = dict(zip(PRODUCT_KEYS, (VENDOR, PRODUCT_CLASS, 0, 1), strict=True))
        text = ", ".join(f'"{key}": {value}' for key, value in values.items())
        return {"id/product.json": b"{%s}" % text.encode(), "id/root": self.chain().files[0]}

    def offer(self, seq: int, files: list[SourceFile], **values: object) -> Offer:
        """Pack and sign a release; its content version is its seq."""
        made = Release(self.folder / "releases" / str(seq))
        described = {
            "vendor": VENDOR,
            "product_class": PRODUCT_CLASS,
            "seq": seq,
            "content_version": seq,
            "tries": 2,
            "root_epoch": self.chain().epoch,
        }
        body = packing.pack(made.folder, files, {**described, **values})
        keys.write_file(made.signed_path, signing.sign_manifest(body, self.release_key))
        return Offer.of(made.signed(), self.chain())


def course(vendor: Vendor, models: tuple[bytes, bytes], folder: Path) -> list[Step]:
    """Return the releases in the order in which they are offered.

    Args:
        vendor: who signs them.
        models: the model that the node begins with, and a better one.
        folder: for the sources of the bad apps.
    """
    app = sources.app(toolchain.ROOT / "firmware" / "app", Compiler())
    good = [*app, _model(models[1])]
    bad_model = [*app, _model(with_wrong_golden(models[1]))]
    bad_apps = [
        [*_spoiled(app, folder / name, text), _model(models[1])]
        for name, text in (("crash", _CRASHES), ("hang", _HANGS), ("island", _UNREACHABLE))
    ]
    first = vendor.offer(1, [*app, _model(models[0])])
    steps = [
        Step("the app, with the model that is there", first, CONFIRMED),
        Step("a better model, without a restart", vendor.offer(2, good), CONFIRMED),
        Step(
            "signed, but a model that computes something else",
            vendor.offer(3, bad_model),
            REVERTED,
            (errors.GOLDEN_MISMATCH,),
        ),
    ]
    titles = (
        ("signed, but an app that crashes", errors.TRIAL_SPENT),
        ("signed, but an app that hangs", errors.TRIAL_SPENT),
        ("signed, but an app that cannot reach the server", errors.TRIAL_SERVER),
    )
    for seq, (files, (title, reason)) in enumerate(zip(bad_apps, titles, strict=True), 4):
        steps.append(Step(title, vendor.offer(seq, files), REVERTED, (reason,)))
    foreign = vendor.offer(8, good, product_class=PRODUCT_CLASS + 1)
    steps += [
        Step(
            "tampered with: one bit of the manifest",
            tampered(vendor.offer(7, good)),
            REFUSED,
            (errors.SIGNED_INVALID,),
        ),
        Step("an older one", first, REFUSED, (errors.UPDATE_SEQ,)),
        Step("one for another class", foreign, REFUSED, (errors.UPDATE_CLASS,)),
    ]
    vendor.rotate()
    last = vendor.offer(9, good)
    steps.append(Step("signed by the key of the next root document", last, CONFIRMED))
    return steps


def tampered(offer: Offer) -> Offer:
    """Return the offer with one bit of the body of its manifest changed, and named accordingly."""
    content = bytearray(offer.stored_by_id[offer.manifest_id])
    content[-1] ^= 1
    name = hashlib.sha256(content).hexdigest()
    stored = {n: c for n, c in offer.stored_by_id.items() if n != offer.manifest_id}
    return replace(offer, manifest_id=name, stored_by_id={name: bytes(content), **stored})


def weaker(model: bytes) -> bytes:
    """Return a model of which a single tree is left."""
    forest = csvmodel.forest_of(model_format.parse(model))
    return csvmodel.replace_trees(model, replace(forest, trees=forest.trees[:_N_WEAK_TREES]))


def with_wrong_golden(model: bytes) -> bytes:
    """Return a model whose golden vectors promise what it does not compute, else all in order."""
    parsed = model_format.parse(model)
    offset, length = parsed.section(model_format.GOLDEN)
    assert length, "a model without golden vectors"
    content = bytearray(model)
    confidence_at = offset + 4 + 1
    content[confidence_at] ^= 1
    content[-4:] = crc32(bytes(content[:-4])).to_bytes(4, "little")
    model_format.parse(bytes(content))
    return bytes(content)


def _model(content: bytes) -> SourceFile:
    return SourceFile(manifest.MODEL, "model.obm", content, "model.obm")


def _spoiled(app: list[SourceFile], folder: Path, text: str) -> list[SourceFile]:
    """Return an app whose start is another one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "run.py").write_text(text)
    (start,) = sources.app(folder, Compiler())
    renamed = [
        replace(file, name="run_good.mpy") if file.name == "run.mpy" else file for file in app
    ]
    assert len({file.name for file in renamed}) == len(app), "the app has no run.py"
    return [*renamed, start]
