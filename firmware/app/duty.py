"""Wakes, senses, delivers and sleeps: acts on what `app.power` decides.

In the mode AWAKE there is nothing to do here but to keep the ledger. In the others the link opens
only for a session: from something to say until the broker has confirmed it, or until the budget is
spent or two attempts failed. What comes after a failed session is a pause.
"""

from app import power
from app.keeper import Keeper
from app.ledger import Ledger
from formats import retained

_TICKS_MASK = 0x3FFFFFFF  # millisecond ticks wrap at 2^30 on the boards
_SHORTEST_NAP_MS = 10  # below, falling asleep and waking takes longer
_LONGEST_BOOT_MS = 10000
_FEED_MS = 1000  # while a board without a light sleep waits
_LEAVING_REST_MS = 20


class Duty:
    """The rhythm of one node.

    Args:
        config: Config.
        board: the board, see `boards/unix/board.py`.
        roll: function without arguments, random, 0-255.

    Attributes:
        mode: of `app.power`.
        has_chip: whether the board can do anything about its power.
        cause: why the chip started.
        keeper: Keeper.
        ledger: Ledger.
        senses: whether the source is read now.
        link_is_wanted: whether the link is to be open now.
        boot_ms: from the first tick of a boot until here; 0: not known.
        started_ms: ticks of here.
        wakes: from sleep, since the epoch began.
    """

    def __init__(self, config, board, roll):
        chip = board.power
        self._chip = chip
        self.has_chip = chip is not None
        self._has_network = getattr(board, "write_line", None) is None
        self._clock = board.clock
        self._board_idle = board.idle
        self._roll = roll
        self._interval_ms = config.wake_interval_s * 1000
        self._windows = config.wake_windows
        self._budget_ms = config.awake_budget_ms
        self._status_ms = config.status_interval_s * 1000
        self._flush_ms = config.outbox_flush_s * 1000
        self._brownout_mv = config.brownout_mv
        self.cause = chip.reset_cause() if chip else power.UNKNOWN
        # A source that the processor samples would miss what happens while it sleeps.
        alone = getattr(board.source, "samples_alone", False)
        self._can_nap = chip is not None and chip.can_light_sleep and alone
        self._can_light = chip is not None and chip.can_light_sleep
        self.mode = _mode(config, chip, board, self._can_light, self._can_nap)
        self.keeper = Keeper(
            board.retained, board.files, config.outbox_path, config.outbox_ram_records
        )
        self.ledger = Ledger(board.currents_ua, self.mode == power.AWAKE)
        self._begin(board.clock.ticks_ms())

    def _begin(self, now_ms: int) -> None:
        # Where the ticks of a board begin.
        self.boot_ms = now_ms if now_ms < _LONGEST_BOOT_MS else 0
        self.started_ms = self._woke_ms = self._link_ms = now_ms
        if self.cause == power.WOKE:
            self._woke_ms -= self.boot_ms
        self._said_ms = now_ms
        self._status_is_due = True
        self._n_statuses = 0
        self._n_failures = 0
        self._n_delivered = 0
        self._failed_sessions = 0
        self._pause_ms = 0
        self._pause_from_ms = now_ms
        self._judged = 0
        self._has_lasted = False
        self._is_leaving = False  # the network was told, and may not have answered yet
        self._phase = power.PHASE_ACTIVE
        self.senses = True
        self.link_is_wanted = self.mode == power.AWAKE
        self.wakes = 0
        if self.boot_ms:
            self.ledger.mark(power.PHASE_ACTIVE, 0)
        self.ledger.mark(power.PHASE_ACTIVE, now_ms)

    def attach(self, node) -> None:
        """Takes the node whose rhythm this is, once all its parts are there."""
        self._node = node

    def may_write(self) -> bool:
        """Returns whether the supply is good enough for the flash."""
        return power.may_write(self.supply_mv(), self._brownout_mv)

    def supply_mv(self) -> int:
        """Returns the supply, `power.UNKNOWN_MV` when the board cannot measure it."""
        return self._chip.supply_mv() if self._chip else power.UNKNOWN_MV

    def turn(self, now_ms: int) -> int:
        """Decides what the step that begins may do, and sleeps first when it is time to.

        Returns:
            The ticks of now.
        """
        if not self._has_lasted and power.has_lasted((now_ms - self.started_ms) & _TICKS_MASK):
            self._has_lasted = True
            self.keeper.lasted()
        if self.mode == power.AWAKE:
            return now_ms
        self._watch_session(now_ms)
        if self._is_leaving:
            self._is_leaving = not self._node.has_left(now_ms)
        wants = self.link_is_wanted or self._wants_link(now_ms)
        if self.mode == power.NAPS:
            if wants and not self.link_is_wanted:
                self._begin_session(now_ms)
            return now_ms
        awake_ms = (now_ms - self._woke_ms) & _TICKS_MASK
        left = self._windows - (self._node.judged - self._judged)
        action = power.next_action(awake_ms, self._budget_ms, left, wants)
        self.senses = action == power.SENSE
        if action == power.SLEEP:
            if self.link_is_wanted:
                self._end_session(now_ms)
            return now_ms if self._is_leaving else self._sleep(now_ms, awake_ms)
        if action == power.DELIVER and not self.link_is_wanted:
            self._begin_session(now_ms)
        return now_ms

    def rest_ms(self, now_ms: int) -> int:
        """Returns how long `turn` has nothing to do."""
        if self.mode == power.AWAKE:
            return _TICKS_MASK
        if self.link_is_wanted:
            if self._is_done() and not self._holds_link():
                return 0
            left_ms = self._budget_ms - ((now_ms - self._link_ms) & _TICKS_MASK)
        elif self._is_leaving:
            return _LEAVING_REST_MS
        elif self._wants_link(now_ms):
            return 0 if self.mode == power.NAPS or not self.senses else self._awake_left_ms(now_ms)
        else:
            left_ms = self._pause_left_ms(now_ms) or _TICKS_MASK
        if self.mode != power.NAPS:
            left_ms = min(left_ms, self._awake_left_ms(now_ms))
        return max(0, left_ms)

    def nap(self, duration_ms: int) -> bool:
        """Sleeps lightly, if that is possible and worth it; returns whether it did."""
        is_linked = self.link_is_wanted or self._is_leaving
        may_nap = self.mode != power.AWAKE and self._can_nap and not is_linked
        if not may_nap or duration_ms < _SHORTEST_NAP_MS:
            return False
        self._light_sleep(duration_ms)
        return True

    def mark(self, network_is_up: bool, now_ms: int) -> None:
        """Charges the time since the last mark to what the node has been doing since then."""
        uses_network = self.link_is_wanted and self._has_network
        is_linking = uses_network and not network_is_up
        is_linked = uses_network and network_is_up
        self.ledger.mark(self._phase, now_ms)
        self._phase = power.phase(is_linking, is_linked or self._is_leaving, False)

    def _watch_session(self, now_ms: int) -> None:
        node = self._node
        if node.statuses != self._n_statuses:
            self._n_statuses = node.statuses
            self._status_is_due = False
            self._said_ms = now_ms
        elif not self._status_is_due:
            self._status_is_due = (now_ms - self._said_ms) & _TICKS_MASK >= self._status_ms
        if not self.link_is_wanted:
            return
        open_ms = (now_ms - self._link_ms) & _TICKS_MASK
        is_over = self._is_done() and not self._holds_link()
        n_failures = node.link_failures - self._n_failures
        if not power.keeps_link(open_ms, self._budget_ms, is_over, n_failures):
            self._end_session(now_ms)

    def _is_done(self) -> bool:
        node = self._node
        is_due = self._status_is_due and node.statuses == self._n_statuses
        return node.is_delivered and not is_due

    def _holds_link(self) -> bool:
        """Whether an update is on its way."""
        updating = self._node.updating
        return updating is not None and updating.holds_link

    def _delivered(self) -> int:
        """A number that grows with all that gets on over the link."""
        updating = self._node.updating
        n_records = self._node.outbox.delivered
        return n_records if updating is None else n_records + updating.fetched_bytes

    def _awake_left_ms(self, now_ms: int) -> int:
        return max(0, self._budget_ms - ((now_ms - self._woke_ms) & _TICKS_MASK))

    def _wants_link(self, now_ms: int) -> bool:
        left_ms = self._pause_left_ms(now_ms)
        updating = self._node.updating
        is_due = self._status_is_due or (updating is not None and updating.opens_link)
        return power.wants_link(self._node.outbox.queued(), is_due, left_ms)

    def _pause_left_ms(self, now_ms: int) -> int:
        if self._pause_ms:
            left_ms = self._pause_ms - ((now_ms - self._pause_from_ms) & _TICKS_MASK)
            if left_ms > 0:
                return left_ms
            self._pause_ms = 0
        return 0

    def _begin_session(self, now_ms: int) -> None:
        self.link_is_wanted = True
        self._is_leaving = False
        self._link_ms = now_ms
        self._n_failures = self._node.link_failures
        self._n_delivered = self._delivered()
        self._node.begin_session()

    def _end_session(self, now_ms: int) -> None:
        is_done = self._is_done()
        # What got on in a session that was too short for all of it goes on in the next one.
        is_good = is_done or self._delivered() != self._n_delivered
        self.link_is_wanted = False
        self._node.end_session(is_done)
        self._is_leaving = not self._node.has_left(now_ms)
        self._failed_sessions = 0 if is_good else min(255, self._failed_sessions + 1)
        interval_s = self._interval_ms // 1000
        self._pause_ms = 1000 * power.link_pause_s(self._failed_sessions, interval_s, self._roll())
        self._pause_from_ms = now_ms

    def _sleep(self, now_ms: int, awake_ms: int) -> int:
        """Sleeps until the next wake; returns the ticks then. A deep sleep does not return."""
        node = self._node
        duration_ms = power.sleep_ms(self._interval_ms, awake_ms)
        node.pause()
        room = self.keeper.room if self.mode == power.CYCLE_DEEP else node.outbox.unsaved
        age_ms = node.unsaved_age_ms(now_ms)
        if power.must_save(node.outbox.unsaved, age_ms, duration_ms, self._flush_ms, room):
            node.flush(now_ms)
        if self.mode == power.CYCLE_DEEP:
            self._deep_sleep(now_ms, duration_ms)
        self._light_sleep(duration_ms)
        now_ms = self._clock.ticks_ms()
        self.wakes += 1
        self._woke_ms = now_ms
        self._judged = node.judged
        self.senses = True
        node.resume()
        return now_ms

    def _light_sleep(self, duration_ms: int) -> None:
        self.ledger.mark(self._phase, self._clock.ticks_ms())
        self._phase = power.PHASE_ACTIVE
        if self._can_light:
            self._chip.light_sleep_ms(duration_ms)
        else:
            self._wait_awake(duration_ms)
        phase = power.phase(False, False, self._can_light)
        self.ledger.mark(phase, self._clock.ticks_ms())

    def _wait_awake(self, duration_ms: int) -> None:
        while duration_ms > 0:
            self._chip.feed()
            self._board_idle(min(duration_ms, _FEED_MS))
            duration_ms -= _FEED_MS

    def _deep_sleep(self, now_ms: int, duration_ms: int) -> None:
        """Does not return, unless what has to outlive the sleep cannot be kept."""
        outbox = self._node.outbox
        is_kept = False
        may_keep = not self.keeper.uses_flash or self.may_write()
        if may_keep and outbox.unsaved <= self.keeper.room:
            is_kept = self.keeper.store(self._state(now_ms, duration_ms))
        if not is_kept:
            outbox.flush()
        if power.keeps_state(is_kept, outbox.unsaved, self._can_light):
            self._chip.deep_sleep_ms(duration_ms)

    def _state(self, now_ms: int, duration_ms: int):
        """What the node goes on with after a deep sleep."""
        state = retained.State()
        self.ledger.mark(self._phase, now_ms)
        self._node.keep_into(state, now_ms, duration_ms)
        if not self._status_is_due:
            state.status_age_ms = _age(self._said_ms, now_ms, duration_ms)
        state.link_failures = self._failed_sessions
        left_ms = self._pause_left_ms(now_ms) - duration_ms
        state.link_wait_s = max(0, left_ms // 1000)
        state.counters[retained.COUNTERS.index("wakes")] = self.wakes
        state.charge_uah, state.charge_rest = self.ledger.after_deep_sleep(duration_ms)
        return state

    def go_on(self, state, now_ms: int) -> None:
        """Goes on with what was kept over the sleep before this boot."""
        self.wakes = state.counters[retained.COUNTERS.index("wakes")] + 1
        self.ledger.restore(state.charge_uah, state.charge_rest)
        if state.status_age_ms < self._status_ms:
            self._status_is_due = False
            self._said_ms = (now_ms - state.status_age_ms) & _TICKS_MASK
        self._failed_sessions = state.link_failures
        self._pause_ms = state.link_wait_s * 1000
        self._pause_from_ms = now_ms


def _mode(config, chip, board, can_light: bool, can_nap: bool) -> int:
    if chip is None:
        return power.AWAKE
    currents = board.currents_ua
    pays = power.does_deep_pay(
        config.wake_interval_s,
        currents.get("light_sleep", 0),
        currents.get("deep_sleep", 0),
        currents.get("boot_uc", 0),
    )
    if not config.wake_interval_s:
        can_light = can_nap
    return power.mode(config.sleep, config.wake_interval_s, can_light, chip.can_deep_sleep, pays)


def _age(since_ms: int, now_ms: int, duration_ms: int) -> int:
    """Milliseconds at the wake, within what a state holds."""
    return min(((now_ms - since_ms) & _TICKS_MASK) + duration_ms, retained.UNKNOWN_MS - 1)
