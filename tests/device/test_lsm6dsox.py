"""The LSM6DSOX driver against a fake of the chip's registers and tagged FIFO.

The FIFO has 512 words, 256 rows, and the driver counts a full one as overrun, so the loop may
block for 255 rows: 9.8 s at 26 Hz, 4.9 s at 52 Hz, 2.45 s at 104 Hz, 1.2 s at 208 Hz. A network
that blocks for 2 s costs nothing up to 104 Hz.
"""

import fifo_blocking
import fifo_checks
from check import raises_kind
from fake_lsm6dsox import FakeLSM6DSOX
from fifo_checks import Case, check_rows

from drivers.lsm6dsox import LSM6DSOX


def _make(bus, rate_hz, ranges=(8, 2000), **more):
    return LSM6DSOX(bus, rate_hz, ranges, **more)


def _case(rate_hz=104):
    return Case(_make, FakeLSM6DSOX, 0x6A, rate_hz, 255)


class _AccelFirst(FakeLSM6DSOX):
    """The other order of words in a time slot."""

    def __init__(self, time):
        super().__init__(time)
        self.accel_first = True


def test_refuses_another_chip():
    fifo_checks.refuses_another_chip(_case())
    fifo_checks.refuses_a_chip_that_keeps_nothing(_case(), 0x09)


def test_refuses_rates_and_ranges_that_the_chip_lacks():
    error = raises_kind(ValueError, _make, None, 50)
    assert str(error) == "rate_hz=50: not one of 12.5, 26, 52, 104, 208"
    error = raises_kind(ValueError, _make, None, 52, (3, 2000))
    assert str(error) == "range_g=3: not one of 2, 4, 8, 16"
    error = raises_kind(ValueError, _make, None, 52, (8, 300))
    assert str(error) == "range_dps=300: not one of 125, 250, 500, 1000, 2000"


def test_pauses_without_a_fault():
    fifo_checks.pauses_without_a_fault(_case())


def test_may_be_plugged_in_later():
    fifo_checks.may_come_later(_case(), LSM6DSOX)


def test_frees_the_bus_at_the_start():
    fifo_checks.frees_the_bus_at_the_start(_case())


def test_rates():
    fifo_checks.keeps_the_rate(_case(), (12.5, 26, 52, 104, 208))


def test_units_of_every_range():
    for range_g, range_dps in ((2, 125), (4, 250), (8, 500), (16, 1000), (2, 2000)):
        rotation = range_dps * 17453293  # nano-rad/s
        fifo_checks.keeps_the_units(
            lambda bus: LSM6DSOX(bus, 52, (range_g, range_dps)),  # noqa: B023
            _case(52),
            (range_g * 900000000, -range_g * 500000000, 1000000000)
            + (rotation // 2, -rotation * 9 // 10, rotation // 100),
            (range_g * 1000000000,) * 3 + (rotation,) * 3,
        )


def test_loses_and_doubles_nothing():
    fifo_checks.loses_and_doubles_nothing(_case())
    fifo_checks.loses_and_doubles_nothing(Case(_make, _AccelFirst, 0x6A, 104, 255))


def test_single_words_of_the_start_are_no_rows():
    stage = _case().new()
    rows = []
    for _ in range(40):
        stage.wait_rows(1)
        rows += stage.drain()
    assert 31 <= len(rows) <= 36, len(rows)  # the gyroscope starts 70 ms, 8 rows, later
    check_rows(stage.chip, rows)
    assert stage.counts() == (0, 0)


def test_a_lost_word_is_a_gap():
    for word in range(6):
        stage = _case().new()
        stage.settle()
        n = check_rows(stage.chip, stage.drain(), stage.chip.n)
        stage.chip.lose_word = word
        rows = []
        for _ in range(30):
            stage.wait_rows(1)
            stage.read()
            if stage.source.gaps == 0:
                n = check_rows(stage.chip, stage.rows, n)
            else:
                rows += stage.rows
        assert stage.counts() == (0, 1), (word, stage.counts())
        assert rows
        check_rows(stage.chip, rows)


def test_longest_pause_and_overrun():
    fifo_checks.bears_the_longest_pause(_case())
    fifo_checks.reports_an_overrun(_case(), 256)


def test_allocates_nothing():
    fifo_checks.allocates_nothing(_case())


def test_failures_of_the_bus():
    fifo_checks.survives_a_failure_at_every_byte(_case())
    fifo_checks.reports_a_bus_that_stays_held(_case())
    fifo_checks.comes_back_when_plugged_in(_case())
    fifo_checks.notices_another_chip_in_mid_run(_case())


def test_a_reset_of_the_chip():
    fifo_checks.notices_a_reset_of_the_chip(_case())
    fifo_checks.notices_a_reset_at_the_first_empty_read(_case())
    fifo_checks.notices_every_lost_setting(_case())


def test_sampling_while_the_network_blocks_for_2_s():
    fifo_blocking.never_lets_a_pause_through(_case(52), 2000)
    fifo_blocking.never_lets_a_pause_through(_case(104), 2000)
    fifo_blocking.never_lets_a_pause_through(_case(104), 2430)
    fifo_blocking.never_lets_a_pause_through(_case(208), 1200)


def test_a_block_beyond_the_fifo_is_an_overrun():
    fifo_blocking.reports_a_pause_that_is_too_long(_case(208), 2000)


def test_planted_mistakes_are_caught():
    fifo_blocking.catches_planted_mistakes(_case())
