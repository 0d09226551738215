"""A world around `ota.slots`: flash, crashes, a server; and an oracle that does not ask the node.

A world is a plain tuple, so that a walk can remember which ones it has seen. What the oracle knows
is what happened, not what the record says: which releases were confirmed, how often a trial was
started, what the slots really hold.
"""

from formats import slot_state
from formats.slot_state import NO_SLOT, SLOT_A
from ota import slot_changes, slots

# Fields of a world.
RECORD = 0  # values of the durable record, None when it is lost
HOLDS_A = 1  # seq of a whole release in slot a, 0 when it is not whole
HOLDS_B = 2
PHASE = 3
RUNNING = 4
OFFERED = 5  # seq that is being downloaded or was last
CONFIRMED = 6  # bit i: release i was confirmed, and never taken back
STARTS = 7  # of the present trial
ROT_LEFT = 8  # how often a slot may still rot
LOSS_LEFT = 9  # how often the record may still be lost

TRIES = 2


class Release:
    """A manifest as far as the slots are concerned; every third one may confirm offline."""

    def __init__(self, seq):
        self.manifest_seq = seq
        self.content_version = seq
        self.security_floor = seq
        self.tries = TRIES
        self.may_confirm_offline = seq % 3 == 0
        self.root_epoch = 1


class Broken(Exception):
    """The oracle has seen what must not happen."""


def check(is_good, what):
    """Raise `Broken` unless the oracle agrees."""
    if not is_good:
        raise Broken(what)


def first(rot=1, loss=1):
    """Return the world of a node that left the factory with release 1 in slot a."""
    state = slot_state.State()
    state.active, state.record_seq, state.installed_seq = SLOT_A, 1, 1
    state.security_floor = 1
    return (state.values(), 1, 0, slots.OFF, NO_SLOT, 0, 1 << 1, 0, rot, loss)


def changed(world, *pairs):
    """Return the world with some of its fields changed."""
    fields = list(world)
    for i in range(0, len(pairs), 2):
        fields[pairs[i]] = pairs[i + 1]
    return tuple(fields)


def state_of(world):
    """Return the durable record, None when it is lost."""
    if world[RECORD] is None:
        return None
    state = slot_state.State()
    for name, value in zip(slot_state.FIELDS, world[RECORD]):
        setattr(state, name, value)
    return state


def slots_of(world):
    """Return what the loader finds in the slots."""
    return [None] + [Release(seq) if seq else None for seq in world[HOLDS_A : HOLDS_B + 1]]


def details(world, last_seq):
    """Yield every (event, detail) that the outside may bring to a node that runs."""
    for seq in range(1, last_seq + 1):
        yield slots.OFFER, seq
        yield slots.SERVER_ACK, seq
    record = state_of(world)
    held = world[slot_changes.target(record)]
    for event in (slots.FETCHED, slots.FETCH_FAILED, slots.VERIFY_FAILED, slots.OFFLINE):
        yield event, None
    yield slots.REPORTED, None
    yield slots.HEALTH_FAILED, 24
    yield slots.TRY, None
    for epoch in (1, 2):
        yield slots.ROOT, epoch
    # Only in VERIFY were the hashes looked at; elsewhere the event is a mistake of the caller.
    if held or world[PHASE] != slots.VERIFY:
        yield slots.VERIFIED, Release(held or last_seq)


def choices(world, last_seq):
    """Return all that can happen next: (event, what comes with it, the write succeeds)."""
    if world[PHASE] != slots.OFF:
        brought = list(details(world, last_seq))
        found = [(event, detail, True) for event, detail in brought]
        found += [(event, detail, False) for event, detail in brought]
        return found + [("crash", None, True)]
    found = [("boot", None, True), ("boot", None, False)]
    if world[ROT_LEFT]:
        found += [("rot", at, True) for at in (HOLDS_A, HOLDS_B) if world[at]]
    if world[LOSS_LEFT] and world[RECORD] is not None:
        found.append(("loss", None, True))
    return found


def happen(world, event, detail, is_written):
    """Return the world after one of its `choices`; the oracle judges it."""
    if event == "crash":
        return changed(world, PHASE, slots.OFF, RUNNING, NO_SLOT)
    if event == "boot":
        return boot(world, is_written)
    if event == "rot":
        return changed(world, detail, 0, ROT_LEFT, world[ROT_LEFT] - 1)
    if event == "loss":
        return changed(world, RECORD, None, LOSS_LEFT, world[LOSS_LEFT] - 1)
    return move(world, event, detail, is_written)


def boot(world, is_written):
    """Return the world after a start, as the loader does it."""
    record = state_of(world)
    event, detail = slots.boot_event(record, slots_of(world), 1)
    after = move(world, event, detail, is_written)
    if after is not None and after[PHASE] != slots.OFF:
        return after
    # The record could not be written, and its action was not done.
    slot = slot_changes.slot_without_writing(record, slots_of(world))
    return move(world, slots.UNWRITABLE, slot, False)


