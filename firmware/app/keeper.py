"""Keeps mark and state over a deep sleep. docs/SPEC.md, "Retained".

A state is good for one sleep: once `claim()` said so, it cannot be continued a second time.
"""

from formats import errors, retained

_STATE = "/state"
_MARK_BYTES = retained.MARK_BYTES


def read(memory) -> bytes:
    """Returns what a board's retained memory holds, nothing without one."""
    if memory is None:
        return b""
    try:
        return bytes(memory.read())
    except OSError:
        return b""


def write_mark(memory, early_ends: int, is_asleep: bool, state_crc: int) -> bool:
    """Writes the mark and leaves what stands behind it; returns whether that worked."""
    if memory is None:
        return False
    mark = retained.pack_mark(early_ends, is_asleep, state_crc)
    return _write(memory, mark, read(memory)[_MARK_BYTES:])


def _write(memory, mark, state) -> bool:
    content = bytearray(_MARK_BYTES + len(state))
    content[:_MARK_BYTES] = mark
    content[_MARK_BYTES:] = state
    try:
        memory.write(bytes(content))
    except OSError:
        return False
    return True


class Keeper:
    """The retained memory of one node.

    Args:
        memory: the board's `retained`: `read()`, `write(bytes)`, `max_bytes`; or None: nothing
            outlives a deep sleep.
        files: filesystem of the outbox.
        path: the outbox's folder, which exists.
        n_records: records that a state may have to hold.

    Attributes:
        uses_flash: the state stands in a file, since the memory is too small for it.
        room: records that a state can hold.
        state: what was kept over the sleep before this boot, or None.
        is_asleep: `state` was written for that sleep, and nothing was made since.
    """

    def __init__(self, memory, files, path: str, n_records: int):
        self._memory = memory
        self._files = files
        self._path = path + _STATE
        content = read(memory)
        self._early_ends, marked, crc = retained.parse_mark(content)
        max_bytes = memory.max_bytes - _MARK_BYTES if memory else 0
        # A file costs flash, so it takes everything; a memory takes what it can.
        self.uses_flash = max_bytes < retained.state_bytes(1)
        if self.uses_flash:
            self.room = n_records
        else:
            self.room = (max_bytes - retained.state_bytes(0)) // 16
        self.state: object = None
        self.is_asleep = False
        if memory is not None:
            self._find(content, marked, crc)

    def _find(self, content, marked: bool, crc: int) -> None:
        try:
            kept = self._read_file() if self.uses_flash else content[_MARK_BYTES:]
            self.state = retained.parse(kept)
        except (OSError, errors.OnebyteError):
            return  # the first boot, or a supply that failed: a new epoch begins
        self.is_asleep = marked and crc == retained.crc_of(kept)

    def store(self, state) -> bool:
        """Keeps a state for the sleep that begins now; returns whether it will be there."""
        if self._memory is None:
            return False
        content = retained.pack(state)
        mark = retained.pack_mark(0, True, retained.crc_of(content))
        if not self.uses_flash:
            return _write(self._memory, mark, content)
        try:
            with self._files.open(self._path + ".tmp", "wb") as file:
                file.write(content)
            self._files.rename(self._path + ".tmp", self._path)
        except OSError:
            return False
        return _write(self._memory, mark, b"")

    def claim(self) -> bool:
        """Makes sure that the state is not continued a second time."""
        self.is_asleep = False
        return write_mark(self._memory, 0, False, 0)

    def forget(self) -> None:
        """Removes the state: its records are on flash, or the broker has them."""
        if not self.uses_flash:
            _write(self._memory, retained.pack_mark(self._early_ends, False, 0), b"")
            return
        try:
            self._files.remove(self._path)
        except OSError:
            pass  # the next boot tries again

    def lasted(self) -> None:
        """Takes note that this boot did not end early."""
        if self._early_ends:
            self._early_ends = 0
            content = read(self._memory)
            _, is_asleep, crc = retained.parse_mark(content)
            write_mark(self._memory, 0, is_asleep, crc)

    def _read_file(self) -> bytes:
        with self._files.open(self._path, "rb") as file:
            return file.read()
