"""Defects on purpose, to prove that the lives find them."""

from app import keeper, kept_outbox


def never_claimed():
    """A state may be continued again and again."""
    keeper.Keeper.claim = lambda self: True


def any_state():
    """Any valid state is taken for the one of this sleep, whatever the mark says."""
    genuine = keeper.Keeper._find

    def _find(self, content, marked, crc):
        genuine(self, content, marked, crc)
        self.is_asleep = self.state is not None

    keeper.Keeper._find = _find


def records_forgotten():
    """The state keeps the numbers but not the records."""
    kept_outbox.KeptOutbox.records = lambda self: b""


BUGS = {
    "never_claimed": never_claimed,
    "any_state": any_state,
    "records_forgotten": records_forgotten,
}
