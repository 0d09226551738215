"""Which slot a node runs and what it does next: a table of (phase, event). Pure: no I/O, no clock.

`boot_event` says what a boot has found, `step` looks the event up and returns the next node and
what to do. The record of the next node has to be durable before the action is done: that order is
the caller's one duty. When it cannot be written, the caller keeps the node that it had, and a boot
asks again with UNWRITABLE. docs/SPEC.md: Slots.
"""

from formats import errors
from formats.slot_state import NO_SLOT, SLOT_A, SLOT_B
from ota import slot_changes
from ota.slot_changes import is_confirmed

# Phases. OFF: the chip has just started, whatever it did before.
OFF = "off"
IDLE = "idle"
FETCH = "fetch"
VERIFY = "verify"
ARMED = "armed"
TRIAL = "trial"
CONFIRM = "confirm"
REVERT = "revert"
RECOVERY = "recovery"
PHASES = (OFF, IDLE, FETCH, VERIFY, ARMED, TRIAL, CONFIRM, REVERT, RECOVERY)
REST = "rest"  # in the table only: IDLE, or RECOVERY where no slot runs

# Events of a boot, and what comes with them. A wake from deep sleep is a boot.
PLAIN = "plain"  # nothing pending, the active slot is whole
DAMAGED = "damaged"  # nothing pending, the active slot is not whole, the other is; its number
TRY = "try"  # the pending slot is whole and has tries left
SPENT = "spent"  # the pending slot has none left or is not whole, the active one is; the reason
SPENT_ALONE = "spent_alone"  # the same, and the active slot is not whole either; the reason
LOST_BOTH = "lost_both"  # no state; both slots are whole; (epoch, slots)
LOST_ONE = "lost_one"  # no state; one slot is whole; (epoch, slots)
NOTHING = "nothing"  # no slot may run
UNWRITABLE = "unwritable"  # the state cannot be written now; the slot that may run without
# Events of a node that runs.
OFFER = "offer"  # a manifest that `ota.trust` accepts; its seq
FETCHED = "fetched"
FETCH_FAILED = "fetch_failed"
VERIFIED = "verified"  # every hash of the slot is right; the manifest
VERIFY_FAILED = "verify_failed"
HEALTH_FAILED = "health_failed"  # the reason
SERVER_ACK = "server_ack"  # the server has acknowledged a seq; that seq
OFFLINE = "offline"  # healthy for as many hours as the manifest asks for
REPORTED = "reported"  # the server knows how the trial ended
ROOT = "root"  # a root document that `ota.trust` accepts; its epoch
BOOT_EVENTS = (PLAIN, DAMAGED, TRY, SPENT, SPENT_ALONE, LOST_BOTH, LOST_ONE, NOTHING, UNWRITABLE)
RUN_EVENTS = (
    OFFER,
    FETCHED,
    FETCH_FAILED,
    VERIFIED,
    VERIFY_FAILED,
    HEALTH_FAILED,
    SERVER_ACK,
    OFFLINE,
    REPORTED,
    ROOT,
)
EVENTS = BOOT_EVENTS + RUN_EVENTS

# Actions, done after the record is durable.
IGNORE = "ignore"
RUN = "run"  # start the slot that `running` names
RECOVER = "recover"  # start the frozen recovery mode
DOWNLOAD = "download"  # into `target(node.record)`
CHECK = "check"  # the hash of every file
DROP = "drop"  # what was downloaded
RESTART = "restart"
STAY = "stay"

# (phase, event) -> (next phase, change of the record, action). What is not here is ignored.
TABLE = {
    (OFF, PLAIN): (IDLE, "keep", RUN),
    (OFF, DAMAGED): (IDLE, "fall_back", RUN),
    (OFF, TRY): (TRIAL, "count", RUN),
    (OFF, SPENT): (REVERT, "revert", RUN),
    (OFF, SPENT_ALONE): (RECOVERY, "revert", RECOVER),
    (OFF, LOST_BOTH): (TRIAL, "rebuild_both", RUN),
    (OFF, LOST_ONE): (IDLE, "rebuild_one", RUN),
    (OFF, NOTHING): (RECOVERY, "keep", RECOVER),
    (OFF, UNWRITABLE): (REST, "keep", RUN),
    (IDLE, OFFER): (FETCH, "keep", DOWNLOAD),
    (CONFIRM, OFFER): (FETCH, "keep", DOWNLOAD),
    (REVERT, OFFER): (FETCH, "keep", DOWNLOAD),
    (RECOVERY, OFFER): (FETCH, "keep", DOWNLOAD),
    (FETCH, FETCHED): (VERIFY, "keep", CHECK),
    (FETCH, FETCH_FAILED): (REST, "keep", DROP),
    (FETCH, ROOT): (REST, "epoch", DROP),  # the manifest was judged by the keys of before
    (VERIFY, VERIFIED): (ARMED, "arm", RESTART),
    (VERIFY, VERIFY_FAILED): (REST, "keep", DROP),
    (VERIFY, ROOT): (REST, "epoch", DROP),
    (ARMED, TRY): (TRIAL, "count", RUN),  # a model is tried without a restart
    (TRIAL, SERVER_ACK): (CONFIRM, "confirm", STAY),
    (TRIAL, OFFLINE): (CONFIRM, "confirm", STAY),
    (TRIAL, HEALTH_FAILED): (REVERT, "revert", RESTART),
    (CONFIRM, REPORTED): (IDLE, "keep", STAY),
    (REVERT, REPORTED): (IDLE, "keep", STAY),
    (IDLE, ROOT): (IDLE, "epoch", STAY),
    (ARMED, ROOT): (ARMED, "epoch", STAY),
    (TRIAL, ROOT): (TRIAL, "epoch", STAY),
    (CONFIRM, ROOT): (CONFIRM, "epoch", STAY),
    (REVERT, ROOT): (REVERT, "epoch", STAY),
    (RECOVERY, ROOT): (RECOVERY, "epoch", STAY),
}


