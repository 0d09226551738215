"""What must be true of an outbox after any power cut; knows nothing of how the outbox works."""


class Oracle:
    """Follows the calls that a life of the outbox makes and judges what survives a cut.

    A call is announced before it begins: what it may do is allowed from then on, what it must do
    is demanded only after it returned.

    Args:
        capacity: of the outbox, with drop_oldest.
        bound: records that a cut may lose.
    """

    def __init__(self, capacity, bound):
        self._capacity = capacity
        self._bound = bound
        self._made = {}  # (epoch, seq): record, all that were ever begun
        self._acked = []  # keys that may come again
        self._waiting = []  # keys that have to survive, except for the newest `_unsafe`
        self._unsafe = 0
        self._epoch = 0

    def booted(self, epoch, survivors):
        """A boot without a cut returned."""
        self._epoch = epoch
        self._waiting = [(entry[0], entry[3]) for entry in survivors]
        self._acked = []
        self._unsafe = 0

    def appending(self, entry):
        self._made[entry[0], entry[3]] = entry
        while len(self._waiting) >= self._capacity:
            self._waiting.pop(0)
            self._acked = []

    def appended(self, entry):
        self._waiting.append((entry[0], entry[3]))
        self._unsafe = min(self._unsafe + 1, self._bound)

    def flushed(self):
        self._unsafe = 0

    def acking(self, n):
        self._acked += self._waiting[:n]
        self._waiting = self._waiting[n:]
        self._unsafe = min(self._unsafe, len(self._waiting))

    def rewound(self, n):
        if n:
            self._waiting = self._acked[-n:] + self._waiting
            self._acked = self._acked[:-n]
            self._unsafe = min(self._unsafe + n, self._bound)

    def waiting(self):
        return len(self._waiting)

    def judge(self, epoch, survivors):
        """Returns (what is corrupt or None, number of records lost beyond the bound)."""
        if epoch <= self._epoch:
            return "epoch %d after %d" % (epoch, self._epoch), 0
        before = (0, 0)
        for entry in survivors:
            key = (entry[0], entry[3])
            if self._made.get(key) != entry:
                return "record %r was never made" % (entry,), 0
            if key <= before:
                return "record %r after %r" % (key, before), 0
            before = key
        alive = {(entry[0], entry[3]) for entry in survivors}
        lost = [key not in alive for key in self._waiting]
        if True in lost and False in lost[lost.index(True) :]:
            return "a record is lost before one that survived", 0
        return None, max(0, sum(lost) - self._unsafe)
