"""Policy: what is published when."""

from check import raises_kind

from formats import result
from pipeline import policy
from pipeline.policy import Policy


def _published(kind, encoding, heartbeat_s, stream):
    stage = Policy(kind, heartbeat_s, encoding)
    return [now_ms for now_ms, byte in stream if stage.should_publish(byte, now_ms)]


def test_all_publishes_everything():
    stream = [(t, 1) for t in range(0, 5000, 500)]
    assert _published(policy.ALL, result.A, 10, stream) == [t for t, _ in stream]


def test_on_change_publishes_another_class_novelty_or_reason():
    stream = [
        (0, 0x01),
        (1, 0x01),
        (2, 0x02),
        (3, 0x82),
        (4, 0x82),
        (5, 0x1F),
        (6, 0x2F),
        (7, 0x2F),
    ]
    assert _published(policy.ON_CHANGE, result.A, 10, stream) == [0, 2, 3, 5, 6]


def test_on_change_ignores_the_level_in_encoding_a_only():
    stream = [(0, 0x01), (1, 0x71), (2, 0x31)]
    assert _published(policy.ON_CHANGE, result.A, 10, stream) == [0]
    assert _published(policy.ON_CHANGE, result.B, 10, stream) == [0, 1, 2]


def test_on_change_repeats_at_the_heartbeat():
    stream = [(t * 1000, 3) for t in range(25)]
    assert _published(policy.ON_CHANGE, result.A, 10, stream) == [0, 10000, 20000]
    stream[5] = (5000, 4)
    stream[6:] = [(t, 4) for t, _ in stream[6:]]
    assert _published(policy.ON_CHANGE, result.A, 10, stream) == [0, 5000, 15000]


def test_heartbeat_publishes_only_then():
    stream = [(t * 1000, t % 5) for t in range(25)]
    assert _published(policy.HEARTBEAT, result.A, 10, stream) == [0, 10000, 20000]


def test_heartbeat_survives_the_wrap_of_the_ticks():
    start = (1 << 30) - 4000
    stream = [((start + t * 1000) & ((1 << 30) - 1), 3) for t in range(21)]
    published = _published(policy.ON_CHANGE, result.A, 10, stream)
    assert published == [start, 6000, 16000]


def test_refuses_what_it_does_not_know():
    raises_kind(ValueError, Policy, "sometimes", 10)
    raises_kind(ValueError, Policy, policy.ALL, 0)
    raises_kind(ValueError, Policy, policy.ALL, 604801)
