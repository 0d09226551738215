"""The desk: a computer on the console's cable brings a release. It may do what the air may.

`onebyte deploy` stops the node and calls these functions from the raw REPL. What it brings is
judged by the same code as a download: signature, class, seq, every hash; then it is armed, and a
start tries it. docs/SPEC.md: Desk.
"""

import json
import select
import sys

from formats import errors
from formats.crc import crc32
from formats.slot_state import NAMES
from ota import slots
from ota.downloads import Downloads
from ota.job import Job

PIECE_BYTES = 4096
_WIRE_BYTES = 4352  # a piece with some bytes escaped; what has more of them comes in two
_PACKET_BYTES = 64  # of USB: what was sent of a packet arrives as a whole
_HEADER_BYTES = 16
_PATIENCE_MS = 10000
_TRIES = 3


class Cable:
    """Objects over the console, on request.

    A request is a line, `desk get <id> <offset> <bytes>`. The answer has its length and its CRC-32
    as 8 hex digits each, then a beginning of what was asked for, in which 03h, Ctrl-C, and 1Bh are
    1Bh 'E' and 1Bh '['. So Ctrl-C always works.

    Args:
        stream: sys.stdin.buffer, or a test's.
        is_ready: function of milliseconds: whether there is something to read before they are
            over.
        window_bytes: how much the console takes without a loss while nobody reads it.
    """

    def __init__(self, stream, is_ready, window_bytes: int = PIECE_BYTES) -> None:
        self._stream = stream
        self._is_ready = is_ready
        self._window_bytes = window_bytes
        self._buffer = memoryview(bytearray(_WIRE_BYTES))

    def fetch(self, name: str, offset: int, n_bytes: int):
        """Return a beginning of an object from an offset on, at most PIECE_BYTES.

        Raises:
            OSError: nobody answers, or what comes is damaged.
        """
        for _ in range(_TRIES):
            print("desk get %s %d %d" % (name, offset, min(n_bytes, self._window_bytes)))
            header = bytes(self._read(_HEADER_BYTES))
            try:
                length, crc = int(header[:8], 16), int(header[8:], 16)
            except ValueError:
                length = 0
            if 0 < length <= _WIRE_BYTES:
                piece = (
                    bytes(self._read(length)).replace(b"\x1bE", b"\x03").replace(b"\x1b[", b"\x1b")
                )
                if crc32(piece) == crc and len(piece) <= n_bytes:
                    return piece
            self._skip()
        raise OSError(5)  # EIO

    def _read(self, n_bytes: int):
        done = 0
        while done < n_bytes:
            if not self._is_ready(_PATIENCE_MS):
                raise OSError(110)  # ETIMEDOUT
            end = min(n_bytes, done + _PACKET_BYTES)
            done += self._stream.readinto(self._buffer[done:end])
        return self._buffer[:n_bytes]

    def _skip(self) -> None:
        """Read what is left of a damaged answer."""
        while self._is_ready(200):
            self._stream.readinto(self._buffer[:1])


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
    job = Job(at, want)
    try:
        while True:
            request = job.next_request()
            if request is not None:
                job.put(cable.fetch(*request))
            elif job.step():
                break
        Downloads(at.store).clear()
        print("desk end 0 armed")
    except errors.OnebyteError as error:
        print("desk end %d %s" % (error.code, error))
    except OSError as error:
        if error.errno == 110:  # ETIMEDOUT
            updates.platform.restart()
        print("desk end %d flash or cable: %s" % (errors.UPDATE_FLASH, error))
    finally:
        job.close()


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
        at.leave_firmware(at.found)
        at.event(slots.HEALTH_FAILED, errors.TRIAL_SERVER)
    print("desk end 0 %s" % at.node.phase)
