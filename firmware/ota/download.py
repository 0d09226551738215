"""Fetches what is wanted: attempts, pauses, and when to give up. docs/SPEC.md: Download."""

from formats import errors
from formats.errors import OnebyteError
from ota import slots
from ota.downloads import Downloads
from ota.fetcher import Fetcher
from ota.job import Job
from ota.pace import Pace
from ota.wanted import Wanted

# Another attempt would end in the same way.
_FINAL = (errors.UPDATE_SPACE, errors.UPDATE_PARTITION, errors.SOURCE_URL)

_ENOSPC = 28
_LONG_MS = 1 << 28
_POLL_MS = 20


class Download:
    """From a want to a release that is armed.

    Args:
        standing: `ota.standing.Standing`.
        limits: `ota.pace.Limits`.
        randint: random.randint, or a test's.

    Attributes:
        sources: see `Fetcher.open`.
        wanted: Wanted.
        job: the attempt of now, or None.
        error: what last went wrong, for people.
    """

    def __init__(self, standing, limits, randint):
        self.sources = (None, None)
        self.error = ""
        self.job = None
        self._at = standing
        self._files = Downloads(standing.store)
        self.wanted = Wanted(self._files, limits)
        self._pace = Pace(limits, randint)
        self._fetcher = Fetcher(limits)
        self._is_linked = False

    @property
    def is_busy(self) -> bool:
        """Whether the next step has work that waits for nothing."""
        if not self.wants_link:
            return False
        return self.job is None or self.job.next_request() is None

    @property
    def wants_link(self) -> bool:
        """Whether the network is of use now."""
        return self.wanted.is_open and not self._pace.is_pausing

    def rest_ms(self, now_ms: int) -> int:
        """Return how long no step is needed, unless a message comes."""
        if not self.wanted.is_open:
            return _LONG_MS
        left_ms = self._pace.left_ms(now_ms)
        if left_ms or self.is_busy:
            return left_ms
        return _POLL_MS if self._is_linked else _LONG_MS

    def link(self, is_open: bool) -> None:
        """Learn whether the broker can be reached now."""
        self._is_linked = is_open
        if not is_open:
            self._fetcher.close()

    def take(self, payload) -> None:
        """Take a want; an empty payload withdraws it.

        Raises:
            OnebyteError: it is malformed, and what was wanted before still is.
        """
        if not self.wanted.take(payload, self.wanted.seq if self._has_offer() else 0):
            return
        if self.job and self.job.is_for(self.wanted.want):
            self._fetcher.close()  # the same release from another place
        elif self.job or self._has_offer():
            self._drop()  # what an earlier start has left of this release stays

    def step(self, now_ms: int) -> bool:
        """Do a bounded piece; return whether there was one.

        With the phase ARMED in the end, `job.found` is what is armed.
        """
        if not self.wanted.look(self._at.node.record, now_ms) or self._pace.left_ms(now_ms):
            return False
        try:
            return self._go_on(now_ms)
        except OSError as error:
            if error.errno == _ENOSPC:
                self._refused(OnebyteError(errors.UPDATE_SPACE), now_ms)
            else:
                self._failed(errors.UPDATE_FLASH, "flash: %s" % error, now_ms)
        except MemoryError as error:
            self._failed(errors.UPDATE_MEMORY, str(error), now_ms)
        except OnebyteError as error:
            self._refused(error, now_ms)
        return True

    def forget(self) -> None:
        """Clear what is not needed any more: the release is armed."""
        self._pace.reset()
        self._drop()

    def _has_offer(self) -> bool:
        return self._at.node.phase in (slots.FETCH, slots.VERIFY)

    def _go_on(self, now_ms: int) -> bool:
        if self.job is None:
            self.job = Job(self._at, self.wanted.want)
        request = self.job.next_request()
        if request is None:
            self.job.step()
            return True
        return self._is_linked and self._fetch(request, now_ms)

    def _fetch(self, request, now_ms: int) -> bool:
        try:
            if not self._fetcher.is_open:
                self._fetcher.open(self.sources, self.wanted.want["url"], now_ms)
            piece = self._fetcher.step(request, now_ms)
        except OSError as error:
            self._failed(errors.UPDATE_ATTEMPTS, "download: %s" % error, now_ms)
            return True
        if piece is None:
            return False
        self.job.put(piece)
        self.wanted.got_on()
        return True

    def _failed(self, reason: int, text: str, now_ms: int) -> None:
        """Count an attempt in vain; what is on flash stays for the next one."""
        self.error = text
        self._end_attempt(reason, False, now_ms)

    def _refused(self, error, now_ms: int) -> None:
        self.error = str(error)
        if not (self.job.is_final or error.code in _FINAL):
            self._end_attempt(error.code, True, now_ms)
            return
        try:
            self.wanted.refuse(error.code, now_ms)
        except OSError:
            pass  # it is refused once more after a restart
        self._pace.failed(now_ms)
        self._drop()

    def _end_attempt(self, reason: int, was_content: bool, now_ms: int) -> None:
        self._close()
        self._pace.failed(now_ms)
        try:
            is_last = self.wanted.failed(reason, was_content, now_ms)
        except OSError:
            is_last = not self.wanted.is_open
        if is_last:
            self._drop()

    def _close(self) -> None:
        self._fetcher.close()
        job, self.job = self.job, None
        if job is not None:
            job.close()

    def _drop(self) -> None:
        """Nothing is fetched any more, and what came so far is of no use."""
        self._close()
        if self._at.node.phase == slots.FETCH:
            self._at.event(slots.FETCH_FAILED)
        elif self._at.node.phase == slots.VERIFY:
            self._at.event(slots.VERIFY_FAILED)
        try:
            self._files.clear()
        except OSError as error:
            self.error = "flash: %s" % error  # the next download does it
