"""Decision against its rule written out over the whole history."""

from check import Random, raises_kind

from formats import result
from pipeline.decision import Decision

_LEVELS = (40, 80, 80, 120, 160, 200, 240)


def _oracle(history, k, n, min_confidence, novelty_threshold):
    """(class_id or None, level, novel) from the list of (class_id, confidence, novelty)."""
    last = history[-n:]
    votes = {}
    for class_id, confidence, _ in last:
        if confidence >= min_confidence:
            votes[class_id] = votes.get(class_id, 0) + 1
    enough = [c for c in votes if votes[c] >= k]
    if not enough:
        return None, 0, False
    most = max(votes[c] for c in enough)
    best = sorted(c for c in enough if votes[c] == most)
    latest_class, latest_confidence, latest_novelty = last[-1]
    decided = best[0]
    if latest_confidence >= min_confidence and latest_class in best:
        decided = latest_class
    confidence = [x[1] for x in last if x[0] == decided and x[1] >= min_confidence][-1]
    level = sum(1 for bound in _LEVELS if bound <= confidence)
    return decided, level, latest_novelty >= novelty_threshold


def test_follows_the_rule():
    random = Random(3)
    for encoding, n_classes in ((result.A, 4), (result.B, 200), (result.A, 15)):
        for k, n in ((1, 1), (2, 3), (3, 5), (1, 4), (4, 15)):
            decision = Decision(encoding, k, n, 90, 30, _LEVELS)
            history = []
            for _ in range(150):
                class_id = random.below(3) * (n_classes // 3)
                history.append((class_id, random.below(256), random.below(60)))
                decided, level, novel = _oracle(history, k, n, 90, 30)
                byte = decision.step(*history[-1])
                if decided is None:
                    assert result.parse(encoding, byte)[3] == result.UNDECIDED
                elif encoding == result.A:
                    assert result.parse(encoding, byte) == (decided, level, novel, -1)
                else:
                    assert result.parse(encoding, byte)[0] == decided
                if random.below(40) == 0:
                    history = []
                    decision.reset()


def test_tie_goes_to_the_latest_window_else_to_the_lowest_class():
    decision = Decision(result.B, 1, 4, 50, 65535, _LEVELS)
    decision.step(9, 100, 0)
    assert decision.step(4, 100, 0) == 4
    assert decision.step(9, 49, 0) == 4, "the latest window votes for none: the lowest"
    assert decision.step(9, 100, 0) == 9


def test_level_is_that_of_the_latest_vote_for_the_decided_class():
    decision = Decision(result.A, 2, 3, 0, 65535, _LEVELS)
    decision.step(2, 250, 0)
    decision.step(2, 130, 0)
    assert decision.step(1, 30, 0) == 2 | 4 << 4


def test_novelty_comes_from_the_latest_window():
    decision = Decision(result.A, 1, 2, 0, 10, (255,) * 7)
    assert decision.step(3, 100, 10) == 0x83
    assert decision.step(3, 100, 9) == 3
    never = Decision(result.A, 1, 1, 0, 65535, (255,) * 7)
    assert never.step(3, 100, 2032) == 3


def test_fault_is_a_byte_and_clears_the_history():
    for encoding, silent in ((result.A, 0x1F), (result.B, 241)):
        decision = Decision(encoding, 2, 3, 0, 65535, _LEVELS)
        decision.step(1, 255, 0)
        decision.step(1, 255, 0)
        assert decision.fault(result.SENSOR_SILENT) == silent
        byte = decision.step(1, 255, 0)
        assert result.parse(encoding, byte)[3] == result.UNDECIDED


def test_refuses_k_and_n_out_of_range():
    for k, n in ((0, 1), (2, 1), (1, 16)):
        raises_kind(ValueError, Decision, result.A, k, n, 0, 65535, _LEVELS)


def test_the_history_goes_on_in_another_object():
    random = Random(4)
    for n in (1, 3, 15):
        one = Decision(result.A, (n + 1) // 2, n, 60, 65535, _LEVELS)
        other = Decision(result.A, (n + 1) // 2, n, 60, 65535, _LEVELS)
        other.step(9, 255, 0)
        for _ in range(200):
            assert other.restore(*one.history())
            window = (random.below(4), random.bits(8), 0)
            byte = one.step(*window)
            assert other.step(*window) == byte
            assert other.history() == one.history()


def test_a_history_of_another_length_is_left_alone():
    decision = Decision(result.A, 2, 3, 0, 65535, _LEVELS)
    decision.step(1, 255, 0)
    before = decision.history()
    for at, votes, confidences in (
        (0, b"", b""),
        (0, b"12", b"12"),
        (0, b"123", b"12"),
        (3, b"123", b"123"),
    ):
        assert not decision.restore(at, votes, confidences)
        assert decision.history() == before
