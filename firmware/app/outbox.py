"""Store and forward: every decision waits here until the broker has confirmed it.

Records collect in RAM first, to spare the flash, and go to flash in one write when the RAM ring is
full or `flush()` asks for it. docs/SPEC.md, "Outbox on flash", says what a power cut may lose.
"""

from app import epoch as boot
from app.segments import Segments
from formats import batch, record

_BYTES = record.RECORD_BYTES


class Outbox:
    """Queue of records, oldest first: those on flash, then those in RAM.

    Nothing here raises when the flash fails or is full; `flash_errors` counts it, and at capacity
    `dropped` counts what gave way. Always: appended since boot and found at boot = acknowledged +
    queued + dropped.

    Args:
        files: the filesystem, see `Segments`.
        path: the outbox's folder.
        capacity: most records that wait, at least `ram_records`.
        ram_records: records in RAM, the most that a power cut loses.
        segment_records: records in a file.
        drop_newest: at capacity refuse the new record instead of dropping the oldest.

    Attributes:
        epoch: boot counter of the records made from now on.
        next_seq: number of the next record.
    """

    def __init__(self, files, path, capacity, ram_records, segment_records, drop_newest=False):
        if not 1 <= ram_records <= capacity or segment_records < 1:
            raise ValueError("capacity, ram_records or segment_records out of range")
        self._files = files
        self._epoch_path = path + "/epoch"
        self._capacity = capacity
        self._ram_records = ram_records
        self._drop_newest = drop_newest
        self._ram = bytearray(ram_records * _BYTES)
        self._view = memoryview(self._ram)
        self._first = 0  # slot of the oldest waiting record in RAM
        self._n = 0  # waiting records in RAM
        self._kept = 0  # acknowledged ones right before `_first`, for `rewind`
        self._again = 0  # waiting records at the front that were acknowledged once
        self._dropped = 0
        self.delivered = 0
        self._flash_failed = False
        self._epoch_saved = False
        self._epoch_errors = 0
        self._segments = Segments(files, path, segment_records)
        self._segments.recover()
        self.next_seq = 0
        self.epoch = self._begin_epoch()

    @property
    def dropped(self) -> int:
        """Waiting records lost since boot: the outbox was full, or their file unreadable."""
        return self._dropped + self._segments.lost

    @property
    def flash_errors(self) -> int:
        """Failed flash operations and damaged files since boot."""
        return self._epoch_errors + self._segments.flash_errors + self._segments.corrupt

    @property
    def unsaved(self) -> int:
        """Waiting records that a power cut would lose."""
        return self._n

    def queued(self) -> int:
        """Returns how many records wait."""
        return self._segments.waiting + self._n

    def append(self, result_byte: int, quality: int, time_s: int, time_ms: int) -> int:
        """Queues a decision and returns its number. Allocates only when it writes to flash.

        Args:
            result_byte: 0-255.
            quality: time quality, see the record.
            time_s: seconds, u32.
            time_ms: 0-999.
        """
        seq = self.next_seq
        self.next_seq = seq + 1
        if not self._make_room():
            self._dropped += 1
            return seq
        slot = (self._first + self._n) % self._ram_records
        record.pack_into(
            self._ram, slot * _BYTES, self.epoch, result_byte, quality, seq, time_s, time_ms
        )
        self._n += 1
        self._kept = min(self._kept, self._ram_records - self._n)
        return seq

    def peek_batch(self, max_records: int) -> list:
        """Returns the oldest records that fit one batch, without taking them out.

        Returns:
            (epoch, result, quality, seq, time_s, time_ms) tuples, at most `max_records`; none
            when nothing waits or the flash cannot be read now.
        """
        records = self._segments.peek(max_records)
        if len(records) == self._segments.waiting:
            for i in range(min(self._n, max_records - len(records))):
                records.append(self._in_ram(i))
        return records[: batch.span(records)]

    def acked(self, epoch: int, seq: int) -> None:
        """Takes out everything up to and including record (epoch, seq)."""
        n = self._segments.acked(epoch, seq)
        if n:
            self._flash_failed = False  # it answers, and has room again
        if not self._segments.waiting:
            while self._n:
                oldest = self._in_ram(0)
                if boot.is_after(oldest[0], oldest[3], epoch, seq):
                    break
                self._forward_ram()
                self._kept += 1
                n += 1
        self._again = max(0, self._again - n)
        self.delivered += n

    def rewind(self, epoch: int, seq: int) -> int:
        """Lets the acknowledged records from (epoch, seq) on wait again that are still here.

        Returns:
            How many, never more than there is room for.
        """
        # Negative after a boot that found more than fits; such records are dropped by append.
        limit = max(0, self._capacity - self.queued())
        again = self._segments.rewind(epoch, seq, limit)
        if not self._segments.waiting:
            while self._kept and again < limit:
                before = self._in_ram(-1)
                if boot.is_after(epoch, seq, before[0], before[3]):
                    break
                self._first = (self._first - 1) % self._ram_records
                self._n += 1
                self._kept -= 1
                again += 1
        self._again += again
        return again

    def flush(self) -> bool:
        """Writes the records in RAM to flash; False when it failed and they stay in RAM."""
        self._segments.tidy()
        if not self._epoch_saved:
            self._save_epoch()
        while self._n:
            run = min(self._n, self._ram_records - self._first)
            start = self._first * _BYTES
            done = self._segments.append(self._view[start : start + run * _BYTES], run)
            self._first = (self._first + done) % self._ram_records
            self._n -= done
            self._kept = 0  # those on flash stand between them and the RAM now
            if done < run:
                self._flash_failed = True
                return False
        self._flash_failed = False
        return True

    def _make_room(self) -> bool:
        while self.queued() >= self._capacity:
            if self._drop_newest:
                return False
            self._drop_oldest()
        if self._n < self._ram_records:
            return True
        # Once flash has failed it is tried less often, or every decision would wait for it.
        if not self._flash_failed or self.next_seq % self._ram_records == 0:
            self.flush()
        if self._n == self._ram_records:
            if self._drop_newest:
                return False
            self._drop_from_ram()
        return True

    def _drop_oldest(self) -> None:
        if self._segments.waiting:
            self._segments.drop_one()
            self._count_drop()
        else:
            self._drop_from_ram()

    def _drop_from_ram(self) -> None:
        self._forward_ram()
        self._kept = 0
        if self._segments.waiting:
            self._dropped += 1
        else:
            self._count_drop()

    def _count_drop(self) -> None:
        if self._again:
            self._again -= 1
        else:
            self._dropped += 1

    def _forward_ram(self) -> None:
        self._first = (self._first + 1) % self._ram_records
        self._n -= 1

    def _in_ram(self, i: int):
        slot = (self._first + i) % self._ram_records
        return record.parse(self._ram, slot * _BYTES)

    def _begin_epoch(self) -> int:
        last = 0
        try:
            last = boot.read(self._files, self._epoch_path)
        except OSError:
            self._epoch_errors += 1
        newest = self._segments.newest()
        # The records know it, too, should the file be damaged.
        if newest and (not last or boot.is_after(newest[0], 0, last, 0)):
            last = newest[0]
        self.epoch = boot.following(last)
        self._save_epoch()
        return self.epoch

    def _save_epoch(self) -> None:
        try:
            boot.write(self._files, self._epoch_path, self.epoch)
            self._epoch_saved = True
        except OSError:
            self._epoch_errors += 1
