"""From samples to result bytes. Nothing here allocates per window, except for what a driver does.

`step()` of both classes does one small piece of work: it reads the source once or decides one
window, and returns what came of it.
"""

from array import array

from formats import errors, result, retained
from pipeline.decision import Decision
from pipeline.faults import SensorWatch
from pipeline.policy import Policy
from pipeline.window import Window

NOTHING = -1  # worked, but there is no byte to publish
IDLE = -2  # there was nothing to do

_SCRATCH_ROWS = 32
_FULL_READ_ROWS = 32  # drivers return at most so many, or as many as there are
_TICKS_MASK = 0x3FFFFFFF  # millisecond ticks wrap at 2^30 on the boards
_FAILED_REST_MS = 500  # a bus that failed is tried again so often
_LONGEST_REST_MS = 10000
_MILLIONTHS = 1000000  # of a row: millihertz times milliseconds


def rest_ms(source, missing_rows: int) -> int:
    """Returns how long a source just emptied may be left alone.

    That is until the next window is complete, if the source can hold so many rows and a quarter
    more, else until it is half full: the rest is for a loop that comes late.

    Args:
        source: a driver.
        missing_rows: rows that the next window lacks.
    """
    n_rows = missing_rows
    if source.fifo_rows and missing_rows * 4 > source.fifo_rows * 3:
        n_rows = source.fifo_rows // 2
    rate_mhz = getattr(source, "pace_mhz", 0) or source.rate_mhz  # a replay has its own pace
    duration_ms = (max(1, n_rows) * _MILLIONTHS + rate_mhz - 1) // rate_mhz
    return min(duration_ms, _LONGEST_REST_MS)


def pause(source) -> None:
    """Lets a source save power until `restart`, if it can."""
    if hasattr(source, "power_down"):
        try:
            source.power_down()
        except OSError:
            pass  # it shows when it is read again


def restart(source) -> None:
    """Lets a source begin anew after a pause, if it can."""
    if hasattr(source, "restart"):
        source.restart()


def keep_policy_into(state, published: int, published_ms: int, now_ms: int, sleep_ms: int) -> None:
    """Fills in what was published last (-1: nothing) and how long ago, after a sleep to come."""
    if published >= 0:
        state.published = published
        state.published_age_ms = ((now_ms - published_ms) & _TICKS_MASK) + sleep_ms