def move(world, event, detail, is_written):
    """Return the world after an event, whose record is durable or could not be written."""
    node = slots.Node(world[PHASE], state_of(world), world[RUNNING])
    before = world[RECORD]
    after, action = slots.step(node, event, detail)
    check(node.record is None or node.record.values() == before, "the old record was changed")
    values = after.record.values() if after.record is not None else None
    if values != before and not is_written:
        return world
    check_event(world, after, event, detail, action)
    if values is not None:
        slot_state.parse(slot_state.pack(after.record))
    found = changed(world, RECORD, values, PHASE, after.phase, RUNNING, after.running)
    found = arrived(found, world, event, detail, action)
    check_action(world, found, event, action)
    return found


def arrived(found, world, event, detail, action):
    """Return the world with what the oracle notes down, and what the action does to the flash."""
    if action == slots.IGNORE:
        return found
    target = slot_changes.target(state_of(world))
    if action == slots.DOWNLOAD:
        # After everything was lost it may be one that was confirmed in an earlier life.
        confirmed = world[CONFIRMED] & ~(1 << detail)
        found = changed(found, OFFERED, detail, target, 0, CONFIRMED, confirmed)
    elif event == slots.FETCHED:
        found = changed(found, target, world[OFFERED])
    elif event in (slots.FETCH_FAILED, slots.VERIFY_FAILED):
        found = changed(found, target, 0)
    elif event == slots.VERIFIED:
        found = changed(found, STARTS, 0)
    elif event in (slots.SERVER_ACK, slots.OFFLINE):
        found = changed(found, CONFIRMED, world[CONFIRMED] | 1 << field(world, "pending_seq"))
    elif event in (slots.SPENT, slots.SPENT_ALONE, slots.HEALTH_FAILED):
        found = changed(found, CONFIRMED, world[CONFIRMED] & ~(1 << field(world, "pending_seq")))
    elif event == slots.LOST_BOTH:
        # Its confirmation was in the record that is lost: it has to earn it again.
        seq = max(world[HOLDS_A], world[HOLDS_B])
        found = changed(found, CONFIRMED, world[CONFIRMED] & ~(1 << seq))
    elif event == slots.LOST_ONE:
        # The only whole release there is: nobody knows whether it was on trial.
        only = world[HOLDS_A] or world[HOLDS_B]
        found = changed(found, CONFIRMED, world[CONFIRMED] | 1 << only)
    if action == slots.RUN and found[PHASE] == slots.TRIAL:
        starts = 1 if event == slots.LOST_BOTH else world[STARTS] + 1
        found = changed(found, STARTS, starts)
    return found


def field(world, name):
    """Return a field of the durable record."""
    return world[RECORD][slot_state.FIELDS.index(name)]


def check_event(world, after, event, detail, action):
    """Judge how the record changed."""
    if action == slots.IGNORE:
        values = after.record.values() if after.record is not None else None
        check(values == world[RECORD], "ignored, and yet another record")
        is_owed = event == slots.SERVER_ACK and world[PHASE] == slots.TRIAL
        check(not is_owed or detail != field(world, "pending_seq"), "an acknowledgement is lost")
        return
    old, new = state_of(world), after.record
    if event == slots.VERIFIED:
        check(world[PHASE] == slots.VERIFY, "armed without a look at the hashes")
        check(new.pending_seq == world[OFFERED], "another release is armed")
    if old is None or new is None:
        return
    has_changed = old.values() != new.values()
    check(new.record_seq == old.record_seq + has_changed, "not one write")
    check(new.installed_seq >= old.installed_seq, "installed_seq falls")
    check(new.last_bad_seq >= old.last_bad_seq, "last_bad_seq falls")
    is_confirm = event in (slots.SERVER_ACK, slots.OFFLINE)
    floor = max(old.security_floor, old.pending_floor) if is_confirm else old.security_floor
    check(new.security_floor == floor, "the floor rises only, and always, at confirm")
    check_end_of_trial(old, new, event, detail)
    if event == slots.ROOT:
        check(new.root_epoch == detail > old.root_epoch, "root_epoch does not rise")
    else:
        check(new.root_epoch == old.root_epoch, "root_epoch changes")


def check_end_of_trial(old, new, event, detail):
    """Judge confirm and revert; nothing else may end a trial or name an active slot."""
    if event in (slots.SERVER_ACK, slots.OFFLINE):
        is_right = detail == old.pending_seq if event == slots.SERVER_ACK else True
        check(is_right, "confirmed by an acknowledgement of another release")
        check(event == slots.SERVER_ACK or old.may_confirm_offline, "confirmed offline")
        check(new.active == old.pending and new.installed_seq == old.pending_seq, "not confirmed")
        check(new.pending == NO_SLOT, "confirmed, and still pending")
    elif event in (slots.SPENT, slots.SPENT_ALONE, slots.HEALTH_FAILED):
        check(new.active == old.active and new.pending == NO_SLOT, "not reverted in one record")
        check(new.last_bad_seq == old.pending_seq, "the bad release is forgotten")
        check(new.fail_reason != 0, "reverted without a reason")
    else:
        check(old.pending in (NO_SLOT, new.pending), "a trial ends in silence")
        check(new.active == old.active or event == slots.DAMAGED, "another active slot")


