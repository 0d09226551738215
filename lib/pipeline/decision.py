"""From the classes of single windows to the result byte: k of the last n windows."""

from formats import result

_NONE = 255  # a window that voted for no class; class ids end at 239


class Decision:
    """Votes of the last windows.

    A window votes for its class when its confidence is at least `min_confidence`, else for none.
    The class with the most votes among the last `n` windows is decided if it has `k` of them.
    Among equals the class of the latest window wins, else the lowest.

    Args:
        encoding: `result.A` or `result.B`.
        k: votes needed, 1-`n`.
        n: windows that count, 1-15.
        min_confidence: 0-255.
        novelty_threshold: a score at or above it is novel; 65535 never.
        levels: ascending; the level is how many of them are at most the confidence.
    """

    def __init__(
        self,
        encoding: int,
        k: int,
        n: int,
        min_confidence: int,
        novelty_threshold: int,
        levels,
    ):
        if not 1 <= k <= n <= 15:
            raise ValueError("k of n out of range")
        self._encoding = encoding
        self._k = k
        self._n = n
        self._min_confidence = min_confidence
        self._novelty_threshold = novelty_threshold
        self._levels = bytes(levels)
        self._voted = bytearray(n)
        self._confidence = bytearray(n)
        self._votes = bytearray(256)
        self._at = 0
        self.reset()

    def reset(self) -> None:
        """Forgets all windows, as after a gap."""
        for i in range(self._n):
            self._voted[i] = _NONE
        for i in range(256):
            self._votes[i] = 0
        self._votes[_NONE] = self._n

    def history(self) -> tuple:
        """Returns (slot of the next window, votes, confidences) of the last windows, as bytes."""
        return self._at, bytes(self._voted), bytes(self._confidence)

    def restore(self, at: int, votes, confidences) -> bool:
        """Goes on with what `history` returned; False, and nothing done, for another `n`."""
        if len(votes) != self._n or len(confidences) != self._n or at >= self._n:
            return False
        self._votes[_NONE] = 0
        for i in range(self._n):
            self._votes[self._voted[i]] = 0
        for i in range(self._n):
            self._voted[i] = votes[i]
            self._confidence[i] = confidences[i]
            self._votes[votes[i]] += 1
        self._at = at
        return True

    def fault(self, reason: int) -> int:
        """Returns the fault byte; windows from before a fault do not count after it."""
        self.reset()
        return result.pack_fault(self._encoding, reason)

    def step(self, class_id: int, confidence: int, novelty: int) -> int:
        """Takes one window's class, confidence (0-255) and novelty score; returns the byte."""
        vote = class_id if confidence >= self._min_confidence else _NONE
        at = self._at
        self._votes[self._voted[at]] -= 1
        self._voted[at] = vote
        self._votes[vote] += 1
        self._confidence[at] = confidence
        self._at = at + 1 if at + 1 < self._n else 0
        decided = self._winner(vote)
        if decided == _NONE:
            return result.pack_fault(self._encoding, result.UNDECIDED)
        novel = 1 if novelty >= self._novelty_threshold else 0
        return result.pack_class(self._encoding, decided, self._level(decided, at), novel)

    def _winner(self, latest: int) -> int:
        best = _NONE
        most = self._k - 1
        for i in range(self._n):
            class_id = self._voted[i]
            if class_id == _NONE:
                continue
            votes = self._votes[class_id]
            if votes > most or (votes == most and best != _NONE and class_id < best):
                most = votes
                best = class_id
        if best == _NONE:
            return _NONE
        return latest if latest != _NONE and self._votes[latest] == most else best

    def _level(self, class_id: int, at: int) -> int:
        while self._voted[at] != class_id:
            at = at - 1 if at else self._n - 1
        confidence = self._confidence[at]
        level = 0
        for bound in self._levels:
            if bound <= confidence:
                level += 1
        return level
