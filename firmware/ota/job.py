"""One attempt at the wanted release: root documents, manifest, files, check, and it is armed."""

import gc
import hashlib
from binascii import unhexlify

from formats import errors, objects
from formats.errors import OnebyteError
from ota import downloads, slots, trust
from ota.check import SlotCheck
from ota.install import Install
from ota.small_object import SmallObject
from ota.standing import has_firmware
from ota.store import make_folders
from ota.unpack import Room


class _Again(Exception):
    """One signature was verified in this step; the others have theirs."""


class Job:
    """Everything that is done for one want, in bounded steps.

    Ask `next_request`: fetch that and `put` it; while it is None, `step`, until it returns True.
    After an exception a new job goes on from what is on flash.

    Args:
        standing: Standing.
        want: as `update_messages.parse_want` returns it.
        make_install: Install, or what has its interface.

    Attributes:
        is_final: another attempt would end in the same way.
        found: `Manifest` of the release once it is armed.
        total_bytes: of all of its files, 0 before they are known.
    """

    def __init__(self, standing, want, make_install=Install):
        self.is_final = False
        self.found = None
        self._standing = standing
        self._want = want
        self._make_install = make_install
        self._digest = unhexlify(want["manifest"])
        self._downloads = downloads.Downloads(standing.store)
        self._task = None
        self._install = None
        self.total_bytes = 0
        self._verdicts: dict = {}
        self._has_verified = False
        self._work = self._run()

    @property
    def done_bytes(self) -> int:
        """Bytes of its files that are there."""
        return self._install.done_bytes if self._install else self.total_bytes

    def is_for(self, want) -> bool:
        """Return whether another want asks for the same release."""
        keys = ("seq", "manifest", "bytes", "root")
        return want is not None and not [key for key in keys if want[key] != self._want[key]]

    def next_request(self):
        """Return (object id, offset, bytes) of what to fetch, None while there is other work."""
        return self._task.next_request() if self._task else None

    def put(self, piece) -> None:
        """Take the beginning of what `next_request` asked for; durable when this returns."""
        self._task.put(piece)

    def step(self) -> bool:
        """Do a bounded piece of work; return whether the release is armed.

        Raises:
            OnebyteError: the release is refused, or what came for it is wrong.
            OSError: the flash failed.
        """
        self._has_verified = False
        try:
            next(self._work)
        except StopIteration:
            return True
        return False

    def close(self) -> None:
        """End it; a download may go on later."""
        self._work.close()
        if self._task:
            self._task.close()

    def _run(self):
        want, standing = self._want, self._standing
        while want["root"] > standing.root.epoch:
            yield from self._take_root(standing.root.epoch + 1)
        yield from self._fill()
        # The slot is read back with nothing else of the release in RAM.
        gc.collect()
        standing.event(slots.FETCHED)
        found = self.found = yield from self._check()
        if standing.event(slots.VERIFIED, found) != slots.RESTART:
            self.is_final = True
            raise OnebyteError(errors.UPDATE_SEQ)
        if has_firmware(found):
            standing.platform.firmware.arm(found)

    def _fill(self):
        """Accept the manifest and bring its files into the slot."""
        standing = self._standing
        room = Room()  # while the heap has a piece of this size
        content = yield from self._take_manifest()
        try:
            found = yield from self._judge(self._open_manifest, content)
        except OnebyteError:
            self.is_final = True  # it has the hash that was asked for
            raise
        if not self._goes_on() and standing.event(slots.OFFER, found.manifest_seq) != (
            slots.DOWNLOAD
        ):
            self.is_final = True
            raise OnebyteError(errors.UPDATE_SEQ)
        gc.collect()
        yield
        beside = standing.source_of_copies()
        self._install = self._make_install(standing.store, standing.target, content, found, beside)
        self._install.room = room
        # A frame keeps what it names, and what it named, from the collector.
        del content, found, beside, room
        self._install.firmware = standing.platform.firmware
        self.total_bytes = self._install.total_bytes
        yield from self._do(self._install)
        self._install = None

    def _goes_on(self) -> bool:
        """Return whether an attempt before this one has begun the same download."""
        return self._standing.node.phase in (slots.FETCH, slots.VERIFY)

    def _do(self, task):
        self._task = task
        del task  # this frame outlives the task
        while not self._task.is_done:
            if self._task.next_request() is None:
                self._task.step()
            yield
        self._task = None

    def _take_root(self, epoch: int):
        name = objects.root_id(epoch)
        yield from self._fetch_small(name, 0)
        content = self._downloads.read(name)
        try:
            root = yield from self._judge(self._open_root, content)
        except OnebyteError:
            self._downloads.remove(name)  # no message names its hash: others may come
            raise
        standing = self._standing
        standing.store.add_root(content, epoch)
        standing.event(slots.ROOT, epoch)
        standing.root = root
        self._downloads.remove(name)
        yield

    def _take_manifest(self):
        want = self._want
        content = self._downloads.read(downloads.MANIFEST)
        if hashlib.sha256(content).digest() == self._digest:
            return content
        del content
        yield from self._fetch_small(want["manifest"], want["bytes"])
        content = self._downloads.read(want["manifest"])
        if hashlib.sha256(content).digest() != self._digest:
            self._downloads.remove(want["manifest"])
            raise OnebyteError(errors.UPDATE_HASH, "manifest")
        return content

    def _fetch_small(self, name: str, n_bytes: int):
        path = self._downloads.path(name)
        make_folders(self._standing.store.files, path)
        yield from self._do(SmallObject(self._standing.store.files, path, name, n_bytes))

    def _open_manifest(self, content):
        standing = self._standing
        found = trust.open_manifest(
            content, standing.root, standing.device, standing.record, self._verify
        )
        if found.manifest_seq != self._want["seq"]:
            raise OnebyteError(errors.UPDATE_WANT, "seq %d" % found.manifest_seq)
        return found

    def _open_root(self, content):
        return trust.open_root(content, self._standing.root, self._verify)

    def _judge(self, function, content):
        """Return what a decision of `ota.trust` returns; each of its signatures takes a step."""
        while True:
            try:
                found = function(content)
                break
            except _Again:
                pass
            yield
        self._verdicts.clear()
        return found

    def _verify(self, public_key, signature, message) -> bool:
        name = hashlib.sha256(bytes(public_key) + bytes(signature))
        for part in message:
            name.update(part)
        name = name.digest()
        if name not in self._verdicts:
            if self._has_verified:
                raise _Again
            self._has_verified = True
            self._verdicts[name] = self._standing.verify(public_key, signature, message)
        return self._verdicts[name]

    def _check(self):
        """Read the whole slot back, as a boot does; what is armed is what was accepted."""
        standing = self._standing
        path = standing.store.slot_path(standing.target)
        check = SlotCheck(
            standing.store.files, path, standing.root, standing.verify, standing.device
        )
        while not check.step():
            yield
        reason = check.reason
        if not reason and hashlib.sha256(check.content).digest() != self._digest:
            reason = errors.UPDATE_HASH
        if not reason:
            return check.manifest
        standing.event(slots.VERIFY_FAILED)
        self._downloads.clear()
        raise OnebyteError(reason, check.detail)
