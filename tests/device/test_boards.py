"""The boards' files over fakes of their hardware: what a node gets, and what it is told."""

import os
from array import array

import board_folders
from check import raises, raises_kind
from fake_lis3dh import FakeLIS3DH
from fake_mpu6050 import FakeMPU6050
from i2c_chips import Bus, Time

from app import config as configuration
from app import links
from formats import errors

ROOT = board_folders.ROOT
CHIPS = ("pico", "pico_ppp", "pico_w", "esp32_s3")
GIVEN = {"tenant": "lab", "device": "n1", "broker_host": "nowhere", "sensor": "mpu6050"}
GIVEN["wifi_ssid"] = "home"


def _config(**changes):
    values = dict(GIVEN)
    values.update(changes)
    return configuration.Config(values)


class Stage:
    """A board, its bus and a time that only the test lets pass."""

    def __init__(self, name, **changes):
        self.module, self.machine, self.network = board_folders.load(name)
        self.world = self.machine.world
        self.time = Time()
        self.world.bus = self.bus = Bus(self.time)
        self.config = _config(**changes)
        self.board = self.module.Board(self.config)

    def read(self, max_rows=30):
        """Read the source once; return how many rows came."""
        source = self.board.source
        return source.read_into(array("h", bytes(2 * max_rows * source.n_channels)), 0, max_rows)


class SleepTime:
    """Ticks that only sleep moves."""

    def __init__(self, world):
        self.ticks_ms = lambda: world.slept_ms

    def ticks_diff(self, end, start):
        """As time.ticks_diff."""
        return end - start


def _sleeps(stage):
    """Let sleep take the time that it should."""
    import chip_rp2040

    chip_rp2040.time = SleepTime(stage.world)


def _refused(name, code, **changes):
    module, _, _ = board_folders.load(name)
    return raises(code, module.Board, _config(**changes)).detail


def test_every_board_keeps_the_contract():
    for name in CHIPS:
        stage = Stage(name)
        board = stage.board
        assert not stage.module.IS_PROCESS
        assert board.source.n_channels == 6 and board.source.rate_mhz == 50000
        assert board.source.lsb_nano[0] == 244141
        assert board.kernels.__name__ in ("obkernels", "obtwin")
        assert (board.ppp is None) == (name != "pico_ppp")
        assert (board.radio is None) == (name not in ("pico_w", "esp32_s3"))
        assert (board.write_line is None) == (name != "pico")
        assert board.currents_ua["active"] > 1000
        assert board.power.reset_cause() == "power_on"
        assert board.retained.max_bytes >= 12
        assert board.read_model() == b""
        board.idle(1)
        # What boot.py asks before there is a configuration.
        assert stage.module.make_power().can_light_sleep
        assert stage.module.make_retained().max_bytes == board.retained.max_bytes


def test_pins_are_the_board_s_unless_the_configuration_says_otherwise():
    assert Stage("pico").world.units == [(0, 4, 5, 400000)]
    assert Stage("esp32_s3").world.units == [(0, 8, 9, 400000)]
    stage = Stage("pico", i2c_sda_pin=20, i2c_scl_pin=21, i2c_hz=100000)
    assert stage.world.units == [(0, 20, 21, 100000)]
    uart = Stage("pico_ppp", ppp_baud=921600).world.uarts[0]
    assert (uart.unit, uart.baudrate) == (0, 921600)
    assert uart.more["rxbuf"] >= 3000, "a whole packet, every byte of it escaped"


def test_an_absent_sensor_is_no_reason_not_to_start():
    for name in CHIPS:
        stage = Stage(name)
        for _ in range(2):
            assert raises_kind(OSError, stage.read).errno == 5
        stage.bus.chips[0x68] = chip = FakeMPU6050(stage.time)
        assert stage.read() == 0
        stage.time.us += 5 * chip.period_us()
        assert stage.read() == 5
        chip.registers[0x75] = 0x71
        stage.board.source._must_start = True
        assert "WHO_AM_I is 0x71" in raises_kind(OSError, stage.read).args[1]


def test_a_held_data_line_gets_clock_pulses_until_it_is_free():
    for held, pulses in ((0, 0), (3, 3), (20, 9)):
        stage = Stage("pico")
        stage.world.held_pulses = held
        stage.world.log.clear()
        stage.world.units.clear()
        raises_kind(OSError, stage.read)
        log = stage.world.log
        assert log[:2] == ["open-drain 5", "open-drain 4"]
        assert log[2:-2] == ["5=0", "5=1"] * pulses, log
        assert log[-2:] == ["4=0", "4=1"], "a stop"
        assert stage.world.units == [(0, 4, 5, 400000)], "the pins are the unit's again"


