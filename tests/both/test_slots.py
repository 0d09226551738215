"""The table of slots: every world that can be reached, random lives, and planted mistakes."""

import sys

import sample_release
import slot_world
from check import Random
from slot_world import Release

from formats import errors, slot_state
from formats.slot_state import NO_SLOT, SLOT_A, SLOT_B
from ota import slot_changes, slots

# Walked are all worlds with so many releases, slots that rot and records that are lost. The larger
# walks take MicroPython a minute and find nothing else; tests/host has the largest.
WALKS = ((2, 1, 1), (3, 0, 0))
if sys.implementation.name != "micropython":
    WALKS += ((3, 1, 0), (3, 0, 1))


def test_every_world_that_can_be_reached_is_right():
    phases = set()
    for size in WALKS:
        n_worlds, n_moves, found = slot_world.walk(*size)
        print(
            "slots releases=%d rot=%d loss=%d" % size, "worlds=%d moves=%d" % (n_worlds, n_moves)
        )
        phases.update(found)
    reached = [key[2] for key in phases]
    for phase in slots.PHASES:
        assert phase in reached, phase
    # What the table says of a running node happens somewhere in the walk, and leads where it says.
    for key in slots.TABLE:
        if key[0] != slots.OFF:
            expected = slots.TABLE[key][0]
            ends = (slots.IDLE, slots.RECOVERY) if expected == slots.REST else (expected,)
            assert [end for end in ends if (key[0], key[1], end) in phases] == list(ends), key


def test_the_walk_covers_every_entry_of_the_table():
    seen, table = set(), slots.TABLE

    class Watched:
        def get(self, key):
            seen.add(key)
            return table.get(key)

    slots.TABLE = Watched()
    try:
        slot_world.walk(2, 1, 1)
    finally:
        slots.TABLE = table
    boots = [(slots.OFF, event) for event in slots.BOOT_EVENTS]
    runs = [(phase, event) for phase in slots.PHASES[1:] for event in slots.RUN_EVENTS]
    # Of the pairs that the shell can bring about, each was asked for.
    assert [key for key in boots + runs if key not in seen] == []
    assert [key for key in table if key not in seen] == []
    print("slots pairs=%d of them in the table=%d" % (len(seen), len(table)))


def test_every_phase_answers_every_event():
    record = sample_release.state(pending=SLOT_B, pending_seq=20, tries_left=1)
    given = {slots.OFFER: 21, slots.SERVER_ACK: 20, slots.ROOT: 2, slots.VERIFIED: Release(30)}
    given.update({slots.SPENT: 190, slots.SPENT_ALONE: 190, slots.HEALTH_FAILED: 24})
    given.update({slots.DAMAGED: SLOT_B, slots.UNWRITABLE: SLOT_A})
    lost = (1, (None, Release(4), Release(5)))
    given.update({slots.LOST_ONE: lost, slots.LOST_BOTH: lost})
    n_pairs = 0
    for phase in slots.PHASES:
        for event in slots.EVENTS:
            n_pairs += 1
            node = slots.Node(phase, record, SLOT_A)
            after, action = slots.step(node, event, given.get(event))
            assert after.phase in slots.PHASES and after.running in (NO_SLOT, SLOT_A, SLOT_B)
            assert node.phase == phase and node.record is record and node.running == SLOT_A
            if (phase, event) not in slots.TABLE:
                assert after is node and action == slots.IGNORE
    assert n_pairs == 9 * 19


def test_random_lives_end_on_a_release_that_was_confirmed():
    random = Random(7)
    totals = [0, 0, 0]
    for _ in range(200):
        for i, count in enumerate(slot_world.live(random, 120, 20)):
            totals[i] += count
    print("slots lives=200 boots=%d confirmed=%d reverted=%d" % tuple(totals))
    assert min(totals) > 40, totals


