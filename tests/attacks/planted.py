"""Checks that are taken away, one at a time, and the rows that have to notice it."""

from app import loader as app_loader
from app.update_channel import UpdateChannel
from formats import errors, manifest
from ota import check, install, job, loader, trial, trust, unpack


def _true(*_):
    return True


def _zero(*_):
    return 0


def _nothing(*_):
    return None


def _signature(lab):
    lab.signer.verify = _true


def _revoked(_):
    before = trust.signer_of

    def signer_of(document, root, *rest):
        root.revoked = []
        return before(document, root, *rest)

    trust.signer_of = signer_of


def _scope(_):
    trust.key_reason = _zero


def _device(_):
    trust.device_reason = _zero


def _progress(_):
    trust.progress_reason = _zero


def _payload_hash(_):
    def is_right(self, path, digest):
        yield
        return True

    install.Install._is_right = is_right


def _slot_hash(_):
    def no_hash(self, entry):
        yield

    check.SlotCheck._hash = no_hash


def _listing(_):
    check.check_listing = _nothing


def _name(_):
    manifest._check_name = _nothing


def _unpacked_size(_):
    def unpack_into(source, target, n_bytes, buffer, room=None):
        import deflate

        stream = deflate.DeflateIO(source, deflate.RAW, 12)
        for _ in range(100):
            try:
                content = stream.read(1024)
            except Exception:
                raise errors.OnebyteError(errors.UPDATE_DEFLATE)
            if not content:
                break
            target.write(content)
            yield

    install.unpack_into = unpack.unpack_into = unpack_into


def _said_seq(_):
    before = job.Job._open_manifest

    def open_manifest(self, content):
        self._want["seq"] = manifest.parse(content[80:]).manifest_seq
        return before(self, content)

    job.Job._open_manifest = open_manifest


def _root_threshold(_):
    trust.valid_signers = lambda document, keys, verify: [name for name, _ in document.signatures]


def _acknowledgement(_):
    def acknowledge(self, seq, record):
        self._is_acknowledged = True

    trial.Trial.acknowledge = acknowledge


def _golden(_):
    app_loader.check_golden = _nothing


def _search_path(_):
    loader.search_path = lambda slot, is_frozen, before: [name for name in before if name]


def _topic(_):
    def take(self, topic, payload):
        if topic.endswith(b"/ack"):
            self._updater.on_ack(payload)
        return True

    UpdateChannel.take = take


# name -> (what takes the check away, the rows that notice it)
PLANTED = {
    "signature": (_signature, ("forged_keys", "bad_encodings")),
    "revoked": (_revoked, ("forged_keys",)),
    "scope": (_scope, ("forged_keys",)),
    "device": (_device, ("wrong_node",)),
    "progress": (_progress, ("downgrade", "fast_forward")),
    "payload_hash": (_payload_hash, ("mix_and_match",)),
    "slot_hash": (_slot_hash, ("check_and_use",)),
    "listing": (_listing, ("trailing_bytes",)),
    "name": (_name, ("path_escape",)),
    "unpacked_size": (_unpacked_size, ("bombs",)),
    "said_seq": (_said_seq, ("fast_forward",)),
    "root_threshold": (_root_threshold, ("compromised_root_key",)),
    "acknowledgement": (_acknowledgement, ("forged_acknowledgements",)),
    "golden": (_golden, ("bad_model",)),
    "search_path": (_search_path, ("shadow_modules",)),
    "topic": (_topic, ("topic_escape",)),
}
