"""How the state record changes, and which slot is whose. Pure; `ota.slots` says when.

Every function returns a new record and leaves the old one as it is: it stays in force until the
new one is durable.
"""

from formats import errors
from formats.slot_state import NO_SLOT, SLOT_A, SLOT_B, U32_MAX, State


def other(slot: int) -> int:
    """Return the slot that this is not; slot a when it is none."""
    return SLOT_B if slot == SLOT_A else SLOT_A


def target(record) -> int:
    """Return the slot that a download goes to: never the active one."""
    return other(record.active) if record else SLOT_A


def slot_without_writing(record, slots) -> int:
    """Return the slot for UNWRITABLE: one that was confirmed once, since no try can be counted."""
    if record is not None:
        for slot in (record.active, other(record.active)):
            if is_confirmed(record, slots[slot]):
                return slot
        return NO_SLOT
    # The higher one may be a trial that failed.
    whole = [(slots[slot].manifest_seq, slot) for slot in (SLOT_A, SLOT_B) if slots[slot]]
    return min(whole)[1] if whole else NO_SLOT


def is_confirmed(record, found) -> bool:
    """Return whether what a slot holds was confirmed once: not too new, not known to be bad."""
    if found is None or found.manifest_seq == record.last_bad_seq:
        return False
    return found.manifest_seq <= record.installed_seq


def _next(record) -> State:
    state = record.copy() if record else State()
    state.record_seq = state.record_seq % U32_MAX + 1
    return state


def _keep(record, _):
    return record


def _arm(record, found):
    state = _next(record)
    if record is None:
        state.root_epoch = found.root_epoch
    _set_pending(state, target(record), found)
    return state


def _set_pending(state, slot, found):
    state.pending = slot
    state.tries_left = found.tries
    state.pending_seq = found.manifest_seq
    state.pending_floor = found.security_floor
    state.may_confirm_offline = found.may_confirm_offline


def _clear_pending(state):
    state.pending = NO_SLOT
    state.tries_left = state.pending_seq = state.pending_floor = 0
    state.may_confirm_offline = False


def _count(record, _):
    """A try is counted before it is made: a crash must not be free."""
    state = _next(record)
    state.tries_left -= 1
    return state


def _confirm(record, _):
    """All in one record: the floor must not rise while a boot could still go back."""
    state = _next(record)
    state.active = record.pending
    state.installed_seq = record.pending_seq
    state.security_floor = max(record.security_floor, record.pending_floor)
    state.fail_reason = 0
    _clear_pending(state)
    return state


def _revert(record, reason):
    state = _next(record)
    state.last_bad_seq = record.pending_seq
    state.fail_reason = reason
    _clear_pending(state)
    return state


def _fall_back(record, slot):
    """The active slot has rotted; what was confirmed before it runs, and the seq does not fall."""
    state = _next(record)
    state.active = slot
    state.fail_reason = errors.SLOT_DAMAGED
    return state


def _rebuild_one(_, detail):
    epoch, slots = detail
    state = _next(None)
    state.active = SLOT_A if slots[SLOT_A] is not None else SLOT_B
    state.installed_seq = slots[state.active].manifest_seq
    state.security_floor = slots[state.active].security_floor
    state.root_epoch = epoch
    state.fail_reason = errors.STATE_LOST
    return state


def _rebuild_both(_, detail):
    """The newer slot may be a trial that failed: it runs on trial, and this is its first try."""
    epoch, slots = detail
    older = slot_without_writing(None, slots)
    state = _rebuild_one(None, (epoch, [slots[i] if i == older else None for i in range(3)]))
    _set_pending(state, other(older), slots[other(older)])
    state.tries_left -= 1
    return state


def _epoch(record, epoch):
    if record is None:
        return None
    state = _next(record)
    state.root_epoch = epoch
    return state


CHANGES = {
    "keep": _keep,
    "arm": _arm,
    "count": _count,
    "confirm": _confirm,
    "revert": _revert,
    "fall_back": _fall_back,
    "rebuild_one": _rebuild_one,
    "rebuild_both": _rebuild_both,
    "epoch": _epoch,
}
