"""A source of objects that does what a script says: drops, stalls, cuts, or gives wrong bytes."""

DROP = "drop"  # OSError
STALL = "stall"  # nothing comes, for ever
SHORT = "short"  # half of a chunk
LONG = "long"  # more than was asked for
EMPTY = "empty"
WRONG = "wrong"  # one bit is another
NOT_FOUND = "not found"  # OnebyteError


class ScriptedSource:
    """Answers with chunks of 1024 bytes, after a few looks.

    Args:
        objects: id -> bytes.
        looks: how often `step` says None before the answer.

    Attributes:
        script: number of a request, from 0 on -> what goes wrong with it.
        always: what goes wrong with every request, or None.
        requests: (object id, offset, bytes asked for) of every request.
        fetched: bytes that were handed out.
        again: bytes of them that had been handed out before.
        url: where it was sent last.
        is_open: whether a request waits for its answer.
    """

    def __init__(self, objects, looks=1, chunk_bytes=1024):
        self.objects = objects
        self.script = {}
        self.always = None
        self.requests = []
        self.fetched = 0
        self.again = 0
        self.url = ""
        self.is_open = False
        self._ends = {}
        self._looks = looks
        self._chunk_bytes = chunk_bytes
        self._left = 0

    def locate(self, url):
        self.url = url

    def begin(self, object_id, offset, n_bytes):
        assert n_bytes > 0
        self.requests.append((object_id, offset, n_bytes))
        self.is_open = True
        self._left = self._looks

    def step(self, now_ms):
        assert self.is_open, "asked without a request"
        if self._left:
            self._left -= 1
            return None
        fault = self.script.get(len(self.requests) - 1, self.always)
        if fault == STALL:
            return None
        self.is_open = False
        if fault == DROP:
            raise OSError(104)
        return self._answer(fault)

    def _answer(self, fault):
        from formats import errors

        object_id, offset, n_bytes = self.requests[-1]
        if fault == NOT_FOUND or object_id not in self.objects:
            raise errors.OnebyteError(errors.SOURCE_REPLY, object_id)
        end = min(offset + n_bytes, (offset // self._chunk_bytes + 1) * self._chunk_bytes)
        piece = self.objects[object_id][offset:end]
        self._count(object_id, offset, len(piece))
        if fault == SHORT:
            return piece[: max(1, len(piece) // 2)]
        if fault == LONG:
            return piece + bytes(n_bytes)
        if fault == EMPTY:
            return b""
        if fault == WRONG:
            return bytes([piece[0] ^ 1]) + piece[1:]
        return piece

    def _count(self, object_id, offset, n_bytes):
        self.fetched += n_bytes
        end = self._ends.get(object_id, 0)
        self.again += max(0, min(end, offset + n_bytes) - offset)
        self._ends[object_id] = max(end, offset + n_bytes)

    def close(self):
        self.is_open = False
