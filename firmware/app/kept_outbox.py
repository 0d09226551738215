"""An outbox whose records in RAM outlive a deep sleep, and that spares the flash of a weak supply.

What a sleep kept is continued only if nothing came in between; otherwise a new epoch begins, and
the records that are not on flash yet wait again under their old numbers.
"""

from app import epoch as boot
from app import power
from app.outbox import Outbox
from formats import record

_BYTES = record.RECORD_BYTES


class KeptOutbox(Outbox):
    """See `Outbox` for all that is the same.

    Args:
        keeper: Keeper.
        cause: why the chip started, one of `power.CAUSES`.
        may_write: function without arguments; False: the flash is left alone now.
        further: the arguments of `Outbox`.

    Attributes:
        has_resumed: the epoch of before the sleep goes on.
        flash_held: how often records stayed in RAM because of `may_write`.
    """

    def __init__(self, keeper, cause: str, may_write, *further):
        self._keeper = keeper
        self._cause = cause
        self._may_write = may_write
        self.has_resumed = False
        self._has_old_state = False
        self.flash_held = 0
        super().__init__(*further)
        self._segments.may_write = may_write

    def append(self, result_byte: int, quality: int, time_s: int, time_ms: int) -> int:
        """As `Outbox.append`; before the first record after a wake the state is claimed."""
        if self._keeper.is_asleep:
            self._claim()
        return Outbox.append(self, result_byte, quality, time_s, time_ms)  # super() costs heap

    def flush(self) -> bool:
        """As `Outbox.flush`; False, and counted, while the supply is too weak."""
        if not self._may_write():
            if not self._n:
                return True
            self.flash_held += 1
            self._flash_failed = True  # and so it is tried less often
            return False
        if self._n and self._keeper.is_asleep:
            self._claim()
        is_done = Outbox.flush(self)
        self._let_go()
        return is_done

    def acked(self, epoch: int, seq: int) -> None:
        """As `Outbox.acked`."""
        Outbox.acked(self, epoch, seq)
        self._let_go()

    def records(self) -> bytes:
        """Returns the waiting records in RAM, oldest first."""
        content = bytearray(self._n * _BYTES)
        for i in range(self._n):
            at = (self._first + i) % self._ram_records * _BYTES
            content[i * _BYTES : (i + 1) * _BYTES] = self._view[at : at + _BYTES]
        return bytes(content)

    def go_on(self, counters: dict) -> None:
        """Counts on from what a state's counters say."""
        self._dropped += counters["dropped"]
        self._epoch_errors += counters["flash_errors"]
        self.flash_held = counters["flash_held"]

    def _begin_epoch(self) -> int:
        state = self._keeper.state
        if state is None:
            return Outbox._begin_epoch(self)
        newest = self._segments.newest()
        if self._may_resume(state, newest):
            self.has_resumed = True
            self.next_seq = state.next_seq
            self.epoch = state.epoch
            self._epoch_saved = True
        else:
            Outbox._begin_epoch(self)
        self._take_back(state.records, newest)
        self._has_old_state = not self.has_resumed
        return self.epoch

    def _may_resume(self, state, newest) -> bool:
        try:
            on_flash = boot.read(self._files, self._epoch_path)
        except OSError:
            on_flash = 0
        if not power.may_resume(self._cause, self._keeper.is_asleep, state.epoch, on_flash):
            return False
        if newest is None:
            return True
        # A record that this state does not know was made after it.
        return not boot.is_after(newest[0], newest[1], state.epoch, state.next_seq - 1)

    def _take_back(self, records, newest) -> None:
        """Lets the records wait again that are not on flash, as many as there is room for."""
        for at in range(0, len(records), _BYTES):
            entry = record.parse(records, at)
            if newest is not None and not boot.is_after(entry[0], entry[3], newest[0], newest[1]):
                continue
            if self._n == self._ram_records:
                self.flush()  # the configuration had more room before
            if self._n == self._ram_records:
                self._forward_ram()
                self._dropped += 1
            slot = (self._first + self._n) % self._ram_records * _BYTES
            self._ram[slot : slot + _BYTES] = records[at : at + _BYTES]
            self._n += 1

    def _let_go(self) -> None:
        # Otherwise each later boot would send the records of the state again.
        if self._has_old_state and not self._n and self._may_write():
            self._has_old_state = False
            self._keeper.forget()

    def _claim(self) -> None:
        if self._keeper.claim() or not self.has_resumed:
            return
        # Who cannot say that these numbers are used must not use them.
        self.has_resumed = False
        self.next_seq = 0
        self.epoch = Outbox._begin_epoch(self)