def test_another_address_and_another_chip():
    stage = Stage("pico", sensor="lis3dh", sensor_address=0x19)
    stage.bus.chips[0x19] = FakeLIS3DH(stage.time)
    assert stage.read() == 0
    assert stage.board.source.n_channels == 3
    source = Stage(
        "pico", sensor="lsm6dsox", sensor_rate_mhz=12500, sensor_range_dps=125
    ).board.source
    assert source.rate_mhz == 12500


def test_what_a_sensor_lacks_is_named():
    assert "rate_hz=52: not one of 10, 20" in _refused(
        "pico", errors.CONFIG_RANGE, sensor_rate_mhz=52000
    )
    assert "rate_hz=12.5" in _refused("pico", errors.CONFIG_RANGE, sensor_rate_mhz=12500)
    assert "range_g=3: not one of 2, 4, 8, 16" in _refused(
        "pico", errors.CONFIG_RANGE, sensor_range_g=3
    )
    assert "range_dps=125" in _refused("pico", errors.CONFIG_RANGE, sensor_range_dps=125)
    assert "replay_path" in _refused("pico", errors.CONFIG_MISSING, sensor="replay")
    assert "nowhere.obr" in _refused(
        "pico", errors.CONFIG_MISSING, sensor="replay", replay_path="/nowhere.obr"
    )


def test_timer_fed_sensors_are_ticked_at_their_rate():
    stage = Stage("pico", sensor="adc", sensor_rate_mhz=100000)
    timer = stage.world.timers[0]
    assert timer.settings["freq"] == 100.0 and "adc 26" in stage.world.log
    stage.world.analog = 65535
    ring = array("h", [0] * 4)
    timer.tick()
    assert stage.board.source.read_into(ring, 0, 4) == 1 and ring[0] == 32767
    assert stage.board.source.fifo_rows == 250

    stage = Stage("esp32_s3", sensor="pin_events", sensor_rate_mhz=1000, sensor_pin=7)
    assert "irq 7" in stage.world.log
    stage.world.edge(None)
    stage.world.edge(None)
    stage.world.timers[0].tick()
    assert stage.board.source.read_into(ring, 0, 4) == 1 and ring[0] == 2

    stage = Stage("pico_w", sensor="pin_level", sensor_rate_mhz=1000)
    stage.world.levels[22] = 1
    stage.world.timers[0].tick()
    assert stage.board.source.read_into(ring, 0, 4) == 1 and ring[0] == 1


def test_links_of_the_boards():
    randint = lambda low, high: 0  # noqa: E731
    assert links.make_link(_config(), Stage("pico").board, randint) is None
    assert links.make_link(_config(), Stage("pico_ppp").board, randint).step(0) is False
    for name in ("pico_w", "esp32_s3"):
        stage = Stage(name)
        assert (
            "wifi_ssid"
            in raises(
                errors.CONFIG_MISSING, links.make_link, _config(wifi_ssid=""), stage.board, randint
            ).detail
        )
        link = links.make_link(_config(wifi_password="secret"), stage.board, randint)
        stage.board.wifi_store.write(b"")
        link.step(0)
        assert link.step(0), link.last_error
        assert len(stage.board.wifi_store.read()) == 26
        assert "secret" not in str(stage.board.wifi_store.read())
    os.remove("wifi")


class Unset:
    """A clock that nobody has set, and ticks that a test moves."""

    def __init__(self, year=2021, s=1609459200):
        self.ms = (1 << 30) - 500
        self.year, self.s = year, s

    def ticks_ms(self):
        """As time.ticks_ms."""
        return self.ms & (1 << 30) - 1

    def ticks_diff(self, end, start):
        """As time.ticks_diff."""
        half = 1 << 29
        return ((end - start + half) & (1 << 30) - 1) - half

    def time(self):
        """As time.time."""
        return self.s

    def time_ns(self):
        """As time.time_ns."""
        return self.s * 1000000000 + 250000000

    def gmtime(self, _s):
        """As time.gmtime(0)."""
        return (self.year,)


def test_time_counts_from_boot_until_somebody_sets_the_clock():
    Stage("pico")
    import sys

    chip = sys.modules["chip"]
    for epoch_year, shift_s in ((1970, 0), (2000, 946684800)):
        unset = Unset(epoch_year, 1609459200 - shift_s)
        chip.time = unset
        clock = chip.Clock()
        clock.read()
        assert (clock.quality, clock.time_s, clock.time_ms) == (0, 0, 0)
        unset.ms += 1700
        clock.read()
        assert (clock.quality, clock.time_s, clock.time_ms) == (0, 1, 700)
        clock.go_on(3600500)
        unset.ms += 1000000000
        clock.read()
        assert (clock.quality, clock.time_s, clock.time_ms) == (0, 1003600, 500)
        unset.s = 1800000000 - shift_s
        clock.read()
        assert (clock.quality, clock.time_s, clock.time_ms) == (1, 1800000000, 250)


