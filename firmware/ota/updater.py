"""Updates of a node that runs: fetches what is wanted, judges a trial, and says where it stands.

The app calls `step` between its own work and carries the messages; it does what `action` says when
its results are safe. docs/SPEC.md: Download, Trial.
"""

from formats import update_messages
from formats.errors import OnebyteError
from formats.slot_state import NO_SLOT
from ota import report, slots
from ota.download import Download
from ota.health import Facts
from ota.pace import Limits
from ota.standing import Standing
from ota.trial import Trial

RESTART = "restart"
SWAP = "swap"

_LONG_MS = 1 << 28


class Updater:
    """One for the life of the process. Nothing here raises but for bugs.

    Args:
        boot: `ota.loader.Boot`.
        verify: checks one Ed25519 signature, see `ota.verifier`.
        platform: `ota.platform.Platform`.
        randint: random.randint, or a test's.
        limits: Limits, or None for the defaults.

    Attributes:
        sources: (source of objects on the broker, source of those at an address), or None each.
        facts: function without arguments, returns `ota.health.Facts`; None: trials only wait.
        action: "" or what the app has to do: RESTART: save everything, then `restart()`; SWAP:
            take the model anew from `slot_path`, then `swapped()`.
        bad_messages: how many were malformed.
        error: what last went wrong, for people.
    """

    def __init__(self, boot, verify, platform, randint, limits=None):
        self.facts = None
        self.action = ""
        self.bad_messages = 0
        self.error = ""
        self._limits = limits or Limits()
        self._at = Standing(boot, verify, platform)
        self._download = Download(self._at, self._limits, randint)
        self._download.wanted.uptime_s = lambda: self.facts().uptime_s if self.facts else 0
        self._trial = Trial(self._at, self._limits)
        self._reported = self._shown = ()

    @property
    def sources(self):
        """Where objects come from."""
        return self._download.sources

    @sources.setter
    def sources(self, pair):
        self._download.sources = pair

    @property
    def slot_path(self) -> str:
        """Folder of the slot that runs, empty when none does."""
        running = self._at.node.running
        return "" if running == NO_SLOT else self._at.store.slot_path(running)

    @property
    def standing(self) -> Standing:
        """Where the node stands."""
        return self._at

    @property
    def is_healthy(self) -> bool:
        """Whether the last look at the trial found nothing wrong or missing."""
        return self._trial.is_healthy

    @property
    def is_trial(self) -> bool:
        """Whether what runs is on trial."""
        return self._at.node.phase == slots.TRIAL

    @property
    def is_busy(self) -> bool:
        """Whether the next step has work that waits for nothing."""
        return not self.action and not self.is_trial and self._download.is_busy

    @property
    def is_fetching(self) -> bool:
        """Whether there is a release to fetch, and no pause to keep."""
        return not self.action and self._download.wants_link

    @property
    def wants_link(self) -> bool:
        """Whether the network is needed."""
        if self.action:
            return False
        return self.is_trial or self.needs_report or self._download.wants_link

    def rest_ms(self, now_ms: int) -> int:
        """Return how long no step is needed, unless a message comes."""
        if self.action:
            return _LONG_MS
        return self._trial.rest_ms(now_ms) if self.is_trial else self._download.rest_ms(now_ms)

    def link(self, is_open: bool) -> None:
        """Learn whether the broker can be reached now."""
        self._download.link(is_open)

    def on_want(self, payload) -> None:
        """Take a want; an empty payload withdraws it."""
        try:
            self._download.take(payload)
        except OnebyteError as error:
            self.bad_messages += 1
            self.error = "want: %s" % error

    def on_ack(self, payload) -> None:
        """Take the server's acknowledgement of a trial."""
        try:
            self._trial.acknowledge(*update_messages.parse_ack(payload))
        except OnebyteError as error:
            self.bad_messages += 1
            self.error = "ack: %s" % error

    @property
    def needs_report(self) -> bool:
        """Whether the broker should hear where the node stands."""
        return self._reported != self._mark()

    def status(self) -> dict:
        """Return the fields of the message on /u."""
        return report.status(self._at, self._download.wanted, self._download.job)

    def report(self) -> bytes:
        """Return the message on /u of now."""
        self._shown = self._mark()
        return update_messages.pack_report(self.status())

    def reported(self) -> None:
        """Learn that the broker has acknowledged the last report."""
        self._reported = self._shown
        if self._shown == self._mark():
            self._at.event(slots.REPORTED)  # the record stays as it is: nothing is written

    def _mark(self):
        return report.mark(self._at, self._download.wanted, self._download.job)

    def step(self, now_ms: int) -> bool:
        """Do a bounded piece; return whether there was one.

        Only a signature takes longer than about 20 ms on an RP2040, and what the flash erases.
        """
        if self.action:
            return False
        if self.is_trial:
            return self._step_trial(now_ms)
        has_worked = self._download.step(now_ms)
        self.error = self._download.error or self.error
        if self._at.node.phase == slots.ARMED:
            self._start_trial(now_ms)
        return has_worked

    def _start_trial(self, now_ms: int) -> None:
        found = self._download.job.found
        self._download.forget()
        self.action = RESTART
        if self._limits.can_swap and self._at.may_swap(found):
            try:
                self._at.event(slots.TRY)
            except OSError:
                return  # a boot will try it
            self._at.found = found
            self._trial = Trial(self._at, self._limits, now_ms)
            self.action = SWAP

    def _step_trial(self, now_ms: int) -> bool:
        if not self._trial.is_due(now_ms):
            return False
        try:
            self.action = self._trial.step(self.facts() if self.facts else Facts(), now_ms)
        except OSError as error:
            self.error = "flash: %s" % error
        return True

    def swapped(self) -> None:
        """Learn that the model of `slot_path` runs, or was refused: `facts` says which."""
        self.action = ""

    def restart(self) -> None:
        """Start anew; never returns on a board."""
        self._at.platform.restart()
