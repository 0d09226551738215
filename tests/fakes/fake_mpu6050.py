"""An MPU-6050: 1024 bytes of FIFO behind FIFO_R_W, which know nothing of rows."""

from i2c_chips import Chip

_BYTES = 1024
_SAMPLE_CLOCK = (0x19, 0x1A, 0x6B)  # SMPLRT_DIV, CONFIG, PWR_MGMT_1
_COUNTS_G = (16384, 8192, 4096, 2048)
_COUNTS_DPS10 = (1310, 655, 328, 164)  # counts of ten degrees a second


class FakeMPU6050(Chip):
    """See `Chip`.

    Attributes:
        writes_for: so many reads of the count find the chip in the middle of writing a row.
        skewed: the FIFO has a byte too many from its next row on.
    """

    n_channels = 6
    read_only = (0x3A, 0x72, 0x73, 0x75)

    def __init__(self, time):
        self.writes_for = 0
        self.skewed = False
        self._fifo = bytearray(_BYTES)
        super().__init__(time)

    def set_defaults(self):
        """Register map 3: all zero but two."""
        self.registers[0x6B] = 0x40
        self.registers[0x75] = 0x68
        self._last = 0
        self._clear()

    def period_us(self):
        """Sample rate divider over 1 kHz, 8 kHz without the low-pass filter; 0 asleep."""
        if self.registers[0x6B] & 0x40:
            return 0
        base_us = 1000 if 1 <= self.registers[0x1A] & 7 <= 6 else 125
        return base_us * (1 + self.registers[0x19])

    def lsb_pico(self, channel):
        """Pico-g or pico-rad/s a count."""
        if channel < 3:
            return 1000000000000 // _COUNTS_G[self.registers[0x1C] >> 3 & 3]
        return 174532925199 // _COUNTS_DPS10[self.registers[0x1B] >> 3 & 3]

    def store(self, sample):
        """A row in the order of the registers: accelerometer, gyroscope; high byte first."""
        if not self.registers[0x6A] & 0x40:
            return
        if self.skewed:
            self.skewed = False
            self._put(0)
        enabled = self.registers[0x23]
        for i in range(6):
            bit = 0x08 if i < 3 else 0x40 >> i - 3
            if enabled & bit:
                self._put(sample[i] >> 8 & 0xFF)
                self._put(sample[i] & 0xFF)

    def _put(self, byte):
        if self._held == _BYTES:
            self._first = (self._first + 1) % _BYTES
            self._held -= 1
            if self.registers[0x38] & 0x10:
                self.registers[0x3A] |= 0x10
        self._fifo[(self._first + self._held) % _BYTES] = byte
        self._held += 1

    def after_read(self, register):
        """FIFO_R_W stays, all others increment."""
        return register if register == 0x74 else register + 1

    def read(self, register):
        """Return a register."""
        if register == 0x74:
            if self._held:
                self._last = self._fifo[self._first]
                self._first = (self._first + 1) % _BYTES
                self._held -= 1
            return self._last
        if register == 0x72:
            # Reading the high byte latches both.
            held = self._held
            if self.writes_for:
                self.writes_for -= 1
                held += 7
            self.registers[0x72] = held >> 8
            self.registers[0x73] = held & 0xFF
        value = self.registers[register]
        if register == 0x3A:
            self.registers[0x3A] = 0
        return value

    def write(self, register, value):
        """Set a register."""
        if register == 0x6B and value & 0x80:
            self.reset()
            return
        if register == 0x6A:
            if value & 0x04 and not value & 0x40:
                self._clear()
            value &= 0xF8
        self.registers[register] = value
        if register in _SAMPLE_CLOCK:
            self.restart_sampling()

    def _clear(self):
        self._first = 0
        self._held = 0
