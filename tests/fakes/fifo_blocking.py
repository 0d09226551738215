"""A driver behind the real Sensing and a network that blocks: which windows come of it."""

from check import raises_kind
from fifo_checks import check_rows

from app.config import Config
from app.sensing import Sensing
from formats import result


class Planted:
    """A driver with a mistake in what it delivers."""

    def __init__(self, source, mistake):
        self._source = source
        self._mistake = mistake
        self._n_reads = 0
        self.n_channels = source.n_channels
        self.overruns = source.overruns
        self.gaps = source.gaps

    def read_into(self, ring, row, max_rows):
        """Spoil the rows of every fourth read that has two."""
        n_rows = self._source.read_into(ring, row, max_rows)
        self.overruns = self._source.overruns
        self.gaps = self._source.gaps
        if n_rows < 2:
            return n_rows
        self._n_reads += 1
        if self._n_reads % 4:
            return n_rows
        n = self.n_channels
        at = row * n
        if self._mistake == "lost":
            return n_rows - 1
        for i in range(n):
            value = ring[at + i]
            if self._mistake == "doubled":
                value = ring[at + n + i]
            elif self._mistake == "swapped":
                value = (value & 0xFF) << 8 | value >> 8 & 0xFF
                value = value - 0x10000 if value & 0x8000 else value
            elif self._mistake == "sign":
                value = min(-value, 32767)
            elif self._mistake == "channels":
                value = ring[at + n - 1 - i]
            ring[at + i] = value
        return n_rows


MISTAKES = ("lost", "doubled", "swapped", "sign", "channels")


class _Info:
    window = 50
    hop = 25
    n_features = 1
    n_classes = 2
    encoding = result.A
    k = n = 1
    min_confidence = 0
    novelty_threshold = 65535
    levels = (1, 2, 3, 4, 5, 6, 7)

    def __init__(self, n_channels):
        self.n_channels = n_channels


class Eye:
    """Stands in for the kernels' model: looks at each window and notes where it starts."""

    def __init__(self, chip):
        self._chip = chip
        self.starts = []

    def features_into(self, ring, start_row, features):
        """Fail unless the window holds consecutive samples."""
        n = self._chip.n_channels
        end = len(ring) // n
        rows = [start_row + i if start_row + i < end else start_row + i - end for i in range(50)]
        window = [tuple(ring[row * n : (row + 1) * n]) for row in rows]
        self.starts.append(self._chip.number(window[0][0]))
        check_rows(self._chip, window)

    def predict_into(self, features, answer):
        """Always class 0, sure."""
        answer[0] = 0
        answer[1] = 255
        answer[2] = 0


class Run:
    """The real Sensing and Window over a driver, in a loop whose network blocks now and then.

    Attributes:
        starts: the number of the first sample of each window.
        faults: reasons in the order of their bytes.
    """

    def __init__(self, case, block_ms, mistake=None, blocks=6):
        self.stage = stage = case.new()
        stage.settle()
        source = stage.source if mistake is None else Planted(stage.source, mistake)
        eye = Eye(stage.chip)
        values = {"tenant": "t", "device": "d", "broker_host": "b", "policy": "all"}
        sensing = Sensing(Config(values), source, _Info(source.n_channels), eye)
        self.starts = eye.starts
        self.faults = []
        for _ in range(blocks):
            end_us = stage.time.us + 3000000
            while stage.time.us < end_us:
                byte = sensing.step(stage.time.ticks_ms())
                if byte >= 0 and result.parse(result.A, byte)[3] >= 0:
                    self.faults.append(result.parse(result.A, byte)[3])
                stage.time.us += 2000
            stage.time.us += block_ms * 1000


def never_lets_a_pause_through(case, block_ms):
    """No gap and no duplicate: the windows follow each other by exactly one hop."""
    run = Run(case, block_ms)
    assert run.faults == [], run.faults
    assert run.stage.counts() == (0, 0)
    assert len(run.starts) >= 6 * 3000 * case.rate_hz // 1000 // 25 - 3, len(run.starts)
    for i in range(1, len(run.starts)):
        hop = (run.starts[i] - run.starts[i - 1]) % run.stage.chip.modulus
        assert hop == 25, run.starts


def reports_a_pause_that_is_too_long(case, block_ms):
    """One fault a pause; the windows on either side hold consecutive samples (Eye looks)."""
    run = Run(case, block_ms)
    assert run.faults == [result.SENSOR_OVERRUN] * 5, run.faults
    assert run.stage.counts() == (5, 0)
    jumps = 0
    for i in range(1, len(run.starts)):
        jumps += (run.starts[i] - run.starts[i - 1]) % run.stage.chip.modulus != 25
    assert jumps == 5, run.starts


def catches_planted_mistakes(case):
    """The same run with a driver that is wrong fails in the window that is wrong."""
    for mistake in MISTAKES:
        error = raises_kind(AssertionError, Run, case, 300, mistake)
        assert "sample" in str(error), (mistake, error)
