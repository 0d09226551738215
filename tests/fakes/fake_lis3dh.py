"""A LIS3DH or LIS2DH12: 32 rows of FIFO behind OUT_X_L to OUT_Z_H."""

from array import array

from i2c_chips import Chip

_ROWS = 32
# ODR of CTRL_REG1, bits 7-4, in normal and high-resolution mode.
_PERIODS_US = (0, 1000000, 100000, 40000, 20000, 10000, 5000, 2500)
# mg a digit of 12 bits, by FS of CTRL_REG4, bits 5-4; 16 counts a digit.
_MG = (1, 2, 4, 12)


class FakeLIS3DH(Chip):
    """See `Chip`.

    Attributes:
        overrun_when_full: OVRN_FIFO says that the FIFO is full, as the application note has it;
            False: that a row was overwritten, as the datasheet has it.
    """

    n_channels = 3
    read_only = (0x0F, 0x27, 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x2D, 0x2F)
    modulus = 4096

    def __init__(self, time):
        self.overrun_when_full = True
        self._fifo = array("h", bytes(2 * 3 * _ROWS))
        super().__init__(time)

    def set_defaults(self):
        """Register mapping: the default column."""
        self.registers[0x0F] = 0x33
        self.registers[0x1E] = 0x10
        self.registers[0x20] = 0x07
        self._clear()

    def period_us(self):
        """ODR; 0 in power-down."""
        code = self.registers[0x20] >> 4
        is_on = code < len(_PERIODS_US) and self.registers[0x20] & 0x07 == 0x07
        return _PERIODS_US[code] if is_on else 0

    def lsb_pico(self, channel):
        """Pico-g a count."""
        return _MG[self.registers[0x23] >> 4 & 3] * 62500000

    @staticmethod
    def count(n, channel):
        """Twelve bits, left-justified."""
        value = (n * (2 * channel + 1) + 777 * channel) & 0x0FFF
        return 16 * (value - 0x1000 if value & 0x0800 else value)

    @staticmethod
    def number(x):
        """From the first channel."""
        return x // 16 & 0x0FFF

    def store(self, sample):
        """A row goes to the output registers and to the FIFO."""
        for i in range(3):
            self.registers[0x28 + 2 * i] = sample[i] & 0xFF
            self.registers[0x29 + 2 * i] = sample[i] >> 8 & 0xFF
        if not self._has_fifo():
            return
        if self._held == _ROWS:
            self._first = (self._first + 1) % _ROWS
            self._held -= 1
            self._overwrote = True
        at = 3 * ((self._first + self._held) % _ROWS)
        for i in range(3):
            self._fifo[at + i] = sample[i]
        self._held += 1

    def after_read(self, register):
        """Bit 7 of the sub-address increments; with the FIFO on, OUT_X_L follows OUT_Z_H."""
        if not register & 0x80:
            return register
        if register & 0x7F == 0x2D and self._has_fifo():
            return 0xA8
        return 0x80 | (register + 1) & 0x7F

    def read(self, register):
        """Return a register."""
        register &= 0x7F
        if register == 0x2F:
            return self._source()
        if not 0x28 <= register <= 0x2D or not self._has_fifo():
            return self.registers[register]
        value = self._fifo[3 * self._first + (register - 0x28) // 2]
        if register == 0x2D and self._held:
            self._first = (self._first + 1) % _ROWS
            self._held -= 1
            self._overwrote = False
        return value >> 8 & 0xFF if register & 1 else value & 0xFF

    def write(self, register, value):
        """Set a register."""
        register &= 0x7F
        self.registers[register] = value
        if register == 0x20:
            self.restart_sampling()
        if not self._has_fifo():
            self._clear()

    def _has_fifo(self):
        return self.registers[0x24] & 0x40 and self.registers[0x2E] >> 6 == 2

    def _clear(self):
        self._first = 0
        self._held = 0
        self._overwrote = False

    def _source(self):
        is_overrun = self._held == _ROWS if self.overrun_when_full else self._overwrote
        value = min(self._held, 31)
        value |= 0x40 if is_overrun else 0
        value |= 0x20 if self._held == 0 else 0
        return value | (0x80 if self._held > self.registers[0x2E] & 0x1F else 0)
