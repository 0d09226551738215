"""LIS3DH and LIS2DH12: accelerometer with a FIFO of 32 rows.

Section numbers are those of ST's LIS3DH datasheet, DocID17530 Rev 2. The LIS2DH12 answers with the
same WHO_AM_I and has the same registers.

The FIFO says "overrun" when it is full, which may be one row before one is lost, so the loop may
leave it alone for 31 rows: 1.24 s at 25 Hz, 620 ms at 50 Hz, 310 ms at 100 Hz, 77 ms at 400 Hz.
"""

from micropython import const

from drivers.fifo import OVERRUN, FifoChip, choose

_WHO_AM_I = const(0x0F)  # 8.5
_CTRL_REG1 = const(0x20)  # 8.8
_CTRL_REG2 = const(0x21)  # 8.9
_CTRL_REG3 = const(0x22)  # 8.10
_CTRL_REG4 = const(0x23)  # 8.11
_CTRL_REG5 = const(0x24)  # 8.12
_OUT_X_L = const(0x28)  # 8.16
_FIFO_CTRL_REG = const(0x2E)  # 8.19
_FIFO_SRC_REG = const(0x2F)  # 8.20
_AUTO_INCREMENT = const(0x80)  # 6.1.1: bit 7 of the sub-address

_IS_LIS3DH = const(0x33)
_AXES = const(0x07)  # CTRL_REG1: X, Y and Z, not low power
_BLOCK_UPDATE = const(0x80)  # CTRL_REG4
_HIGH_RESOLUTION = const(0x08)  # CTRL_REG4
_FIFO_ENABLE = const(0x40)  # CTRL_REG5
_BYPASS = const(0x00)  # FIFO_CTRL_REG
_STREAM = const(0x80)  # FIFO_CTRL_REG
_OVRN_FIFO = const(0x40)  # FIFO_SRC_REG
_FSS = const(0x1F)  # FIFO_SRC_REG: unread rows
_ROW_BYTES = const(6)

# Hertz, ODR[3:0] of CTRL_REG1.
_RATES = ((1, 1), (10, 2), (25, 3), (50, 4), (100, 5), (200, 6), (400, 7))
# g, FS[1:0] of CTRL_REG4, nano-g a count: 1, 2, 4 or 12 mg a digit of 12 bits (2.1), which stand
# in the upper bits of 16. Some of this family leave the lowest of the 12 at zero in the FIFO.
_RANGES = ((2, 0, 62500), (4, 1, 125000), (8, 2, 250000), (16, 3, 750000))


class LIS3DH(FifoChip):
    """Three channels, ax, ay and az in g, through the interface of every driver.

    Args:
        bus: see `FifoChip`.
        rate_hz: 1, 10, 25, 50, 100, 200 or 400.
        range_g: 2, 4, 8 or 16.
        address: 0x18, or 0x19 with SA0 high.
        recover: see `FifoChip`.

    Attributes:
        lsb_nano: nano-g a count of each channel; a recipe's `lsb` is this / 1e9.

    Raises:
        ValueError: the chip has no such rate or range.
        OSError: see `FifoChip`.
    """

    name = "LIS3DH"
    n_channels = 3
    fifo_rows = 31
    _who_register = _WHO_AM_I
    _who_value = _IS_LIS3DH
    _data_register = _OUT_X_L | _AUTO_INCREMENT
    _fifo_on = (_FIFO_CTRL_REG, _STREAM)
    _power_down = ((_CTRL_REG1, 0),)

    def __init__(self, bus, rate_hz: int, range_g: int, address: int = 0x18, recover=None):
        _, odr = choose("rate_hz", rate_hz, _RATES)
        _, scale, lsb = choose("range_g", range_g, _RANGES)
        self.rate_mhz = rate_hz * 1000
        self.lsb_nano = (lsb, lsb, lsb)
        setup = (
            (_CTRL_REG1, odr << 4 | _AXES),
            (_CTRL_REG2, 0),  # no high-pass filter
            (_CTRL_REG3, 0),  # no interrupts
            (_CTRL_REG4, _BLOCK_UPDATE | scale << 4 | _HIGH_RESOLUTION),
            (_CTRL_REG5, _FIFO_ENABLE),
        )
        super().__init__(bus, address, setup, _ROW_BYTES, recover)

    def _restart_fifo(self) -> None:
        # 5.1.1: bypass mode empties the FIFO.
        self._write(_FIFO_CTRL_REG, _BYPASS)
        self._write(_FIFO_CTRL_REG, _STREAM)

    def _waiting(self) -> int:
        source = self._read(_FIFO_SRC_REG)
        return OVERRUN if source & _OVRN_FIFO else source & _FSS

    def _decode_into(self, ring, at: int, n_bytes: int) -> int:
        # A burst goes on at OUT_X_L after OUT_Z_H while the FIFO is on.
        buffer = self._buffer
        for i in range(0, n_bytes, 2):
            value = buffer[i] | buffer[i + 1] << 8
            ring[at] = value - 0x10000 if value & 0x8000 else value
            at += 1
        return n_bytes // _ROW_BYTES
