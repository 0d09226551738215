"""The MPU-6050 driver against a fake of the chip's registers and byte FIFO.

The FIFO has 1024 bytes, 85 rows of both sensors, so the loop may block for 85 rows: 2.1 s at
40 Hz, 1.7 s at 50 Hz, 850 ms at 100 Hz, 425 ms at 200 Hz. A network that blocks for 2 s costs
samples from 50 Hz on; that is reported, and no window spans it.
"""

import fifo_blocking
import fifo_checks
from check import raises_kind
from fake_mpu6050 import FakeMPU6050
from fifo_checks import Case, check_rows

from drivers.mpu6050 import MPU6050


def _make(bus, rate_hz, ranges=(8, 2000), **more):
    return MPU6050(bus, rate_hz, ranges, **more)


def _case(rate_hz=50):
    return Case(_make, FakeMPU6050, 0x68, rate_hz, 85)


def test_refuses_another_chip():
    fifo_checks.refuses_another_chip(_case())
    fifo_checks.refuses_a_chip_that_keeps_nothing(_case(), 0x1C)


def test_refuses_rates_and_ranges_that_the_driver_lacks():
    error = raises_kind(ValueError, _make, None, 52)
    assert str(error) == "rate_hz=52: not one of 10, 20, 25, 40, 50, 100, 125, 200, 250"
    error = raises_kind(ValueError, _make, None, 50, (3, 2000))
    assert str(error) == "range_g=3: not one of 2, 4, 8, 16"
    error = raises_kind(ValueError, _make, None, 50, (8, 125))
    assert str(error) == "range_dps=125: not one of 250, 500, 1000, 2000"


def test_pauses_without_a_fault():
    fifo_checks.pauses_without_a_fault(_case())


def test_may_be_plugged_in_later():
    fifo_checks.may_come_later(_case(), MPU6050)


def test_frees_the_bus_at_the_start():
    fifo_checks.frees_the_bus_at_the_start(_case())


def test_rates():
    fifo_checks.keeps_the_rate(_case(), (10, 20, 25, 40, 50, 100, 125, 200, 250))


def test_units_of_every_range():
    for range_g, range_dps in ((2, 250), (4, 500), (8, 1000), (16, 2000)):
        rotation = range_dps * 17453293  # nano-rad/s
        fifo_checks.keeps_the_units(
            lambda bus: MPU6050(bus, 50, (range_g, range_dps)),  # noqa: B023
            _case(),
            (range_g * 900000000, -range_g * 500000000, 1000000000)
            + (rotation // 2, -rotation * 9 // 10, rotation // 100),
            (range_g * 1000000000,) * 3 + (rotation,) * 3,
        )


def test_units_are_those_of_the_exercise_recipe():
    lsb_nano = _case().new().source.lsb_nano
    assert lsb_nano == (244141, 244141, 244141, 1064225, 1064225, 1064225)


def test_loses_and_doubles_nothing():
    fifo_checks.loses_and_doubles_nothing(_case())


def test_longest_pause_and_overrun():
    fifo_checks.bears_the_longest_pause(_case())
    fifo_checks.reports_an_overrun(_case(), 86)


def test_a_row_that_is_being_written_waits():
    stage = _case().new()
    stage.settle()
    n = stage.chip.n
    stage.wait_rows(5)
    stage.chip.writes_for = 1
    rows = stage.drain()
    assert len(rows) == 5
    check_rows(stage.chip, rows, n)
    assert stage.counts() == (0, 0)


def test_a_fifo_that_begins_within_a_row_is_restarted():
    stage = _case().new()
    stage.settle()
    stage.chip.skewed = True
    stage.wait_rows(5)
    assert stage.read() == 0
    assert stage.counts() == (0, 1)
    stage.wait_rows(5)
    rows = stage.drain()
    assert len(rows) == 5
    check_rows(stage.chip, rows)


class _LateBus:
    """Lets time pass between the count and the burst, as a busy interrupt would."""

    def __init__(self, bus):
        self._bus = bus
        self.late_us = 0
        self.writeto_mem = bus.writeto_mem

    def readfrom_mem_into(self, address, register, buffer):
        if register == 0x74:
            self._bus.time.us += self.late_us
            self.late_us = 0
        self._bus.readfrom_mem_into(address, register, buffer)


def test_an_overflow_between_count_and_burst_is_an_overrun():
    stage = _case().new()
    late = _LateBus(stage.bus)
    stage.source._bus = late
    stage.settle()
    stage.wait_rows(80)
    late.late_us = 10 * stage.period_us
    assert stage.read() == 0, "rows that begin within a row"
    assert stage.counts() == (1, 0)
    stage.wait_rows(5)
    check_rows(stage.chip, stage.drain())


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
    fifo_blocking.never_lets_a_pause_through(_case(50), 1650)
    fifo_blocking.never_lets_a_pause_through(_case(40), 2000)
    fifo_blocking.never_lets_a_pause_through(_case(100), 820)


def test_a_block_of_2_s_at_50_hz_is_an_overrun():
    fifo_blocking.reports_a_pause_that_is_too_long(_case(50), 2000)
    fifo_blocking.reports_a_pause_that_is_too_long(_case(100), 2000)


def test_planted_mistakes_are_caught():
    fifo_blocking.catches_planted_mistakes(_case())
