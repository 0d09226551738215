"""A chip's `machine` module, as far as boards use it; what was asked of it is kept in lists."""

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5


class World:
    """What the test decides, and what was done.

    Attributes:
        bus: what the I2C units lead to.
        levels: of the pins, by number.
        analog: what each ADC reads.
        held_pulses: so many clock pulses until a chip lets go of the data line; 0: it is free.
        log: what was done, in words.
    """

    def __init__(self):
        self.bus = None
        self.levels = {}
        self.analog = 0
        self.held_pulses = 0
        self.log = []
        self.units = []
        self.timers = []
        self.uarts = []
        self.memory = b""
        self.registers = {}
        self.cause = PWRON_RESET
        self.slept_ms = 0


world = World()


class Mem32:
    """Registers; unknown ones read as 0."""

    def __getitem__(self, address):
        return world.registers.get(address, 0)

    def __setitem__(self, address, value):
        world.registers[address] = value


mem32 = Mem32()


class Pin:
    """A pin; open-drain ones play the I2C bus."""

    IN, OUT, OPEN_DRAIN = 0, 1, 2
    PULL_DOWN = 1
    IRQ_RISING = 1

    def __init__(self, number, mode=-1, pull=-1, value=None):
        self.number = number
        self.mode = mode
        self.handler = None
        if mode == Pin.OPEN_DRAIN:
            world.log.append("open-drain %d" % number)

    def __call__(self, *level):
        if not level:
            return 0 if world.held_pulses else world.levels.get(self.number, 1)
        if level[0] and world.levels.get(self.number) == 0 and world.held_pulses:
            world.held_pulses -= 1
        world.levels[self.number] = level[0]
        world.log.append("%d=%d" % (self.number, level[0]))
        return None

    def value(self):
        """Return the level."""
        return world.levels.get(self.number, 0)

    def irq(self, handler, trigger):
        """Note the handler."""
        self.handler = handler
        world.log.append("irq %d" % self.number)
        world.edge = handler


class I2C:
    """A unit in front of the test's bus."""

    def __init__(self, unit, sda, scl, freq):
        world.units.append((unit, sda.number, scl.number, freq))

    def readfrom_mem_into(self, address, register, buffer):
        """As machine.I2C."""
        world.bus.readfrom_mem_into(address, register, buffer)

    def writeto_mem(self, address, register, buffer):
        """As machine.I2C."""
        world.bus.writeto_mem(address, register, buffer)


class ADC:
    """An analog input."""

    def __init__(self, pin):
        world.log.append("adc %d" % pin.number)

    def read_u16(self):
        """Return what the test says."""
        return world.analog


class UART:
    """A serial line that leads nowhere."""

    def __init__(self, unit, baudrate, **more):
        self.unit, self.baudrate, self.more = unit, baudrate, more
        world.uarts.append(self)


class Timer:
    """A timer that the test turns."""

    PERIODIC = 1

    def __init__(self, unit, **settings):
        self.unit, self.settings = unit, settings
        self.is_running = True
        world.timers.append(self)

    def deinit(self):
        """Stop."""
        self.is_running = False

    def tick(self):
        """Call the callback."""
        self.settings["callback"](self)


class WDT:
    """A watchdog that counts how often it was fed."""

    def __init__(self, timeout):
        self.timeout = timeout
        world.watchdog = self
        self.feeds = 0

    def feed(self):
        """Count."""
        self.feeds += 1


class RTC:
    """Memory that deep sleep leaves alone."""

    def memory(self, *content):
        """Return it, or keep this."""
        if not content:
            return world.memory
        world.memory = bytes(content[0])
        return None


class Asleep(BaseException):
    """Deep sleep: nothing after it runs."""


def reset_cause():
    """Return what the test says."""
    return world.cause


def lightsleep(duration_ms):
    """Sleep."""
    world.log.append("lightsleep %d" % duration_ms)
    world.slept_ms += duration_ms


def deepsleep(duration_ms):
    """Sleep and never return."""
    world.slept_ms += duration_ms
    raise Asleep(duration_ms)
