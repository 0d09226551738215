"""A socket module and a clock for tests on MicroPython: scripted bytes, and time as a number.

`Clock.now` moves only when a test or a socket moves it, so that deadlines of seconds cost nothing.
"""

import errno
import io

SOCK_STREAM = 1
_MP_STREAM_POLL = 3
_POLLIN = 1
_POLLOUT = 4


class Clock:
    """ticks_ms of a fake world."""

    def __init__(self):
        self.now = 0

    def ticks_ms(self):
        """Return the time."""
        return self.now

    def ticks_add(self, ticks, delta):
        """As time.ticks_add, without the wrap."""
        return ticks + delta

    def ticks_diff(self, end, start):
        """As time.ticks_diff, without the wrap."""
        return end - start


class Net:
    """Stands for the socket module: `socket()` hands out one `Socket` after the other.

    Args:
        clock: Clock that moves by `idle_ms` whenever a socket has nothing to read.
    """

    SOCK_STREAM = SOCK_STREAM

    def __init__(self, clock, idle_ms=10):
        self.clock = clock
        self.idle_ms = idle_ms
        self.sockets = []
        self.script = []  # chunks for the next socket
        self.then_end = False

    def getaddrinfo(self, host, port, family=0, kind=0):
        """Return one address."""
        return [(2, kind, 6, None, (host, port))]

    def socket(self, family, kind, proto):
        """Return the next socket."""
        self.sockets.append(Socket(self, self.script, self.then_end))
        return self.sockets[-1]


class Socket(io.IOBase):
    """One connection.

    Attributes:
        incoming: List of chunks still to be read; a chunk is never read together with the next.
        writes: What was written, one entry for each call.
        room: Bytes that may still be written, None for any number.
    """

    def __init__(self, net, incoming, then_end):
        self.net = net
        self.incoming = list(incoming)
        self.then_end = then_end
        self.writes = []
        self.room = None
        self.closed = False

    def setblocking(self, flag):
        """Only non-blocking sockets are wanted here."""
        assert not flag, "the client made its socket blocking"

    def setsockopt(self, level, option, value):
        """Ignore."""

    def connect(self, address):
        """Answer as a non-blocking socket does."""
        raise OSError(errno.EINPROGRESS)

    def feed(self, data):
        """Let bytes arrive."""
        self.incoming.append(data)

    def readinto(self, view):
        """Hand out at most one chunk."""
        assert not self.closed
        if not self.incoming:
            self.net.clock.now += self.net.idle_ms
            return 0 if self.then_end else None
        chunk = self.incoming[0]
        n = min(len(chunk), len(view))
        view[:n] = chunk[:n]
        if n < len(chunk):
            self.incoming[0] = chunk[n:]
        else:
            self.incoming.pop(0)
        return n

    def write(self, data):
        """Take bytes as far as there is room."""
        assert not self.closed
        n = len(data) if self.room is None else min(len(data), self.room)
        if n == 0:
            self.net.clock.now += self.net.idle_ms
            return None
        if self.room is not None:
            self.room -= n
        self.writes.append(bytes(data[:n]))
        return n

    def close(self):
        """Close."""
        self.closed = True

    def ioctl(self, request, argument):
        """Be always ready, so that no test waits."""
        if request == _MP_STREAM_POLL:
            return argument & (_POLLIN | _POLLOUT)
        return -errno.EINVAL  # 0 would be a file number when one is asked for: standard input
