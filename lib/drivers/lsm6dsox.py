"""LSM6DSOX: accelerometer and gyroscope with a FIFO of 512 tagged words, 256 rows.

In ST's datasheet, DS12814, section 9 describes the registers in the order of their addresses and
6.5 the FIFO. Both sensors run at one rate and write a word each per time slot. A word has 7 bytes:
its tag says which sensor and, with a 2-bit counter, which time slot, so a lost, doubled or single
word is seen.

The loop may leave the FIFO alone for 255 rows: 4.9 s at 52 Hz, 2.45 s at 104 Hz, 1.2 s at 208 Hz.
"""

from array import array
from errno import EIO

from micropython import const

from drivers.fifo import OVERRUN, TORN, FifoChip, choose

_FIFO_CTRL1 = const(0x07)
_FIFO_CTRL2 = const(0x08)
_FIFO_CTRL3 = const(0x09)
_FIFO_CTRL4 = const(0x0A)
_WHO_AM_I = const(0x0F)
_CTRL1_XL = const(0x10)
_CTRL2_G = const(0x11)
_CTRL3_C = const(0x12)
_FIFO_STATUS1 = const(0x3A)  # and FIFO_STATUS2 after it
_FIFO_DATA_OUT_TAG = const(0x78)  # six bytes of data follow, then the next word's tag

_IS_LSM6DSOX = const(0x6C)
_SW_RESET = const(0x01)  # CTRL3_C
_BLOCK_UPDATE = const(0x40)  # CTRL3_C
_INCREMENT = const(0x04)  # CTRL3_C
_BYPASS = const(0x00)  # FIFO_CTRL4
_CONTINUOUS = const(0x06)  # FIFO_CTRL4
_OVERRUN_BITS = const(0x48)  # FIFO_STATUS2: FIFO_OVR_IA and FIFO_OVR_LATCHED
_LEVEL_HIGH = const(0x03)  # FIFO_STATUS2: DIFF_FIFO[9:8]
_TAG_GYRO = const(0x01)  # TAG_SENSOR[4:0]
_TAG_ACCEL = const(0x02)
_WORD_BYTES = const(7)
_ROW_BYTES = const(14)
_RESET_READS = const(50)  # a reset lasts 50 us, less than one read of a register

_HAS_ACCEL = const(1)
_HAS_GYRO = const(2)
_HAS_BOTH = const(3)

# Hertz, code of ODR_XL, ODR_G and both batch rates, millihertz.
_RATES = ((12.5, 1, 12500), (26, 2, 26000), (52, 3, 52000), (104, 4, 104000), (208, 5, 208000))
# g, FS_XL[1:0], nano-g a count: 0.061, 0.122, 0.244 or 0.488 mg.
_RANGES_G = ((2, 0, 61000), (4, 2, 122000), (8, 3, 244000), (16, 1, 488000))
# Degrees a second, FS_G[1:0] and FS_125, nano-rad/s a count: 4.375 to 70 mdps.
_RANGES_DPS = (
    (125, 1, 76358),
    (250, 0, 152716),
    (500, 2, 305433),
    (1000, 4, 610865),
    (2000, 6, 1221730),
)


