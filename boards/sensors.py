"""Makes the driver that a configuration names; buses and pins are handed in."""

from drivers.adc_ring import AdcRing
from drivers.gpio_events import EventCounts, PinLevel
from drivers.lis3dh import LIS3DH
from drivers.lsm6dsox import LSM6DSOX
from drivers.mpu6050 import MPU6050
from drivers.replay import Replay
from formats import errors

_RING_S = 5  # twice what a ring holds: 2.5 s
_LEAST_ROWS = 8
_MOST_ROWS = 16384


def make_source(config, wiring, clock):
    """Returns the source of samples.

    A chip need not be there: its driver is made without it and reports `sensor_error` until it is.

    Args:
        config: Config.
        wiring: `boards/chip.py`'s Wiring, or a test's.
        clock: for a replay.

    Raises:
        OnebyteError: CONFIG_RANGE, the sensor has no such rate, range or pin; the detail says
            which there are. CONFIG_MISSING, a recording that is not there.
    """
    make = _MAKERS[config.sensor]
    try:
        return make(config, wiring, clock)
    except ValueError as error:
        detail = "sensor %s: %s" % (config.sensor, error)
        raise errors.OnebyteError(errors.CONFIG_RANGE, detail) from None


def _rate_hz(config):
    """Whole rates as integers, as the drivers' tables and messages have them."""
    rate_mhz = config.sensor_rate_mhz
    return rate_mhz / 1000 if rate_mhz % 1000 else rate_mhz // 1000


def _bus(config, wiring):
    sda = wiring.sda if config.i2c_sda_pin < 0 else config.i2c_sda_pin
    scl = wiring.scl if config.i2c_scl_pin < 0 else config.i2c_scl_pin
    return wiring.i2c(sda, scl, config.i2c_hz)


def _make_lis3dh(config, wiring, _clock):
    bus, recover = _bus(config, wiring)
    address = config.sensor_address or 0x18
    return _Lis3dh(bus, _rate_hz(config), config.sensor_range_g, address, recover)


def _make_lsm6dsox(config, wiring, _clock):
    bus, recover = _bus(config, wiring)
    address = config.sensor_address or 0x6A
    return _Lsm6dsox(bus, _rate_hz(config), _ranges(config), address, recover)


def _make_mpu6050(config, wiring, _clock):
    bus, recover = _bus(config, wiring)
    address = config.sensor_address or 0x68
    return _Mpu6050(bus, _rate_hz(config), _ranges(config), address, recover)


def _ranges(config):
    return config.sensor_range_g, config.sensor_range_dps


def _make_adc(config, wiring, _clock):
    pin = wiring.analog if config.sensor_pin < 0 else config.sensor_pin
    source = AdcRing(wiring.read_u16(pin), wiring.ticks_us, _rate_hz(config), _n_rows(config))
    return _started(source, config, wiring)


def _make_pin_events(config, wiring, _clock):
    source = EventCounts(wiring.ticks_us, _rate_hz(config), _n_rows(config))
    wiring.rising(_signal(config, wiring), source.edge)
    return _started(source, config, wiring)


def _make_pin_level(config, wiring, _clock):
    read_pin = _signal(config, wiring).value
    source = PinLevel(read_pin, wiring.ticks_us, _rate_hz(config), _n_rows(config))
    return _started(source, config, wiring)


def _signal(config, wiring):
    return wiring.pin(wiring.signal if config.sensor_pin < 0 else config.sensor_pin)


def _n_rows(config) -> int:
    return min(max(config.sensor_rate_mhz * _RING_S // 2000, _LEAST_ROWS), _MOST_ROWS)


def _started(source, config, wiring):
    wiring.every(config.sensor_rate_mhz, source.tick)
    return source


def _make_replay(config, _wiring, clock):
    if not config.replay_path:
        raise errors.OnebyteError(errors.CONFIG_MISSING, "sensor replay needs replay_path")
    try:
        file = open(config.replay_path, "rb")
    except OSError as error:
        detail = "replay_path %s: %s" % (config.replay_path, error)
        raise errors.OnebyteError(errors.CONFIG_MISSING, detail) from None
    return Replay(file, config.replay_speed, clock, config.replay_fifo_rows)


class _Lis3dh(LIS3DH):
    must_answer = False


class _Lsm6dsox(LSM6DSOX):
    must_answer = False


class _Mpu6050(MPU6050):
    must_answer = False


_MAKERS = {
    "replay": _make_replay,
    "lis3dh": _make_lis3dh,
    "lsm6dsox": _make_lsm6dsox,
    "mpu6050": _make_mpu6050,
    "adc": _make_adc,
    "pin_events": _make_pin_events,
    "pin_level": _make_pin_level,
}
