"""Planted mistakes in the table of slots, each found by the walk over every world."""

import slot_world
from slot_world import Broken

from formats import errors
from formats.slot_state import SLOT_A
from ota import slot_changes, slots


def entry(key, value):
    """Plant another entry of the table."""
    return slots.TABLE, key, value


def guard(event):
    """Plant a guard that lets everything through."""
    return slots.GUARDS, event, lambda _, __: True


def change(name, function):
    """Plant another change of the record."""
    return slot_changes.CHANGES, name, function


def broken(name, **fields):
    """Plant a change that forgets what it does to some fields: they get these values."""
    true_change = slot_changes.CHANGES[name]

    def planted(record, detail):
        state = true_change(record, detail)
        for key, value in fields.items():
            setattr(state, key, getattr(record, value) if isinstance(value, str) else value)
        return state

    return slot_changes.CHANGES, name, planted


def raised_early(record, found):
    """Arm, and raise the floor before anything is confirmed."""
    state = slot_changes._arm(record, found)
    state.security_floor = max(state.security_floor, found.security_floor)
    return state


def changed_in_place(record, _):
    """Count in the record that is still in force."""
    record.tries_left -= 1
    record.record_seq += 1
    return record


def not_on_trial(_, detail):
    """Take the higher release for confirmed after the record was lost."""
    epoch, found = detail
    higher = slot_changes.other(slot_changes.slot_without_writing(None, found))
    only = [found[i] if i == higher else None for i in range(3)]
    return slot_changes._rebuild_one(None, (epoch, only))


# What the oracle says, what the codec says, and a step that cannot go on.
FOUND = (Broken, errors.OnebyteError, AttributeError)

PLANTED = {
    "a start that is not counted": lambda: entry(
        (slots.OFF, slots.TRY), (slots.TRIAL, "keep", slots.RUN)
    ),
    "confirmed by starting": lambda: entry(
        (slots.OFF, slots.TRY), (slots.TRIAL, "confirm", slots.RUN)
    ),
    "a spent trial that runs on": lambda: entry(
        (slots.OFF, slots.SPENT), (slots.TRIAL, "keep", slots.RUN)
    ),
    "a revert that is not written": lambda: entry(
        (slots.OFF, slots.SPENT), (slots.REVERT, "keep", slots.RUN)
    ),
    "a revert that needs two records": lambda: broken("revert", pending="pending", tries_left=0),
    "a revert to the bad slot": lambda: broken("revert", active="pending"),
    "a revert that forgets what was bad": lambda: broken("revert", last_bad_seq="last_bad_seq"),
    "a revert without a reason": lambda: broken("revert", fail_reason=0),
    "the floor rises when a release is armed": lambda: change("arm", raised_early),
    "the floor does not rise": lambda: broken("confirm", security_floor="security_floor"),
    "the floor falls": lambda: broken("confirm", security_floor=0),
    "a confirm that stays pending": lambda: broken("confirm", pending="pending"),
    "a confirm of the old slot": lambda: broken("confirm", active="active"),
    "any acknowledgement confirms": lambda: guard(slots.SERVER_ACK),
    "hours confirm what must reach its server": lambda: guard(slots.OFFLINE),
    "every release is fetched": lambda: guard(slots.OFFER),
    "an older root document": lambda: guard(slots.ROOT),
    "failed health is ignored": lambda: entry(
        (slots.TRIAL, slots.HEALTH_FAILED), (slots.TRIAL, "keep", slots.STAY)
    ),
    "armed without a check": lambda: entry(
        (slots.FETCH, slots.VERIFIED), (slots.ARMED, "arm", slots.RESTART)
    ),
    "a download during a trial": lambda: entry(
        (slots.CONFIRM, slots.REPORTED), (slots.TRIAL, "keep", slots.STAY)
    ),
    "recovery when a slot is whole": lambda: entry(
        (slots.OFF, slots.DAMAGED), (slots.RECOVERY, "keep", slots.RECOVER)
    ),
    "nothing is run": lambda: entry((slots.OFF, slots.NOTHING), (slots.IDLE, "keep", slots.RUN)),
    "the count in the old record": lambda: change("count", changed_in_place),
    "a lost record makes a trial final": lambda: change("rebuild_both", not_on_trial),
    "a fall back to the damaged slot": lambda: broken("fall_back", active="active"),
    "the seq falls with the slot": lambda: broken("fall_back", installed_seq=0),
}


def test_every_planted_mistake_is_found():
    n_found = 0
    for name, plant in PLANTED.items():
        place, key, value = plant()
        had = key in place
        before = place.get(key)
        place[key] = value
        try:
            slot_world.walk(2, 1, 1)
        except FOUND:
            n_found += 1
        else:
            raise AssertionError("not found: " + name)
        finally:
            if had:
                place[key] = before
            else:
                del place[key]
    print("slots planted=%d found=%d" % (len(PLANTED), n_found))
    assert n_found == len(PLANTED) >= 20


def test_mistakes_in_functions_are_found():
    def active(record):
        return record.active if record and record.active else SLOT_A

    def always(record, found):
        return found is not None

    for module, name, planted in (
        (slot_changes, "target", active),
        (slots, "is_confirmed", always),
    ):
        before = getattr(module, name)
        setattr(module, name, planted)
        try:
            slot_world.walk(2, 1, 1)
        except FOUND:
            continue
        finally:
            setattr(module, name, before)
        raise AssertionError("not found: " + name)
