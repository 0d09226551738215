"""A rollout, message by message: what ends it on a node, and which trials are acknowledged."""

import pytest

from formats import errors, topics, update_messages
from onebyte.updates import rollout
from onebyte.updates.rollout import Rollout

SEQ = 5
IDLE = {
    "phase": "idle",
    "slot": "a",
    "seq": 4,
    "content": 4,
    "installed_seq": 4,
    "pending_seq": 0,
    "bad_seq": 0,
    "floor": 0,
    "root": 1,
    "record": 9,
    "reason": 0,
    "refused": 0,
    "refused_seq": 0,
    "firmware": 1,
    "done_bytes": 0,
    "total_bytes": 0,
}
TRIAL = {"phase": "trial", "slot": "b", "seq": SEQ, "pending_seq": SEQ, "record": 11}


def report(**changes: object) -> bytes:
    return update_messages.pack_report({**IDLE, **changes})


def take(one: Rollout, payload: bytes, device: str = "watch", is_retained: bool = False):
    return one.take(topics.pack("mill", device, topics.REPORT), payload, is_retained)


def one_node() -> Rollout:
    return Rollout(SEQ, [("mill", "watch")])


def test_a_node_goes_from_fetching_to_confirmed() -> None:
    one = one_node()
    told = []
    for changes in (
        {},
        {"phase": "fetch", "total_bytes": 1000},
        {"phase": "fetch", "done_bytes": 100, "total_bytes": 1000},
        {"phase": "fetch", "done_bytes": 600, "total_bytes": 1000},
        {"phase": "verify", "done_bytes": 1000, "total_bytes": 1000},
        {"phase": "armed", "pending_seq": SEQ},
        TRIAL,
        {"phase": "confirm", "slot": "b", "seq": SEQ, "installed_seq": SEQ, "record": 12},
    ):
        assert not one.is_over
        answer = take(one, report(**changes))
        if answer.is_news:
            told.append(answer.course.text())
    assert told == [
        "has not begun",
        "fetches it, 0 % of 1000 bytes",
        "fetches it, 60 % of 1000 bytes",
        "checks what it has fetched",
        "is about to try it",
        "tries it",
        "confirmed",
    ]
    assert one.is_over and one.counts()[rollout.CONFIRMED] == 1


def test_a_trial_is_acknowledged_with_the_record_that_it_names() -> None:
    one = one_node()
    answer = take(one, report(**TRIAL))
    topic, payload = answer.ack
    assert topic == "ob/mill/watch/ack" and update_messages.parse_ack(payload) == (SEQ, 11)
    # Each time that it says so, for an acknowledgement may get lost; with the newest record.
    for record in (11, 13):
        payload = take(one, report(**{**TRIAL, "record": record})).ack[1]
        assert update_messages.parse_ack(payload) == (SEQ, record)
    assert one.courses["mill", "watch"].n_acks == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"phase": "armed", "pending_seq": SEQ},
        {**TRIAL, "pending_seq": SEQ + 1},
        {**TRIAL, "phase": "idle"},
        {"phase": "confirm", "installed_seq": SEQ, "slot": "b", "seq": SEQ},
        {},
    ],
)
def test_nothing_else_is_acknowledged(changes: dict[str, object]) -> None:
    assert take(one_node(), report(**changes)).ack is None


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        ({"installed_seq": SEQ}, rollout.CONFIRMED, 0),
        (
            {"bad_seq": SEQ, "reason": errors.TRIAL_SPENT},
            rollout.REVERTED,
            errors.TRIAL_SPENT,
        ),
        (
            {"refused_seq": SEQ, "refused": errors.UPDATE_CLASS},
            rollout.REFUSED,
            errors.UPDATE_CLASS,
        ),
        ({"installed_seq": SEQ + 1}, rollout.SUPERSEDED, 0),
        ({"bad_seq": SEQ + 1, "reason": errors.TRIAL_SPENT}, rollout.SUPERSEDED, 0),
        ({"bad_seq": SEQ - 1, "reason": errors.TRIAL_SPENT}, rollout.WAITING, 0),
        ({"refused_seq": SEQ - 1, "refused": errors.UPDATE_CLASS}, rollout.WAITING, 0),
        ({"pending_seq": SEQ, "bad_seq": SEQ - 1}, rollout.WAITING, 0),
        (
            {"pending_seq": SEQ, "refused_seq": SEQ, "refused": errors.UPDATE_SIZE},
            rollout.WAITING,
            0,
        ),
    ],
)
def test_how_it_ends(changes: dict[str, object], outcome: str, reason: int) -> None:
    one = one_node()
    take(one, report())
    course = take(one, report(**changes)).course
    assert (course.outcome, course.reason, one.is_over) == (
        outcome,
        reason,
        outcome != rollout.WAITING,
    )
    if reason:
        assert errors.name(reason) in course.text()
    # Whatever it says later, it has ended.
    take(one, report())
    assert course.outcome == outcome


