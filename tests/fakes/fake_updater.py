"""An updater for tests of what carries its messages: it notes what it is told and asks for pieces.

It behaves like `ota.updater.Updater` towards the app, but decides nothing.
"""

from formats import errors


class Facts:
    """Nothing is known."""


class Updater:
    """Fetches what `wanted` lists from its first source, a piece in each step.

    Attributes:
        wanted: list of [object id, bytes already there, length].
        got: content by object id.
        noted: what it was told, in order.
        n_fetched: bytes that came, those that came twice included.
        failures: OSErrors and OnebyteErrors of the source.
    """

    slot_path = ""
    is_trial = False

    def __init__(self, wanted=()):
        self.wanted = [list(entry) for entry in wanted]
        self.got = {}
        self.noted = []
        self.failures = []
        self.sources = (None, None)
        self.facts = None
        self.action = ""
        self.needs_report = False
        self.n_fetched = 0
        self.max_piece = 4096
        self.error = ""
        self._is_linked = False
        self._asked = None

    @property
    def is_fetching(self):
        """Whether there is something to fetch."""
        return bool(self.wanted)

    def status(self):
        """Return what came so far."""
        return {"done_bytes": self.n_fetched}

    @property
    def wants_link(self):
        """Whether there is something to fetch."""
        return bool(self.wanted) or self.needs_report

    def rest_ms(self, now_ms):
        """Return how long there is nothing to do."""
        return 20 if self.wanted else 1000

    def swapped(self):
        """Note that the model was taken, or refused."""
        self.noted.append("swapped")
        self.action = ""

    def link(self, is_open):
        """Note the link."""
        if self._is_linked != is_open:
            self.noted.append("link" if is_open else "no link")
        self._is_linked = is_open
        if not is_open and self._asked:
            self.sources[0].close()
            self._asked = None

    def on_want(self, payload):
        """Note a want."""
        self.noted.append("want %s" % payload.decode())

    def on_ack(self, payload):
        """Note an acknowledgement."""
        self.noted.append("ack %s" % payload.decode())

    def report(self):
        """Return the report."""
        self.needs_report = False
        return b"report"

    def reported(self):
        """Note that the report was heard."""
        self.noted.append("reported")

    def step(self, now_ms):
        """Fetch."""
        if not self.wanted or not self._is_linked:
            return False
        source = self.sources[0]
        object_id, at, length = self.wanted[0]
        try:
            if self._asked is None:
                self._asked = object_id
                source.begin(object_id, at, length - at)
            piece = source.step(now_ms)
        except (OSError, errors.OnebyteError) as error:
            self.failures.append(error)
            self._asked = None
            return True
        if piece is None:
            return False
        assert 1 <= len(piece) <= min(self.max_piece, length - at), len(piece)
        self._asked = None
        self.n_fetched += len(piece)
        self.got[object_id] = self.got.get(object_id, b"") + piece
        self.wanted[0][1] += len(piece)
        if self.wanted[0][1] == length:
            self.wanted.pop(0)
        return True