def test_rp2040_keeps_12_bytes_and_knows_why_it_started():
    stage = Stage("pico")
    retained, registers = stage.board.retained, stage.world.registers
    assert retained.read() == bytes(12)
    retained.write(b"0123456789ab")
    assert retained.read() == b"0123456789ab"
    retained.write(b"xy")
    assert retained.read() == b"xy" + bytes(10)
    _sleeps(stage)
    raises_kind(stage.machine.Asleep, stage.board.power.deep_sleep_ms, 5000)
    assert stage.world.slept_ms == 5000

    def boot(reason=0, scratch4=0):
        kept = dict(registers)
        again = board_folders.load("pico")
        again[1].world.registers.update(kept)
        again[1].world.registers[0x40058008] = reason
        again[1].world.registers[0x4005801C] = scratch4
        registers.clear()
        power = again[0].make_power()
        cause = power.reset_cause()
        assert again[0].make_power().reset_cause() == cause, "the same for all who ask"
        registers.update(again[1].world.registers)
        return cause

    assert boot(2) == "deep_sleep"
    assert boot(2) == "reset"
    assert boot(1, 0x6AB73121) == "watchdog"
    registers.clear()
    assert boot() == "power_on"


def test_esp32_keeps_two_parts_apart():
    stage = Stage("esp32_s3")
    state, wifi = stage.board.retained, stage.board.wifi_store
    assert state.read() == wifi.read() == b""
    wifi.write(b"w" * 26)
    state.write(bytes(1950))
    assert wifi.read() == b"w" * 26 and state.read() == bytes(1950)
    raises_kind(ValueError, wifi.write, bytes(95))
    wifi.write(b"")
    assert wifi.read() == b"" and state.read() == bytes(1950)
    wifi.write(b"w" * wifi.max_bytes)
    state.write(b"s" * state.max_bytes)
    assert wifi.read() == b"w" * wifi.max_bytes and state.read() == b"s" * state.max_bytes
    stage.world.memory = b"\xff" * 2048
    assert state.read() == wifi.read() == b"", "a length beyond the part"
    stage.world.memory = b"somebody else's"
    assert state.read() == b""
    causes = {1: "power_on", 2: "reset", 3: "watchdog", 4: "deep_sleep", 5: "reset", 9: "unknown"}
    for number, cause in causes.items():
        stage.world.cause = number
        assert stage.board.power.reset_cause() == cause


def test_watchdog_is_fed_through_long_sleeps_and_by_a_timer():
    stage = Stage("pico")
    power = stage.board.power
    power.feed()
    power.feed_for_ms(-1)
    assert stage.world.timers == [], "nothing to feed yet"
    power.start_watchdog(60000)
    watchdog = stage.world.watchdog
    assert watchdog.timeout == 8388
    stage.world.log.clear()
    _sleeps(stage)
    power.light_sleep_ms(10000)
    assert stage.world.log == ["lightsleep 4000", "lightsleep 4000", "lightsleep 2000"]
    assert watchdog.feeds == 4
    power.feed_for_ms(2000)
    timer = stage.world.timers[-1]
    n_ticks = 2000 // timer.settings["period"]
    assert n_ticks >= 2
    for _ in range(n_ticks + 3):
        timer.tick()
    assert watchdog.feeds == 5 + n_ticks and not timer.is_running
    power.feed_for_ms(-1)
    for _ in range(100):
        stage.world.timers[-1].tick()
    assert watchdog.feeds == 106 + n_ticks
    power.feed_for_ms(0)
    assert not stage.world.timers[-1].is_running
    assert Stage("esp32_s3").board.power.supply_mv() == -1


def test_the_esp32_s_watchdog_waits_for_a_lookup_that_blocks_its_timers():
    stage = Stage("esp32_s3")
    power, world = stage.board.power, stage.world
    power.feed_for_ms(60000)
    assert not world.timers
    power.start_watchdog(8000)
    power.feed_for_ms(60000)
    assert world.watchdog.timeout == 60000 and not world.timers
    power.feed_for_ms(0)
    assert world.watchdog.timeout == 8000 and not world.timers
    power.feed_for_ms(-1)
    assert world.watchdog.timeout == 8000 and world.timers[-1].is_running


def test_supply_is_a_third_of_vsys_and_unknown_when_nothing_is_connected():
    stage = Stage("pico")
    stage.world.analog = 65535 * 1667 // 3300  # of 5 V
    assert abs(stage.board.power.supply_mv() - 5000) < 5
    stage.world.analog = 0
    assert stage.board.power.supply_mv() == -1
    assert Stage("pico_w").board.power.supply_mv() == -1
