"""An I2C bus with register-level chips on it, in a time that only the test lets pass.

The chips are written from their datasheets and know nothing of the drivers. Every byte on the bus
takes the time that it takes at 400 kHz, and a FIFO fills while it is read.
"""

from array import array

_BYTE_US = 23  # nine clocks
_EIO = 5
_ETIMEDOUT = 110
_REGISTERS = 128


class Time:
    """Microseconds since the start of a fake world."""

    def __init__(self):
        self.us = 0

    def ticks_us(self):
        """As time.ticks_us."""
        return self.us & 0x3FFFFFFF

    def ticks_ms(self):
        """As time.ticks_ms."""
        return self.us // 1000 & 0x3FFFFFFF


class Bus:
    """The methods of machine.I2C that drivers use, and what goes wrong on a bus.

    Attributes:
        chips: address -> chip; take one out to unplug it.
        is_held: the data line is held low, nothing works until `recover`.
        bytes_until_failure: one failure after so many bytes; -1: none.
        holds_after_failure: and the bus is held then.
        recoveries: how often `recover` was called.
    """

    def __init__(self, time):
        self.time = time
        self.chips = {}
        self.is_held = False
        self.bytes_until_failure = -1
        self.holds_after_failure = False
        self.recoveries = 0

    def recover(self):
        """Nine clock pulses."""
        self.recoveries += 1
        self.is_held = False

    def readfrom_mem_into(self, address, register, buffer):
        """As machine.I2C; allocates nothing."""
        chip = self._begin(address, register)
        for i in range(len(buffer)):
            self._pass_byte()
            chip.run()
            buffer[i] = chip.read_next()
        chip.run()

    def writeto_mem(self, address, register, buffer):
        """As machine.I2C; allocates nothing."""
        chip = self._begin(address, register)
        for i in range(len(buffer)):
            self._pass_byte()
            chip.run()
            chip.write_next(buffer[i])

    def _begin(self, address, register):
        if self.is_held:
            raise OSError(_ETIMEDOUT)
        self._pass_byte()
        if address not in self.chips:
            raise OSError(_EIO)
        chip = self.chips[address]
        self._pass_byte()
        chip.run()
        chip.point(register)
        return chip

    def _pass_byte(self):
        self.time.us += _BYTE_US
        if self.bytes_until_failure == 0:
            self.bytes_until_failure = -1
            self.is_held = self.holds_after_failure
            raise OSError(_EIO)
        if self.bytes_until_failure > 0:
            self.bytes_until_failure -= 1


class Chip:
    """Registers, a pointer into them and a sample clock.

    Samples are numbered from power-on: number n has `count(n, channel)` in each channel, or the
    counts of `physical` where a test sets that.

    Attributes:
        registers: their values.
        read_only: addresses that a write does not change.
        modulus: how many samples differ.
        n: the number of the next sample; a reset jumps by 100.
        physical: a value for each channel in nano-units, or None.
    """

    n_channels = 0
    read_only = ()
    modulus = 65536

    def __init__(self, time):
        self.time = time
        self.registers = bytearray(_REGISTERS)
        self.n = 0
        self.physical = None
        self._pointer = 0
        self._next_us = -1
        self._sample = array("h", bytes(2 * self.n_channels))
        self.reset()

    def reset(self):
        """Power-on: registers at their defaults, nothing sampled."""
        for i in range(_REGISTERS):
            self.registers[i] = 0
        self.n += 100
        self._next_us = -1
        self.set_defaults()

    def run(self):
        """Take the samples that are due by now."""
        period_us = self.period_us()
        if period_us == 0:
            self._next_us = -1
            return
        if self._next_us < 0:
            self._next_us = self.time.us + period_us
        while self._next_us <= self.time.us:
            self._take()
            self._next_us += period_us

    def restart_sampling(self):
        """A new rate was written."""
        self._next_us = -1
        self.run()

    def _take(self):
        for channel in range(self.n_channels):
            if self.physical is None:
                value = self.count(self.n, channel)
            else:
                # Towards zero, in the steps of the range that the registers say.
                steps = abs(self.physical[channel]) * 1000 // self.lsb_pico(channel)
                value = steps if self.physical[channel] > 0 else -steps
            self._sample[channel] = min(max(value, -32768), 32767)
        self.n += 1
        self.store(self._sample)

    @staticmethod
    def count(n, channel):
        """Return what channel `channel` of sample number n says: all 16 bits move."""
        value = (n * (2 * channel + 1) + 3001 * channel) & 0xFFFF
        return value - 0x10000 if value & 0x8000 else value

    @staticmethod
    def number(x):
        """Return the sample's number from its first channel, modulo `modulus`."""
        return x & 0xFFFF

    def point(self, register):
        """A transfer starts."""
        self._pointer = register

    def read_next(self):
        """Return the next byte of a read."""
        register = self._pointer
        self._pointer = self.after_read(register)
        return self.read(register)

    def write_next(self, value):
        """Take the next byte of a write."""
        register = self._pointer
        self._pointer = register + 1
        if register not in self.read_only:
            self.write(register, value)
