"""Records to flash: segments of blocks, until a quota of free space is reached; oldest kept.

    rec/<run>-<n>.obs     n-th segment of a run: an INFO block, then blocks as they were made

Each portion of blocks is appended and the file closed, which LittleFS does as a whole or not at
all. So a power cut costs what was not yet appended, and what is on flash are whole blocks.
"""

import os
import time

from app.record_plan import FOLDER, make_folder
from formats import sample_block

PORTION_BYTES = 3584  # appended at once: with what the file system adds, a block of the flash
SEGMENT_BYTES = 32768
SPARE_BYTES = 16384  # for directories and for a portion that is written anew


class Sink:
    """Takes blocks and keeps them in segments.

    Args:
        files: filesystem object.
        free_bytes: function that returns the free bytes of the filesystem.
        info: body of the INFO block.
        quota_bytes: so much stays free.
        prefix: of all paths, "" or a folder with "/".

    Attributes:
        reason: why no more can be written, as in an END block; -1 while it can.
        run: number of this run.
        written: bytes on flash so far.
    """

    def __init__(self, files, free_bytes, info: bytes, quota_bytes: int, prefix: str = ""):
        self._files = files
        self._free_bytes = free_bytes
        self._info = sample_block.pack(sample_block.INFO, 0, info)
        self._quota_bytes = quota_bytes
        self._folder = prefix + FOLDER
        self._portion = bytearray()
        self._segment = -1
        self._segment_bytes = SEGMENT_BYTES  # the first block begins a segment
        self.reason = -1
        self.written = 0
        make_folder(files, self._folder)
        runs = [run for run, _, _ in segments(files, prefix)]
        self.run = max(runs) + 1 if runs else 1

    def add(self, block) -> None:
        """Takes a block, none when writing has ended; writes when a portion is together."""
        if self.reason >= 0:
            return
        self._portion += block
        if len(self._portion) >= PORTION_BYTES:
            self.flush()

    def flush(self) -> None:
        """Writes what was taken, unless writing has ended."""
        if not self._portion or self.reason >= 0:
            return
        if self._segment_bytes + len(self._portion) > SEGMENT_BYTES and not self._begin():
            return
        self._append()

    def _append(self) -> None:
        try:
            file = self._files.open(self._path(), "ab")
            try:
                file.write(self._portion)
            finally:
                file.close()
        except OSError:
            self.reason = sample_block.FLASH_FAILED
            return
        self.written += len(self._portion)
        self._segment_bytes += len(self._portion)
        self._portion = bytearray()

    def _begin(self) -> bool:
        """Begins a segment if it fits as a whole; returns whether it did."""
        needed = self._quota_bytes + SEGMENT_BYTES + SPARE_BYTES
        try:
            has_room = self._free_bytes() >= needed
        except OSError:
            has_room = False
        if not has_room:
            self.reason = sample_block.QUOTA
            return False
        self._segment += 1
        self._segment_bytes = 0
        self._portion = bytearray(self._info) + self._portion
        return True

    def close(self, last_block) -> None:
        """Writes what was taken and the last block."""
        self._portion += last_block
        self.flush()
        if self.reason == sample_block.QUOTA and self._segment >= 0:
            self._append()  # what found no segment: less than SPARE_BYTES has room for

    def _path(self) -> str:
        return "%s/%04d-%04d.obs" % (self._folder, self.run, self._segment)


def segments(files, prefix: str = "") -> list:
    """Returns (run, number, path) of each segment, oldest first."""
    found = []
    folder = prefix + FOLDER
    try:
        entries = list(files.ilistdir(folder))
    except OSError:
        return found
    for entry in entries:
        name = entry[0]
        digits = name[:4] + name[5:9]
        if len(name) == 13 and name[4] == "-" and name.endswith(".obs") and digits.isdigit():
            found.append((int(name[:4]), int(name[5:9]), folder + "/" + name))
    found.sort()
    return found


def run(recorder, sink, max_ms: int = 0, sleep_ms=time.sleep_ms, ticks_ms=time.ticks_ms) -> int:
    """Records until Ctrl-C, the quota, the source's end, or for so long (0: no end).

    Returns:
        Why it ended, as in an END block.
    """
    reason = -1
    passed_ms = 0
    last_ms = ticks_ms()
    try:
        while reason < 0:
            recorder.read()
            while recorder.n_waiting:
                sink.add(recorder.take())
            now_ms = ticks_ms()
            passed_ms += time.ticks_diff(now_ms, last_ms)
            last_ms = now_ms
            if sink.reason >= 0:
                reason = sink.reason
            elif recorder.is_over:
                reason = sample_block.SOURCE_OVER
            elif max_ms and passed_ms >= max_ms:
                reason = sample_block.ROWS_DONE
            else:
                sleep_ms(recorder.rest_ms())
    except KeyboardInterrupt:
        reason = sample_block.ASKED
    while recorder.n_waiting:
        sink.add(recorder.take())
    sink.close(recorder.pack_end(reason))
    return reason


def free_bytes() -> int:
    """Returns the free bytes of the filesystem."""
    stat = os.statvfs("/")
    return stat[0] * stat[3]
