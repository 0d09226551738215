"""The node: one cooperative loop over sensing, outbox and uplink."""

import gc

from app import power, sensing, status
from app.duty import Duty
from app.kept_outbox import KeptOutbox
from app.model_path import ModelPath
from formats import retained

_TICKS_MASK = 0x3FFFFFFF  # millisecond ticks wrap at 2^30 on the boards
_COLLECT_MS = 10000  # a collection takes an RP2040 14 ms


class Node:
    """Everything but the board.

    No step waits: each reads the source once or decides one window, and lets the uplink do what
    it can at once. A link that is slow or gone never costs a sample.

    Args:
        config: Config.
        board: the board, see `boards/unix/board.py`.
        make_uplink: called with this node when outbox, `meta` and `status` are there; returns the
            uplink: `step(now_ms)`, `rest_ms(now_ms)`, `wait(duration_ms)`, `begin()`, `is_done`,
            `statuses`, `connects`, `failures`, `refusals`, `last_error`, `close()`.
        link: None where the network is always there, else what brings it up: `step(now_ms)` says
            whether it is up, `rest_ms(now_ms)`, `doubt()`, `connects`, `failures`, `last_error`,
            `close()`, `has_left(now_ms)`.
        roll: function without arguments, random, 0-255.

    Attributes:
        duty: Duty.
        outbox: Outbox.
        sensing: Sensing or Refused.
        updating: None, or Updating.
    """

    def __init__(self, config, board, make_uplink, link=None, roll=lambda: 255):
        self._config = config
        self._board = board
        self._link = link
        self._link_is_up = link is None
        self._n_doubts = self._n_connects = 0
        self.updating = None
        self._clock = board.clock
        self._source = board.source
        self._kernels_name = board.kernels.__name__
        self.duty = Duty(config, board, roll)
        self.outbox = KeptOutbox(
            self.duty.keeper,
            self.duty.cause,
            self.duty.may_write,
            board.files,
            config.outbox_path,
            config.outbox_records,
            config.outbox_ram_records,
            config.outbox_segment_records,
            config.outbox_full == "drop_newest",
        )
        self._model = ModelPath(config, board, self.duty.mode)
        self.sensing = self._model.make(board.read_model())
        self._status = status.Status(self.outbox, self.sensing, board.clock, self.duty)
        self._uplink = make_uplink(self)
        self._saved_ms = self._ended_ms = board.clock.ticks_ms()
        self._has_garbage = True
        self._collected_ms = self._saved_ms
        # Nobody feeds the watchdog while the board idles; a nap does so itself.
        self._longest_idle_ms = config.watchdog_ms // 2 or _TICKS_MASK
        self.duty.attach(self)
        if self.outbox.has_resumed:
            self._go_on(self.duty.keeper.state, self._saved_ms)

    def take_model(self, content) -> None:
        """Goes on with another model: the numbers go on, and what was half seen is forgotten.

        Args:
            content: the file; it must not change any more.

        Raises:
            OnebyteError: it is refused, and nothing has changed.
        """
        self.sensing = self._model.remake(content, self.sensing)
        self._status.watch(self.sensing)
        self._uplink.announce(self.meta)

    def update_with(self, updating) -> None:
        """Takes an `app.updating.Updating`; call it before the first step."""
        self.updating = updating
        updating.attach(self)

    @property
    def model_error(self):
        """OnebyteError that refused the model, or None."""
        return self._model.error

    @property
    def meta(self) -> bytes:
        """The meta message."""
        return self._model.meta

    def status(self) -> bytes:
        """Returns the status message of now."""
        return self._status.pack(self._uplink.connects)

    @property
    def uplink_error(self) -> str:
        """What last went wrong on the way to the broker, for people; empty: nothing yet."""
        return self._uplink.last_error

    @property
    def link_error(self) -> str:
        """Why there is no network, for people; empty: there is one, or none was tried yet."""
        return self._link.last_error if self._link else ""

    @property
    def source_error(self) -> str:
        """How the sensor fails, for people; empty: it works."""
        return self.sensing.source_error

    @property
    def custom_error(self) -> str:
        """How custom.py last failed, for people; empty: it has not."""
        return self.sensing.custom_error

    @property
    def uptime_ms(self) -> int:
        """Since the boot that began the epoch, up to the last step."""
        return self._status.uptime_ms

    def summary(self) -> dict:
        """Returns the counters of the status message and those that only a log shows."""
        values = self._status.values(self._uplink.connects)
        values["model_error"] = str(self.model_error) if self.model_error else ""
        values["uplink_error"] = self.uplink_error
        values["link_error"] = self.link_error
        values["source_error"] = self.source_error
        values["custom_error"] = self.custom_error
        values["update_error"] = self.updating.error if self.updating else ""
        values["kernels"] = self._kernels_name
        values["overruns"] = self._source.overruns
        values["gaps"] = self._source.gaps
        return values

    @property
    def done(self) -> bool:
        """Whether a replay is over and its decisions delivered, or `drain_s` passed since."""
        if not self.sensing.done:
            self._ended_ms = self._clock.ticks_ms()
            return False
        waited_ms = (self._clock.ticks_ms() - self._ended_ms) & _TICKS_MASK
        return not self.outbox.queued() or waited_ms >= self._config.drain_s * 1000

    def step(self) -> bool:
        """Does one piece of work; returns False when there was none and the caller may sleep."""
        duty = self.duty
        now_ms = duty.turn(self._clock.ticks_ms())
        byte = self.sensing.step(now_ms) if duty.senses else sensing.IDLE
        if self.updating is not None:
            self.updating.sensed(self.sensing.windows, now_ms)
        if byte >= 0:
            clock = self._clock
            clock.read()
            self.outbox.append(byte, clock.quality, clock.time_s, clock.time_ms)
        self._status.tick(now_ms)  # before the uplink, whose status reads the clock anew
        if duty.link_is_wanted:
            self._step_network(now_ms)
        duty.mark(self._link_is_up, now_ms)
        self._save(now_ms)
        is_idle = byte == sensing.IDLE
        if self.updating is not None and self.updating.step(now_ms, is_idle):
            is_idle = False
        if not is_idle:
            self._has_garbage = True
            return True
        if self._has_garbage and (now_ms - self._collected_ms) & _TICKS_MASK >= _COLLECT_MS:
            # Between two windows there is time for it, inside of one there is not.
            self._has_garbage = False
            self._collected_ms = now_ms
            gc.collect()
        return False

    def rest_ms(self) -> int:
        """Returns how long nothing needs doing after a step that returned False."""
        now_ms = self._clock.ticks_ms()
        rest_ms = self.duty.rest_ms(now_ms)
        if self.duty.senses:
            rest_ms = min(rest_ms, self.sensing.rest_ms())
        if self.duty.link_is_wanted:
            if self._link is not None:
                rest_ms = min(rest_ms, self._link.rest_ms(now_ms))
            if self._link_is_up:
                rest_ms = min(rest_ms, self._uplink.rest_ms(now_ms))
        if self.updating is not None:
            rest_ms = min(rest_ms, self.updating.rest_ms(now_ms))
        if self.outbox.unsaved:
            unsaved_ms = (now_ms - self._saved_ms) & _TICKS_MASK
            rest_ms = min(rest_ms, self._config.outbox_flush_s * 1000 - unsaved_ms)
        return max(0, rest_ms)

    def idle(self) -> None:
        """Sleeps until there may be something to do."""
        rest_ms = self.rest_ms()
        idle_ms = min(rest_ms, self._longest_idle_ms)
        if self.duty.link_is_wanted and self._link_is_up and self._uplink.wait(idle_ms):
            return
        if not self.duty.nap(rest_ms):
            self._board.idle(idle_ms)

    def close(self) -> None:
        """Saves what is in RAM, leaves the broker and the network."""
        self.outbox.flush()
        self._uplink.close()
        if self._link is not None:
            self._link.close()

    def _step_network(self, now_ms: int) -> None:
        link = self._link
        if link is None:
            self._uplink.step(now_ms)
            return
        is_up = link.step(now_ms)
        if is_up:
            self._uplink.step(now_ms)
            if self._uplink.failures != self._n_doubts:
                self._n_doubts = self._uplink.failures
                link.doubt()
        elif self._link_is_up:
            self._uplink.close()
        self._link_is_up = is_up

    def _save(self, now_ms: int) -> None:
        if not self.outbox.unsaved:
            self._saved_ms = now_ms
        elif (now_ms - self._saved_ms) & _TICKS_MASK >= self._config.outbox_flush_s * 1000:
            self.flush(now_ms)

    # What the duty asks for.

    @property
    def judged(self) -> int:
        """Windows judged, and faults without one, since this program began."""
        return self.sensing.judged

    @property
    def progress(self) -> int:
        """A number that is another one whenever the node got on."""
        progress = self.sensing.progress + self.duty.wakes
        return progress if self.updating is None else progress + self.updating.progress

    @property
    def statuses(self) -> int:
        """Status messages that were confirmed."""
        return self._uplink.statuses

    @property
    def link_failures(self) -> int:
        """Attempts to reach the network or the broker that failed."""
        failures = self._uplink.failures + self._uplink.refusals
        return failures if self._link is None else failures + self._link.failures

    @property
    def is_delivered(self) -> bool:
        """Whether the broker has confirmed all there is."""
        return self._uplink.is_done and not self.outbox.queued()

    def begin_session(self) -> None:
        """The link is wanted from now on."""
        self._n_connects = self._uplink.connects
        self._uplink.begin()

    def end_session(self, is_done: bool) -> None:
        """Leaves the broker and the network."""
        self._uplink.close()
        if self._link is not None:
            if not is_done and self._uplink.connects == self._n_connects:
                # The budget may end before the attempt has failed, at every session.
                self._link.doubt()
            self._link.close()
            self._link_is_up = False

    def has_left(self, now_ms: int) -> bool:
        """Whether the network knows that a session is over: who sleeps cannot say it any more."""
        return self._link is None or self._link.has_left(now_ms)

    def unsaved_age_ms(self, now_ms: int) -> int:
        """Returns how long the oldest record in RAM may have waited."""
        return (now_ms - self._saved_ms) & _TICKS_MASK if self.outbox.unsaved else 0

    def flush(self, now_ms: int) -> None:
        """Writes what waits in RAM to flash."""
        ledger = self.duty.ledger
        ledger.mark(power.PHASE_ACTIVE, now_ms)
        self.outbox.flush()
        self._saved_ms = self._clock.ticks_ms()
        ledger.mark(power.PHASE_FLASH, self._saved_ms)

    def pause(self) -> None:
        """The source is not read for a while."""
        sensing.pause(self._source)

    def resume(self) -> None:
        """The source is read again."""
        self.sensing.resume()

    def keep_into(self, state, now_ms: int, sleep_ms: int) -> None:
        """Fills in what has to outlive a sleep of so long."""
        outbox = self.outbox
        self._status.tick(now_ms)
        state.epoch = outbox.epoch
        state.next_seq = outbox.next_seq
        uptime_ms = self._status.uptime_ms + sleep_ms
        state.uptime_s = uptime_ms // 1000
        state.uptime_ms = uptime_ms % 1000
        state.records = outbox.records()
        state.unsaved_age_ms = self.unsaved_age_ms(now_ms) + sleep_ms
        state.model = self._model.crc
        state.counters = [
            self.sensing.windows,
            self.sensing.faults,
            outbox.dropped,
            self._uplink.connects,
            0,
            outbox.flash_errors,
            outbox.flash_held,
        ]
        self.sensing.keep_into(state, now_ms, sleep_ms)

    def _go_on(self, state, now_ms: int) -> None:
        counters = dict(zip(retained.COUNTERS, state.counters))
        self.sensing.windows = counters["windows"]
        self.sensing.faults = counters["faults"]
        self._uplink.connects = counters["connects"]
        self.outbox.go_on(counters)
        self._status.go_on(state.uptime_s * 1000 + state.uptime_ms + self.duty.boot_ms)
        if hasattr(self._clock, "go_on"):
            self._status.tick(self._clock.ticks_ms())
            self._clock.go_on(self._status.uptime_ms)
        self._saved_ms = (now_ms - min(state.unsaved_age_ms, _TICKS_MASK)) & _TICKS_MASK
        if state.model == self._model.crc:
            self.sensing.go_on(state, now_ms)
        self.duty.go_on(state, now_ms)