class Sensing:
    """The path from a source to result bytes worth publishing.

    Args:
        config: Config.
        source: a driver.
        info: `formats.model.Model`.
        kernel_model: the kernels' model of the same file.

    Attributes:
        progress: grows, and wraps, with all that is read or judged.
        judged: windows, and faults without one, since this program began.
        windows: windows judged since boot.
        faults: decisions since boot that are a fault other than `undecided`.
        source_error: how the source last failed, for people; empty: it works.
        custom_error: how custom.py last failed, for people; empty: it has not.
    """

    def __init__(self, config, source, info, kernel_model):
        self._source = source
        self._ends = hasattr(source, "done")
        self._window = Window(info.n_channels, info.window, info.hop)
        self._watch = SensorWatch(
            info.n_channels,
            info.window,
            config.silent_ms,
            config.saturated_permille,
            config.sample_low,
            config.sample_high,
        )
        self._model = kernel_model
        self._features = array("h", bytes(2 * info.n_features))
        self._result = array("i", bytes(4 * (4 + info.n_classes)))
        self._decision = Decision(
            info.encoding,
            info.k,
            info.n,
            info.min_confidence,
            info.novelty_threshold,
            info.levels,
        )
        self._policy = Policy(config.policy, config.heartbeat_s, info.encoding)
        self._overruns = source.overruns
        self._gaps = source.gaps
        self._bus_failed = False
        self.windows = 0
        self.faults = 0
        self.progress = 0
        self.judged = 0
        self.source_error = ""
        self.custom_error = ""

    def count_on(self, before) -> None:
        """Counts on from a Sensing or Refused whose place this one takes."""
        self.windows = before.windows
        self.faults = before.faults
        self.progress = before.progress
        self.judged = before.judged

    @property
    def done(self) -> bool:
        """Whether the source has ended, as only a replay does, and every window is judged."""
        return self._ends and self._source.done and self._window.is_drained()

    def rest_ms(self) -> int:
        """Returns how long there is nothing to do here after an IDLE step."""
        if self._bus_failed:
            return _FAILED_REST_MS
        return rest_ms(self._source, self._window.missing())

    def step(self, now_ms: int) -> int:
        """Returns a result byte to publish, NOTHING or IDLE."""
        start = self._window.ready()
        if start < 0:
            return self._read(now_ms)
        self.windows += 1
        self.judged += 1
        self._progressed()
        ring = self._window.ring
        reason = self._watch.window_fault(ring, start)
        if reason >= 0:
            return self._fault(reason, now_ms)
        try:
            self._model.features_into(ring, start, self._features)
        except errors.OnebyteError as error:  # of custom.py; the kernels do not fail
            self.custom_error = str(error)
            return self._fault(result.INTERNAL, now_ms)
        self._model.predict_into(self._features, self._result)
        byte = self._decision.step(self._result[0], self._result[1], self._result[2])
        return byte if self._policy.should_publish(byte, now_ms) else NOTHING

    def _read(self, now_ms: int) -> int:
        window = self._window
        source = self._source
        room = window.room()
        try:
            n_rows = source.read_into(window.ring, window.row, room)
        except OSError as error:
            return self._read_failed(now_ms, error)
        reason = -1
        if source.overruns != self._overruns:
            self._overruns = source.overruns
            window.reset()
            reason = result.SENSOR_OVERRUN
        if source.gaps != self._gaps:
            self._gaps = source.gaps
            window.reset()
            self._decision.reset()
        window.wrote(n_rows)
        if n_rows:
            self._progressed()
            if self._bus_failed:
                self._bus_failed = False
                self.source_error = ""
        if not (self._ends and source.done) and self._watch.silent(n_rows, now_ms):
            window.reset()
            reason = result.SENSOR_ERROR if self._bus_failed else result.SENSOR_SILENT
        if reason >= 0:
            self.judged += 1
            return self._fault(reason, now_ms)
        # A read that brought less than it could has emptied the source.
        is_empty = n_rows < room and n_rows < _FULL_READ_ROWS
        return IDLE if is_empty and window.missing() else NOTHING

    def _read_failed(self, now_ms: int, error) -> int:
        # The first failure is reported at once, a bus that stays broken once per silent_ms.
        is_due = self._watch.silent(0, now_ms) or not self._bus_failed
        self._bus_failed = True
        self.source_error = str(error)
        self._window.reset()
        if not is_due:
            return IDLE
        self.judged += 1
        return self._fault(result.SENSOR_ERROR, now_ms)

    def _fault(self, reason: int, now_ms: int) -> int:
        self.faults += 1
        self._progressed()
        byte = self._decision.fault(reason)
        return byte if self._policy.should_publish(byte, now_ms) else NOTHING

    def _progressed(self) -> None:
        self.progress = (self.progress + 1) & _TICKS_MASK

    def resume(self) -> None:
        """Goes on after a pause: what was half seen before it belongs to no window."""
        restart(self._source)
        self._overruns = self._source.overruns
        self._gaps = self._source.gaps
        self._window.reset()
        self._watch.restart()

    def keep_into(self, state, now_ms: int, sleep_ms: int) -> None:
        """Fills in what has to outlive a sleep of so long."""
        state.at, state.votes, state.confidences = self._decision.history()
        keep_policy_into(state, self._policy.last, self._policy.published_ms, now_ms, sleep_ms)

    def go_on(self, state, now_ms: int) -> None:
        """Goes on with what was kept for this model."""
        self._decision.restore(state.at, state.votes, state.confidences)
        if state.published != retained.NO_KEY and state.published_age_ms <= _TICKS_MASK:
            self._policy.last = state.published
            self._policy.published_ms = (now_ms - state.published_age_ms) & _TICKS_MASK
        self.resume()  # a chip that starts at its first read counts a gap, which ends the votes


class Refused:
    """Stands in when there is no valid model: says so at once and at every heartbeat.

    Args:
        config: Config.
        source: a driver; it is read on, so that a replay ends.
        encoding: the model's, when that much of it could be read, else A.
    """

    def __init__(self, config, source, encoding: int = result.A):
        self._source = source
        self._ends = hasattr(source, "done")
        self._scratch = array("h", bytes(2 * source.n_channels * _SCRATCH_ROWS))
        self._byte = result.pack_fault(encoding, result.MODEL_INVALID)
        self._interval_ms = config.heartbeat_s * 1000
        self._said_ms = -1
        self.windows = 0
        self.faults = 0
        self.progress = 0
        self.judged = 0
        self.source_error = ""
        self.custom_error = ""

    @property
    def done(self) -> bool:
        """Whether the source has ended, as only a replay does."""
        return self._ends and self._source.done

    def rest_ms(self) -> int:
        """Returns how long there is nothing to do here after an IDLE step."""
        return rest_ms(self._source, _SCRATCH_ROWS)

    def step(self, now_ms: int) -> int:
        """Returns the fault byte when it is due, else NOTHING or IDLE."""
        self.judged += 1
        self.progress = (self.progress + 1) & _TICKS_MASK
        if self._said_ms < 0 or (now_ms - self._said_ms) & _TICKS_MASK >= self._interval_ms:
            self._said_ms = now_ms
            self.faults += 1
            return self._byte
        try:
            n_rows = self._source.read_into(self._scratch, 0, _SCRATCH_ROWS)
        except OSError:
            n_rows = 0
        return NOTHING if n_rows else IDLE

    def resume(self) -> None:
        """Goes on after a pause."""
        restart(self._source)

    def keep_into(self, state, now_ms: int, sleep_ms: int) -> None:
        """Fills in what has to outlive a sleep of so long."""
        if self._said_ms >= 0:
            keep_policy_into(state, self._byte, self._said_ms, now_ms, sleep_ms)

    def go_on(self, state, now_ms: int) -> None:
        """Goes on with what was kept for this model."""
        if state.published == self._byte and state.published_age_ms <= _TICKS_MASK:
            self._said_ms = (now_ms - state.published_age_ms) & _TICKS_MASK