def check_action(world, found, event, action):
    """Judge what the node does next, by what the slots really hold."""
    if action == slots.DOWNLOAD:
        record, target = state_of(world), slot_changes.target(state_of(world))
        check(target != world[RUNNING], "a download into the slot that runs")
        if record is not None:
            check(target not in (record.active, record.pending), "a download into a slot in use")
            newest = max(record.installed_seq, record.last_bad_seq)
            check(found[OFFERED] > newest, "an old or a bad release is fetched again")
    elif action == slots.RUN:
        check_run(world, found, event)
    elif action == slots.RECOVER:
        check(found[RUNNING] == NO_SLOT, "recovery with a slot that runs")
        for at in (HOLDS_A, HOLDS_B):
            is_good = world[at] and found[CONFIRMED] >> world[at] & 1
            check(not is_good, "recovery although a confirmed slot is whole")


def check_run(world, found, event):
    """Judge whether the slot that is about to run may."""
    check(found[RUNNING] != NO_SLOT, "nothing to run")
    seq = world[found[RUNNING]]
    check(seq != 0, "a slot runs that is not whole")
    is_confirmed = found[CONFIRMED] >> seq & 1
    if found[PHASE] == slots.TRIAL:
        check(field(found, "pending") == found[RUNNING], "a trial of another slot")
        check(found[STARTS] <= TRIES, "more starts than tries")
        check(field(found, "tries_left") == TRIES - found[STARTS], "a start that is not counted")
    elif event == slots.UNWRITABLE and world[RECORD] is None:
        rest = world[HOLDS_A] + world[HOLDS_B] - seq
        check(is_confirmed or not rest, "without a record the release that was never confirmed")
    else:
        check(is_confirmed, "a release runs that was neither confirmed nor is on trial")


def check_settles(world):
    """Judge that a node whose every start crashes ends on what was confirmed, or in recovery."""
    world = changed(world, PHASE, slots.OFF, RUNNING, NO_SLOT)
    for _ in range(TRIES + 1):
        world = boot(world, True)
        if world[PHASE] != slots.TRIAL:
            break
        world = changed(world, PHASE, slots.OFF, RUNNING, NO_SLOT)
    check(world[PHASE] != slots.TRIAL, "a trial without an end")
    is_good = world[RUNNING] and world[CONFIRMED] >> world[world[RUNNING]] & 1
    check(is_good or world[PHASE] == slots.RECOVERY, "ends on nothing")


def walk(last_seq, rot, loss):
    """Visit every world that can be reached; return (worlds, moves, (phase, event, phase)).

    Raises:
        Broken: What the oracle saw first.
    """
    start = first(rot, loss)
    seen = {key_of(start)}
    todo = [start]
    phases = set()
    n_moves = 0
    while todo:
        world = todo.pop()
        check_settles(world)
        for choice in choices(world, last_seq):
            after = happen(world, *choice)
            n_moves += 1
            key = key_of(after)
            phases.add((world[PHASE], choice[0], after[PHASE]))
            if key not in seen:
                seen.add(key)
                todo.append(after)
    return len(seen), n_moves, phases


def key_of(world):
    """Return a world in few bytes: a walk on MicroPython has little room to remember them.

    The number of the record is left out: it counts without an end, and nothing else depends on it.
    """
    values = [255] if world[RECORD] is None else list(world[RECORD])
    if len(values) > 1:
        values[slot_state.FIELDS.index("record_seq")] = 0
    rest = list(world[HOLDS_A:])
    rest[PHASE - HOLDS_A] = slots.PHASES.index(world[PHASE])
    return bytes(values + rest)


def live(random, n_moves, last_seq):
    """Live one random life with rot, losses and failing writes.

    Returns:
        (boots, releases that were confirmed, trials that ended badly).
    """
    world = first(2, 2)
    n_boots = n_confirmed = n_reverted = 0
    for _ in range(n_moves):
        found = choices(world, last_seq)
        if random.below(8):
            # Mostly what means something, or a life would hardly ever come to a trial.
            likely = [one for one in found if (world[PHASE], one[0]) in slots.TABLE]
            found = likely or [one for one in found if one[0] == "boot"]
        choice = found[random.below(len(found))]
        after = happen(world, *choice)
        n_boots += choice[0] == "boot"
        if after[PHASE] != world[PHASE]:
            n_confirmed += after[PHASE] == slots.CONFIRM
            n_reverted += after[PHASE] == slots.REVERT
        world = after if random.below(12) else happen(after, "crash", None, True)
    check_settles(world)
    return n_boots, n_confirmed, n_reverted