def test_a_node_that_is_ahead_says_why_it_refuses() -> None:
    ahead = {"slot": "b", "seq": SEQ + 1, "installed_seq": SEQ + 1}
    one = one_node()
    assert take(one, report(**ahead), is_retained=True).course.outcome == rollout.WAITING
    refusal = {"refused_seq": SEQ, "refused": errors.UPDATE_SEQ}
    course = take(one, report(**ahead, **refusal)).course
    assert (course.outcome, course.reason) == (rollout.REFUSED, errors.UPDATE_SEQ)
    # Whoever only follows cannot know whether it has been asked yet.
    one = Rollout(SEQ, [("mill", "watch")], [("mill", "watch")])
    assert take(one, report(**ahead), is_retained=True).course.outcome == rollout.SUPERSEDED


def test_an_old_refusal_does_not_end_a_new_offer() -> None:
    one = one_node()
    refusal = report(refused_seq=SEQ, refused=errors.UPDATE_SIZE)
    assert take(one, refusal, is_retained=True).course.outcome == rollout.WAITING
    assert take(one, refusal).course.outcome == rollout.REFUSED
    one = Rollout(SEQ, [("mill", "watch")], [("mill", "watch")])
    assert take(one, refusal, is_retained=True).course.outcome == rollout.REFUSED, "the same offer"
    one = one_node()
    take(one, report(bad_seq=SEQ, reason=errors.TRIAL_SPENT), is_retained=True)
    assert one.is_over, "a failed trial is for ever"


def test_only_its_nodes_and_messages_count() -> None:
    one = one_node()
    confirmed = report(installed_seq=SEQ)
    assert take(one, confirmed, "other").course is None
    for topic in ("ob/mill/watch/s", "ob/other/watch/u", "ob/mill/watch", "x", "ob/mill/watch/u/"):
        assert one.take(topic, confirmed).course is None
    for payload in (b"", b"{}", b"\xff", confirmed[:-1], confirmed.replace(b'"v":1', b'"v":2')):
        assert take(one, payload).course is None
    assert not one.is_over


def test_the_same_is_not_told_twice() -> None:
    one = one_node()
    assert take(one, report(**TRIAL)).is_news
    assert not take(one, report(**TRIAL)).is_news
    done = report(installed_seq=SEQ)
    assert take(one, done).is_news and not take(one, done).is_news


def test_each_node_has_its_own_end() -> None:
    one = Rollout(SEQ, [("mill", name) for name in ("a", "b", "c")])
    take(one, report(installed_seq=SEQ), "a")
    take(one, report(bad_seq=SEQ, reason=errors.TRIAL_SPENT), "b")
    assert not one.is_over
    assert one.counts() == {
        "confirmed": 1,
        "reverted": 1,
        "refused": 0,
        "superseded": 0,
        "waiting": 1,
    }
    assert one.courses["mill", "c"].text() == "has not said anything about updates yet"
