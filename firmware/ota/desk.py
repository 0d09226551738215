"""The desk: a computer on the console's cable brings a release. It may do what the air may.

`onebyte deploy` stops the node and calls these functions from the raw REPL. What it brings is
judged by the same code as a download: signature, class, seq, every hash; then it is armed, and a
start tries it. docs/SPEC.md: Desk.
"""

import hashlib
import json
import select
import sys

from formats import errors
from formats.slot_state import NAMES
from ota import slots
from ota.cable import TIMEOUT, Cable, CableInstall
from ota.downloads import Downloads
from ota.job import Job


class Remembered:
    """Ed25519 for one visit: the slot is read back with the signature that was verified before.

    Args:
        verify: checks one signature.
    """

    def __init__(self, verify) -> None:
        self._verify = verify
        self._verdicts: dict = {}

    def __call__(self, public_key, signature, message) -> bool:
        digest = hashlib.sha256(bytes(public_key) + bytes(signature))
        for part in message:
            digest.update(part)
        name = digest.digest()
        if name not in self._verdicts:
            self._verdicts[name] = self._verify(public_key, signature, message)
        return self._verdicts[name]


def open_cable(window_bytes: int) -> Cable:
    """Return the cable of the console."""
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    return Cable(sys.stdin.buffer, poll.poll, window_bytes)


def status(updates) -> None:
    """Print in one line of JSON where the node stands.

    Args:
        updates: `ota.updates.Updates`.
    """
    at = updates.standing
    device, record = at.device, at.record
    values = {"phase": at.node.phase, "running": NAMES[at.node.running], "epoch": at.root.epoch}
    for name in ("installed_seq", "pending_seq", "last_bad_seq", "security_floor"):
        values[name] = getattr(record, name)
    for name in ("vendor", "product_class", "hardware", "firmware", "tenant", "mpy_abi", "arch"):
        values[name] = getattr(device, name)
    values["slot_bytes"] = device.slot_bytes
    values["seq"] = at.found.manifest_seq if at.found else 0
    values["manifest"] = at.store.manifest_path(at.node.running) if at.found else ""
    print(json.dumps(values))


def receive(updates, want: dict, window_bytes: int) -> None:
    """Take a release and arm it, or say why not; the last line is `desk end <reason> <text>`.

    When nobody answers any more the board starts anew and runs what it ran: the cable is gone.

    Args:
        updates: `ota.updates.Updates`.
        want: as `update_messages.parse_want` returns it.
        window_bytes: see `Cable`.
    """
    at = updates.standing
    cable = open_cable(window_bytes)
    verify, at.verify = at.verify, Remembered(at.verify)
    job = Job(at, want, lambda *arguments: CableInstall(cable, *arguments))
    try:
        while True:
            request = job.next_request()
            if request is not None:
                for piece in cable.fetch([(request[0], request[2])]):
                    job.put(piece)
            elif job.step():
                break
        Downloads(at.store).clear()
        print("desk end 0 armed")
    except errors.OnebyteError as error:
        print("desk end %d %s" % (error.code, error))
    except OSError as error:
        if error.errno == TIMEOUT:
            updates.platform.restart()
        print("desk end %d flash or cable: %s" % (errors.UPDATE_FLASH, error))
    finally:
        job.close()
        at.verify = verify


def acknowledge(updates, seq: int) -> None:
    """Confirm the trial of a release that is healthy; the line is `desk end <reason> <text>`.

    Whoever is at the console stands in for the server.

    Args:
        updates: `ota.updates.Updates`.
        seq: of the release.
    """
    at, updater = updates.standing, updates.updater
    if updater is None or not updater.is_healthy or at.node.phase != slots.TRIAL:
        print("desk end %d the trial is %s" % (errors.TRIAL_SERVER, at.node.phase))
    elif at.event(slots.SERVER_ACK, seq) == slots.IGNORE:
        print("desk end %d another release is on trial" % errors.UPDATE_SEQ)
    else:
        print("desk end 0 confirmed")


def abandon(updates) -> None:
    """End a trial, so that another release can come after the next start."""
    at = updates.standing
    if at.node.phase == slots.TRIAL:
        at.event(slots.HEALTH_FAILED, errors.TRIAL_SERVER)
    print("desk end 0 %s" % at.node.phase)