def test_a_release_is_installed_and_confirmed():
    node = slots.Node(slots.IDLE, sample_release.state(), SLOT_A)
    steps = (
        (slots.OFFER, 12, slots.FETCH, slots.DOWNLOAD),
        (slots.FETCHED, None, slots.VERIFY, slots.CHECK),
        (slots.VERIFIED, Release(12), slots.ARMED, slots.RESTART),
    )
    for event, detail, phase, action in steps:
        node, done = slots.step(node, event, detail)
        assert (node.phase, done) == (phase, action)
    assert node.record.active == SLOT_A and node.record.pending == SLOT_B
    found = [None, Release(11), Release(12)]
    assert slots.boot_event(node.record, found, 1) == (slots.TRY, None)
    node = slots.Node(slots.OFF, node.record, NO_SLOT)
    node, done = slots.step(node, slots.TRY)
    assert done == slots.RUN and node.running == SLOT_B and node.record.tries_left == 1
    assert node.record.security_floor == 8, "still"
    assert slots.step(node, slots.SERVER_ACK, 11)[1] == slots.IGNORE
    node, done = slots.step(node, slots.SERVER_ACK, 12)
    assert done == slots.STAY and node.record.active == SLOT_B
    assert (node.record.installed_seq, node.record.security_floor) == (12, 12)
    assert slots.boot_event(node.record, found, 1) == (slots.PLAIN, None)


def test_a_trial_that_crashes_is_reverted_and_not_taken_again():
    record = sample_release.state(pending=SLOT_B, pending_seq=12, pending_floor=12, tries_left=2)
    found = [None, Release(11), Release(12)]
    for left in (1, 0):
        event, detail = slots.boot_event(record, found, 1)
        node, action = slots.step(slots.Node(slots.OFF, record, NO_SLOT), event, detail)
        assert action == slots.RUN and node.running == SLOT_B
        record = node.record
        assert record.tries_left == left
    event, detail = slots.boot_event(record, found, 1)
    assert (event, detail) == (slots.SPENT, errors.TRIAL_SPENT)
    node, action = slots.step(slots.Node(slots.OFF, record, NO_SLOT), event, detail)
    assert action == slots.RUN and node.running == SLOT_A
    assert node.record.record_seq == record.record_seq + 1
    assert (node.record.last_bad_seq, node.record.fail_reason) == (12, errors.TRIAL_SPENT)
    assert node.record.security_floor == 8
    assert slots.step(node, slots.OFFER, 12)[1] == slots.IGNORE
    assert slots.step(node, slots.OFFER, 13)[1] == slots.DOWNLOAD


def test_a_pending_slot_is_the_release_that_was_armed():
    record = sample_release.state(pending=SLOT_B, pending_seq=12, tries_left=2)
    for held in (None, Release(11), Release(13)):
        event = slots.boot_event(record, [None, Release(11), held], 1)
        assert event == (slots.SPENT, errors.SLOT_DAMAGED)
    event = slots.boot_event(record, [None, None, None], 1)
    assert event == (slots.SPENT_ALONE, errors.SLOT_DAMAGED)


def test_a_lost_state_takes_the_higher_release_on_trial():
    found = [None, Release(12), Release(11)]
    event, detail = slots.boot_event(None, found, 3)
    assert event == slots.LOST_BOTH
    node, action = slots.step(slots.Node(slots.OFF, None, NO_SLOT), event, detail)
    assert action == slots.RUN and node.running == SLOT_A and node.phase == slots.TRIAL
    record = node.record
    assert (record.active, record.pending, record.tries_left) == (SLOT_B, SLOT_A, 1)
    assert (record.installed_seq, record.pending_seq, record.root_epoch) == (11, 12, 3)
    assert record.fail_reason == errors.STATE_LOST
    slot_state.parse(slot_state.pack(record))
    assert slot_changes.slot_without_writing(None, found) == SLOT_B
    assert slots.boot_event(None, [None, Release(5), Release(5)], 1)[0] == slots.LOST_ONE
    assert slots.boot_event(None, [None, None, None], 1) == (slots.NOTHING, None)
