"""A node's part in its updates: time for the updater, what a trial is judged by, another model.

The updater is frozen code, and what it decides it has made durable before it says `action` here:
"swap", take the model of the slot that runs now, or "restart". Neither may cost a result, so what
the node knows is delivered, or at least on flash, before it is done.
"""

import gc
import sys

from formats import errors

_SWAP = "swap"
_RESTART = "restart"
_TICKS_MASK = 0x3FFFFFFF  # millisecond ticks wrap at 2^30 on the boards
_BUSY_REST_MS = 100  # where there is always something to sense, the updater gets a turn so often
_ACTION_REST_MS = 100
_PATIENCE_MS = 60000  # an update must not depend on a broker that is gone


class Facts:
    """What a trial is judged by; the updater knows these names.

    Attributes:
        model_reason: why the model was refused, 0: it runs.
        sensor_ok: it was read without a failure, and windows came of it.
        windows: judged in this trial.
        heap_free: bytes.
        latency_us: longest from a window to its decision.
        uptime_s: sleep included.
    """

    def __init__(self):
        self.model_reason = 0
        self.sensor_ok = False
        self.windows = 0
        self.heap_free = 0
        self.latency_us = 0
        self.uptime_s = 0


class Updating:
    """Runs the updater of a node.

    Args:
        updater: `step(now_ms)`, `rest_ms(now_ms)`, `wants_link`, `is_fetching`, `is_trial`,
            `status()`, `action`, `slot_path`, `swapped()`, `error`, and `facts`, set here.
        channel: UpdateChannel, None where there is no network.
        config: Config; its model_path and custom_path change with the model.
        board: see `boards/unix/board.py`.

    Attributes:
        progress: changes whenever the updater got on.
        must_restart: everything is safe, and another program, or this one anew, has to start.
    """

    def __init__(self, updater, channel, config, board):
        self._updater = updater
        self._channel = channel
        self._config = config
        self._clock = board.clock
        self._files = board.files
        self._node = None
        self._slot_path = updater.slot_path
        self._stepped_ms = self._asked_ms = 0
        self._action = ""
        self._swap_error = None
        self._windows = self._windows_before = 0
        self._latency_ms = 0
        self.progress = 0
        self.must_restart = False
        updater.facts = self.facts

    def attach(self, node) -> None:
        """Takes the node, once all its parts are there."""
        self._node = node
        self._windows = node.sensing.windows

    @property
    def error(self) -> str:
        """What last went wrong, for people; empty: nothing did."""
        refusal = self._channel.error if self._channel else ""
        return refusal or self._updater.error

    @property
    def holds_link(self) -> bool:
        """Whether an open link should stay: something is on its way."""
        is_due = self._channel is not None and self._channel.is_due
        return is_due or self._updater.wants_link

    @property
    def fetched_bytes(self) -> int:
        """How much of a download is there."""
        return self._updater.status()["done_bytes"]

    @property
    def opens_link(self) -> bool:
        """Whether the link is worth opening for updates alone."""
        return self._updater.is_trial or self._updater.is_fetching

    def sensed(self, windows: int, now_ms: int) -> None:
        """Notes how long a decision took; allocates nothing.

        Args:
            windows: judged so far.
            now_ms: ticks when the window was there.
        """
        if windows != self._windows:
            self._windows = windows
            latency_ms = (self._clock.ticks_ms() - now_ms) & _TICKS_MASK
            self._latency_ms = max(self._latency_ms, latency_ms)

    def step(self, now_ms: int, is_idle: bool) -> bool:
        """Does a bounded piece of work; returns whether there was one.

        Args:
            now_ms: millisecond ticks.
            is_idle: there is nothing to sense now.
        """
        if not is_idle and (now_ms - self._stepped_ms) & _TICKS_MASK < _BUSY_REST_MS:
            return False
        self._stepped_ms = now_ms
        has_worked = self._updater.step(now_ms)
        if has_worked:
            self.progress = (self.progress + 1) & _TICKS_MASK
        if self._updater.action:
            self._act(now_ms)
        return has_worked

    def rest_ms(self, now_ms: int) -> int:
        """Returns how long `step` has nothing to do unless a message comes."""
        if self._updater.action:
            return _ACTION_REST_MS
        return self._updater.rest_ms(now_ms)

    def facts(self):
        """Returns the `Facts` of now."""
        node = self._node
        found = Facts()
        error = self._swap_error or node.model_error
        found.model_reason = error.code if error else 0
        found.windows = node.sensing.windows - self._windows_before
        found.sensor_ok = not node.source_error and found.windows > 0
        gc.collect()
        found.heap_free = gc.mem_free()
        found.latency_us = self._latency_ms * 1000
        found.uptime_s = node.uptime_ms // 1000
        return found

    def _act(self, now_ms):
        if self._action != self._updater.action:
            self._action = self._updater.action
            self._asked_ms = now_ms
        is_late = (now_ms - self._asked_ms) & _TICKS_MASK >= _PATIENCE_MS
        outbox = self._node.outbox
        if self._action == _RESTART:
            self.must_restart = (
                self.must_restart or not outbox.unsaved or outbox.flush() or is_late
            )
        elif self._action == _SWAP and (self._node.is_delivered or is_late):
            # What the old model said is read by the old meta message.
            self._swap()

    def _swap(self):
        config = self._config
        before = config.model_path, config.custom_path
        config.model_path = self._moved(before[0])
        config.custom_path = self._moved(before[1])
        try:
            self._node.take_model(self._read(config.model_path))
        except errors.OnebyteError as error:
            self._swap_error = error
            config.model_path, config.custom_path = before
        except MemoryError:
            self.must_restart = True  # there is room for one model, and a start tries the new one
            return
        self._move_search_path()
        self._slot_path = self._updater.slot_path
        self._windows_before = self._windows = self._node.sensing.windows
        self._latency_ms = 0
        self._action = ""
        self._updater.swapped()

    def _moved(self, path):
        """Return where a file of the slot before lies in the one that runs now."""
        return self._updater.slot_path + path[len(self._slot_path) :]

    def _move_search_path(self):
        # The slot before is where the next download goes.
        for i in range(len(sys.path)):
            name = sys.path[i]
            if name == self._slot_path or name.startswith(self._slot_path + "/"):
                sys.path[i] = self._moved(name)

    def _read(self, path):
        try:
            content = bytearray(self._files.stat(path)[6])  # in one piece, where it stays
            with self._files.open(path, "rb") as file:
                file.readinto(content)
            return content
        except OSError as error:
            raise errors.OnebyteError(errors.TOO_SHORT, "%s: %s" % (path, error)) from None
