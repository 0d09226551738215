"""An LSM6DSOX: 512 tagged words of FIFO behind FIFO_DATA_OUT_TAG."""

from i2c_chips import Chip

_WORDS = 512
_WORD_BYTES = 7
_PERIODS_US = (0, 80000, 38462, 19231, 9615, 4808)  # ODR codes 0 to 5
_GYRO_START_US = 70000
_RESET_US = 50
_UG = (61, 488, 122, 244)  # micro-g a count, by FS_XL
_UDPS = (8750, 4375, 17500, 0, 35000, 0, 70000, 0)  # micro-degrees/s, by FS_G and FS_125


class FakeLSM6DSOX(Chip):
    """See `Chip`.

    Attributes:
        accel_first: the order of the two words of a time slot.
        lose_word: this one of the words that come next is lost; -1: none.
    """

    n_channels = 6
    read_only = (0x0F, 0x3A, 0x3B)

    def __init__(self, time):
        self.accel_first = False
        self.lose_word = -1
        self._fifo = bytearray(_WORD_BYTES * _WORDS)
        self._reset_until_us = 0
        super().__init__(time)

    def set_defaults(self):
        """Register mapping: the default column."""
        self.registers[0x0F] = 0x6C
        self.registers[0x12] = 0x04
        self._slot = 0
        self._gyro_from_us = -1
        self._clear()

    def period_us(self):
        """ODR_XL; the gyroscope runs at the same."""
        code = self.registers[0x10] >> 4
        return _PERIODS_US[code] if code < len(_PERIODS_US) else 0

    def lsb_pico(self, channel):
        """Pico-g or pico-rad/s a count."""
        if channel < 3:
            return _UG[self.registers[0x10] >> 2 & 3] * 1000000
        return _UDPS[self.registers[0x11] >> 1 & 7] * 17453293 // 1000

    def store(self, sample):
        """A time slot is over: a word from each sensor that runs and is batched."""
        if self.registers[0x0A] & 7 != 6:
            return
        rates = self.registers[0x09]
        self._slot = (self._slot + 1) & 3
        has_accel = rates & 0x0F == self.registers[0x10] >> 4
        has_gyro = rates >> 4 == self.registers[0x11] >> 4 and self._gyro_runs()
        if has_accel and self.accel_first:
            self._put(2, sample, 0)
        if has_gyro:
            self._put(1, sample, 3)
        if has_accel and not self.accel_first:
            self._put(2, sample, 0)

    def _gyro_runs(self):
        return 0 <= self._gyro_from_us <= self.time.us

    def _put(self, sensor, sample, first):
        if self.lose_word >= 0:
            self.lose_word -= 1
            if self.lose_word < 0:
                return
        if self._held == _WORDS:
            self._first = (self._first + 1) % _WORDS
            self._held -= 1
            self._latched = True
        at = _WORD_BYTES * ((self._first + self._held) % _WORDS)
        tag = sensor << 3 | self._slot << 1
        parity = tag ^ tag >> 4
        parity ^= parity >> 2
        parity ^= parity >> 1
        self._fifo[at] = tag | parity & 1
        for i in range(3):
            self._fifo[at + 1 + 2 * i] = sample[first + i] & 0xFF
            self._fifo[at + 2 + 2 * i] = sample[first + i] >> 8 & 0xFF
        self._held += 1

    def after_read(self, register):
        """IF_INC of CTRL3_C increments; the FIFO's registers follow each other in a ring."""
        if register == 0x7E:
            return 0x78
        return register + 1 if self.registers[0x12] & 0x04 else register

    def read(self, register):
        """Return a register."""
        if register == 0x3A:
            return self._held & 0xFF
        if register == 0x3B:
            return self._status2()
        if register == 0x12 and self.time.us >= self._reset_until_us:
            self.registers[0x12] &= 0xFE
        if not 0x78 <= register <= 0x7E:
            return self.registers[register]
        if not self._held:
            return 0
        value = self._fifo[_WORD_BYTES * self._first + register - 0x78]
        if register == 0x7E:
            self._first = (self._first + 1) % _WORDS
            self._held -= 1
        return value

    def write(self, register, value):
        """Set a register."""
        if register == 0x12 and value & 0x01:
            self.reset()
            self.registers[0x12] = 0x05
            self._reset_until_us = self.time.us + _RESET_US
            return
        if self.time.us < self._reset_until_us:
            return
        was = self.registers[register]
        self.registers[register] = value
        if register == 0x10:
            self.restart_sampling()
        if register == 0x11 and was >> 4 == 0:
            self._gyro_from_us = self.time.us + _GYRO_START_US
        if register == 0x0A and value & 7 == 0:
            self._clear()

    def _clear(self):
        self._first = 0
        self._held = 0
        self._latched = False

    def _status2(self):
        value = self._held >> 8
        value |= 0x40 if self._held == _WORDS else 0
        value |= 0x20 if self._held >= _WORDS - 2 else 0
        value |= 0x08 if self._latched else 0
        self._latched = False
        return value
