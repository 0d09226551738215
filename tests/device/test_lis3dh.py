"""The LIS3DH driver against a fake of the chip's registers and FIFO.

The FIFO has 32 rows and the driver counts a full one as overrun, so the loop may block for 31
rows: 3.1 s at 10 Hz, 1.24 s at 25 Hz, 620 ms at 50 Hz, 310 ms at 100 Hz, 155 ms at 200 Hz. A
network that blocks for 2 s costs samples from 25 Hz on; that is reported, and no window spans it.
"""

import fifo_blocking
import fifo_checks
from check import raises_kind
from fake_lis3dh import FakeLIS3DH
from fifo_checks import Case

from drivers.lis3dh import LIS3DH


def _make(bus, rate_hz, range_g=8, **more):
    return LIS3DH(bus, rate_hz, range_g, **more)


def _case(rate_hz=50):
    return Case(_make, FakeLIS3DH, 0x18, rate_hz, 31)


class _Overwrites(FakeLIS3DH):
    """OVRN_FIFO as the datasheet describes it."""

    def __init__(self, time):
        super().__init__(time)
        self.overrun_when_full = False


def test_refuses_another_chip():
    fifo_checks.refuses_another_chip(_case())
    fifo_checks.refuses_a_chip_that_keeps_nothing(_case(), 0x23)


def test_refuses_rates_and_ranges_that_the_chip_lacks():
    error = raises_kind(ValueError, _make, None, 52)
    assert str(error) == "rate_hz=52: not one of 1, 10, 25, 50, 100, 200, 400"
    error = raises_kind(ValueError, _make, None, 50, 6)
    assert str(error) == "range_g=6: not one of 2, 4, 8, 16"


def test_pauses_without_a_fault():
    fifo_checks.pauses_without_a_fault(_case())


def test_may_be_plugged_in_later():
    fifo_checks.may_come_later(_case(), LIS3DH)


def test_frees_the_bus_at_the_start():
    fifo_checks.frees_the_bus_at_the_start(_case())


def test_rates():
    fifo_checks.keeps_the_rate(_case(), (1, 10, 25, 50, 100, 200, 400))


def test_units_of_every_range():
    for range_g in (2, 4, 8, 16):
        fifo_checks.keeps_the_units(
            lambda bus: LIS3DH(bus, 50, range_g),  # noqa: B023
            _case(),
            (range_g * 900000000, -range_g * 500000000, 1000000000),
            (range_g * 1000000000,) * 3,
        )


def test_loses_and_doubles_nothing():
    fifo_checks.loses_and_doubles_nothing(_case())


def test_longest_pause_and_overrun():
    fifo_checks.bears_the_longest_pause(_case())
    fifo_checks.reports_an_overrun(_case(), 32)
    as_datasheet = Case(_make, _Overwrites, 0x18, 50, 31)
    fifo_checks.bears_the_longest_pause(as_datasheet)
    fifo_checks.reports_an_overrun(as_datasheet, 33)
    fifo_checks.loses_and_doubles_nothing(as_datasheet)


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


def test_sampling_while_the_network_blocks():
    fifo_blocking.never_lets_a_pause_through(_case(50), 600)
    fifo_blocking.never_lets_a_pause_through(_case(10), 2000)
    fifo_blocking.never_lets_a_pause_through(_case(100), 290)


def test_a_block_of_2_s_at_50_hz_is_an_overrun():
    fifo_blocking.reports_a_pause_that_is_too_long(_case(50), 2000)
    fifo_blocking.reports_a_pause_that_is_too_long(_case(100), 2000)


def test_planted_mistakes_are_caught():
    fifo_blocking.catches_planted_mistakes(_case())
