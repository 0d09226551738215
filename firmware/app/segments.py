"""Records on flash: a queue of small append-only files. docs/SPEC.md: Outbox on flash."""

from app.epoch import is_after
from formats import errors, record

_BYTES = record.RECORD_BYTES
_SUFFIX = ".q"
_DIGITS = 8
_READ_ATTEMPTS = 3  # then an unreadable segment no longer blocks those behind it
_SCAN_RECORDS = 16  # read at once at boot

_ENOENT = 2
_EEXIST = 17


class _Segment:
    """One file: records `next` to `count - 1` wait, those before are acknowledged or dropped."""

    def __init__(self, number: int):
        self.number = number
        self.next = 0
        self.count = 0
        self.last_epoch = 0
        self.last_seq = 0


class Segments:
    """The part of the outbox that survives a power cut.

    Nothing here raises when the flash fails or is full: `flash_errors` counts it.

    Args:
        files: `open`, `remove`, `rename`, `ilistdir`, `mkdir` of a MicroPython filesystem.
        path: the folder; it is made when missing.
        segment_records: records in a file.

    Attributes:
        waiting: records that are neither acknowledged nor dropped.
        corrupt: segments that were cut off at a damaged record.
        lost: waiting records given up because they could not be read any more.
        may_write: function without arguments, False: files are removed later; None: always.
    """

    def __init__(self, files, path: str, segment_records: int):
        self._files = files
        self._path = path
        self._segment_records = segment_records
        self._segments = []
        self._next_number = 0
        self._open = False  # whether the last segment may grow
        self._floor = 0  # the first record of the first segment that `rewind` may return to
        self._remove_later = []
        self._read_failures = 0
        self.waiting = 0
        self.corrupt = 0
        self.lost = 0
        self.flash_errors = 0
        self.may_write = None

    def recover(self) -> None:
        """Finds what is on flash. Everything valid waits again, acknowledged before or not."""
        try:
            numbers = self._numbers()
        except OSError:
            self.flash_errors += 1
            return
        for number in numbers:
            self._next_number = number + 1
            try:
                self._recover_segment(_Segment(number))
            except OSError:
                self.flash_errors += 1
                self._open = False

    def newest(self):
        """Returns (epoch, seq) of the newest record, or None."""
        if not self._segments:
            return None
        last = self._segments[-1]
        return last.last_epoch, last.last_seq

    def append(self, records, count: int) -> int:
        """Makes records durable.

        Args:
            records: memoryview of `count` records.
            count: at least 1.

        Returns:
            How many are durable, from the first on; fewer than `count` when the flash failed.
        """
        done = 0
        while done < count:
            if not self._open or self._segments[-1].count >= self._segment_records:
                self._start_segment()
            segment = self._segments[-1]
            n = min(count - done, self._segment_records - segment.count)
            if not self._write(segment, records[done * _BYTES : (done + n) * _BYTES]):
                self._append_failed(segment)
                break
            done += n
            segment.count += n
            self.waiting += n
            last = record.parse(records, (done - 1) * _BYTES)
            segment.last_epoch, segment.last_seq = last[0], last[3]
        return done

    def peek(self, max_records: int) -> list:
        """Returns up to `max_records` waiting records, oldest first; fewer when flash fails."""
        records = []
        for segment in list(self._segments):
            want = min(segment.count - segment.next, max_records - len(records))
            if want <= 0:
                break
            good = self._read(segment, segment.next, want)
            records.extend(good)
            if len(good) < want:
                if not records:
                    self._read_failed(segment)
                return records
            self._read_failures = 0
        return records

    def acked(self, epoch: int, seq: int) -> int:
        """Forgets the records up to and including (epoch, seq); returns how many waited."""
        before = self.waiting
        while self._segments:
            first = self._segments[0]
            if is_after(first.last_epoch, first.last_seq, epoch, seq):
                for entry in self._read(first, first.next, first.count - first.next):
                    if is_after(entry[0], entry[3], epoch, seq):
                        break
                    first.next += 1
                    self.waiting -= 1
                break
            self.waiting -= first.count - first.next
            self._remove_first()
        return before - self.waiting

    def drop_one(self) -> None:
        """Forgets the oldest waiting record."""
        first = self._segments[0]
        first.next += 1
        self.waiting -= 1
        self._floor = first.next
        if first.next == first.count:
            self._remove_first()

    def rewind(self, epoch: int, seq: int, limit: int) -> int:
        """Lets acknowledged records from (epoch, seq) on wait again, at most the last `limit`.

        Returns:
            How many; only those of the oldest segment are still there.
        """
        if not self._segments:
            return 0
        first = self._segments[0]
        start = max(self._floor, first.next - limit)
        for entry in self._read(first, start, first.next - start):
            if not is_after(epoch, seq, entry[0], entry[3]):
                break
            start += 1
        again = first.next - start
        first.next = start
        self.waiting += again
        return again

    def tidy(self) -> None:
        """Tries again to remove what could not be removed."""
        numbers = self._remove_later
        self._remove_later = []
        for number in numbers:
            self._remove(number)

    def _name(self, number: int) -> str:
        return "%s/%08d%s" % (self._path, number, _SUFFIX)

    def _numbers(self) -> list:
        try:
            self._files.mkdir(self._path)
        except OSError as error:
            if error.errno != _EEXIST:
                raise
        numbers = []
        for entry in self._files.ilistdir(self._path):
            name = entry[0]
            digits = name[:_DIGITS]
            if name[_DIGITS:] == _SUFFIX and len(digits) == _DIGITS and digits.isdigit():
                numbers.append(int(digits))
        return sorted(numbers)

    def _recover_segment(self, segment: _Segment) -> None:
        whole = True
        with self._files.open(self._name(segment.number), "rb") as file:
            while whole:
                content = file.read(_SCAN_RECORDS * _BYTES)
                if not content:
                    break
                whole = self._scan(segment, content)
        self.corrupt += not whole
        # A tail behind a damaged record must never become reachable: such a file does not grow.
        self._open = whole and segment.count > segment.next
        if segment.count > segment.next:
            self._segments.append(segment)
            self.waiting += segment.count - segment.next
        else:
            self._remove(segment.number)

    def _scan(self, segment: _Segment, content: bytes) -> bool:
        for offset in range(0, len(content), _BYTES):
            try:
                entry = record.parse(content, offset)
            except errors.OnebyteError:
                return False
            newest = (segment.last_epoch, segment.last_seq) if segment.count else self.newest()
            if newest is None or is_after(entry[0], entry[3], newest[0], newest[1]):
                segment.last_epoch, segment.last_seq = entry[0], entry[3]
            elif segment.next == segment.count:
                # Written once more because a failed write had succeeded after all.
                segment.next += 1
                segment.last_epoch, segment.last_seq = newest
            else:
                return False
            segment.count += 1
        return True

    def _write(self, segment: _Segment, content) -> bool:
        # "wb" replaces what a failed attempt at this number may have left.
        mode = "ab" if segment.count else "wb"
        try:
            with self._files.open(self._name(segment.number), mode) as file:
                return file.write(content) == len(content)
        except OSError:
            return False

    def _read(self, segment: _Segment, start: int, count: int) -> list:
        """The valid ones of `count` records; up to the first that cannot be read."""
        records = []
        try:
            with self._files.open(self._name(segment.number), "rb") as file:
                file.seek(start * _BYTES)
                content = file.read(count * _BYTES)
            for i in range(count):
                records.append(record.parse(content, i * _BYTES))
        except OSError:
            self.flash_errors += 1
        except errors.OnebyteError:
            pass
        return records

    def _read_failed(self, segment: _Segment) -> None:
        self._read_failures += 1
        if self._read_failures < _READ_ATTEMPTS:
            return
        self._read_failures = 0
        self.corrupt += 1
        self.lost += segment.count - segment.next
        self.waiting -= segment.count - segment.next
        # The file stays for the next boot, which judges it anew.
        self._forget_first()

    def _start_segment(self) -> None:
        self._segments.append(_Segment(self._next_number))
        self._next_number += 1
        self._open = True

    def _append_failed(self, segment: _Segment) -> None:
        # The file may hold the records or not. It does not grow any more: behind what it holds
        # beyond `count` nothing could be found again.
        self.flash_errors += 1
        self._open = False
        if not segment.count:
            self._segments.pop()
            self._next_number = segment.number

    def _forget_first(self) -> None:
        self._segments.pop(0)
        self._floor = 0
        if not self._segments:
            self._open = False

    def _remove_first(self) -> None:
        number = self._segments[0].number
        self._forget_first()
        self._remove(number)

    def _remove(self, number: int) -> None:
        if self.may_write is not None and not self.may_write():
            self._remove_later.append(number)
            return
        try:
            self._files.remove(self._name(number))
        except OSError as error:
            if error.errno != _ENOENT:
                self.flash_errors += 1
                self._remove_later.append(number)