class Node:
    """Where a node stands; only the record outlives a restart.

    Attributes:
        phase: One of PHASES.
        record: The `slot_state.State` that is durable, None while there is none.
        running: The slot whose files run, or NO_SLOT.
    """

    def __init__(self, phase: str, record, running: int) -> None:
        self.phase = phase
        self.record = record
        self.running = running


def boot_event(record, slots, epoch: int) -> tuple:
    """Return (event, what comes with it) of a boot.

    Args:
        record: The state, None when it cannot be read.
        slots: (None, manifest of slot a, manifest of slot b); None for a slot whose signature or
            any of whose hashes is wrong. A slot that nothing depends on is not asked for.
        epoch: Of the root document in force, for a state that has to be made anew.
    """
    if record is None:
        return _lost_event(slots, epoch)
    if record.pending != NO_SLOT:
        found = slots[record.pending]
        is_whole = found is not None and found.manifest_seq == record.pending_seq
        if is_whole and record.tries_left:
            return TRY, None
        reason = errors.TRIAL_SPENT if is_whole else errors.SLOT_DAMAGED
        return SPENT if is_confirmed(record, slots[record.active]) else SPENT_ALONE, reason
    if is_confirmed(record, slots[record.active]):
        return PLAIN, None
    for slot in (SLOT_A, SLOT_B):
        if is_confirmed(record, slots[slot]):
            return DAMAGED, slot
    return NOTHING, None


def _lost_event(slots, epoch):
    _, a, b = slots
    if a is None and b is None:
        return NOTHING, None
    if a is not None and b is not None and a.manifest_seq != b.manifest_seq:
        return LOST_BOTH, (epoch, slots)
    return LOST_ONE, (epoch, slots)


def step(node: Node, event: str, detail=None) -> tuple:
    """Return (next node, action); the same node and IGNORE where the event means nothing.

    Where the next node has another record, that is written before the action is done.

    Args:
        node: Where the node stands; it is not changed.
        event: One of EVENTS.
        detail: What comes with the event, see there.
    """
    entry = TABLE.get((node.phase, event))
    guard = GUARDS.get(event)
    if entry is None or (guard is not None and not guard(node, detail)):
        return node, IGNORE
    phase, change, action = entry
    record = slot_changes.CHANGES[change](node.record, detail)
    running = node.running
    if phase == TRIAL:
        running = record.pending
    elif phase == RECOVERY:
        running = NO_SLOT
    elif event == UNWRITABLE:
        running = detail
    elif event in BOOT_EVENTS:
        running = record.active
    if phase == REST:
        phase = RECOVERY if running == NO_SLOT else IDLE
    if action == RUN and running == NO_SLOT:
        action = RECOVER
    return Node(phase, record, running), action


def _may_offer(node, seq):
    """A download must not go to a slot that runs, or that a boot would try."""
    record = node.record
    if record is None:
        return node.running == NO_SLOT
    is_free = record.pending == NO_SLOT and node.running in (NO_SLOT, record.active)
    return is_free and seq > max(record.installed_seq, record.last_bad_seq)


def _may_arm(node, found):
    record = node.record
    if record is None:
        return True
    is_new = found.manifest_seq > max(record.installed_seq, record.last_bad_seq)
    return is_new and found.content_version >= record.security_floor


def _may_try(node, _):
    return node.record.tries_left > 0


def _is_acknowledged(node, seq):
    return seq == node.record.pending_seq


def _may_confirm_offline(node, _):
    return node.record.may_confirm_offline


def _is_next_epoch(node, epoch):
    return node.record is None or epoch > node.record.root_epoch


# What an event needs beside the phase.
GUARDS = {
    OFFER: _may_offer,
    VERIFIED: _may_arm,
    TRY: _may_try,
    SERVER_ACK: _is_acknowledged,
    OFFLINE: _may_confirm_offline,
    ROOT: _is_next_epoch,
}
