"""MPU-6050: accelerometer and gyroscope with a FIFO of 1024 bytes, 85 rows.

Section numbers are those of InvenSense's register map, RM-MPU-6000A-00 revision 4.2. Bytes are
big-endian. The FIFO knows no rows: a full one overwrites its oldest bytes, and as 1024 is no
multiple of 12 what it then holds begins within a row. So it is emptied after each overflow.

The loop may leave the FIFO alone for 85 rows: 2.1 s at 40 Hz, 1.7 s at 50 Hz, 850 ms at 100 Hz,
425 ms at 200 Hz.
"""

from micropython import const

from drivers.fifo import OVERRUN, TORN, FifoChip, choose

_SMPLRT_DIV = const(0x19)  # 4.2
_CONFIG = const(0x1A)  # 4.3
_GYRO_CONFIG = const(0x1B)  # 4.4
_ACCEL_CONFIG = const(0x1C)  # 4.5
_FIFO_EN = const(0x23)  # 4.6
_INT_PIN_CFG = const(0x37)  # 4.14
_INT_ENABLE = const(0x38)  # 4.15
_INT_STATUS = const(0x3A)  # 4.16
_USER_CTRL = const(0x6A)  # 4.27
_PWR_MGMT_1 = const(0x6B)  # 4.28
_PWR_MGMT_2 = const(0x6C)  # 4.29
_FIFO_COUNTH = const(0x72)  # 4.30, and FIFO_COUNTL after it
_FIFO_R_W = const(0x74)  # 4.31
_WHO_AM_I = const(0x75)  # 4.32

_IS_MPU6050 = const(0x68)  # whatever AD0 is
_SLEEP = const(0x40)  # PWR_MGMT_1
_CLOCK_GYRO_X = const(0x01)  # PWR_MGMT_1: awake, the gyroscope's clock
_ACCEL_AND_GYRO = const(0x78)  # FIFO_EN
_FIFO_OFLOW = const(0x10)  # INT_ENABLE and INT_STATUS
_USER_FIFO_RESET = const(0x04)  # USER_CTRL; works only while the FIFO is off
_USER_FIFO_ENABLE = const(0x40)  # USER_CTRL
_FIFO_ROWS_BYTES = const(1020)  # 85 whole rows; more means that one was overwritten
_ROW_BYTES = const(12)

# Hertz, DLPF_CFG whose bandwidth is below half of that. The rate is 1000 Hz / (1 + SMPLRT_DIV).
_RATES = ((10, 6), (20, 5), (25, 5), (40, 5), (50, 4), (100, 3), (125, 3), (200, 2), (250, 2))
# g, AFS_SEL, nano-g a count: 16384, 8192, 4096 or 2048 counts a g.
_RANGES_G = ((2, 0, 61035), (4, 1, 122070), (8, 2, 244141), (16, 3, 488281))
# Degrees a second, FS_SEL, nano-rad/s a count: 131, 65.5, 32.8 or 16.4 counts a degree a second.
_RANGES_DPS = ((250, 0, 133231), (500, 1, 266462), (1000, 2, 532113), (2000, 3, 1064225))


class MPU6050(FifoChip):
    """Six channels, ax, ay, az in g and wx, wy, wz in rad/s, through every driver's interface.

    Args:
        bus: see `FifoChip`.
        rate_hz: 10, 20, 25, 40, 50, 100, 125, 200 or 250.
        ranges: g and degrees a second: (2, 4, 8 or 16; 250, 500, 1000 or 2000).
        address: 0x68, or 0x69 with AD0 high.
        recover: see `FifoChip`.

    Attributes:
        lsb_nano: nano-g or nano-rad/s a count of each channel; a recipe's `lsb` is this / 1e9.

    Raises:
        ValueError: the driver has no such rate or range.
        OSError: see `FifoChip`.
    """

    name = "MPU-6050"
    n_channels = 6
    fifo_rows = 85
    _who_register = _WHO_AM_I
    _who_value = _IS_MPU6050
    _data_register = _FIFO_R_W
    _fifo_on = (_USER_CTRL, _USER_FIFO_ENABLE)
    _power_down = ((_PWR_MGMT_1, _SLEEP),)

    def __init__(self, bus, rate_hz: int, ranges, address: int = 0x68, recover=None):
        range_g, range_dps = ranges
        _, filter_code = choose("rate_hz", rate_hz, _RATES)
        _, scale_g, lsb_g = choose("range_g", range_g, _RANGES_G)
        _, scale_dps, lsb_rad = choose("range_dps", range_dps, _RANGES_DPS)
        self.rate_mhz = rate_hz * 1000
        self.lsb_nano = (lsb_g, lsb_g, lsb_g, lsb_rad, lsb_rad, lsb_rad)
        setup = (
            (_PWR_MGMT_1, _CLOCK_GYRO_X),  # first: the chip wakes up asleep
            (_PWR_MGMT_2, 0),
            (_SMPLRT_DIV, 1000 // rate_hz - 1),
            (_CONFIG, filter_code),
            (_GYRO_CONFIG, scale_dps << 3),
            (_ACCEL_CONFIG, scale_g << 3),
            (_FIFO_EN, _ACCEL_AND_GYRO),
            (_INT_PIN_CFG, 0),  # a status bit is cleared only by reading INT_STATUS
            (_INT_ENABLE, _FIFO_OFLOW),
        )
        self._count = bytearray(2)
        super().__init__(bus, address, setup, _ROW_BYTES, recover)

    def _restart_fifo(self) -> None:
        self._write(_USER_CTRL, 0)
        self._write(_USER_CTRL, _USER_FIFO_RESET)
        self._read(_INT_STATUS)  # forgets the overflow
        self._write(_USER_CTRL, _USER_FIFO_ENABLE)

    def _waiting(self) -> int:
        n_bytes = self._fifo_bytes()
        if n_bytes % _ROW_BYTES:
            # The chip was writing a row, or it is full; else the FIFO begins within a row.
            n_bytes = self._fifo_bytes()
        if n_bytes > _FIFO_ROWS_BYTES:
            return OVERRUN
        return TORN if n_bytes % _ROW_BYTES else n_bytes // _ROW_BYTES

    def _fifo_bytes(self) -> int:
        self._bus.readfrom_mem_into(self._address, _FIFO_COUNTH, self._count)
        return self._count[0] << 8 | self._count[1]

    def _decode_into(self, ring, at: int, n_bytes: int) -> int:
        # Asked after the burst, so that an overflow between count and burst is not missed.
        if self._read(_INT_STATUS) & _FIFO_OFLOW:
            return OVERRUN
        buffer = self._buffer
        for i in range(0, n_bytes, 2):
            ring[at] = buffer[i] << 8 | buffer[i + 1]  # MicroPython keeps the lower 16 bits
            at += 1
        return n_bytes // _ROW_BYTES