class LSM6DSOX(FifoChip):
    """Six channels, ax, ay, az in g and wx, wy, wz in rad/s, through every driver's interface.

    Args:
        bus: see `FifoChip`.
        rate_hz: 12.5, 26, 52, 104 or 208.
        ranges: g and degrees a second: (2, 4, 8 or 16; 125, 250, 500, 1000 or 2000).
        address: 0x6A, or 0x6B with SA0 high.
        recover: see `FifoChip`.

    Attributes:
        lsb_nano: nano-g or nano-rad/s a count of each channel; a recipe's `lsb` is this / 1e9.

    Raises:
        ValueError: the chip has no such rate or range.
        OSError: see `FifoChip`.
    """

    name = "LSM6DSOX"
    n_channels = 6
    fifo_rows = 255
    _who_register = _WHO_AM_I
    _who_value = _IS_LSM6DSOX
    _data_register = _FIFO_DATA_OUT_TAG
    _fifo_on = (_FIFO_CTRL4, _CONTINUOUS)
    _power_down = ((_CTRL1_XL, 0), (_CTRL2_G, 0))

    def __init__(self, bus, rate_hz: float, ranges, address: int = 0x6A, recover=None):
        range_g, range_dps = ranges
        _, odr, self.rate_mhz = choose("rate_hz", rate_hz, _RATES)
        _, scale_g, lsb_g = choose("range_g", range_g, _RANGES_G)
        _, scale_dps, lsb_rad = choose("range_dps", range_dps, _RANGES_DPS)
        self.lsb_nano = (lsb_g, lsb_g, lsb_g, lsb_rad, lsb_rad, lsb_rad)
        setup = (
            (_CTRL1_XL, odr << 4 | scale_g << 2),
            (_CTRL2_G, odr << 4 | scale_dps << 1),
            (_CTRL3_C, _BLOCK_UPDATE | _INCREMENT),
            (_FIFO_CTRL1, 0),
            (_FIFO_CTRL2, 0),  # not compressed, no stop at the watermark
            (_FIFO_CTRL3, odr << 4 | odr),
        )
        self._status = bytearray(2)
        self._slot = array("h", bytes(12))  # the row of the current time slot
        self._count = 0  # its TAG_CNT
        self._has = 0  # which words of it have come
        self._joined = False  # a whole row has come since the FIFO was restarted
        super().__init__(bus, address, setup, _ROW_BYTES, recover)

    def _reset_chip(self) -> None:
        self._write(_CTRL3_C, _SW_RESET)
        for _ in range(_RESET_READS):
            if not self._read(_CTRL3_C) & _SW_RESET:
                return
        raise OSError(EIO, "LSM6DSOX: the reset does not end")

    def _restart_fifo(self) -> None:
        self._write(_FIFO_CTRL4, _BYPASS)
        self._bus.readfrom_mem_into(self._address, _FIFO_STATUS1, self._status)  # and its latch
        self._write(_FIFO_CTRL4, _CONTINUOUS)
        self._has = 0
        self._joined = False

    def _waiting(self) -> int:
        status = self._status
        self._bus.readfrom_mem_into(self._address, _FIFO_STATUS1, status)
        if status[1] & _OVERRUN_BITS:
            return OVERRUN
        return (status[0] | (status[1] & _LEVEL_HIGH) << 8) >> 1

    def _decode_into(self, ring, at: int, n_bytes: int) -> int:
        n_rows = 0
        for i in range(0, n_bytes, _WORD_BYTES):
            tag = self._buffer[i]
            has = self._place(tag >> 3, tag >> 1 & 3)
            if has == TORN:
                return TORN
            self._store(i + 1, 0 if has == _HAS_ACCEL else 3)
            self._has |= has
            if self._has == _HAS_BOTH:
                for value in self._slot:
                    ring[at] = value
                    at += 1
                n_rows += 1
                self._joined = True
        return n_rows

    def _place(self, sensor: int, count: int) -> int:
        """Returns which half of a row this word is, or TORN when it does not follow."""
        if sensor == _TAG_GYRO:
            has = _HAS_GYRO
        elif sensor == _TAG_ACCEL:
            has = _HAS_ACCEL
        else:
            return TORN
        is_next = count == (self._count + 1) & 3 and self._has == _HAS_BOTH
        is_same = count == self._count and not self._has & has
        if self._joined:
            if not is_next and not is_same:
                return TORN
        elif count != self._count:
            # The accelerometer starts before the gyroscope: single words until both run.
            self._has = 0
        if is_next:
            self._has = 0
        self._count = count
        return has

    def _store(self, i: int, first: int) -> None:
        buffer = self._buffer
        for channel in range(first, first + 3):
            value = buffer[i] | buffer[i + 1] << 8
            self._slot[channel] = value - 0x10000 if value & 0x8000 else value
            i += 2
